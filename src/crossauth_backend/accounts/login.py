"""Signing in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from crossauth_backend.accounts import email_change, second_factor
from crossauth_backend.accounts.context import ANY_STATE, NOWHERE, Accounts, Origin
from crossauth_backend.accounts.pending import PENDING, VISIT
from crossauth_backend.accounts.stages import Ask, Attempt, Refuse, Step, next_step
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import normalize
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.record import Key, get_json_data
from crossauth_backend.users.record import User, UserAndSecrets
from crossauth_backend.users.rules import is_address
from crossauth_backend.users.stamp import is_digest, same_stamp, with_stamp
from crossauth_backend.users.states import UNFINISHED

# How long a login waits for the change that the account demands.
CHANGE_WAITS: Final = timedelta(hours=1)


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
    # Whose browser it is shows only when the user was read. Of others nothing is read before they are counted.
    found = await _named(accounts, username) if origin.device is not None else None
    device = origin.device_of(found.user if found else None)
    name = normalize(username) if accounts.users.normalize_username else username
    # A browser in which the user was logged in before is counted by itself: guesses from elsewhere cannot lock it out.
    counted = {"login_device": device} if device else {"login_account": name}
    async with accounts.limited(origin, None, login_address=origin.address, **counted):
        if origin.device is None:
            found = await _named(accounts, username)
        return await _check(accounts, found, params, origin)


async def sign_in(
    accounts: Accounts,
    attempt: Attempt,
    *,
    previous: str | None = None,
    extra_fields: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    origin: Origin = NOWHERE,
    persist: bool | None = None,
) -> LoginResult:
    """Take an attempt through the stages and open the session it deserves.

    Parameters:
        accounts: the account services.
        attempt: whom to sign in, and what has been proven. The session rests on the security stamp that its user says, which
            is to be as it was read before the proof; a user who says none is read now.
        previous: id of the session the request came with; it ends, so that an id planted before login is worth nothing.
        extra_fields: further columns of the session's key.
        data: session data to begin with, where the new session goes on from one of the same user.
        origin: where the request comes from.
        persist: remembered with a login that waits for its second factor.

    Raises:
        CrossauthError: the reason for which the account's state refuses; `Factor2ResetNeeded` where the server does not
            know the user's second factor; `InvalidSession` where the credentials were changed since they were proven.
    """
    if attempt.user.security_stamp is None:
        attempt = replace(attempt, user=await accounts.user(attempt.user.id))
    user, sessions = attempt.user, accounts.sessions
    offered = user.factor2 in accounts.allowed_factor2
    step = next_step(replace(attempt, factor2_offered=offered))
    if isinstance(step, Refuse) or (user.state in UNFINISHED and says_nothing(accounts, user)):
        raise await _refused(accounts, user, step, origin)
    if step is Ask.FACTOR2:
        pending = await second_factor.pending_login(accounts, user, persist, origin)
        session = await sessions.create_session_key(None, extra_fields, pending)
        accounts.events.tell(EventName.factor2_asked, user, address=origin.address)
    elif step is not None:
        session = await sessions.create_session_key(None, extra_fields, _forced(accounts, attempt, step))
    else:
        session = await _open(accounts, user, extra_fields, _kept(data or {}, origin))
        accounts.events.tell(EventName.login_succeeded, user, address=origin.address)
    if previous is not None:
        await sessions.delete_session(previous)
    return LoginResult(user, session, step)


async def _refused(accounts: Accounts, user: User, step: Step, origin: Origin) -> CrossauthError:
    """Why a user who has proven the first factor is not signed in. One whose address waits for its link is sent another."""
    code = step.code if isinstance(step, Refuse) else ErrorCode.TwoFactorIncomplete
    accounts.events.tell(EventName.login_failed, user, address=origin.address, reason=code.name)
    await email_change.send_link_again(accounts, user, origin)
    if user.state in UNFINISHED and says_nothing(accounts, user):
        return CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
    return CrossauthError(code, email_change.VERIFY_FIRST if code is ErrorCode.EmailNotVerified else None)


def says_nothing(accounts: Accounts, user: User) -> bool:
    """Whether answers must not say that there is such an account: its name is an address, and addresses are verified."""
    return accounts.verify_email and is_address(user.username)


async def log_out(accounts: Accounts, session_id: str, user: User | None = None, origin: Origin = NOWHERE) -> None:
    """End one session."""
    await accounts.sessions.delete_session(session_id)
    if user is not None:
        accounts.events.tell(EventName.logged_out, user, address=origin.address)


@dataclass(frozen=True, slots=True)
class RequiredChange:
    """A change that a login was sent to make before it could end in a session.

    Parameters:
        user: who is to make it.
        factor2_passed: whether the second factor was proven in that login.
    """

    user: User
    factor2_passed: bool


async def required_change(accounts: Accounts, key: Key | None, step: Ask) -> RequiredChange | None:
    """The change that the anonymous session `key` was opened for; `None` where it was opened for something else.

    Raises:
        CrossauthError: `Unauthorized` where the user's credentials are others by now than those that were proven, or that was
            too long ago: it takes another login.
    """
    forced = get_json_data(key).get(step.value) if key is not None and key.userid is None else None
    if not isinstance(forced, dict):
        return None
    until = forced.get("until")
    if not isinstance(until, int) or until <= accounts.now.timestamp() or "userid" not in forced:
        raise CrossauthError(ErrorCode.Unauthorized)
    try:
        user = await accounts.user(forced["userid"])
    except CrossauthError as e:
        if e.code is not ErrorCode.UserNotExist:
            raise
        raise CrossauthError(ErrorCode.Unauthorized) from e
    if not same_stamp(forced.get("stamp"), user.security_stamp):
        raise CrossauthError(ErrorCode.Unauthorized)
    return RequiredChange(user, forced.get("factor2_passed") is True)


def _forced(accounts: Accounts, attempt: Attempt, step: Ask) -> dict[str, Any]:
    user = attempt.user
    return {
        step.value: {
            "userid": user.id if isinstance(user.id, int) else str(user.id),
            "username": user.username,
            "factor2_passed": attempt.factor2_passed,
            "stamp": user.security_stamp,
            "until": int((accounts.now + CHANGE_WAITS).timestamp()),
        }
    }


async def _open(accounts: Accounts, user: User, extra_fields: Mapping[str, Any] | None, data: Mapping[str, Any]) -> Key:
    """A session of `user`.

    Looked at once more when it is stored: whoever changed the credentials meanwhile may have ended all sessions before there was
    this one. It would be void at its first request; here the answer already says so.
    """
    session = await accounts.sessions.create_session_key(user.id, extra_fields, data, user.security_stamp)
    if not await accounts.sessions.rests_on_current(session):
        await accounts.sessions.delete_session(session.value)
        raise await accounts.changed_meanwhile(user, ErrorCode.InvalidSession)
    return session


def _kept(data: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """The data of a new session that goes on from an earlier one: what waited there for a code does not."""
    waiting = (PENDING, VISIT, *(ask.value for ask in Ask))
    own = data.get("crossauth")
    own = own if isinstance(own, dict) else {}
    told = {"agent": origin.agent[:200], "address": origin.address}
    return {name: value for name, value in data.items() if name not in waiting} | {"crossauth": {**own, **told}}


async def _named(accounts: Accounts, username: str) -> UserAndSecrets | None:
    try:
        return with_stamp(await accounts.users.get_user_by_username(username, ANY_STATE))
    except CrossauthError as e:
        if e.code is not ErrorCode.UserNotExist:
            raise
        return None


async def _check(accounts: Accounts, found: UserAndSecrets | None, params: Params, origin: Origin) -> User:
    try:
        if found is None:
            await check_nobody(accounts, params)
            raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
        return (await prove_first_factor(accounts, found, params)).user
    except CrossauthError as e:
        user = found.user if found else None
        accounts.events.tell(EventName.login_failed, user, address=origin.address, reason=e.code_name)
        raise


async def prove_first_factor(accounts: Accounts, found: UserAndSecrets, params: Params) -> UserAndSecrets:
    """Check the first factor of a user, as read by `Accounts.find`, and return what was proven.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid`.
    """
    factor = accounts.factor1(found.user)
    await factor.authenticate_user(found.user, found.secrets, params)
    if not is_digest(found.user.security_stamp):
        return found
    # The check may have stored a stronger hash. A stamp stays then, but a digest that stands in for one is another: what it says
    # now is proven by itself.
    now = await accounts.find(found.user.id)
    if now.user.security_stamp != found.user.security_stamp:
        await factor.authenticate_user(now.user, now.secrets, params)
    return now


async def check_nobody(accounts: Accounts, params: Params) -> None:
    """Do the work of a wrong password, so that the time of an answer does not say whether a name is taken.

    Raises:
        CrossauthError: as for a wrong password.
    """
    factor = accounts.factors.get("localpassword") or next(accounts.factors.password_factors(), None)
    if factor is not None:
        await factor.authenticate_user(None, None, params)
