"""What is exported, and what an installed wheel holds."""

import importlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        wheel.extractall(tmp_path / "installed")
    kept = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src").rglob("*") if p.is_file()}
    missing = {name for name in kept if "__pycache__" not in name} - names
    assert missing == set()
    assert {"crossauth_backend/py.typed", "crossauth_fastapi/py.typed"} <= names
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import crossauth_backend, crossauth_fastapi
from crossauth_backend import *
from crossauth_fastapi import *
assert crossauth_fastapi.__file__.startswith(sys.argv[1])
"""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path / "installed")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
