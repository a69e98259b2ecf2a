"""The `crossauth` command: one file per command."""

from __future__ import annotations

import sys


def main() -> None:
    """What the installed command runs."""
    try:
        from crossauth_fastapi.cli.commands import cli
    except ModuleNotFoundError as e:
        if e.name != "typer":
            raise
        sys.exit("The command crossauth needs typer: install crossauth[cli]")
    cli()
