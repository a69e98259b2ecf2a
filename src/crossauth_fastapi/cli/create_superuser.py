"""`crossauth create-admin` and `crossauth create-superuser`: the first administrator of an application, or one more."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from fastapi import FastAPI

from crossauth_backend.core.secrets import random_value
from crossauth_fastapi.cli import administrator, superuser
from crossauth_fastapi.cli.administrator import Administrator, further_fields
from crossauth_fastapi.cli.output import AsJson, Refused, show
from crossauth_fastapi.cli.target import (
    UserManager,
    accounts_of,
    load,
    load_accounts,
    run,
    with_server,
    with_user_manager,
)
from crossauth_fastapi.fastapi_users.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapiserver import FastApiServer

PASSWORD_VARIABLE: Final = "CROSSAUTH_SUPERUSER_PASSWORD"
GENERATED_BYTES: Final = 15
LONGEST_LINE: Final = 4096
Target = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="The application, as module or module:name: its FastAPIUsers, its FastApiServer, or the FastAPI application "
        "that has one.",
    ),
]
Email = Annotated[str | None, typer.Option(help="The email address; asked for where there is no --username.")]
Username = Annotated[
    str | None, typer.Option(help="With a FastApiServer: the name to log in with; by default the email address.")
]
Application = Annotated[
    str | None,
    typer.Option(
        help="With a FastAPIUsers: its FastAPI application, as module:name; it is started first, for tables made at start-up."
    ),
]
Fields = Annotated[list[str] | None, typer.Option(help="A further column, as name=value; may be given several times.")]
Promote = Annotated[bool, typer.Option("--promote", help="Make an existing user an administrator; the password stays.")]


@dataclass(frozen=True, slots=True)
class _Wish:
    """Who is to be an administrator, and where."""

    target: FastApiServer | FastAPIUsers[Any, Any]
    app: FastAPI | None
    email: str | None
    username: str
    fields: dict[str, str]


def create_admin(
    target: Target, email: Email = None, username: Username = None, app: Application = None, field: Fields = None,
    make_existing: Promote = False,
    from_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    generate: Annotated[
        bool, typer.Option("--generate-password", help="Generate a password and print it, once.")
    ] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Create an administrator: an active user with a verified address who may manage all accounts.

    The password is asked for twice and not shown. It is never an argument, which other users of the machine could read.

    An administrator who exists already is left alone, and that is no error.
    """
    if from_stdin + generate + make_existing > 1:
        raise typer.BadParameter("choose one of --password-stdin, --generate-password and --promote")
    wish = _wish(target, email, username, app, field)
    generated = random_value(GENERATED_BYTES) if generate else None
    source = (lambda: generated or "") if generate else _first_line if from_stdin else _password
    done = _carry_out(wish, None if make_existing else source, keep=True)
    secret = generated if done.created else None
    told = {**done.to_dict(), **({"password": secret} if secret else {})}
    show(told, as_json, [done.text, *([f"Password, shown only now: {secret}"] if secret else [])])


def create_superuser(
    users: Target, email: Email = None, username: Username = None, app: Application = None, field: Fields = None,
    make_existing: Promote = False,
) -> None:  # fmt: skip
    """Create an administrator by the earlier name of create-admin; an existing user is an error.

    The password is asked for, or taken from the environment variable CROSSAUTH_SUPERUSER_PASSWORD.
    """
    wish = _wish(users, email, username, app, field)
    print(_carry_out(wish, None if make_existing else _password, keep=False).text)


def _wish(target: str, email: str | None, username: str | None, app: str | None, fields: list[str] | None) -> _Wish:
    """What was typed, checked; an email address that is missing is asked for."""
    loaded = load_accounts(target)
    application = load(app, FastAPI) if app is not None else None
    is_server = isinstance(loaded, FastApiServer)
    if isinstance(loaded, FastApiServer):
        if app is not None:
            raise typer.BadParameter("--app belongs to a FastAPIUsers; a FastApiServer knows its application")
        accounts_of(loaded)
    elif username is not None:
        raise typer.BadParameter(
            "--username belongs to a FastApiServer; the users of a FastAPIUsers log in with --email"
        )
    further = further_fields(fields, administrator.DECIDED if is_server else superuser.DECIDED)
    if email is None and username is None:
        email = str(typer.prompt("Email address"))
    return _Wish(loaded, application, email, username or email or "", further)


def _carry_out(wish: _Wish, password: Callable[[], str] | None, *, keep: bool) -> Administrator:
    """Create the administrator; without `password` make an existing user one."""
    target = wish.target
    if isinstance(target, FastApiServer):
        server = target

        async def at_server() -> Administrator:
            if password is None:
                return await administrator.promote(server, wish.username)
            return await administrator.create_administrator(
                server, wish.username, wish.email, password, wish.fields, keep=keep
            )

        return run(with_server(server, at_server))

    async def at_manager(manager: UserManager) -> Administrator:
        if password is None:
            return await superuser.promote(manager, wish.username)
        return await superuser.create_superuser(manager, wish.username, password, wish.fields, keep=keep)

    return run(with_user_manager(target, wish.app, at_manager))


def _password() -> str:
    """The password in the environment, or else what is typed twice."""
    return os.environ.get(PASSWORD_VARIABLE) or str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _first_line() -> str:
    """The first line of standard input.

    Raises:
        Refused: there is none, or it is no password.
    """
    line = sys.stdin.readline(LONGEST_LINE).rstrip("\r\n")
    if not line:
        raise Refused("there is no password on standard input")
    return line
