"""The application of `fastapi_users_app.py` on this library: the same file, after the change of imports that the migration
page tells."""

from pathlib import Path
from typing import Any

from crossauth_backend import DEFAULT_LIMITS

# The limits count as they always do but are too wide to be reached.
MORE: dict[str, Any] = {"attempt_limits": dict.fromkeys(DEFAULT_LIMITS, (10**6, 900))}
RENAMED = {
    "from fastapi_users_db_sqlalchemy": "from crossauth_fastapi.fastapi_users.db.sqlalchemy",
    "from fastapi_users": "from crossauth_fastapi.fastapi_users",
    "(get_user_manager, [backend])": "(get_user_manager, [backend], **MORE)",
}
source = Path(__file__).with_name("fastapi_users_app.py").read_text()
for old, new in RENAMED.items():
    source = source.replace(old, new)
exec(compile(source, "fastapi_users_app.py", "exec"))
app: Any = globals()["app"]
users: Any = globals()["fastapi_users"]
app.include_router(users.get_reset_password_router(), prefix="/auth")
