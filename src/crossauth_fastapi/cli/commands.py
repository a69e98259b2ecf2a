"""The list of commands."""

from __future__ import annotations

import typer

from crossauth_fastapi.cli.api_keys import api_keys
from crossauth_fastapi.cli.create_superuser import create_superuser
from crossauth_fastapi.cli.init import init

cli = typer.Typer(
    name="crossauth", no_args_is_help=True, pretty_exceptions_enable=False,
    help="Create an application, check it, and manage its accounts from the terminal.",
)  # fmt: skip
cli.command("init")(init)
cli.command("create-superuser")(create_superuser)
cli.add_typer(api_keys, name="api-keys")
