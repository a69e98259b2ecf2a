"""Between a proven first factor and a token: every way of signing in ends here."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from starlette.responses import JSONResponse

from crossauth_backend.accounts import second_factor
from crossauth_backend.accounts.stages import Ask, Refuse
from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.errors import ErrorCode as Reason
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._answers import ErrorCode, FurtherErrorCode, refused, refused_with
from crossauth_fastapi.fastapi_users._core import Core, record_of
from crossauth_fastapi.fastapi_users._refresh import RefreshTokens
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy
from crossauth_fastapi.fastapi_users.authentication.transport.bearer import NO_STORE
from crossauth_fastapi.fastapi_users.manager import BaseUserManager

_REFUSALS: Final[dict[object, ErrorCode | FurtherErrorCode]] = {
    Reason.EmailNotVerified: ErrorCode.LOGIN_USER_NOT_VERIFIED,
    Reason.TwoFactorIncomplete: FurtherErrorCode.LOGIN_FACTOR2_SETUP_NEEDED,
    Reason.PasswordResetNeeded: FurtherErrorCode.LOGIN_PASSWORD_CHANGE_NEEDED,
    Ask.PASSWORD_CHANGE: FurtherErrorCode.LOGIN_PASSWORD_CHANGE_NEEDED,
    Ask.FACTOR2_CHANGE: FurtherErrorCode.LOGIN_FACTOR2_SETUP_NEEDED,
}


async def log_in(
    core: Core,
    backend: AuthenticationBackend[Any, Any],
    strategy: Strategy[Any, Any],
    user_manager: BaseUserManager[Any, Any],
    user: Any,
    request: Request,
    *,
    requires_verification: bool = False,
    factor2_passed: bool = False,
) -> Response:
    """The answer to a user who has proven the first factor: a token, a question, or a refusal.

    Raises:
        HTTPException: 400 with the documented code; 403 `LOGIN_FACTOR2_REQUIRED`, whose reason names the factor and holds the
            `mfa_token` for `login/factor2`.
    """
    step = core.next_step(user, factor2_passed=factor2_passed)
    if isinstance(step, Refuse) or step not in (None, Ask.FACTOR2):
        code = step.code if isinstance(step, Refuse) else step
        reason = code.name if code is not None else ""
        core.tell(EventName.login_failed, request, user, reason)
        raise refused(_REFUSALS.get(code, ErrorCode.LOGIN_BAD_CREDENTIALS))
    if requires_verification and not user.is_verified:
        core.tell(EventName.login_failed, request, user, Reason.EmailNotVerified.name)
        raise refused(ErrorCode.LOGIN_USER_NOT_VERIFIED)
    if step is Ask.FACTOR2:
        raise await _ask_factor2(core, user, request)
    response = await backend.login(strategy, user)
    if backend.refresh_lifetime_seconds is not None:
        response = with_refresh_token(response, await RefreshTokens(core.keys, backend).issue(user))
    await user_manager.on_after_login(user, request, response)
    core.tell(EventName.login_succeeded, request, user)
    return response


def with_refresh_token(response: Response, token: str) -> Response:
    """The answer of a bearer transport with a refresh token in it."""
    return JSONResponse({**json.loads(bytes(response.body)), "refresh_token": token}, headers=NO_STORE)


async def _ask_factor2(core: Core, user: Any, request: Request) -> HTTPException:
    if core.accounts is None:
        return refused(FurtherErrorCode.LOGIN_FACTOR2_REQUIRED, 403)
    accounts, record = core.accounts(), record_of(user)
    pending = await second_factor.pending_login(accounts, record, None)
    session = await accounts.sessions.create_session_key(None, None, pending)
    core.tell(EventName.factor2_asked, request, user)
    reason = {"factor2": record.factor2, "mfa_token": session.value}
    return refused_with(FurtherErrorCode.LOGIN_FACTOR2_REQUIRED, reason, 403)


async def check_factor2(core: Core, request: Request, mfa_token: str, otp: str) -> Any:
    """The id of the user who has proven the second factor.

    Raises:
        HTTPException: 400 `LOGIN_FACTOR2_INVALID`.
        CrossauthError: `TooManyAttempts`.
    """
    assert core.accounts is not None
    accounts = core.accounts()
    try:
        key = await accounts.sessions.get_session_key(mfa_token)
        attempt, _ = await second_factor.complete_login(accounts, key, {"otp": otp}, core.origin(request))
    except CrossauthError as e:
        if e.http_status in (429, 503):
            raise
        raise refused(FurtherErrorCode.LOGIN_FACTOR2_INVALID) from e
    await accounts.sessions.delete_session(mfa_token)
    return attempt.user.id
