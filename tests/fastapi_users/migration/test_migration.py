"""The migration page, followed: an application as it was, on the file it left behind."""

import re
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from crossauth_backend.core.jose import sign_jwt
from tests.services.processes import running

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs" / "migrating_from_fastapi_users.md").read_text()
SECRET = "a secret of the application's, long enough"
OLD_TOKEN = "c4GNxBCT5gmvh1zFO-0QkhIw4G3_qFx9mAT3Lx061aI"
PASSWORDS = {"arthur@camelot.bt": "guinevere", "Lancelot@camelot.bt": "elaine", "merlin@camelot.bt": "nimue"}


def converted(**options: str) -> str:
    """The application's source after the changes that the page's table tells."""
    source = (HERE / "before.py").read_text()
    renamed = re.findall(r"^\| `((?:import|from) [\w.]+)` \| `(from .*)` \|$", PAGE, re.MULTILINE)
    assert len(renamed) == 3
    for old, new in renamed:
        source = re.sub(rf"^{re.escape(old)}\b(?!_)", new, source, flags=re.MULTILINE)
    assert not re.search(r"^(import|from) fastapi_users", source, re.MULTILINE)
    return source.replace("lifetime_seconds=3600)", f"lifetime_seconds=3600{options.get('strategy', '')})")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The file, as it was an hour ago."""
    file = tmp_path / "users.db"
    with sqlite3.connect(file) as connection:
        connection.executescript((HERE / "before.sql").read_text())
        connection.execute("UPDATE accesstoken SET created_at = strftime('%Y-%m-%d %H:%M:%f', 'now', '-10 minutes')")
    connection.close()
    return str(file)


def serve(folder: Path, database: str, source: str) -> Iterator[httpx2.Client]:
    (folder / "converted.py").write_text(source)
    command = ["-m", "uvicorn", "converted:app"]
    with (
        running(command, folder, {"DATABASE": database}) as url,
        httpx2.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def client(tmp_path: Path, database: str) -> Iterator[httpx2.Client]:
    yield from serve(tmp_path, database, converted())


def log_in(client: httpx2.Client, email: str, password: str, by: str = "jwt") -> httpx2.Response:
    return client.post(f"/auth/{by}/login", data={"username": email, "password": password})


def hashes(database: str) -> dict[str, str]:
    with sqlite3.connect(database) as connection:
        found = dict(connection.execute('SELECT email, hashed_password FROM "user"').fetchall())
    connection.close()
    return found


def test_old_passwords_are_good_and_their_hashes_are_renewed(client: httpx2.Client, database: str) -> None:
    before = hashes(database)
    assert before["Lancelot@camelot.bt"].startswith("$2b$")
    for email, password in PASSWORDS.items():
        assert log_in(client, email, "wrong").json() == {"detail": "LOGIN_BAD_CREDENTIALS"}
        assert log_in(client, email.lower(), password).status_code == 200
    after = hashes(database)
    assert all(hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$") for hashed in after.values()), after
    assert after["arthur@camelot.bt"] == before["arthur@camelot.bt"], "what is strong already stays"
    for email, password in PASSWORDS.items():
        assert log_in(client, email, password).status_code == 200, "and again, by the new hash"


def test_clients_find_what_they_knew(client: httpx2.Client) -> None:
    header = {"Authorization": f"Bearer {log_in(client, 'arthur@camelot.bt', 'guinevere').json()['access_token']}"}
    me = client.get("/users/me", headers=header).json()
    assert me == {
        "id": "7724f7dd-686b-4396-b997-3de425d84378", "email": "arthur@camelot.bt", "is_active": True,
        "is_superuser": False, "is_verified": False, "nickname": "Wart",
    }  # fmt: skip
    assert client.get("/authenticated-route", headers=header).json() == {"message": "Hello arthur@camelot.bt!"}
    changed = client.patch("/users/me", headers=header, json={"nickname": "The Once and Future King"})
    assert changed.json()["nickname"] == "The Once and Future King"
    merlin = {"Authorization": f"Bearer {log_in(client, 'merlin@camelot.bt', 'nimue').json()['access_token']}"}
    assert client.get(f"/users/{me['id']}", headers=merlin).status_code == 200
    assert client.delete(f"/users/{me['id']}", headers=merlin).status_code == 204
    new = {"email": "galahad@camelot.bt", "password": "grail", "nickname": "the pure"}
    assert client.post("/auth/register", json=new).status_code == 201
    taken = client.post("/auth/register", json={"email": "lancelot@camelot.bt", "password": "elaine"})
    assert taken.json() == {"detail": "REGISTER_USER_ALREADY_EXISTS"}
    weak = client.post("/auth/register", json={"email": "mordred@camelot.bt", "password": "x"})
    assert weak.json()["detail"]["reason"] == "Password should be at least 3 characters"
    cookie = log_in(client, "galahad@camelot.bt", "grail", "cookie")
    assert cookie.status_code == 204
    assert client.get("/users/me").json()["email"] == "galahad@camelot.bt", "the client keeps the cookie"
    assert client.post("/auth/cookie/logout").status_code == 200
    assert client.get("/users/me").status_code == 401


@pytest.mark.parametrize("accepted", [False, True])
def test_a_jwt_that_is_out_stays_good_by_name_only(tmp_path: Path, database: str, accepted: bool) -> None:
    source, strategy = converted(), "JWTStrategy(secret=SECRET, lifetime_seconds=3600"
    assert strategy in source
    if accepted:
        source = source.replace(strategy, f"{strategy}, accept_unmarked_tokens=True")
    claims = {
        "sub": "7724f7dd-686b-4396-b997-3de425d84378",
        "aud": ["fastapi-users:auth"],
        "exp": int(time.time()) + 60,
    }
    old = {"Authorization": f"Bearer {sign_jwt(claims, SECRET)}"}
    other = sign_jwt({**claims, "sub": str(uuid.uuid4())}, SECRET)
    for client in serve(tmp_path, database, source):
        assert client.get("/users/me", headers=old).status_code == (200 if accepted else 401)
        assert client.get("/users/me", headers={"Authorization": f"Bearer {other}"}).status_code == 401


@pytest.mark.parametrize("accepted", [False, True])
def test_tokens_in_the_table_stay_good_by_name_only(tmp_path: Path, database: str, accepted: bool) -> None:
    strategy = "DatabaseStrategy(access_token_db, lifetime_seconds=3600"
    source = converted()
    assert strategy in source
    if accepted:
        source = source.replace(strategy, f"{strategy}, accept_plain_tokens=True")
    for client in serve(tmp_path, database, source):
        client.cookies.set("fastapiusersauth", OLD_TOKEN)
        assert client.get("/users/me").status_code == (200 if accepted else 401)
