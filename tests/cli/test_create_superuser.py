"""`crossauth create-superuser`, as somebody types it."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.services.processes import running

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "fastapi_users_routes.py"
EMAIL, PASSWORD = "merlin@camelot.bt", "nimue and the lake"
TARGET = ["fastapi_users_routes:users", "--app", "fastapi_users_routes:app"]
# An application that makes nothing at start-up, refuses short passwords, and has a column that must be filled.
SMALL = """
import uuid
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped
from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers, InvalidPasswordException, UUIDIDMixin, db

engine = create_async_engine("sqlite+aiosqlite:///small.db")


class Base(DeclarativeBase): ...


class User(db.SQLAlchemyBaseUserTableUUID, Base):
    nickname: Mapped[str]


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    async def validate_password(self, password, user):
        if len(password) < 8:
            raise InvalidPasswordException("Password should be at least 8 characters")

    async def on_after_register(self, user, request=None):
        print("hook", user.nickname)


async def get_user_manager():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield UserManager(db.SQLAlchemyUserDatabase(session, User))
    await engine.dispose()


users = FastAPIUsers[User, uuid.UUID](get_user_manager, [])
"""


def command(folder: Path, *arguments: str, password: str | None = PASSWORD) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(filter(None, (str(EXAMPLE.parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "TERM": "dumb"}
    if password is not None:
        environment["CROSSAUTH_SUPERUSER_PASSWORD"] = password
    return subprocess.run(
        [str(Path(sys.executable).parent / "crossauth"), "create-superuser", *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def small(folder: Path, *arguments: str, password: str | None = PASSWORD) -> "subprocess.CompletedProcess[str]":
    (folder / "small.py").write_text(SMALL)
    return command(folder, "small:users", *arguments, password=password)


def test_the_first_superuser_of_an_application_that_never_ran(tmp_path: Path) -> None:
    made = command(tmp_path, *TARGET, "--email", EMAIL)
    assert made.returncode == 0, made.stderr
    assert f"{EMAIL} is a superuser" in made.stdout
    assert PASSWORD not in made.stdout + made.stderr
    with running([str(EXAMPLE)], tmp_path) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        token = client.post("/auth/jwt/login", data={"username": EMAIL, "password": PASSWORD}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        me = client.get("/users/me").json()
        assert (me["is_superuser"], me["is_active"], me["is_verified"]) == (True, True, True)
        assert client.get(f"/users/{me['id']}").status_code == 200


def test_somebody_who_is_there_is_promoted_by_name_only(tmp_path: Path) -> None:
    other = {"email": "arthur@camelot.bt", "password": "guinevere"}
    with running([str(EXAMPLE)], tmp_path) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        assert client.post("/auth/register", json=other).status_code == 201
        refused = command(tmp_path, *TARGET, "--email", other["email"])
        assert refused.returncode != 0
        assert "--promote" in refused.stderr
        assert "Traceback" not in refused.stderr
        done = command(tmp_path, *TARGET, "--email", other["email"], "--promote", password=None)
        assert done.returncode == 0, done.stderr
        form = {"username": other["email"], "password": other["password"]}
        token = client.post("/auth/jwt/login", data=form).json()["access_token"]
        me = client.get("/users/me", headers={"Authorization": f"Bearer {token}"}).json()
        assert (me["is_superuser"], me["is_verified"]) == (True, False)


def test_the_password_is_asked_for_on_a_terminal_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    ours, theirs = pty.openpty()
    program = [str(Path(sys.executable).parent / "crossauth"), "create-superuser", "small:users", "--email", EMAIL]
    asked = subprocess.Popen(
        [*program, "--field", "nickname=Ambrosius"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    displayed = b""
    # The blank is written when the terminal shows no more of what is typed.
    for waited in (b"Password: ", b"Repeat for confirmation: ", b"is a superuser"):
        while waited not in displayed:
            assert select.select([ours], [], [], 60)[0], displayed
            displayed += os.read(ours, 1024)
        if waited.endswith(b": "):
            os.write(ours, f"{PASSWORD}\n".encode())
    assert asked.wait(60) == 0
    os.close(ours)
    assert b"is a superuser" in displayed
    assert b"hook Ambrosius" in displayed
    assert PASSWORD.encode() not in displayed


@pytest.mark.parametrize(
    ("arguments", "password", "said"),
    [
        (["--email", "no address", "--field", "nickname=a"], PASSWORD, "email: value is not a valid email address"),
        (["--email", EMAIL, "--field", "nickname=a"], "short", "at least 8 characters"),
        (["--email", EMAIL, "--field", "nickname"], PASSWORD, "must be name=value"),
        (["--email", "nobody@camelot.bt", "--promote"], None, "there is no user nobody@camelot.bt"),
        (["--email", EMAIL, "--field", "colour=red", "--field", "nickname=a"], PASSWORD, "'colour' is an invalid"),
        (["--email", EMAIL, "--field", "is_verified=2", "--field", "nickname=a"], PASSWORD, "not 'is_verified'"),
        (["--email", EMAIL], PASSWORD, "NOT NULL constraint failed: user.nickname"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, arguments: list[str], password: str | None, said: str) -> None:
    done = small(tmp_path, *arguments, password=password)
    assert done.returncode != 0
    assert said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in (PASSWORD, "$argon2"))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("small:", "must be module:name"), ("nowhere:users", "no module 'nowhere'"), ("small:nothing", "has no 'nothing'"),
        ("small:engine", "small:engine is no FastApiServer or FastAPIUsers"),
    ],
)  # fmt: skip
def test_a_target_that_is_none(tmp_path: Path, target: str, said: str) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    done = command(tmp_path, target, "--email", EMAIL)
    assert done.returncode == 2
    assert said in done.stderr
