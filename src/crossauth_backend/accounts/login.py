"""Signing in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crossauth_backend.accounts.context import ANY_STATE, Accounts
from crossauth_backend.accounts.stages import Ask, Attempt, Refuse, next_step
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

PASSWORD_CHANGE = Ask.PASSWORD_CHANGE.value


@dataclass(frozen=True, slots=True)
class LoginResult:
    """How an attempt ended: with `asked` unset the user is signed in, otherwise `session` is an anonymous one."""

    user: User
    session: Key = field(repr=False)
    asked: Ask | None = None


async def check_credentials(accounts: Accounts, username: str, params: Params) -> User:
    """The user whose first factor `params` prove, in whatever state.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid`, in the same words and time whether or not there is such a user.
    """
    try:
        found = await accounts.users.get_user_by_username(username, ANY_STATE)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserNotExist:
            raise
        await _check_nobody(accounts, params)
        raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid) from None
    await accounts.factor1(found.user).authenticate_user(found.user, found.secrets, params)
    return found.user


async def sign_in(
    accounts: Accounts,
    attempt: Attempt,
    *,
    previous: str | None = None,
    extra_fields: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> LoginResult:
    """Take an attempt through the stages and open the session it deserves.

    Parameters:
        accounts: the account services.
        attempt: whom to sign in, and what has been proven.
        previous: id of the session the request came with; it ends, so that an id planted before login is worth nothing.
        extra_fields: further columns of the session's key.
        data: session data to begin with, where the new session goes on from one of the same user.

    Raises:
        CrossauthError: the reason for which the account's state refuses.
    """
    step = next_step(attempt)
    if isinstance(step, Refuse):
        raise CrossauthError(step.code)
    user, sessions = attempt.user, accounts.sessions
    if step is Ask.FACTOR2:
        raise CrossauthError(
            ErrorCode.NotImplemented,
            "This account needs a second factor, which this server cannot ask for yet",
        )
    if step is Ask.PASSWORD_CHANGE:
        pending = {PASSWORD_CHANGE: {"username": user.username}}
        session = await sessions.create_session_key(None, extra_fields, pending)
    else:
        session = await sessions.create_session_key(user.id, extra_fields, data)
    if previous is not None:
        await sessions.delete_session(previous)
    return LoginResult(user, session, step)


async def log_out(accounts: Accounts, session_id: str) -> None:
    """End one session."""
    await accounts.sessions.delete_session(session_id)


async def _check_nobody(accounts: Accounts, params: Params) -> None:
    """Do the work of a wrong password, so that the time of an answer does not say whether a name is taken."""
    factor = accounts.factors.get("localpassword") or next(accounts.factors.password_factors(), None)
    if factor is not None:
        await factor.authenticate_user(None, None, params)
