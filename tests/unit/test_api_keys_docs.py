"""What docs/api_keys.md and its example promise, run as written."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from crossauth_backend import (
    ApiKeyManager,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    RequestedBy,
    SqlAlchemyUserStorage,
    User,
    open_engine,
)
from crossauth_fastapi import FastApiServer, require
from tests.services.processes import running
from tests.services.uvicorn import serve
from tests.support import CHEAP, PASSWORD, SECRET, Client

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api_keys.md").read_text()
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE, re.DOTALL)
EXAMPLE = ROOT / "examples" / "api_keys.py"


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def test_every_block_is_run_here() -> None:
    assert [kind for kind, _ in BLOCKS] == ["python", "sh", "sh", "python"]


def test_the_server_of_the_page(tmp_path: Path) -> None:
    users = InMemoryUserStorage()
    provided: dict[str, Any] = {
        "FastApiServer": FastApiServer, "Annotated": Annotated, "User": User, "Depends": Depends,
        "require": require, "app": FastAPI(), "key_storage": InMemoryKeyStorage(), "user_storage": users,
        "secret": SECRET, "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)},
    }  # fmt: skip
    exec(blocks("python")[0], provided)
    with serve(provided["app"]) as url, Client(url) as alice, Client(url) as program:
        alice.sign_up()
        assert alice.get("/orders").json() == ["an order of alice"]
        made = alice.call("/api/apikeys", name="shop", scope="orders:read").json()
        other = alice.call("/api/apikeys", name="shop", scope="orders:write").json()
        name, _, value = re.search(r'-H "([^"]+)"', blocks("sh")[0])[1].partition(": ")  # type: ignore[index]
        good, bad = (value.replace("xa_…", key["token"]) for key in (made, other))
        assert program.get("/orders", headers={name: good}).json() == ["an order of alice"]
        assert program.get("/orders", headers={name: bad}).status_code == 403
        assert program.get("/orders").status_code == 401


async def test_the_manager_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    users, keys = InMemoryUserStorage(), InMemoryKeyStorage()
    user = await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"})
    code = "async def run():\n" + textwrap.indent(blocks("python")[1] + "return made, found, new\n", "    ")
    provided: dict[str, Any] = {
        "ApiKeyManager": ApiKeyManager, "RequestedBy": RequestedBy, "key_storage": keys, "secret": SECRET,
        "user_storage": users, "user": user,
    }  # fmt: skip
    exec(code, provided)
    made, found, new = await provided["run"]()
    assert capsys.readouterr().out.strip() == made.token
    assert re.fullmatch(r"xa_[0-9A-Za-z]{49}", made.token)
    assert (found.user.id, found.key.scope, new.key.id) == (user.id, ("read",), made.key.id)


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(EXAMPLE.read_text())
    users = SqlAlchemyUserStorage(open_engine(f"sqlite:///{tmp_path}/crossauth.db"))

    async def add() -> None:
        await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"}, {})
        await users.close()

    asyncio.run(add())
    create, listing, revoke = (shlex.split(line) for line in blocks("sh")[1].splitlines())
    token = run(tmp_path, create).strip()
    assert token.startswith("xa_")
    id, _, name = run(tmp_path, listing).split("\t")[:3]
    assert name == "deploy script"
    assert "revoked" in run(tmp_path, [*revoke[:-1], id])
    assert run(tmp_path, listing) == ""


def run(folder: Path, command: list[str]) -> str:
    environment = {**os.environ, "CROSSAUTH_SECRET": SECRET, "CROSSAUTH_ADMIN": f"root:{PASSWORD}"}
    done = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]], cwd=folder, env=environment, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_gives_a_program_what_its_key_may_do(tmp_path: Path) -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 90
    settings = {"CROSSAUTH_ADMIN": f"root:{PASSWORD}"}
    with running([str(EXAMPLE)], tmp_path, settings) as url, Client(url) as alice, Client(url) as program:
        assert "Create an API key" in alice.get("/").text
        alice.sign_up()
        made = alice.call("/api/apikeys", name="reader", scope="notes:read").json()
        program.headers["Authorization"] = f"ApiKey {made['token']}"
        assert program.get("/api/me").json() == {"username": "alice", "by": "apiKey", "key": "reader"}
        assert alice.get("/api/me").json() == {"username": "alice", "by": "cookie", "key": None}
        assert alice.call("/api/notes?text=milk").json() == ["milk"]
        assert program.get("/api/notes").json() == ["milk"]
        assert program.post("/api/notes?text=eggs").status_code == 403
    with running([str(EXAMPLE)], tmp_path) as url, Client(url, headers=dict(program.headers)) as again:
        assert again.get("/api/me").json()["key"] == "reader", "over a restart"
        with Client(url) as root:
            root.log_in("root")
            (key,) = root.get("/admin/api/apikeys/2").json()["apiKeys"]
            assert key["lastUsed"] is not None, "written when the application ended"
            assert root.call("/admin/api/revokeapikey/2", key=key["id"]).json()["ok"] is True
        assert again.get("/api/me").status_code == 401


def test_the_example_runs_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    settings = {"CROSSAUTH_DATABASE_URL": postgres_url, "CROSSAUTH_SECRET": SECRET}
    with running([str(EXAMPLE)], tmp_path, settings) as url, Client(url) as alice:
        alice.sign_up()
        token = alice.call("/api/apikeys", name="reader").json()["token"]
        with Client(url, headers={"Authorization": f"ApiKey {token}"}) as program:
            assert program.get("/api/me").json()["username"] == "alice"
            assert alice.call("/api/revokeapikey", all=True).json()["ok"] is True
            assert program.get("/api/me").status_code == 401
