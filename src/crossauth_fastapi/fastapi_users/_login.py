"""Between a proven first factor and a token: every way of signing in ends here."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from starlette.responses import JSONResponse

from crossauth_backend.accounts import email_change, second_factor
from crossauth_backend.accounts.decision import Refused, Required
from crossauth_backend.accounts.issue import open_session
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.accounts.step_up import complete_step_up, pending_step_up
from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.errors import ErrorCode as Reason
from crossauth_backend.core.secrets import equal
from crossauth_backend.events.record import EventName
from crossauth_backend.users.record import User
from crossauth_backend.users.stamp import same_stamp
from crossauth_backend.users.states import UNFINISHED
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users._errors import ErrorCode, FurtherErrorCode, refused, refused_with
from crossauth_fastapi.fastapi_users._records import credential_fingerprint, record_of
from crossauth_fastapi.fastapi_users._refresh import PresentedToken, RefreshTokens, Reused, new_sid
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    Strategy,
    StrategyDestroyNotSupportedError,
    SupportsLoginIds,
)
from crossauth_fastapi.fastapi_users.exceptions import UserNotExists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager

_REFUSALS: Final[dict[object, ErrorCode | FurtherErrorCode]] = {
    Reason.EmailNotVerified: ErrorCode.LOGIN_USER_NOT_VERIFIED,
    Reason.TwoFactorIncomplete: FurtherErrorCode.LOGIN_FACTOR2_SETUP_NEEDED,
    Reason.PasswordResetNeeded: FurtherErrorCode.LOGIN_PASSWORD_CHANGE_NEEDED,
    Requirement.PASSWORD_CHANGE: FurtherErrorCode.LOGIN_PASSWORD_CHANGE_NEEDED,
    Requirement.FACTOR2_CHANGE: FurtherErrorCode.LOGIN_FACTOR2_SETUP_NEEDED,
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
    await refuse_unfinished(core, user, request)
    decided = await core.decide(user, request, factor2_passed=factor2_passed)
    if isinstance(decided, Refused):
        raise refused(_REFUSALS.get(decided.code, ErrorCode.LOGIN_BAD_CREDENTIALS))
    if isinstance(decided, Required) and decided.ask is not Requirement.FACTOR2:
        core.emit(EventName.login_failed, request, user, decided.ask.name)
        raise refused(_REFUSALS.get(decided.ask, ErrorCode.LOGIN_BAD_CREDENTIALS))
    if requires_verification and not user.is_verified:
        core.emit(EventName.login_failed, request, user, Reason.EmailNotVerified.name)
        raise refused(ErrorCode.LOGIN_USER_NOT_VERIFIED)
    if isinstance(decided, Required):
        raise await ask_factor2(core, user, request, decided)
    response = await open_login(core, backend, strategy, user_manager, user)
    await user_manager.on_after_login(user, request, response)
    core.emit(EventName.login_succeeded, request, user)
    return response


async def refuse_unfinished(core: Core, user: Any, request: Request) -> None:
    """Refuse a sign-up that is not finished in the words for a wrong password, and mail its link once more.

    Where the session server verifies addresses, anybody can sign up with anybody's address and is answered the same whether or
    not the address has an account. Whoever logs in with the password of such a sign-up must not learn it here.

    Raises:
        HTTPException: 400 `LOGIN_BAD_CREDENTIALS`. Raise it where a wrong password is counted, so that limits say nothing either.
    """
    accounts, record = (core.accounts() if core.accounts is not None else None), record_of(user)
    if accounts is None or not accounts.verify_email or record.state not in UNFINISHED:
        return
    core.emit(EventName.login_failed, request, user, Reason.EmailNotVerified.name)
    await email_change.send_link_again(accounts, record, core.origin(request))
    raise refused(ErrorCode.LOGIN_BAD_CREDENTIALS)


async def open_login(
    core: Core,
    backend: AuthenticationBackend[Any, Any],
    strategy: Strategy[Any, Any],
    user_manager: BaseUserManager[Any, Any],
    user: Any,
    taken: PresentedToken | None = None,
) -> Response:
    """The answer with a token, and where the backend has them a refresh token.

    Parameters:
        core, backend, strategy, user_manager: of the route.
        user: whose login it is.
        taken: the refresh token that the login goes on with; `None` for a new one.

    Raises:
        CrossauthError: see `Core.admit`.
        HTTPException: 400, where the password, or whatever else a login rests on, was changed while this went on.
    """
    await core.admit(backend, strategy)
    code = ErrorCode.LOGIN_BAD_CREDENTIALS if taken is None else FurtherErrorCode.REFRESH_BAD_TOKEN
    before, tokens, renewing = credential_fingerprint(user), RefreshTokens(core.keys, backend), None
    sid = taken.sid if taken is not None else new_sid()
    writing = _TokenRecorder(strategy, sid)
    if taken is not None and not equal(taken.mark, before):
        raise refused(code)
    if taken is None and backend.refresh_lifetime_seconds is not None:
        renewing = await tokens.issue(user, sid)
    response = await backend.login(writing, user)
    # Last of all, so that nothing that fails before uses the token up; and after the new token was written, so that whoever ends
    # the login meanwhile finds that token, or is found here.
    if taken is not None:
        try:
            renewing = await tokens.rotate(user, taken)
        except Reused:
            if isinstance(strategy, SupportsLoginIds):
                await strategy.destroy_sid(user, sid)
    # Who changes a password stores it and then ends what the old one opened. What was opened after that is found here.
    if (taken is not None and renewing is None) or not await _still(user_manager, user, before):
        if renewing is not None:
            await tokens.end(sid)
        with suppress(StrategyDestroyNotSupportedError):
            await strategy.destroy_token(writing.token, user)
        raise refused(code)
    return response if renewing is None else with_refresh_token(response, renewing)


class _TokenRecorder:
    """A strategy that notes the token it writes, and says in it of which login it is."""

    def __init__(self, strategy: Strategy[Any, Any], sid: str) -> None:
        self._strategy, self._sid = strategy, sid
        self.token = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    async def write_token(self, user: Any) -> str:
        if isinstance(self._strategy, SupportsLoginIds):
            self.token = await self._strategy.write_token_of(user, self._sid)
        else:
            self.token = await self._strategy.write_token(user)
        return self.token


async def _still(user_manager: BaseUserManager[Any, Any], user: Any, mark: str) -> bool:
    try:
        current = await user_manager.get(user.id)
    except UserNotExists:
        return False
    return bool(current.is_active or not user.is_active) and equal(credential_fingerprint(current), mark)


def with_refresh_token(response: Response, token: str) -> Response:
    """The answer of a bearer transport with a refresh token in it."""
    content = {**json.loads(bytes(response.body)), "refresh_token": token}
    answer = JSONResponse(content, response.status_code, background=response.background)
    stored = [pair for pair in response.raw_headers if pair[0] not in (b"content-length", b"content-type")]
    answer.raw_headers += stored
    return answer


async def ask_factor2(core: Core, user: Any, request: Request, required: Required | None = None) -> HTTPException:
    """The question for a user's second factor, as a refusal that names the factor and holds the `mfa_token`.

    Parameters:
        core, user, request: at hand.
        required: what a login lacks; `None` for a user who is logged in, so that nothing but a token was shown: the answer opens
            no login then.
    """
    if core.accounts is None:
        return refused(FurtherErrorCode.LOGIN_FACTOR2_REQUIRED, 403)
    accounts, record = core.accounts(), record_of(user)
    if required is None:
        pending, unsent = await pending_step_up(accounts, record)
        session = await accounts.sessions.create_session_key(None, None, pending)
        core.emit(EventName.factor2_asked, request, user)
    else:
        opened = await open_session(accounts, required, origin=core.origin(request))
        session, unsent = opened.session, opened.code_unsent
    reason = {"factor2": record.factor2, "mfa_token": session.value, **({"code_sent": False} if unsent else {})}
    return refused_with(FurtherErrorCode.LOGIN_FACTOR2_REQUIRED, reason, 403)


async def check_factor2(core: Core, request: Request, mfa_token: str, otp: str, *, step_up: bool = False) -> User:
    """The user who has proven the second factor, with the security stamp of that time; see `is_proven`.

    A challenge counts only for what it was asked for: a login, or with `step_up` a request of somebody who is logged in.

    Raises:
        HTTPException: 400 `LOGIN_FACTOR2_INVALID`.
        CrossauthError: `TooManyAttempts`.
    """
    assert core.accounts is not None
    accounts = core.accounts()
    try:
        key = await accounts.sessions.get_session_key(mfa_token)
        if step_up:
            user = await complete_step_up(accounts, key, {"otp": otp}, core.origin(request))
        else:
            user = (await second_factor.complete_login(accounts, key, {"otp": otp}, core.origin(request)))[0].user
    except CrossauthError as e:
        if e.http_status in (429, 503):
            raise
        raise refused(FurtherErrorCode.LOGIN_FACTOR2_INVALID) from e
    await accounts.sessions.delete_session(mfa_token)
    return user


def is_proven(user: Any, proven: User) -> bool:
    """Whether `user`, read at another time, is who has `proven` the second factor, with the same credentials still."""
    return bool(user.id == proven.id) and same_stamp(proven.security_stamp, record_of(user).security_stamp)
