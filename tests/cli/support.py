"""Commands as somebody types them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import SECRET

PASSWORD = "nimue and the lake"


def crossauth(
    folder: Path, *arguments: str, secret: str | None = SECRET, typed: str | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run `crossauth` in `folder`.

    Parameters:
        folder: where the application is.
        arguments: what is typed.
        secret: CROSSAUTH_SECRET, where it is set.
        typed: standard input.
        variables: further environment variables.
    """
    given = variables if secret is None else {"CROSSAUTH_SECRET": secret, **variables}
    return subprocess.run(
        [str(Path(sys.executable).parent / "crossauth"), *arguments], cwd=folder,
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb", **given}, capture_output=True, text=True, timeout=60,
        check=False, input=typed or "",
    )  # fmt: skip


def unwrapped(text: str) -> str:
    """What a box on the terminal says, on one line."""
    return " ".join(text.replace("│", " ").split())
