"""Environments for the peers, made when the benchmark first runs."""

import shutil
import subprocess
import sys
from pathlib import Path

ENVS = Path(__file__).parent / ".envs"
UV = [sys.executable, "-m", "uv"]
FASTAPI_USERS = ["fastapi-users[sqlalchemy,redis]", "hiredis", "aiosqlite", "asyncpg", "uvicorn[standard]"]
PYCROSSAUTH = ["pycrossauth", "fastapi[standard]", "jinja2", "aiohttp", "jwt", "jwcrypto", "nulltype", "pyotp",
               "qrcode[pil]", "pycryptodome", "sqlalchemy[asyncio]", "aiosqlite", "psycopg", "ldap3", "requests",
               "uvicorn[standard]"]  # fmt: skip


def environment(name: str, python: str, packages: list[str]) -> str | None:
    """The interpreter of an environment with `packages`; `None` where it cannot be made."""
    interpreter = ENVS / name / "bin" / "python"
    stamp = ENVS / name / ".installed"
    if stamp.exists():
        return str(interpreter)
    try:
        subprocess.run([*UV, "venv", "-q", "--clear", "-p", python, ENVS / name], check=True)
        subprocess.run([*UV, "pip", "install", "-q", "--compile-bytecode", "-p", interpreter, *packages], check=True)
    except subprocess.CalledProcessError as e:
        print(f"{name}: {e}")
        return None
    stamp.touch()
    return str(interpreter)


def newer_python() -> str | None:
    """A Python of at least 3.12, which pycrossauth needs; `None` where there is none."""
    candidates = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    candidates += [str(p) for p in sorted(Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python"))]
    for candidate in candidates:
        if candidate is None:
            continue
        expected = "import sys; sys.exit(sys.version_info < (3, 12))"
        if subprocess.run([candidate, "-c", expected], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def versions(interpreter: str, packages: list[str]) -> str:
    """The versions of `packages` in an environment."""
    code = (
        "import sys; from importlib.metadata import version as v; print(', '.join(f'{p} {v(p)}' for p in sys.argv[1:]))"
    )
    return subprocess.run(
        [interpreter, "-c", code, *packages], check=True, capture_output=True, text=True
    ).stdout.strip()
