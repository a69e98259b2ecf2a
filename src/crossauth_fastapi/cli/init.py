"""`crossauth init`: a small application that runs at once."""

from __future__ import annotations

import os
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from crossauth_backend.core.secrets import random_value
from crossauth_fastapi.cli.output import AsJson, show

SECRET_BYTES: Final = 48
_OWN_EYES: Final = 0o600
# The files of the application, and what they are made from.
STARTER: Final = {
    "main.py": "main.py.txt",
    "test_main.py": "test_main.py.txt",
    "requirements.txt": "requirements.txt",
    ".env": "env.txt",
    ".gitignore": "gitignore.txt",
    "README.md": "README.md",
}


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it; the folder is created.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a small application with sign-up and login, a new secret and a test. Existing files are never changed."""
    there = [name for name in STARTER if os.path.lexists(folder / name)]
    if there:
        raise typer.BadParameter(
            f"{folder.absolute()} already has {', '.join(there)}; choose an empty folder: crossauth init my-app"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in STARTER.items():
            _write(folder / name, source, folder.absolute().name)
    except OSError as e:
        raise typer.BadParameter(f"{e.filename} cannot be written: {e.strerror}") from e
    steps = ["pip install -r requirements.txt", "uvicorn main:app --reload"]
    if folder != Path():
        steps[0] = f"cd {shlex.quote(str(folder))} && {steps[0]}"
    text = [f"Created {', '.join(STARTER)} in {folder.absolute()}", "Next:", *(f"  {step}" for step in steps)]
    show({"folder": str(folder.absolute()), "files": list(STARTER), "next": steps}, as_json, text)


def _write(path: Path, source: str, name: str) -> None:
    """Write one file, which must not be there; secrets are for the eyes of this user only."""
    text = (files("crossauth_fastapi.cli") / "starter" / source).read_text()
    if source in ("env.txt", "README.md"):
        text = text.format(secret=random_value(SECRET_BYTES), name=name)
    mode = _OWN_EYES if path.name == ".env" else 0o666
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
