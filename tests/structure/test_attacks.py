"""The page of attacks lists every test that plays one."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "tests" / "security" / "README.md"


def test_the_page_of_attacks_is_whole() -> None:
    check = [sys.executable, str(ROOT / "scripts" / "list_attacks.py"), "--check"]
    assert subprocess.run(check, check=False).returncode == 0, "run `make docs`"


def test_every_test_that_the_page_names_exists_and_none_is_missing() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text()))
    assert len(named) > 100
    for path, name in named:
        assert re.search(rf"^\s*(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{name}"
    for path in sorted((ROOT / "tests" / "security").rglob("test_*.py")):
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE):
            assert (path.relative_to(ROOT).as_posix(), name) in named, name
