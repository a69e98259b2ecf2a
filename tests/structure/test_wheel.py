"""The wheel: what is in it, and that it works where nothing else is installed, on each supported Python of this machine."""

import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.processes import running
from tests.services.wheel import clean_environment, empty_environment, install, pythons
from tests.support import PASSWORD, SECRET, Client
from tests.unit.test_readme import block

SOURCE = Path(__file__).parents[2] / "src"
PYTHONS = pythons()
# What an application cannot do without, whatever else is added or moved.
NEEDED = {
    "crossauth_backend/py.typed",
    "crossauth_fastapi/py.typed",
    "crossauth_backend/factors/password/common_passwords.txt",
    "crossauth_backend/delivery/templates/passwordresethtmlbody.jinja2",
    "crossauth_backend/locale/de/LC_MESSAGES/crossauth.mo",
    "crossauth_fastapi/_pages/templates/layout.jinja2",
    "crossauth_fastapi/_pages/static/crossauth.css",
    "crossauth_backend/storages/sqlalchemy/migrations/users/versions/0003_security_stamp.py",
    "crossauth_backend/storages/sqlalchemy/migrations/users/env.py",
}
STAR = """
from crossauth_backend import *
from crossauth_fastapi import *
from crossauth_fastapi.testing import login_as
import crossauth_fastapi, sys
print(sys.version.split()[0], crossauth_fastapi.__file__)
"""


def files(folder: Path) -> set[str]:
    """What the wheel has of the source: translations are compiled."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    compiled = (name[:-2] + "mo" if name.endswith(".po") else name for name in found)
    return {name for name in compiled if "__pycache__" not in name and not name.endswith(".pot")}


def test_the_wheel_is_complete_and_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
    assert names == files(SOURCE)
    assert NEEDED - names == set()
    for line in (
        "Requires-Python: >=3.11",
        "License-Expression: Apache-2.0",
        "License-File: LICENSE",
        "Provides-Extra: all",
    ):
        assert line in metadata


def test_the_source_distribution_builds_the_wheel_and_brings_no_rubbish(wheel: Path) -> None:
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert {
        name for name in names if name.startswith(("tests/", ".venv", "docs/", "examples/")) or ".pyc" in name
    } == set()


@pytest.mark.parametrize("version", PYTHONS)
def test_the_first_application_runs_from_the_wheel(
    version: str, wheel: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    python = empty_environment(tmp_path / "environment", PYTHONS[version])
    install(python, wheel)
    (tmp_path / "app").mkdir()
    done = subprocess.run(
        [python, "-c", STAR], cwd=tmp_path / "app", env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    exact, place = done.stdout.split()
    assert exact.startswith(f"{version}.")
    assert Path(place).is_relative_to(tmp_path)

    (tmp_path / "app" / "app.py").write_text(block())
    command, settings = ["-m", "uvicorn", "app:app"], {"CROSSAUTH_SECRET": SECRET}
    with running(command, tmp_path / "app", settings, python=python) as url, Client(url) as client:
        page = client.get("/signup")
        assert page.status_code == 200
        style = next(part.split('"')[0] for part in page.text.split('href="')[1:] if ".css" in part.split('"')[0])
        assert client.get(style).status_code == 200
        answer = client.submit("/signup", username="alice", password=PASSWORD, repeat_password=PASSWORD, next="/orders")
        assert (answer.status_code, answer.headers["location"]) == (303, "/orders")
        assert client.get("/orders").json() == {"orders of": "alice"}
    record_property("wheel ran on", exact)
