"""The first administrator of an application with a session server, or one more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import typer

from crossauth_backend.accounts.admin import create_user
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.record import EventName
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState
from crossauth_fastapi.cli.output import Refused
from crossauth_fastapi.cli.target import COMMAND_LINE, accounts_of
from crossauth_fastapi.fastapiserver import FastApiServer

# What a command line decides by itself: an administrator is active and logs in with a password.
DECIDED = ("id", "username", "email", "password", "state", "factor1", "factor2", "admin")


@dataclass(frozen=True, slots=True)
class Administrator:
    """An administrator as now stored.

    Parameters:
        id: the id of the user.
        username: the name to log in with.
        email: the address, where there is one.
        created: whether this command created the user.
        changed: whether this command changed anything.
        title: what the application calls one.
    """

    id: Any
    username: str
    email: str | None
    created: bool
    changed: bool
    title: str

    @property
    def text(self) -> str:
        """What was done, for people."""
        adverb = "" if self.created else " now" if self.changed else " already"
        return f"{self.username} is {self.title}{adverb}, with the id {self.id}"

    def to_dict(self) -> dict[str, Any]:
        """What was done, for programs."""
        told = asdict(self)
        return {name: told[name] for name in ("id", "username", "email", "created", "changed")}


async def create_administrator(
    server: FastApiServer, username: str, email: str | None, password: Callable[[], str], fields: Mapping[str, str],
    *, keep: bool = False,
) -> Administrator:  # fmt: skip
    """Create a user who is an administrator.

    Parameters:
        server: the application's.
        username: the name to log in with.
        email: the address, which counts as verified.
        password: called where there is no such user; the password must follow the rules of the application.
        fields: further columns.
        keep: whether an administrator who exists is no mistake.

    Raises:
        CrossauthError: as `accounts.admin.create_user`.
        Refused: nobody can log in with a password, or the user exists.
    """
    accounts = accounts_of(server)
    factor = next(accounts.factors.password_factors(), None)
    if factor is None:
        raise Refused("a superuser needs a factor that keeps passwords among the 'authenticators'")
    found = await or_none(accounts.users.get_user_by_username(username, ANY_STATE))
    if found is not None:
        if keep and await server.is_administrator(found.user):
            return _told(found.user, created=False, changed=False)
        raise Refused(f"{username} exists already: add --promote to make that user an administrator")
    decided = {"username": username, "state": UserState.active, "factor1": factor.factor_name, "admin": True}
    address = {} if email is None else {"email": email}
    provided = {**fields, **decided, **address}
    try:
        made = await create_user(accounts, None, provided, {"password": password()}, None, COMMAND_LINE)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserExists:
            raise
        raise Refused(f"another user has the username or email address of {username} already") from e
    return await _done(server, made.user, created=True)


async def promote(server: FastApiServer, username: str) -> Administrator:
    """Make a user who exists an administrator.

    Parameters:
        server: the application's.
        username: the name of the user.

    Raises:
        CrossauthError: as `UserStorage.update_user`.
        Refused: there is no such user.
    """
    accounts = accounts_of(server)
    found = await or_none(accounts.users.get_user_by_username(username, ANY_STATE))
    if found is None:
        raise Refused(f"there is no user {username}: leave --promote out to create one")
    await accounts.users.update_user({"id": found.user.id, "admin": True})
    accounts.events.emit(EventName.user_updated, found.user, address=COMMAND_LINE.address)
    return await _done(server, await accounts.user(found.user.id), created=False)


async def _done(server: FastApiServer, user: User, created: bool) -> Administrator:
    """What is said at the end; whether somebody is an administrator is the application's to say."""
    if not await server.is_administrator(user):
        raise Refused(
            f"{user.username} was stored with the id {user.id}, but the option 'is_admin_fn' does not call that user an "
            "administrator: set what it goes by with --field, or in the database"
        )
    return _told(user, created=created, changed=True)


def _told(user: User, *, created: bool, changed: bool) -> Administrator:
    return Administrator(user.id, user.username, user.email, created, changed, "an administrator")


def further_fields(texts: list[str] | None, decided: tuple[str, ...]) -> dict[str, str]:
    """The columns of the options `--field name=value`.

    Parameters:
        texts: what was typed.
        decided: the columns that the command sets.

    Raises:
        typer.BadParameter: one has no name or value, or is not for this option to set.
    """
    fields = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{text!r} must be name=value")
        if name in decided:
            raise typer.BadParameter(
                f"--field sets further columns, not {name!r}: this user is active and verified, and an administrator"
            )
        fields[name] = value
    return fields
