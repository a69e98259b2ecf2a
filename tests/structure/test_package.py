"""What is exported, and what an installed wheel holds."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["crossauth_backend", "crossauth_backend.common", "crossauth_fastapi"])
def test_every_exported_name_is_there_once(name: str) -> None:
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))
    for exported in module.__all__:
        assert getattr(module, exported) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["crossauth_backend", "crossauth_fastapi"])
def test_a_star_import_brings_what_is_exported(name: str) -> None:
    scope: dict[str, object] = {}
    exec(f"from {name} import *", scope)
    assert set(importlib.import_module(name).__all__) <= set(scope)


def test_the_core_works_without_sqlalchemy_and_says_what_is_missing() -> None:
    code = """
import sys
for name in ("sqlalchemy", "alembic", "asyncpg", "aiosqlite", "bcrypt", "uvicorn", "redis", "httpx_oauth", "typer", "aiohttp"):
    sys.modules[name] = None
import crossauth_backend, crossauth_fastapi
from crossauth_fastapi.fastapi_users import *
from crossauth_fastapi.fastapi_users import authentication, db
from crossauth_fastapi.fastapi_users.authentication import *
from crossauth_fastapi.fastapi_users.authentication.strategy import *
from crossauth_fastapi.fastapi_users.db import *
for module, name in (
    (crossauth_backend, "SqlAlchemyUserStorage"), (crossauth_backend, "RedisKeyStorage"), (db, "SQLAlchemyUserDatabase"),
    (authentication, "RedisStrategy"),
):
    try:
        getattr(module, name)
    except ImportError as e:
        print(e)
from crossauth_fastapi.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    for name, extra in (
        ("SqlAlchemyUserStorage", "sqlite"), ("RedisKeyStorage", "redis"), ("SQLAlchemyUserDatabase", "sqlite"),
        ("RedisStrategy", "redis"),
    ):  # fmt: skip
        assert re.search(rf"{name} needs \w+: install crossauth\[{extra}\]", done.stdout), done.stdout
    assert done.stderr.strip() == "The command crossauth needs typer: install crossauth[cli]"


STAR = """
import sys
for name in sys.argv[1].split():
    sys.modules[name] = None
from crossauth_backend import *
from crossauth_fastapi import *
from crossauth_fastapi.testing import *
import crossauth_backend
for name, module in crossauth_backend._LAZY.items():
    try:
        getattr(crossauth_backend, name)
    except ImportError as e:
        assert name not in globals() and "install crossauth[" in str(e), e
    else:
        # An import that greenlet has stopped half-way is found finished by the next.
        assert name in globals() or sys.argv[1] == "greenlet", name
"""
DRIVERS = "aiohttp aiosmtplib aiosqlite alembic asyncpg bcrypt httpx2 httpx_oauth phonenumbers typer uvicorn"


@pytest.mark.parametrize(
    "missing", ["redis", "sqlalchemy", "greenlet", DRIVERS, f"{DRIVERS} redis sqlalchemy greenlet"]
)
def test_a_star_import_brings_what_is_installed(missing: str) -> None:
    done = subprocess.run([sys.executable, "-c", STAR, missing], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# What could send requests, and where it may stand: our client, the helpers for an application's tests, a test of what is there.
SENDERS = r"aiohttp|httpx2?|requests|urllib3|urllib\.request|http\.client|pycurl|niquests"
USE = re.compile(rf"""^\s*(?:import|from)\s+({SENDERS})\b|import_module\(\s*["']({SENDERS})["']""", re.MULTILINE)
MAY_SEND = {
    "crossauth_backend/core/http_client.py": {"aiohttp"}, "crossauth_backend/core/http_stream.py": {"aiohttp"},
    "crossauth_fastapi/testing/clients.py": {"httpx", "httpx2"},
}  # fmt: skip


def test_requests_leave_by_one_client() -> None:
    source = Path(importlib.import_module("crossauth_backend").__path__[0]).parent
    found = {
        path.relative_to(source).as_posix(): {"".join(names) for names in USE.findall(path.read_text())}
        for path in source.rglob("*.py")
    }
    assert {path: names for path, names in found.items() if names} == MAY_SEND


def test_the_extra_for_text_messages_brings_what_sends_them() -> None:
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert "crossauth[client]" in extras["sms"]
    assert not [name for name, needed in extras.items() if any(need.startswith("httpx2") for need in needed)]


# What an application pays for only where it asks for it.
HEAVY = {
    "aiohttp", "aiosmtplib", "aiosqlite", "alembic", "asyncpg", "babel", "httpx", "httpx2", "httpx_oauth", "phonenumbers",
    "pytest", "redis", "sqlalchemy", "starlette.testclient", "typer", "uvicorn", "webauthn",
    "crossauth_fastapi.cli", "crossauth_fastapi.testing", "crossauth_backend.testing",
}  # fmt: skip


def test_nothing_optional_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, crossauth_backend, crossauth_fastapi; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()


def test_a_server_imports_no_helper_for_tests() -> None:
    code = """
import sys
from fastapi import FastAPI
from crossauth_backend import InMemoryKeyStorage, InMemoryUserStorage, LocalPasswordAuthenticator
from crossauth_fastapi import FastApiServer
users = InMemoryUserStorage()
FastApiServer(
    {"session": {"key_storage": InMemoryKeyStorage()}},
    {
        "app": FastAPI(), "secret": "s" * 40, "user_storage": users,
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
    },
)
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & (HEAVY - {"babel"}) == set()
