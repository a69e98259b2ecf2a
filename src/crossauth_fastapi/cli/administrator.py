"""The first administrator of an application with a session server, or one more."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from crossauth_backend.accounts.admin import create_user
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.record import EventName
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState
from crossauth_fastapi.fastapiserver import FastApiServer

# What a command line decides by itself: an administrator is active and logs in with a password.
DECIDED = ("id", "username", "email", "password", "state", "factor1", "factor2", "admin")


def accounts_of(server: FastApiServer) -> Accounts:
    """The accounts of an application.

    Raises:
        typer.BadParameter: it has no users that log in.
    """
    if server.session_server is None or server.session_server.user_storage is None:
        raise typer.BadParameter("a superuser needs a session server with a storage of users")
    return server.session_server.session_manager.accounts()


async def create_administrator(
    server: FastApiServer, username: str, email: str | None, password: str, fields: Mapping[str, str]
) -> str:
    """Create a user who is an administrator.

    Parameters:
        server: the application's.
        username: the name to log in with.
        email: the address, which counts as verified.
        password: must keep to the rules of the application.
        fields: further columns.

    Returns:
        What was done, as a text for the terminal.

    Raises:
        CrossauthError: as `accounts.admin.create_user`.
        typer.BadParameter: nobody can log in with a password, or the user exists.
    """
    accounts = accounts_of(server)
    factor = next(accounts.factors.password_factors(), None)
    if factor is None:
        raise typer.BadParameter("a superuser needs a factor that keeps passwords among the 'authenticators'")
    decided = {"username": username, "state": UserState.active, "factor1": factor.factor_name, "admin": True}
    address = {} if email is None else {"email": email}
    try:
        made = await create_user(accounts, None, {**fields, **decided, **address}, {"password": password}, None)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserExists:
            raise
        raise typer.BadParameter(f"{username} exists already: add --promote to make that user an administrator") from e
    return await _done(server, made.user)


async def promote(server: FastApiServer, username: str) -> str:
    """Make a user who exists an administrator.

    Parameters:
        server: the application's.
        username: the name of the user.

    Returns:
        What was done, as a text for the terminal.

    Raises:
        CrossauthError: as `UserStorage.update_user`.
        typer.BadParameter: there is no such user.
    """
    accounts = accounts_of(server)
    found = await or_none(accounts.users.get_user_by_username(username, ANY_STATE))
    if found is None:
        raise typer.BadParameter(f"there is no user {username}: leave --promote out to create one")
    await accounts.users.update_user({"id": found.user.id, "admin": True})
    accounts.events.tell(EventName.user_updated, found.user)
    return await _done(server, await accounts.user(found.user.id))


async def _done(server: FastApiServer, user: User) -> str:
    """What is said at the end; whether somebody is an administrator is the application's to say."""
    if not await server.is_administrator(user):
        raise typer.BadParameter(
            f"{user.username} was stored with the id {user.id}, but the option 'is_admin_fn' does not call that user an "
            "administrator: set what it goes by with --field, or in the database"
        )
    return f"{user.username} is an administrator, with the id {user.id}"
