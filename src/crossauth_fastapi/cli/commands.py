"""The list of commands."""

from __future__ import annotations

import typer

from crossauth_fastapi.cli.api_keys import api_keys
from crossauth_fastapi.cli.create_superuser import create_superuser

cli = typer.Typer(
    name="crossauth", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Looks after an application's accounts from the terminal.",
)  # fmt: skip
cli.command("create-superuser")(create_superuser)
cli.add_typer(api_keys, name="api-keys")
