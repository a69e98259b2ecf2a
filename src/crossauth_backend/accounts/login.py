"""Signing in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crossauth_backend.accounts import email_change, second_factor
from crossauth_backend.accounts.context import NOWHERE, Accounts, Origin, has_factor2
from crossauth_backend.accounts.credentials import says_nothing
from crossauth_backend.accounts.freshness import AUTH, BYPASSED, OURS, auth_facts, bypasses_factor2
from crossauth_backend.accounts.pending import LOOK_VISIT, PENDING, VISIT
from crossauth_backend.accounts.required_change import waiting_change
from crossauth_backend.accounts.stages import Ask, Attempt, Refuse, Step, next_step
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UNFINISHED, UNREADABLE, UNREADABLE_TEXT


@dataclass(frozen=True, slots=True)
class LoginResult:
    """How an attempt ended: with `asked` unset the user is signed in, otherwise `session` is an anonymous one.

    `code_unsent` says why no code was sent (see `codes.UNSENT`), empty where one was; a recovery code is good.
    """

    user: User
    session: Key = field(repr=False)
    asked: Ask | None = None
    code_unsent: str = ""


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
        attempt: whom to sign in, and what has been proven. The session rests on the security stamp that its user says, which
            is to be as it was read before the proof; a user who says none is read now.
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
    if attempt.user.security_stamp is None:
        attempt = replace(attempt, user=await accounts.user(attempt.user.id))
    user, sessions = attempt.user, accounts.sessions
    offered, unsent = user.factor2 in accounts.allowed_factor2, ""
    bypassed = attempt.factor2_bypassed or bypasses_factor2(data or {})
    step = next_step(
        replace(attempt, factor2_offered=offered, factor2_needed=accounts.factor2_needed, factor2_bypassed=bypassed)
    )
    if isinstance(step, Refuse) or (user.state in UNFINISHED and says_nothing(accounts, user)):
        raise await _refused(accounts, user, step, origin)
    if step is Ask.FACTOR2:
        pending, unsent = await second_factor.pending_login(accounts, user, persist, origin)
        session = await sessions.create_session_key(None, extra_fields, pending)
        accounts.events.tell(EventName.factor2_asked, user, address=origin.address)
    elif step is not None:
        session = await sessions.create_session_key(None, extra_fields, waiting_change(accounts, attempt, step))
    else:
        two = attempt.factor2_passed and not attempt.factor2_bypassed and has_factor2(user)
        methods = ["pwd", "otp"] if two else ["pwd"]
        facts = dict(auth or auth_facts(accounts.now, methods))
        kept = _kept(data or {}, origin, {AUTH: facts, **({BYPASSED: True} if bypassed else {})})
        # It rests on the stamp that was read before the proof: where a credential has changed since, it is void from the start.
        session = await sessions.create_session_key(user.id, extra_fields, kept, user.security_stamp)
        accounts.events.tell(EventName.login_succeeded, user, address=origin.address)
    if previous is not None:
        await sessions.delete_session(previous)
    return LoginResult(user, session, step, unsent)


async def refuse_unfinished(accounts: Accounts, user: User, origin: Origin = NOWHERE) -> None:
    """Refuse an unfinished sign-up of which nothing may be said, as `sign_in` does, where a wrong password is counted.

    There may be none, because the address has an account by this name; then every password is wrong, and counted.
    """
    if user.state in UNFINISHED and says_nothing(accounts, user):
        raise await _refused(accounts, user, next_step(Attempt(user)), origin)


async def _refused(accounts: Accounts, user: User, step: Step, origin: Origin) -> CrossauthError:
    """Why a user who has proven the first factor is not signed in. One whose address waits for its link is sent another."""
    code = step.code if isinstance(step, Refuse) else ErrorCode.TwoFactorIncomplete
    accounts.events.tell(EventName.login_failed, user, address=origin.address, reason=code.name)
    await email_change.send_link_again(accounts, user, origin)
    if user.state in UNFINISHED and says_nothing(accounts, user):
        return CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
    if user.state == UNREADABLE:
        return CrossauthError(code, UNREADABLE_TEXT)
    return CrossauthError(code, email_change.VERIFY_FIRST if code is ErrorCode.EmailNotVerified else None)


async def log_out(accounts: Accounts, session_id: str, user: User | None = None, origin: Origin = NOWHERE) -> None:
    """End one session."""
    await accounts.sessions.delete_session(session_id)
    if user is not None:
        accounts.events.tell(EventName.logged_out, user, address=origin.address)


def _kept(data: Mapping[str, Any], origin: Origin, facts: dict[str, Any]) -> dict[str, Any]:
    """The data of a new session that goes on from an earlier one: what waited there for a code does not."""
    waiting = (PENDING, VISIT, LOOK_VISIT, *(ask.value for ask in Ask))
    own = data.get(OURS)
    own = own if isinstance(own, dict) else {}
    told = {"agent": origin.agent[:200], "address": origin.address, **facts}
    return {name: value for name, value in data.items() if name not in waiting} | {OURS: {**own, **told}}
