"""The list of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from crossauth_fastapi.cli import TRACEBACK
from crossauth_fastapi.cli.api_keys import api_keys
from crossauth_fastapi.cli.create_superuser import create_admin, create_superuser
from crossauth_fastapi.cli.db import db
from crossauth_fastapi.cli.doctor.command import doctor
from crossauth_fastapi.cli.init import init
from crossauth_fastapi.cli.sessions import sessions
from crossauth_fastapi.cli.users import users

cli = typer.Typer(
    name="crossauth", no_args_is_help=True, pretty_exceptions_enable=False,
    help="Create an application, check it, and manage its accounts from the terminal.\n\n"
    "Exit codes: 0 done, 1 a check found something, 2 the command was refused; the reason is on standard error.",
)  # fmt: skip


@cli.callback()
def options(
    traceback: Annotated[
        bool, typer.Option(TRACEBACK, help="Show where in the application an unexpected error comes from.")
    ] = False,
) -> None:
    """Options of every command; `main` reads this one."""


cli.command("init")(init)
cli.command("doctor")(doctor)
cli.command("create-admin")(create_admin)
cli.command("create-superuser")(create_superuser)
cli.add_typer(users, name="users")
cli.add_typer(sessions, name="sessions")
cli.add_typer(api_keys, name="api-keys")
cli.add_typer(db, name="db")
