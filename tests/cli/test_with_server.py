"""Every command works with an application that `FastApiServer` built, however the application is named."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_fastapi.cli.commands import cli
from tests.cli.support import crossauth as typed
from tests.cli.support import invoke, unwrapped
from tests.services.uvicorn import serve
from tests.support import Client, make_server

PASSWORD = "nimue and the lake"
SMALL = """
import sqlalchemy as sa
from fastapi import FastAPI
from crossauth_backend import LocalPasswordAuthenticator, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_fastapi import FastApiServer

engine = open_engine("sqlite:///small.db")
users = SqlAlchemyUserStorage(engine, {"extra_columns": [sa.Column("role", sa.String(20))]})


def build(**options):
    keys = SqlAlchemyKeyStorage(engine)
    return FastApiServer(
        {"session": {"key_storage": keys}, "api_key": {"key_storage": keys}},
        {"app": FastAPI(), "user_storage": users,
         "authenticators": {"localpassword": LocalPasswordAuthenticator(users)}, **options},
    )
"""
MODULES = {
    "only_server": "from small import build\nserver = build()",
    "only_app": "from small import build\napp = build().app",
    "both": "from small import build\nserver = build()\napp = server.app",
    "factory": "from small import build\ndef create_app():\n    return build().app\ndef needs(x):\n    return x",
    "inner": "from fastapi import FastAPI\nfrom small import build\nmain = FastAPI()\nmain.mount('/auth', build().app)",
    "two": "from small import build\none, other = build(), build()",
    "nobody": "from fastapi import FastAPI\napp = FastAPI()",
    "bare": "from crossauth_fastapi import FastApiServer\nserver = FastApiServer({}, {})",
    "role": "from small import build\nserver = build(is_admin_fn=lambda user: user.get('role') == 'chief')",
    "routes": "from crossauth_fastapi.fastapi_users import FastAPIUsers\nusers = FastAPIUsers(lambda: None, [])",
}
# Each way to name an application.
TARGETS = ["only_server", "only_app", "both", "both:app", "both:server", "factory:create_app", "inner", "inner:main"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"small": SMALL, **MODULES}.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def crossauth(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    done = invoke(folder, *arguments, **{"CROSSAUTH_SUPERUSER_PASSWORD": PASSWORD, **variables})
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


async def stored(folder: Path) -> list[Any]:
    users = SqlAlchemyUserStorage(open_engine(f"sqlite:///{folder}/small.db"))
    found = await users.get_users()
    await users.close()
    return found


def test_every_command_is_tried_here() -> None:
    group: Any = get_command(cli)
    there = {name: set(getattr(command, "commands", ())) for name, command in group.commands.items()}
    assert there == {
        "init": set(),
        "doctor": set(),
        "create-admin": set(),
        "create-superuser": set(),
        "api-keys": {"create", "list", "revoke"},
        "users": {"list", "show", "set-state", "disable", "enable", "reset"},
        "sessions": {"list", "revoke"},
        "db": {"current", "check", "upgrade"},
    }


@pytest.mark.parametrize("target", TARGETS)
async def test_the_server_is_found(folder: Path, target: str) -> None:
    """On an application that never ran: its tables are made first."""
    made = crossauth(folder, "create-superuser", target, "--username", "merlin")
    assert made.returncode == 0, made.stderr
    assert "merlin is an administrator" in made.stdout
    assert PASSWORD not in made.stdout + made.stderr
    (user,) = await stored(folder)
    assert (user.username, user.state, user.admin, user.email) == ("merlin", "active", True, None)
    listed = crossauth(folder, "api-keys", "list", target, "--user", "merlin")
    assert (listed.returncode, listed.stdout) == (0, ""), listed.stderr


async def test_the_server_is_found_by_the_program_that_is_installed(folder: Path) -> None:
    made = typed(
        folder, "create-superuser", "both:app", "--username", "merlin", CROSSAUTH_SUPERUSER_PASSWORD=PASSWORD
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert [user.username for user in await stored(folder)] == ["merlin"]
    refused = typed(folder, "create-superuser", "nowhere", "--username", "x", CROSSAUTH_SUPERUSER_PASSWORD=PASSWORD)
    assert refused.returncode == 2
    assert "no module 'nowhere'" in unwrapped(refused.stderr)
    assert "Traceback" not in refused.stderr


def test_the_keys_of_its_server_are_created_listed_and_revoked(folder: Path) -> None:
    assert crossauth(folder, "create-superuser", "both", "--username", "merlin").returncode == 0
    key = crossauth(folder, "api-keys", "create", "both", "--user", "merlin", "--name", "ci")
    assert key.returncode == 0, key.stderr
    assert key.stdout.startswith("xa_")
    listed = crossauth(folder, "api-keys", "list", "both:app", "--user", "merlin")
    assert listed.stdout.count("\n") == 1
    id = listed.stdout.split("\t")[0]
    assert crossauth(folder, "api-keys", "revoke", "both", "--user", "merlin", id).returncode == 0


async def test_an_administrator_can_log_in_and_may_do_everything(folder: Path) -> None:
    made = crossauth(folder, "create-superuser", "both:app", "--email", "merlin@camelot.bt")
    assert made.returncode == 0, made.stderr
    (user,) = await stored(folder)
    assert (user.username, user.email) == ("merlin@camelot.bt", "merlin@camelot.bt")
    engine = open_engine(f"sqlite:///{folder}/small.db")
    server = make_server(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine), enable_admin_endpoints=True)
    with serve(server.app) as url, Client(url) as client:
        assert client.log_in("merlin@camelot.bt", PASSWORD).json()["ok"] is True
        assert client.get("/admin-only").status_code == 200
        assert client.get("/admin/api/selectuser").json()["ok"] is True


async def test_somebody_who_is_there_is_promoted(folder: Path) -> None:
    users = SqlAlchemyUserStorage(open_engine(f"sqlite:///{folder}/small.db"))
    await users.create_user({"username": "arthur", "state": "active", "factor1": "localpassword"}, {"password": "kept"})
    refused = crossauth(folder, "create-superuser", "both", "--username", "arthur")
    assert refused.returncode == 2
    assert "--promote" in refused.stderr
    done = crossauth(folder, "create-superuser", "both", "--username", "arthur", "--promote")
    assert done.returncode == 0, done.stderr
    found = await users.get_user_by_username("arthur")
    assert (found.user.admin, found.secrets.password) == (True, "kept")
    await users.close()


async def test_who_is_an_administrator_is_the_application_s_to_say(folder: Path) -> None:
    done = crossauth(folder, "create-superuser", "role", "--username", "merlin")
    assert done.returncode == 2
    assert "'is_admin_fn' does not call that user an administrator" in unwrapped(done.stderr)
    done = crossauth(folder, "create-superuser", "role", "--username", "morgan", "--field", "role=chief")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("two", (), "two has 2 servers: name one of them"),
        ("nobody", (), "in the module nobody there is no FastApiServer"),
        ("nobody:app", (), "nobody:app is no FastApiServer"),
        ("factory:needs", (), "factory:needs is no FastApiServer"),
        ("nowhere", (), "no module 'nowhere'"), ("..", (), "no name of a module"), ("", (), "no name of a module"),
        ("both:", (), "must be module:name"),
        ("bare", (), "needs a session server"),
        ("both", ("--app", "both:app"), "--app belongs to a FastAPIUsers"),
        ("routes", ("--username", "x"), "--username belongs to a FastApiServer"),
        ("both", ("--field", "admin=0"), "not 'admin'"), ("both", ("--field", "state=x"), "not 'state'"),
        ("both", ("--field", "colour=red"), "colour"),
        ("both", ("--username", "a"), "at least 2 characters"),
        ("both", ("--username", "merlin", "--email", "no address"), "Enter a valid email address"),
        ("both", ("--username", "nobody", "--promote"), "there is no user nobody"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_without_a_traceback(
    folder: Path, target: str, arguments: tuple[str, ...], said: str
) -> None:
    named = arguments if "--username" in arguments else ("--username", "merlin", *arguments)
    done = crossauth(folder, "create-superuser", target, *(named if target != "routes" else arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in unwrapped(done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_a_weak_password_is_refused(folder: Path) -> None:
    done = crossauth(folder, "create-superuser", "both", "--username", "merlin", CROSSAUTH_SUPERUSER_PASSWORD="short")
    assert done.returncode == 2
    assert "Password" in done.stderr


@pytest.mark.parametrize("target", ["routes", "two", "nobody"])
def test_api_keys_need_one_server(folder: Path, target: str) -> None:
    done = crossauth(folder, "api-keys", "list", target, "--user", "merlin")
    assert done.returncode == 2
    assert "server" in done.stderr.lower()
    assert "Traceback" not in done.stderr
