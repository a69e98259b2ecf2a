"""Runs the tests on every other supported Python that is here, without browser and peers; each in an environment of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MINORS = (11, 12, 13, 14)
ARGUMENTS = ["-m", "pytest", "-q", "-n", "3", "--dist", "loadscope", "--without", "browser", "--without", "provider"]


def interpreter(minor: int) -> str | None:
    """A working Python 3.`minor`, on the path or where pyenv keeps it."""
    candidates = [shutil.which(f"python3.{minor}")]
    candidates += [str(p) for p in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))]
    for candidate in filter(None, candidates):
        expected = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
        if subprocess.run([candidate, "-c", expected], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def environment(python: str, minor: int) -> Path:
    """An environment with everything that the tests need; made anew when `pyproject.toml` has changed."""
    folder = ROOT / f".venv-3.{minor}"
    stamp, project = folder / ".dev", ROOT / "pyproject.toml"
    binary = folder / "bin" / "python"
    if not stamp.exists() or stamp.stat().st_mtime < project.stat().st_mtime:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", "-p", python, folder], check=True)
        install = [
            *uv,
            "pip",
            "install",
            "-q",
            "--compile-bytecode",
            "-p",
            binary,
            "--editable",
            ".[all]",
            "--group",
            "dev",
        ]
        subprocess.run(install, cwd=ROOT, check=True)
        stamp.touch()
    return binary


def main() -> int:
    """Run them; the exit status is 1 where one fails."""
    failed = []
    for minor in MINORS:
        python = None if minor == sys.version_info.minor else interpreter(minor)
        if python is None:
            continue
        print(f"Python 3.{minor}", flush=True)
        if subprocess.run([environment(python, minor), *ARGUMENTS], cwd=ROOT, check=False).returncode:
            failed.append(f"3.{minor}")
    print(f"failed on {', '.join(failed)}" if failed else "passed on all")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
