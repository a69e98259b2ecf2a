"""The application of `fastapi_users_app.py` on this library: the same file, after the change of imports that the
migration page tells, and with what it gains."""

from pathlib import Path

RENAMED = {
    "from fastapi_users_db_sqlalchemy": "from crossauth_fastapi.fastapi_users.db.sqlalchemy",
    "from fastapi_users": "from crossauth_fastapi.fastapi_users",
}
source = Path(__file__).with_name("fastapi_users_app.py").read_text()
for old, new in RENAMED.items():
    source = source.replace(f"\n{old}", f"\n{new}")
exec(compile(source, "fastapi_users_app.py", "exec"))
