"""Writes tests/security/README.md: every attack and fault that is tried, in words, with its test. With --check it only says
whether the page is up to date."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "tests" / "security" / "README.md"
# Attacks and faults whose tests lie beside those of what they attack.
ELSEWHERE = (
    "tests/fastapi_users/test_races.py",
    "tests/fastapi_users/test_logins.py",
    "tests/fastapi_users/test_providers.py",
)
HEAD = """# Attacks and faults that are tried

Every test below plays an attacker, a hostile neighbour, a careless network or a failing part against the running library.
The page is written by `make docs` from the tests' names and docstrings; the test suite checks that none is missing.
"""


def modules() -> list[Path]:
    """The files whose tests are listed."""
    return [*sorted((ROOT / "tests" / "security").rglob("test_*.py")), *(ROOT / name for name in ELSEWHERE)]


def words(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What a test tries: the first paragraph of its docstring, or its name as a sentence."""
    docstring = ast.get_docstring(function)
    text = docstring.partition("\n\n")[0] if docstring else function.name.removeprefix("test_").replace("_", " ")
    text = " ".join(text.split()).rstrip(".").replace("|", "\\|")
    return text[:1].upper() + text[1:]


def section(path: Path) -> str:
    """The tests of one file."""
    tree, name = ast.parse(path.read_text()), path.relative_to(ROOT).as_posix()
    tests = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]  # fmt: skip
    title = " ".join((ast.get_docstring(tree) or path.stem).partition("\n\n")[0].split()).rstrip(".")
    rows = [f"| {words(test)} | `{name}::{test.name}` |" for test in sorted(tests, key=lambda t: t.lineno)]
    return "\n".join([f"## {title}", "", "| what is tried | test |", "|---|---|", *rows, ""])


def main() -> int:
    """Write or check the page."""
    text = "\n".join([HEAD, *(section(path) for path in modules())])
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
