"""`crossauth api-keys`, as somebody types it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crossauth_backend import ApiKeyManager, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.core.errors import CrossauthError
from tests.support import SECRET

SMALL = """
from fastapi import FastAPI
from crossauth_backend import LocalPasswordAuthenticator, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_fastapi import FastApiServer

engine = open_engine("sqlite:///small.db")
users = SqlAlchemyUserStorage(engine)
app, bare, lone = FastAPI(), FastAPI(), FastAPI()
server = FastApiServer(
    {"session": {"key_storage": SqlAlchemyKeyStorage(engine)}},
    {"app": app, "user_storage": users, "authenticators": {"localpassword": LocalPasswordAuthenticator(users)}},
)
without = FastApiServer({}, {})
alone = FastApiServer(
    {"api_key": {"key_storage": SqlAlchemyKeyStorage(engine), "options": {"token_prefix": "shop_"}}},
    {"app": lone, "user_storage": users},
)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.py").write_text(SMALL)
    return tmp_path


@pytest.fixture
async def alice(folder: Path) -> int | str:
    users = SqlAlchemyUserStorage(open_engine(f"sqlite:///{folder}/small.db"))
    made = await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"}, {})
    await users.close()
    return made.id


def command(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "CROSSAUTH_SECRET": SECRET}
    return subprocess.run(
        [str(Path(sys.executable).parent / "crossauth"), "api-keys", *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


async def test_a_key_is_created_listed_and_revoked(folder: Path, alice: int) -> None:
    more = "--scope", "read", "--scope", "write", "--expires", "3600"
    made = command(folder, "create", "small:app", "--user", "alice", "--name", "ci", *more)
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    engine = open_engine(f"sqlite:///{folder}/small.db")
    users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
    manager = ApiKeyManager(keys, {"secret": SECRET, "user_storage": users})
    key = await manager.get_key(token)
    assert (key.userid, key.name, key.scope) == (alice, "ci", ("read", "write"))
    assert key.expires is not None
    assert (key.expires - key.created).total_seconds() == 3600
    listed = command(folder, "list", "small:server", "--user", "alice")
    assert listed.stdout.split("\t")[:4] == [key.id, f"{key.hint}…", "ci", "read write"]
    assert token not in listed.stdout
    revoked = command(folder, "revoke", "small:app", "--user", "alice", key.id)
    assert revoked.returncode == 0, revoked.stderr
    with pytest.raises(CrossauthError, match="is invalid"):
        await manager.get_key(token)
    await keys.close()
    await users.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "small:app", "--user", "bob"), "no such user"),
        (("list", "small:users", "--user", "alice"), "no FastApiServer"),
        (("list", "small:bare", "--user", "alice"), "no FastApiServer"),
        (("list", "small:without", "--user", "alice"), "session server"),
        (("list", "small:nothing", "--user", "alice"), "has no 'nothing'"),
        (("revoke", "small:app", "--user", "alice", "nonsense"), "This API key doesn't exist"),
        (("revoke", "small:app", "--user", "alice", "-QxAnIdAsKeysHave"), "This API key doesn't exist"),
        (("revoke", "small:app", "--user", "alice", "--xAnIdAsKeysHave"), "This API key doesn't exist"),
        (("create", "small:app", "--user", "alice", "--name", ""), "Name the API key"),
        (("create", "small:app", "--user", "alice", "--name", "a", "--expires", "1e9"), "number of seconds"),
        (("create", "small:app", "--user", "alice", "--name", "a", "--expires", "0"), "whole number of seconds"),
        (("create", "small:app", "--user", "alice", "--name", "a", "--scope", "a b"), "scopes"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(
    folder: Path, alice: int, arguments: tuple[str, ...], said: str
) -> None:
    done = command(folder, *arguments)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_for_api_keys_says_how_keys_are_made(folder: Path, alice: int) -> None:
    made = command(folder, "create", "small:alone", "--user", "alice", "--name", "ci")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("shop_")
    assert command(folder, "list", "small:lone", "--user", "alice").stdout.count("ci") == 1
