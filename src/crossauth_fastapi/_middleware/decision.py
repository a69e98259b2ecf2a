"""Whether a request may do what a route asks for: the one decision of the dependencies and of the guards before routes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from crossauth_backend.accounts.authentication import UNKNOWN, Authentication, auth_in, auth_of
from crossauth_backend.accounts.context import has_factor2
from crossauth_backend.accounts.freshness import is_fresh, is_two_factor
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState, refusal
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._middleware.challenges import Challenged, ScopeMissing, StepUpRequired
from crossauth_fastapi._middleware.identity import AMBIENT, Identity
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState, is_administrator

# Fields of `request.state` that a credential fills.
CLAIMS: Final = "access_token_payload"
SESSION_KEY: Final = "session_key"
# `auth_type` of sessions: those whose requests need a token of ours, and those whose framework checks CSRF by itself.
SESSIONS: Final = AMBIENT | {"session"}


class RouteDemand(NamedTuple):
    """What a route asks for.

    Parameters:
        scopes: all that are needed, where the credential is limited by scopes.
        credentials: names of the credentials that are accepted; `None` for any.
        user: whether somebody has to be a user: not so a client that acts for itself.
        admin: whether the user has to be an administrator.
        verified: whether the user's email address has to be verified.
        factor2: whether the login has to be one with a second factor.
        fresh: seconds for which a login counts; `None` for as long as the session lasts.
    """

    scopes: tuple[str, ...] = ()
    credentials: frozenset[str] | None = None
    user: bool = True
    admin: bool = False
    verified: bool = False
    factor2: bool = False
    fresh: int | None = None


async def decide(state: RequestState, demand: RouteDemand) -> User | None:
    """Let a request pass, or refuse it.

    Returns:
        The user; `None` for a client that acts for itself.

    Raises:
        CrossauthError: 401 where nobody is known, or by a credential that is refused or not accepted here, or where one has to
            log in again; 403 where it is known who asks, and that is not enough.
    """
    principal = state.principal
    if principal is not None and principal.error is not None:
        state.personal = True
        if isinstance(principal.error, Challenged):
            # It was made for this request.
            principal.error.scopes = demand.scopes
        raise principal.error
    user: User | None = state["user"]
    if user is None:
        _check_client(principal, demand)
    else:
        _check_user(user, demand)
    if demand.credentials is not None and credential_of(state) not in demand.credentials:
        raise _unknown(demand, mark("This credential is not accepted here"))
    check_csrf(state)
    if demand.scopes and principal is not None:
        check_scopes(principal, demand.scopes)
    if demand.fresh is not None or demand.factor2:
        _check_login(state, user, demand)
    if demand.admin and (user is None or not await is_administrator(state, user)):
        raise CrossauthError(ErrorCode.InsufficientPriviledges)
    return user


def credential_of(state: RequestState) -> str:
    """The name of the credential that says who is asking, as in `identity.PRECEDENCE`."""
    for name, identity in state.identities.items():
        if identity is state.principal:
            return name
    # What else says so is a session of another framework.
    return "session"


def check_scopes(principal: Identity, needed: Sequence[str]) -> None:
    """Refuse a credential that is limited, and not given all of these scopes.

    Raises:
        ScopeMissing: with all that is needed, so that a client can ask for it at once.
    """
    if not principal.has_scopes(needed):
        raise ScopeMissing(tuple(needed))


def is_logged_in(state: RequestState) -> bool:
    """Whether a user asks by session, and not by a key or a token."""
    return state["user"] is not None and state["auth_type"] in SESSIONS


def check_csrf(state: RequestState) -> None:
    """Refuse a request that a page of another site may have had the browser send.

    Raises:
        CrossauthError: `InvalidCsrf`.
    """
    if state.method not in SAFE_METHODS and state["auth_type"] in AMBIENT:
        check_csrf_token(state)


def check_csrf_token(state: RequestState) -> None:
    """As `check_csrf`, whoever is known so far.

    Raises:
        CrossauthError: `InvalidCsrf`.
    """
    if state.method not in SAFE_METHODS and not state.csrf_checked and not state["csrf_token"]:
        raise csrf_refusal(state)


def csrf_refusal(state: RequestState) -> CrossauthError:
    """The refusal of a request without a valid token, in the words of the server that makes the tokens."""
    explain = state.site.csrf_refusal
    return explain(state) if explain is not None else CrossauthError(ErrorCode.InvalidCsrf)


def _unknown(demand: RouteDemand, text: str = mark("Log in to continue")) -> LoginRequired:
    required = LoginRequired(text, scopes=demand.scopes, credentials=demand.credentials)
    if not required.by_session:
        required = LoginRequired(
            mark("Send a credential that is accepted here"), scopes=demand.scopes, credentials=demand.credentials
        )
    return required


def _check_client(principal: Identity | None, demand: RouteDemand) -> None:
    if principal is None or not principal.is_somebody:
        raise _unknown(demand)
    if demand.user:
        raise CrossauthError(ErrorCode.Forbidden, mark("This requires a user, but the credential belongs to a client"))


def _check_user(user: User, demand: RouteDemand) -> None:
    if user.state != UserState.active:
        # Our own sources let no such user in; a session adapter or the claims of a token may.
        raise CrossauthError(refusal(user.state) or ErrorCode.UserNotActive)
    if demand.verified and user.email_verified_at is None:
        raise CrossauthError(ErrorCode.EmailNotVerified)


def _check_login(state: RequestState, user: User | None, demand: RouteDemand) -> None:
    """Refuse a login that is too old, or one without a second factor."""
    credential = credential_of(state)
    auth = _login(state, credential)
    within = None if demand.fresh is None else timedelta(seconds=demand.fresh)
    too_old = within is not None and not is_fresh(auth.auth_time, utc_now(), within)
    if not too_old and not (demand.factor2 and not is_two_factor(auth.amr)):
        return
    text = (
        mark("You logged in too long ago to do this")
        if too_old
        else mark("This requires a login with two-factor authentication")
    )
    if credential == "bearer":
        scheme = state.site.challenges.get(credential, 'Bearer realm="api"')
        raise StepUpRequired(text, scheme, demand.fresh if too_old else None)
    if credential != "session" or user is None:
        raise CrossauthError(ErrorCode.Forbidden, mark("This requires a login. An API key is not accepted."))
    if not too_old and not has_factor2(user):
        raise CrossauthError(ErrorCode.TwoFactorIncomplete, mark("Set up two-factor authentication to do this"))
    if too_old:
        text, code = mark("You logged in too long ago. Log in again to do this."), ErrorCode.Unauthorized
    else:
        text, code = mark("Log in again with two-factor authentication to do this"), ErrorCode.MfaRequired
    raise LoginRequired(text, credentials=demand.credentials, again=True, code=code)


def _login(state: RequestState, credential: str) -> Authentication:
    """When and how the user logged in."""
    principal = state.principal
    fields = principal.fields if principal is not None else {}
    if credential == "session":
        return state.auth or auth_of(fields.get(SESSION_KEY)) or UNKNOWN
    return auth_in(fields.get(CLAIMS) or {})
