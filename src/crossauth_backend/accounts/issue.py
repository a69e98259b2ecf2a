"""The session that comes of a login that was decided, see `login.decide`.

It keeps the facts of the login (`authentication.Authentication`). Their `sid` stays the same when a user goes on in a new
session, or logs in again in the same browser, through whatever anonymous sessions a login waits in for what it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from crossauth_backend.accounts import second_factor
from crossauth_backend.accounts.attempt import NO_DEMAND, Attempt, Demand
from crossauth_backend.accounts.authentication import AUTH, BYPASSED, OURS, Authentication, auth_facts, auth_of, new_sid
from crossauth_backend.accounts.carried import CARRIED, carried_by, with_carried
from crossauth_backend.accounts.challenge import PENDING, READ_REQUEST, VISIT
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.decision import Refused, Required, SignedIn
from crossauth_backend.accounts.login import decide
from crossauth_backend.accounts.required_change import waiting_change
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

# In the data of a session that waits: who was logged in in this browser, and by what `sid`.
_BEFORE: Final = "before"
# What waits for a code or a change in the session that it was asked for in, and in no other.
_WAITING: Final = (PENDING, VISIT, READ_REQUEST, Requirement.PASSWORD_CHANGE.value, Requirement.FACTOR2_CHANGE.value)


@dataclass(frozen=True, slots=True)
class LoginResult:
    """How an attempt ended: with `asked` unset the user is signed in, otherwise `session` is an anonymous one.

    `code_unsent` says why no code was sent (see `codes.UNSENT`), empty where one was; a recovery code is good.
    """

    user: User
    session: Key = field(repr=False)
    asked: Requirement | None = None
    code_unsent: str = ""


async def sign_in(
    accounts: Accounts, attempt: Attempt, demand: Demand = NO_DEMAND, *, origin: ClientInfo = UNKNOWN_CLIENT, **how: Any
) -> LoginResult:
    """Decide about an attempt, and open the session that it deserves: see `decide` and `open_session`.

    Raises:
        CrossauthError: the reason for which it is refused; as `open_session`.
    """
    decided = await decide(accounts, attempt, demand, origin)
    if isinstance(decided, Refused):
        raise decided.error
    return await open_session(accounts, decided, origin=origin, **how)


async def open_session(
    accounts: Accounts,
    decided: SignedIn | Required,
    *,
    previous: Key | None = None,
    extra_fields: Mapping[str, Any] | None = None,
    origin: ClientInfo = UNKNOWN_CLIENT,
    persist: bool | None = None,
    carried: Mapping[str, Any] | None = None,
) -> LoginResult:
    """Open the session of a user who is signed in, or an anonymous one that waits for what is required.

    Parameters:
        accounts: the account services.
        decided: what was decided about the attempt.
        previous: the session that the request came with; it ends, so that an id planted before login is worth nothing. Where
            its user goes on in the new one, so do its data.
        extra_fields: further columns of the session's key.
        origin: where the request comes from.
        persist: remembered with a login that waits for its second factor.
        carried: entries of the data of the session that the user has in the end, through whatever sessions the login waits in.

    Raises:
        CrossauthError: `Factor2ResetNeeded` where the server does not know the user's second factor; `Unauthorized` where
            another login is required, for which no session waits.
    """
    user, asked, unsent = decided.attempt.user, None, ""
    carried = carried_by(previous, user) if carried is None and previous and CARRIED in previous.data else carried
    if isinstance(decided, Required):
        asked, (data, unsent) = decided.ask, await _waiting_data(accounts, decided, previous, persist, origin)
        data = data if not carried else with_carried(data, user, carried)
        session = await accounts.sessions.create_session_key(None, extra_fields, data)
    else:
        # It rests on the stamp that was read before the proof: where a credential has changed since, it is void from the start.
        data = {**_data(accounts, decided, previous, origin), **(carried or {})}
        session = await accounts.sessions.create_session_key(user.id, extra_fields, data, user.security_stamp)
    if asked is Requirement.FACTOR2:
        accounts.events.emit(EventName.factor2_asked, user, address=origin.address)
    elif asked is None and decided.attempt.auth is None:
        accounts.events.emit(EventName.login_succeeded, user, address=origin.address)
    if previous is not None:
        await accounts.keys.delete_key(previous.value)
    return LoginResult(user, session, asked, unsent)


def facts_of(accounts: Accounts, decided: SignedIn, previous: Key | None = None) -> Authentication:
    """When and how a user has logged in, as the session or the tokens are to say.

    Parameters:
        accounts: the account services.
        decided: a login that is made now, or one that was made before and goes on.
        previous: the session that the request came with.
    """
    attempt = decided.attempt
    if attempt.auth is None:
        return auth_facts(accounts.now, attempt.methods, decided.acr, _sid_before(previous, attempt.user))
    sid = attempt.auth.sid or new_sid()
    return replace(attempt.auth, acr=decided.acr or attempt.auth.acr, sid=sid)


async def _waiting_data(
    accounts: Accounts, required: Required, previous: Key | None, persist: bool | None, origin: ClientInfo
) -> tuple[dict[str, Any], str]:
    if required.ask is Requirement.LOGIN:
        raise CrossauthError(ErrorCode.Unauthorized)
    before = _before(previous)
    stored = {OURS: {_BEFORE: before}} if before is not None else {}
    if required.ask is not Requirement.FACTOR2:
        return stored | waiting_change(accounts, required.attempt, required.ask), ""
    attempt = required.attempt
    data, unsent = await second_factor.pending_login(accounts, attempt.user, persist, origin, methods=attempt.methods)
    return stored | data, unsent


def _data(accounts: Accounts, decided: SignedIn, previous: Key | None, origin: ClientInfo) -> dict[str, Any]:
    """The data of a new session. One that goes on keeps those of the earlier one, but for what waited there for a code."""
    attempt = decided.attempt
    goes_on = attempt.auth is not None and previous is not None and str(previous.userid) == str(attempt.user.id)
    data = get_json_data(previous) if goes_on and previous is not None else {}
    own = data.get(OURS)
    ours: dict[str, Any] = own if isinstance(own, dict) else {}
    facts: dict[str, Any] = {AUTH: facts_of(accounts, decided, previous).to_data()}
    if attempt.factor2_bypassed:
        facts[BYPASSED] = True
    told = {"agent": origin.agent[:200], "address": origin.address, **facts}
    return {name: value for name, value in data.items() if name not in _WAITING} | {OURS: {**ours, **told}}


def _before(previous: Key | None) -> dict[str, Any] | None:
    """Who was logged in in this browser, and by what `sid`."""
    if previous is None:
        return None
    if previous.userid is None:
        ours = get_json_data(previous).get(OURS)
        before = ours.get(_BEFORE) if isinstance(ours, dict) else None
        return before if isinstance(before, dict) else None
    auth = auth_of(previous)
    return {"userid": str(previous.userid), "sid": auth.sid} if auth is not None and auth.sid is not None else None


def _sid_before(previous: Key | None, user: User) -> str | None:
    before = _before(previous) or {}
    sid = before.get("sid")
    return sid if isinstance(sid, str) and before.get("userid") == str(user.id) else None
