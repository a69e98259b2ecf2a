"""`crossauth init`, as somebody types it in an empty folder."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.cli.support import crossauth
from tests.services.processes import running

FILES = {"main.py", "test_main.py", "requirements.txt", ".env", ".gitignore", "README.md"}


def settings(folder: Path) -> dict[str, str]:
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", (folder / ".env").read_text()))


def test_a_new_application_runs_at_once_and_its_test_passes(tmp_path: Path) -> None:
    made = crossauth(tmp_path, "init", secret=None)
    assert made.returncode == 0, made.stderr
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert made.stdout.splitlines()[-2:] == ["  pip install -r requirements.txt", "  uvicorn main:app --reload"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CROSSAUTH_")}
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, env=clean, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert not (tmp_path / "app.db").exists()
    with running(["-m", "uvicorn", "main:app"], tmp_path) as url:
        page = httpx2.get(f"{url}/signup", trust_env=False)
        assert page.status_code == 200
        assert '<form method="post"' in page.text
        assert httpx2.get(f"{url}/orders", trust_env=False).status_code == 401
        assert httpx2.get(url, trust_env=False).json()["hello"] == "visitor"


def test_the_secret_is_new_long_and_for_one_pair_of_eyes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        made = crossauth(tmp_path, "init", name, secret=None)
        assert made.returncode == 0, made.stderr
        assert stat.S_IMODE((tmp_path / name / ".env").stat().st_mode) == 0o600
        assert settings(tmp_path / name)["CROSSAUTH_SECRET"] not in made.stdout + made.stderr
    one, other = (settings(tmp_path / name)["CROSSAUTH_SECRET"] for name in ("one", "other"))
    assert one != other
    assert len(one) >= 64
    assert ".env" in (tmp_path / "one" / ".gitignore").read_text().splitlines()
    assert len((tmp_path / "one" / "README.md").read_text().splitlines()) == 5


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    refused = crossauth(tmp_path, "init", secret=None)
    assert refused.returncode == 2
    assert name in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / ".env").symlink_to(tmp_path / "elsewhere")
    assert crossauth(tmp_path, "init", "app", secret=None).returncode == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = crossauth(tmp_path, "init", "file/app", secret=None)
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_as_json(tmp_path: Path) -> None:
    made = crossauth(tmp_path, "init", "shop", "--json", secret=None)
    told = json.loads(made.stdout)
    assert set(told["files"]) == FILES
    assert told["folder"] == str(tmp_path / "shop")
    assert told["next"][0] == "cd shop && pip install -r requirements.txt"


def test_the_command_that_is_to_be_copied_runs_nothing_else(tmp_path: Path) -> None:
    made = crossauth(tmp_path, "init", "my app; touch pwned", secret=None)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-2] == "  cd 'my app; touch pwned' && pip install -r requirements.txt"
