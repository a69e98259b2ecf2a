"""Logging in and out."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.security import APIKeyCookie, OAuth2PasswordRequestForm

from crossauth_backend.accounts.decision import SignedIn
from crossauth_backend.core.hash_pool import hashing_for
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._browsers import read_browser, remember_browser
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import (
    TOO_MANY,
    UNAUTHORIZED,
    UNVERIFIED,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refused,
)
from crossauth_fastapi.fastapi_users._login import check_factor2, is_proven, log_in, open_login, refuse_unfinished
from crossauth_fastapi.fastapi_users._named import user_read
from crossauth_fastapi.fastapi_users._refresh import RefreshTokens, end_login
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator, LoggedIn
from crossauth_fastapi.fastapi_users.authentication.backend import NOT_ENDED, AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy, SupportsLoginIds
from crossauth_fastapi.fastapi_users.authentication.transport.base import EmptyResponse
from crossauth_fastapi.fastapi_users.exceptions import InvalidID, UserNotExists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType


def get_auth_router(
    backend: AuthenticationBackend[UP, ID],
    get_user_manager: UserManagerDependency[UP, ID],
    authenticator: Authenticator[UP, ID],
    requires_verification: bool = False,
    *,
    login_status_code: int = 204,
    logout_status_code: int = 200,
    core: Core | None = None,
) -> APIRouter:
    """`/login` and `/logout` of one backend, and where they are switched on `/login/factor2` and `/refresh`.

    Parameters:
        backend: the backend.
        get_user_manager: a dependency that gives the user manager.
        authenticator: knows who is logged in.
        requires_verification: whether users must have proven their address.
        login_status_code: status of an empty answer to a login, as by cookie; the first versions had 200.
        logout_status_code: status of an empty answer to a logout; later versions of the documented routes have 204.
        core: limits and events; see `FastAPIUsers`.

    Raises:
        CrossauthError: `Configuration` for a backend that could not log anybody in.
    """
    core = core or default_core()
    core.check(backend)
    core.serve(authenticator)
    core.check_ids(authenticator, backend, get_user_manager)
    router = new_router(core)
    codes: list[ErrorCode | FurtherErrorCode] = [ErrorCode.LOGIN_BAD_CREDENTIALS, ErrorCode.LOGIN_USER_NOT_VERIFIED]
    if core.accounts is not None:
        codes += [FurtherErrorCode.LOGIN_FACTOR2_SETUP_NEEDED, FurtherErrorCode.LOGIN_PASSWORD_CHANGE_NEEDED]
    forbidden = [FurtherErrorCode.LOGIN_FACTOR2_REQUIRED] if core.accounts is not None else []
    if isinstance(backend.transport.scheme, APIKeyCookie):
        forbidden.append(FurtherErrorCode.CROSS_ORIGIN_REQUEST)
    login_responses: OpenAPIResponseType = {
        **_as_status(backend.transport.get_openapi_login_responses_success(), login_status_code),
        400: describe(*codes),
        **({403: describe(*forbidden)} if forbidden else {}),
        **TOO_MANY,
    }
    _add_login(
        router,
        core,
        backend,
        authenticator,
        get_user_manager,
        login_responses,
        requires_verification,
        login_status_code,
    )
    if core.accounts is not None:
        _add_factor2(router, core, backend, authenticator, get_user_manager, login_responses, requires_verification)
    if backend.refresh_lifetime_seconds is not None:
        _add_refresh(router, core, backend, get_user_manager, login_responses, requires_verification)
    _add_logout(router, core, backend, authenticator, requires_verification, logout_status_code)
    return router


def _add_login(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], authenticator: Authenticator[Any, Any],
    get_user_manager: Any, responses: OpenAPIResponseType, requires_verification: bool, status_code: int,
) -> None:  # fmt: skip
    @router.post("/login", name=f"auth:{backend.name}.login", summary="Log in", responses=responses)
    async def login(
        request: Request,
        credentials: Annotated[OAuth2PasswordRequestForm, Depends()],
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
    ) -> Response:
        authenticator.check_login_page(request, backend)
        user = await _authenticate(core, user_manager, credentials, request)
        response = await log_in(
            core, backend, strategy, user_manager, user, request, requires_verification=requires_verification
        )
        response = response.with_status(status_code) if isinstance(response, EmptyResponse) else response
        remember_browser(core, request, response, user_manager, user)
        return response


async def _authenticate(
    core: Core, user_manager: BaseUserManager[Any, Any], credentials: OAuth2PasswordRequestForm, request: Request
) -> Any:
    """The user of a name and password, counted before they are looked at.

    Raises:
        HTTPException: 400 `LOGIN_BAD_CREDENTIALS`.
        CrossauthError: `TooManyAttempts`.
    """
    name, address = credentials.username, core.origin(request).address
    browser = read_browser(request, user_manager)
    # Whose browser it is shows only when the user was read. Of others nothing is read before they are counted.
    found = await user_manager.get_by_login(name) if browser is not None else None
    known = browser.id if browser is not None and browser.knows(found) else None
    counted = {"login_device": known} if known is not None else {"login_account": core.account_name(name)}
    counted |= {"login_address": address, "login_total_address": address}
    async with core.limited(request, **counted):
        with hashing_for(known), user_read(name, found) if browser is not None else nullcontext():
            user = await user_manager.authenticate(credentials)
        if user is None:
            core.emit(EventName.login_failed, request, reason=ErrorCode.LOGIN_BAD_CREDENTIALS.value)
            raise refused(ErrorCode.LOGIN_BAD_CREDENTIALS)
        await refuse_unfinished(core, user, request)
    return user


def _as_status(responses: OpenAPIResponseType, status_code: int) -> OpenAPIResponseType:
    """The description of answers, of which an empty one has this status."""
    return {(status_code if status == 204 else status): declared for status, declared in responses.items()}


def _add_logout(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], authenticator: Authenticator[Any, Any],
    requires_verification: bool, status_code: int,
) -> None:  # fmt: skip
    responses: OpenAPIResponseType = {
        **UNAUTHORIZED,
        **authenticator.describe_forbidden(),
        **(UNVERIFIED if requires_verification else {}),
        status_code: {"description": "The logout process was successful."},
        **_as_status(backend.transport.get_openapi_logout_responses_success(), status_code),
    }
    every_login = authenticator.every_login(active=True, verified=requires_verification)

    @router.post(
        "/logout",
        name=f"auth:{backend.name}.logout",
        summary="Log out",
        status_code=status_code,
        response_model=None,
        responses=responses,
    )
    async def logout(request: Request, logins: list[LoggedIn[Any, Any]] = Depends(every_login)) -> Response:
        """What was sent ends, by whatever backend. Of a token that cannot be ended, such as a JWT, the header
        `X-CROSSAUTH-LOGOUT: not-ended` says that it stays good until it expires."""
        # Each by the backend that knew it; the answer is this route's.
        answers = {login.backend: await _log_out(core, authenticator.backends, login) for login in logins}
        response = answers.pop(backend, None) or await backend.logout_response()
        for other in answers.values():
            response.raw_headers += [pair for pair in other.raw_headers if pair[0] == b"set-cookie"]
            if NOT_ENDED[0] in other.headers:
                response.headers[NOT_ENDED[0]] = NOT_ENDED[1]
        core.emit(EventName.logged_out, request, logins[0].user)
        return response.with_status(status_code) if isinstance(response, EmptyResponse) else response


async def _log_out(
    core: Core, backends: Iterable[AuthenticationBackend[Any, Any]], login: LoggedIn[Any, Any]
) -> Response:
    if isinstance(login.strategy, SupportsLoginIds):
        sid = await login.strategy.read_sid(login.token)
        if sid is not None:
            await end_login(core.keys, backends, sid)
    return await login.backend.logout(login.strategy, login.user, login.token)


def _add_factor2(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], authenticator: Authenticator[Any, Any],
    get_user_manager: Any, responses: OpenAPIResponseType, requires_verification: bool,
) -> None:  # fmt: skip
    wrong: OpenAPIResponseType = {400: describe(FurtherErrorCode.LOGIN_FACTOR2_INVALID)}

    @router.post(
        "/login/factor2",
        name=f"auth:{backend.name}.factor2",
        summary="Give the second factor",
        responses={**responses, **wrong},
    )
    async def factor2(
        request: Request,
        mfa_token: Annotated[str, Form()],
        otp: Annotated[str, Form()],
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
    ) -> Response:
        """Answer the question for the second factor with a code, or with a recovery code."""
        authenticator.check_login_page(request, backend)
        proven = await check_factor2(core, request, mfa_token, otp)
        user = await _user(user_manager, proven.id)
        # A token rests on the user as read here: who has another password by now has not proven that one.
        if user is None or not is_proven(user, proven):
            raise refused(FurtherErrorCode.LOGIN_FACTOR2_INVALID)
        response = await log_in(
            core, backend, strategy, user_manager, user, request,
            requires_verification=requires_verification, factor2_passed=True,
        )  # fmt: skip
        remember_browser(core, request, response, user_manager, user)
        return response


def _add_refresh(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], get_user_manager: Any,
    responses: OpenAPIResponseType, requires_verification: bool,
) -> None:  # fmt: skip
    wrong: OpenAPIResponseType = {400: describe(FurtherErrorCode.REFRESH_BAD_TOKEN)}

    @router.post(
        "/refresh", name=f"auth:{backend.name}.refresh", summary="Renew a login", responses={**responses, **wrong}
    )
    async def refresh(
        request: Request,
        refresh_token: Annotated[str, Form()],
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
    ) -> Response:
        """A new token and a new refresh token for a refresh token, which is used up."""
        await core.admit(backend, strategy)
        taken = await RefreshTokens(core.keys, backend).take(refresh_token)
        user = await _user(user_manager, taken.userid) if taken is not None else None
        if taken is not None and taken.reused and user is not None:
            core.emit(EventName.login_failed, request, user, "refresh token used again: its login has ended")
            if isinstance(strategy, SupportsLoginIds):
                await strategy.destroy_sid(user, taken.sid)
        if (
            taken is None
            or taken.reused
            or user is None
            or not await _may_go_on(core, user, request, requires_verification)
        ):
            raise refused(FurtherErrorCode.REFRESH_BAD_TOKEN)
        return await open_login(core, backend, strategy, user_manager, user, taken)


async def _user(user_manager: BaseUserManager[Any, Any], userid: Any) -> Any | None:
    try:
        return await user_manager.get(user_manager.parse_id(userid))
    except (UserNotExists, InvalidID):
        return None


async def _may_go_on(core: Core, user: Any, request: Request, requires_verification: bool) -> bool:
    # The second factor was proven at the login that the token descends from.
    decided = await core.decide(user, request, logged_in=True)
    return (
        isinstance(decided, SignedIn) and bool(user.is_active) and bool(user.is_verified or not requires_verification)
    )
