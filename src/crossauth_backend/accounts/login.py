"""Signing in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crossauth_backend.accounts import second_factor
from crossauth_backend.accounts.context import ANY_STATE, NOWHERE, Accounts, Origin, has_factor2
from crossauth_backend.accounts.freshness import AUTH, OURS, auth_facts
from crossauth_backend.accounts.pending import password_mark
from crossauth_backend.accounts.stages import Ask, Attempt, Refuse, next_step
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal
from crossauth_backend.core.text import normalize
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User, UserAndSecrets


@dataclass(frozen=True, slots=True)
class LoginResult:
    """How an attempt ended: with `asked` unset the user is signed in, otherwise `session` is an anonymous one."""

    user: User
    session: Key = field(repr=False)
    asked: Ask | None = None


async def check_credentials(accounts: Accounts, username: str, params: Params, origin: Origin = NOWHERE) -> User:
    """The user whose first factor `params` prove, in whatever state.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid`, in the same words and time whether or not there is such a user;
            `TooManyAttempts`.
    """
    name = normalize(username)
    # A browser in which the user was logged in before is counted by itself: guesses from elsewhere cannot lock it out.
    counted = {"login_device": origin.device} if origin.device else {"login_account": name}
    async with accounts.limited(origin, None, login_address=origin.address, **counted):
        user = await _check(accounts, username, params, origin)
    return user


async def sign_in(
    accounts: Accounts,
    attempt: Attempt,
    *,
    previous: str | None = None,
    extra_fields: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    origin: Origin = NOWHERE,
    persist: bool | None = None,
    auth: Mapping[str, Any] | None = None,
) -> LoginResult:
    """Take an attempt through the stages and open the session it deserves.

    Parameters:
        accounts: the account services.
        attempt: whom to sign in, and what has been proven.
        previous: id of the session the request came with; it ends, so that an id planted before login is worth nothing.
        extra_fields: further columns of the session's key.
        data: session data to begin with, where the new session goes on from one of the same user.
        origin: where the request comes from.
        persist: remembered with a login that waits for its second factor.
        auth: what the session remembers of its login, where it goes on from one that was made earlier; otherwise this is one.

    Raises:
        CrossauthError: the reason for which the account's state refuses; `Factor2ResetNeeded` where the server does not
            know the user's second factor.
    """
    user, sessions = attempt.user, accounts.sessions
    offered = user.factor2 in accounts.allowed_factor2
    step = next_step(replace(attempt, factor2_offered=offered))
    if isinstance(step, Refuse):
        accounts.events.tell(EventName.login_failed, user, address=origin.address, reason=step.code.name)
        raise CrossauthError(step.code)
    if step is Ask.FACTOR2:
        pending = await second_factor.pending_login(accounts, user, persist)
        session = await sessions.create_session_key(None, extra_fields, pending)
        accounts.events.tell(EventName.factor2_asked, user, address=origin.address)
    elif step is not None:
        proven = password_mark(await accounts.users.get_user_by_id(user.id, ANY_STATE))
        forced = {"username": user.username, "factor2_passed": attempt.factor2_passed, "proven": proven}
        session = await sessions.create_session_key(None, extra_fields, {step.value: forced})
    else:
        methods = ["pwd", "otp"] if attempt.factor2_passed and has_factor2(user) else ["pwd"]
        known = {"agent": origin.agent[:200], "address": origin.address}
        kept = {**(data or {}), OURS: {**known, AUTH: dict(auth or auth_facts(accounts.now, methods))}}
        session = await sessions.create_session_key(user.id, extra_fields, kept)
        accounts.events.tell(EventName.login_succeeded, user, address=origin.address)
    if previous is not None:
        await sessions.delete_session(previous)
    return LoginResult(user, session, step)


async def log_out(accounts: Accounts, session_id: str, user: User | None = None, origin: Origin = NOWHERE) -> None:
    """End one session."""
    await accounts.sessions.delete_session(session_id)
    if user is not None:
        accounts.events.tell(EventName.logged_out, user, address=origin.address)


def still_forced(data: Mapping[str, Any], step: Ask, found: UserAndSecrets) -> bool:
    """Whether the password is the same with which a login was sent to change something."""
    forced = data.get(step.value)
    return isinstance(forced, dict) and equal(str(forced.get("proven")), password_mark(found))


def forced_user(data: Mapping[str, Any], *steps: Ask) -> tuple[str, bool] | None:
    """The name of the user whom a login sent to change something, and whether the second factor was proven then."""
    for step in steps:
        forced = data.get(step.value)
        if isinstance(forced, dict) and isinstance(forced.get("username"), str):
            return forced["username"], forced.get("factor2_passed") is True
    return None


async def _check(accounts: Accounts, username: str, params: Params, origin: Origin) -> User:
    try:
        found = await accounts.users.get_user_by_username(username, ANY_STATE)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserNotExist:
            raise
        found = None
    try:
        if found is None:
            await _check_nobody(accounts, params)
            raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
        await accounts.factor1(found.user).authenticate_user(found.user, found.secrets, params)
    except CrossauthError as e:
        user = found.user if found else None
        accounts.events.tell(EventName.login_failed, user, address=origin.address, reason=e.code_name)
        raise
    return found.user


async def _check_nobody(accounts: Accounts, params: Params) -> None:
    """Do the work of a wrong password, so that the time of an answer does not say whether a name is taken."""
    factor = accounts.factors.get("localpassword") or next(accounts.factors.password_factors(), None)
    if factor is not None:
        await factor.authenticate_user(None, None, params)
