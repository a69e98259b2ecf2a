"""What type checkers know of an application's own routes, in strict mode: its class of users, and the type of their ids."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TYPED = ROOT / "tests" / "typed"
REVEALED = [
    "Shopper", "int", "str", "Principal[Shopper]", "Shopper | None", "tuple[str, ...] | None", "User | None", "str | int | UUID",
    "User | None", "User", "UUID", "SessionManager", "Requirement[Shopper]",
    "Requirement[User]", "Requirement[Principal[Shopper]]",
]  # fmt: skip


def short(kind: str) -> str:
    """A type without the modules of its names."""
    return re.sub(r"\b[a-z_]\w*\.(?=\w)", "", kind)


def wrong_lines() -> set[int]:
    lines = (TYPED / "wrong.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if re.match(r"require\(|[A-Z]\w+\(", line)}


def test_mypy_knows_the_application_s_own_users(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={tmp_path}",
        "app.py",
        "wrong.py",
    ]
    environment = {"MYPYPATH": str(ROOT / "src"), "PATH": ""}
    done = subprocess.run(command, cwd=TYPED, env=environment, capture_output=True, text=True, check=False)
    revealed = [short(kind) for kind in re.findall(r'^app\.py.*Revealed type is "(.*)"$', done.stdout, re.MULTILINE)]
    assert revealed[: len(REVEALED)] == REVEALED, done.stdout + done.stderr
    assert {(f, int(n)) for f, n in re.findall(r"^(app\.py|wrong\.py):(\d+): error", done.stdout, re.MULTILINE)} == {
        ("wrong.py", number) for number in wrong_lines()
    }


def test_pyright_knows_them_too(tmp_path: Path) -> None:
    program = shutil.which("basedpyright", path=Path(sys.executable).parent) or shutil.which("basedpyright")
    if program is None:
        pytest.skip("basedpyright is not installed; it is in the development group")
    settings = {
        "include": [str(TYPED)], "extraPaths": [str(ROOT / "src")], "typeCheckingMode": "strict",
        "venvPath": str(Path(sys.prefix).parent), "venv": Path(sys.prefix).name,
    }  # fmt: skip
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [program, "--outputjson", "-p", str(tmp_path / "pyrightconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    texts = [d["message"] for d in sorted(found, key=lambda d: d["range"]["start"]["line"]) if "app.py" in d["file"]]
    revealed = [re.fullmatch(r'Type of ".*" is "(.*)"', text) for text in texts]
    assert all(revealed), texts
    assert [match[1] for match in revealed if match][: len(REVEALED)] == REVEALED
    errors = {d["range"]["start"]["line"] + 1 for d in found if d["severity"] == "error" and "wrong.py" in d["file"]}
    assert errors == wrong_lines()
