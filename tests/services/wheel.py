"""The wheel as somebody would install it: built once per test process, and installed into empty environments."""

import os
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from scripts.test_other_pythons import interpreter

ROOT = Path(__file__).parents[2]
MINORS = (11, 12, 13)


def build_wheel(folder: Path) -> Path:
    """Build the source distribution and, from it, the wheel in `folder`, as for a release; return the wheel."""
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def pythons() -> dict[str, str]:
    """The supported versions of Python on this machine, with the path of each."""
    running = sys.version_info.minor
    found = {f"3.{m}": sys.executable if m == running else interpreter(m) for m in {*MINORS, running}}
    return {version: path for version, path in sorted(found.items()) if path}


def empty_environment(folder: Path, python: str = sys.executable) -> Path:
    """Create a virtual environment without any package; return its Python."""
    _uv("venv", "--clear", "-p", python, str(folder))
    return folder / "bin" / "python"


def install(python: Path, wheel: Path, extras: str = "sqlite,server", *more: str) -> None:
    """Install `crossauth[extras]` from the wheel, and further requirements; without network where all are cached."""
    command = ["pip", "install", "-p", str(python), f"crossauth[{extras}] @ {wheel.as_uri()}", *more]
    try:
        _uv(*command, "--offline")
    except RuntimeError:
        _uv(*command)


def clean_environment(**settings: str) -> dict[str, str]:
    """Environment variables for a process that must find nothing but what is installed in its own environment."""
    ours = ("PYTHON", "CROSSAUTH_", "VIRTUAL_ENV", "COV_", "COVERAGE_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **settings}


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
