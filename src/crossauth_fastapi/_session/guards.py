"""What an application's own code asks the session server about a request: its user, its CSRF token, its session data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.responses import Response

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.signup_rules import SETTING_UP
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.texts import mark
from crossauth_backend.keys.data import KeyDataEntry, get_json_data
from crossauth_backend.users.record import User
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._middleware.decision import csrf_refusal
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.csrf import CSRF_FIELDS
from crossauth_fastapi._session.login import open_session

_ASKED = {
    Requirement.FACTOR2: ErrorCode.MfaRequired,
    Requirement.PASSWORD_CHANGE: ErrorCode.PasswordChangeNeeded,
    Requirement.FACTOR2_CHANGE: ErrorCode.Factor2ResetNeeded,
}
# What the library itself keeps in session data. A second factor rests on nobody else writing these.
RESERVED_DATA = ("2fa", "pre2fa", "pre2falook", "passwordchange", "factor2change", "crossauth")


async def create_anonymous_session(ctx: SessionContext, request: Request, data: Mapping[str, Any] | None) -> str:
    """Open a session of nobody with `data` in it; returns the value of its cookie."""
    check_names(list(data or {}), ctx.reserved)
    sessions = ctx.manager.session
    key = await sessions.create_session_key(None, await ctx.extra_columns(request), data)
    ctx.start_session(request, key, None, False)
    return sessions.make_cookie(key, False).value


def session_id(request: HTTPConnection) -> str:
    """The id of the request's session.

    Raises:
        CrossauthError: `InvalidSession` where it has none.
    """
    found = state_of(request)["session_id"]
    if found is None:
        raise CrossauthError(ErrorCode.InvalidSession, mark("There is no session"))
    return str(found)


async def update_session_data(ctx: SessionContext, request: HTTPConnection, entries: list[KeyDataEntry]) -> None:
    """Change entries of the session data, all or none."""
    check_names([entry["data_name"] for entry in entries], ctx.reserved)
    await ctx.manager.update_many_session_data(session_id(request), entries)


async def get_session_data(ctx: SessionContext, request: HTTPConnection, name: str) -> Any:
    """One entry of the session data as it is stored now; `None` where there is none, or no session."""
    if state_of(request)["session_id"] is None:
        return None
    try:
        key = await ctx.manager.key_storage.get_key(ctx.manager.session.hash_session_id(session_id(request)))
    except CrossauthError as e:
        if e.code is not ErrorCode.InvalidKey:
            raise
        return None
    data: Any = get_json_data(key)
    for part in name.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def check_names(names: list[str], reserved: Collection[str] = ()) -> None:
    """Refuse names that the library keeps for itself.

    Parameters:
        names: the names.
        reserved: what other servers of ours keep.

    Raises:
        CrossauthError: `BadRequest`.
    """
    for name in names:
        first = name.split(".")[0]
        if first in RESERVED_DATA or first in reserved:
            raise CrossauthError(ErrorCode.BadRequest, f"Session data {name!r} is reserved")


def sent_csrf_token(ctx: SessionContext, form: JsonOrFormData, headers: Mapping[str, str]) -> object:
    """The token that a request sent, by header or field."""
    requested = ctx.manager.csrf_header_name.lower()
    header = next((value for name, value in headers.items() if name.lower() == requested), None)
    return header or next((form.get(name) for name in CSRF_FIELDS if form.get(name)), None)


def valid_csrf_cookie(ctx: SessionContext, request: Request) -> str:
    """The CSRF cookie of a request whose token was valid.

    Raises:
        CrossauthError: `InvalidCsrf`.
    """
    state = state_of(request)
    cookie = ctx.source.csrf.cookie_value(state)
    if cookie is None or not state["csrf_token"]:
        raise csrf_refusal(state)
    return cookie


async def login_with_user(
    ctx: SessionContext,
    user: User,
    bypass_2fa: bool,
    request: Request,
    resp: Response,
    success_fn: Callable[[Response, User], Any],
) -> Response:
    """Log in a user who has been proven by other means, through the same stages as every login.

    Raises:
        CrossauthError: the reason for which the account's state refuses; `MfaRequired` where the second factor is waited for
            at `loginfactor2`; `PasswordChangeNeeded` or `Factor2ResetNeeded` where the account demands a change.
    """
    # How the user was proven is not known here: a second factor that was left out is none for what asks for one.
    result = await open_session(ctx, request, Attempt(user, factor2_bypassed=bypass_2fa), None)
    if result.asked is not None:
        unfinished = result.user.state in SETTING_UP
        raise CrossauthError(ErrorCode.TwoFactorIncomplete if unfinished else _ASKED[result.asked])
    answer: Response = await call_hook(success_fn, resp, result.user)
    return answer
