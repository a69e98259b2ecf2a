"""The reference is as `make docs` writes it, and leaves nothing unexplained."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_the_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_reference.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run `make docs`"


@pytest.mark.parametrize("name", ["templates.md", "messages.md", "cli.md", "environment.md", "errors.md"])
def test_every_row_says_what_it_is(name: str) -> None:
    rows = [line for line in (REFERENCE / name).read_text().splitlines() if line.startswith("| `")]
    # The columns that name options may be empty; the last never is, but in the table of pages.
    assert [row for row in rows if row.endswith("|  |") and ".jinja2`" not in row] == []


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("backend.md", "crossauth_backend"),
        ("fastapi.md", "crossauth_fastapi"),
        ("testing.md", "crossauth_fastapi.testing"),
    ],
)
def test_every_exported_name_is_on_its_page_once(page: str, module: str) -> None:
    text = (REFERENCE / page).read_text()
    names = re.findall(rf"^::: {re.escape(module)}\.(\w+)$", text, re.MULTILINE)
    assert sorted(names) == sorted(importlib.import_module(module).__all__)
    assert "Other names" not in text, "name its group in scripts/reference_texts.py"
