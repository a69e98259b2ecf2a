"""`crossauth create-superuser`: the first superuser of an application, or one more."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any, Final

import typer
from fastapi import FastAPI
from pydantic import ConfigDict, ValidationError

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi.cli import administrator
from crossauth_fastapi.cli.target import UserManager, load, load_accounts, with_server, with_user_manager
from crossauth_fastapi.fastapi_users._rules import FLAGS
from crossauth_fastapi.fastapi_users.exceptions import (
    ConstraintViolated,
    InvalidPasswordException,
    InvalidUserException,
    UserAlreadyExists,
)
from crossauth_fastapi.fastapi_users.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.schemas import BaseUserCreate, BaseUserUpdate
from crossauth_fastapi.fastapiserver import FastApiServer

PASSWORD_VARIABLE: Final = "CROSSAUTH_SUPERUSER_PASSWORD"


class _SuperuserCreate(BaseUserCreate):
    model_config = ConfigDict(extra="allow")


def create_superuser(
    users: Annotated[
        str,
        typer.Argument(
            help="The application, as module or module:name: its FastAPIUsers, its FastApiServer, or the FastAPI application "
            "that has one."
        ),
    ],
    email: Annotated[str | None, typer.Option(help="Asked for where no name to log in with is given.")] = None,
    username: Annotated[
        str | None, typer.Option(help="With a FastApiServer: the name to log in with; by default the e-mail address.")
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(
            help="With a FastAPIUsers: its FastAPI application, as module:name; it is started first, for tables made at start-up."
        ),
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="A further column, as name=value; may be given several times.")
    ] = None,
    make_existing: Annotated[
        bool, typer.Option("--promote", help="Make a user who exists a superuser; the password stays.")
    ] = False,
) -> None:
    """Create a superuser: a user who may do everything, which a FastApiServer calls an administrator.

    The password is asked for, or taken from the environment variable CROSSAUTH_SUPERUSER_PASSWORD; it is never an argument, for
    those can be seen by everybody on the machine.
    """
    loaded = load_accounts(users)
    application = load(app, FastAPI) if app is not None else None
    more = dict(_pair(text) for text in field or ())
    if isinstance(loaded, FastApiServer):
        if app is not None:
            raise typer.BadParameter("--app belongs to a FastAPIUsers; a FastApiServer knows its application")
        administrator.accounts_of(loaded)
    elif username is not None:
        raise typer.BadParameter(
            "--username belongs to a FastApiServer; the users of a FastAPIUsers log in with --email"
        )
    if email is None and username is None:
        email = str(typer.prompt("E-mail address"))
    password = None if make_existing else os.environ.get(PASSWORD_VARIABLE) or _ask_password()
    try:
        if isinstance(loaded, FastApiServer):
            print(_administrator(loaded, username or email or "", email, password, more))
        else:
            print(_superuser(loaded, application, email or "", password, more))
    except CrossauthError as e:
        raise typer.BadParameter(e.message) from e


def _administrator(
    server: FastApiServer, username: str, email: str | None, password: str | None, more: dict[str, str]
) -> str:
    """Create one at a session server; one who exists is promoted where there is no password."""
    for name in more:
        if name in administrator.DECIDED:
            raise typer.BadParameter(f"--field sets further columns, not {name!r}: an administrator is active")

    async def act() -> str:
        if password is None:
            return await administrator.promote(server, username)
        return await administrator.create_administrator(server, username, email, password, more)

    return asyncio.run(with_server(server, act))


def _superuser(
    users: FastAPIUsers[Any, Any], app: FastAPI | None, email: str, password: str | None, more: dict[str, str]
) -> str:
    """The same for the routes of a `FastAPIUsers`."""

    async def act(manager: UserManager) -> str:
        return await (_promote(manager, email) if password is None else _create(manager, email, password, more))

    return asyncio.run(with_user_manager(users, app, act))


async def _create(manager: UserManager, email: str, password: str, more: dict[str, str]) -> str:
    flags: dict[str, Any] = {"is_active": True, "is_superuser": True, "is_verified": True}
    try:
        user = await manager.create(
            _SuperuserCreate.model_validate({**more, "email": email, "password": password, **flags})
        )
    except ValidationError as e:
        raise typer.BadParameter("; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in e.errors())) from e
    except InvalidPasswordException as e:
        raise typer.BadParameter(f"the password is refused: {e.reason}") from e
    except InvalidUserException as e:
        raise typer.BadParameter(f"the user is refused: {e.reason}") from e
    except UserAlreadyExists as e:
        raise typer.BadParameter(f"{email} exists already: add --promote to make that user a superuser") from e
    except Exception as e:
        # Of a database's error only what the driver said: the statement's values hold the hash.
        cause = getattr(e, "orig", None) or e
        raise typer.BadParameter(
            f"the user cannot be stored ({type(cause).__name__}: {cause}); --field fills further columns"
        ) from None
    return f"{user.email} is a superuser, with the id {user.id}"


async def _promote(manager: UserManager, email: str) -> str:
    user = await manager.user_db.get_by_email(email)
    if user is None:
        raise typer.BadParameter(f"there is no user {email}: leave --promote out to create one")
    try:
        user = await manager.update(BaseUserUpdate(is_superuser=True), user)
    except InvalidUserException as e:
        raise typer.BadParameter(f"the user is refused: {e.reason}") from e
    except ConstraintViolated as e:
        raise typer.BadParameter(f"the database refuses: {e}") from e
    return f"{user.email} is a superuser now, with the id {user.id}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{text!r} must be name=value")
    if name in (*FLAGS, "email", "password"):
        raise typer.BadParameter(f"--field sets further columns, not {name!r}: a superuser is active and verified")
    return name, value


def _ask_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
