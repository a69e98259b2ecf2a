"""The `crossauth` command: one file per command."""

from __future__ import annotations

import sys
from typing import Final

TRACEBACK: Final = "--traceback"
_REFUSED: Final = 2


def main() -> None:
    """What the installed command runs. What goes wrong in an application is one line; `--traceback` shows where."""
    try:
        from crossauth_fastapi.cli.commands import cli
    except ModuleNotFoundError as e:
        if e.name != "typer":
            raise
        sys.exit("The command crossauth needs typer: install crossauth[cli]")
    try:
        cli()
    except Exception as e:
        if TRACEBACK in sys.argv:
            raise
        from crossauth_backend.core.redaction import loggable

        text = str(loggable(e)).partition("\n")[0]
        print(f"Error: {type(e).__name__}: {text}\nTo see where: crossauth {TRACEBACK} …", file=sys.stderr)
        sys.exit(_REFUSED)
