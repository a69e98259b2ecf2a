"""Logging in and out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from crossauth_backend.core.text import normalize
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._answers import (
    TOO_MANY,
    UNAUTHORIZED,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refused,
)
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users._login import check_factor2, log_in, with_refresh_token
from crossauth_fastapi.fastapi_users._refresh import RefreshTokens
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator, LoggedIn
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy
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
    logout_status_code: int = 200,
    core: Core | None = None,
) -> APIRouter:
    """`/login` and `/logout` of one backend, and where they are switched on `/login/factor2` and `/refresh`.

    Parameters:
        backend: the backend.
        get_user_manager: a dependency that gives the user manager.
        authenticator: knows who is logged in.
        requires_verification: whether users must have proven their address.
        logout_status_code: status of an empty answer to a logout; later versions of the documented routes have 204.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or Core()
    router = new_router()
    login_responses: OpenAPIResponseType = {
        **backend.transport.get_openapi_login_responses_success(),
        400: describe(ErrorCode.LOGIN_BAD_CREDENTIALS, ErrorCode.LOGIN_USER_NOT_VERIFIED),
        **({403: describe(FurtherErrorCode.LOGIN_FACTOR2_REQUIRED)} if core.accounts else {}),
        **TOO_MANY,
    }
    _add_login(router, core, backend, get_user_manager, login_responses, requires_verification)
    if core.accounts is not None:
        _add_factor2(router, core, backend, get_user_manager, login_responses, requires_verification)
    if backend.refresh_lifetime_seconds is not None:
        _add_refresh(router, core, backend, get_user_manager, login_responses, requires_verification)
    _add_logout(router, core, backend, authenticator, requires_verification, logout_status_code)
    return router


def _add_login(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], get_user_manager: Any,
    responses: OpenAPIResponseType, requires_verification: bool,
) -> None:  # fmt: skip
    @router.post("/login", name=f"auth:{backend.name}.login", responses=responses)
    async def login(
        request: Request,
        credentials: Annotated[OAuth2PasswordRequestForm, Depends()],
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
    ) -> Response:
        name = normalize(credentials.username)
        async with core.limited(request, login_address=core.origin(request).address, login_account=name):
            user = await user_manager.authenticate(credentials)
            if user is None:
                core.tell(EventName.login_failed, request, reason=ErrorCode.LOGIN_BAD_CREDENTIALS.value)
                raise refused(ErrorCode.LOGIN_BAD_CREDENTIALS)
        return await log_in(
            core, backend, strategy, user_manager, user, request, requires_verification=requires_verification
        )


def _add_logout(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], authenticator: Authenticator[Any, Any],
    requires_verification: bool, status_code: int,
) -> None:  # fmt: skip
    responses: OpenAPIResponseType = {
        **UNAUTHORIZED,
        status_code: {"description": "The logout process was successful."},
    }
    if requires_verification:
        responses[403] = {"description": "The user is not verified."}
    logged_in = authenticator.logged_in(active=True, verified=requires_verification)

    @router.post(
        "/logout", name=f"auth:{backend.name}.logout", status_code=status_code, response_model=None, responses=responses
    )
    async def logout(
        request: Request, refresh_token: Annotated[str, Form()] = "", who: LoggedIn[Any, Any] = Depends(logged_in)
    ) -> Response:
        if refresh_token and backend.refresh_lifetime_seconds is not None:
            await RefreshTokens(core.keys, backend).end(refresh_token)
        # By the backend that knew the token, whichever this route is of: what was shown ends.
        response = await who.backend.logout(who.strategy, who.user, who.token)
        core.tell(EventName.logged_out, request, who.user)
        return response.with_status(status_code) if isinstance(response, EmptyResponse) else response


def _add_factor2(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], get_user_manager: Any,
    responses: OpenAPIResponseType, requires_verification: bool,
) -> None:  # fmt: skip
    wrong: OpenAPIResponseType = {400: describe(FurtherErrorCode.LOGIN_FACTOR2_INVALID)}

    @router.post("/login/factor2", name=f"auth:{backend.name}.factor2", responses={**responses, **wrong})
    async def factor2(
        request: Request,
        mfa_token: Annotated[str, Form()],
        otp: Annotated[str, Form()],
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
    ) -> Response:
        """Answer the question for the second factor with a code, or with a recovery code."""
        userid = await check_factor2(core, request, mfa_token, otp)
        user = await user_manager.get(user_manager.parse_id(userid))
        return await log_in(
            core, backend, strategy, user_manager, user, request,
            requires_verification=requires_verification, factor2_passed=True,
        )  # fmt: skip


def _add_refresh(
    router: APIRouter, core: Core, backend: AuthenticationBackend[Any, Any], get_user_manager: Any,
    responses: OpenAPIResponseType, requires_verification: bool,
) -> None:  # fmt: skip
    tokens = RefreshTokens(core.keys, backend)
    wrong: OpenAPIResponseType = {400: describe(FurtherErrorCode.REFRESH_BAD_TOKEN)}

    @router.post("/refresh", name=f"auth:{backend.name}.refresh", responses={**responses, **wrong})
    async def refresh(
        refresh_token: Annotated[str, Form()],
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
    ) -> Response:
        """A new token and a new refresh token for a refresh token, which is used up."""
        user = None
        key = await tokens.take(refresh_token)
        if key is not None:
            user = await _user(user_manager, key.userid)
        if key is None or user is None or not _may_go_on(core, user, requires_verification):
            raise refused(FurtherErrorCode.REFRESH_BAD_TOKEN)
        successor = await tokens.rotate(user, key)
        if successor is None:
            raise refused(FurtherErrorCode.REFRESH_BAD_TOKEN)
        return with_refresh_token(await backend.login(strategy, user), successor)


async def _user(user_manager: BaseUserManager[Any, Any], userid: Any) -> Any | None:
    try:
        return await user_manager.get(user_manager.parse_id(userid))
    except (UserNotExists, InvalidID):
        return None


def _may_go_on(core: Core, user: Any, requires_verification: bool) -> bool:
    # The second factor was proven at the login that the token descends from.
    step = core.next_step(user, factor2_passed=True)
    return step is None and bool(user.is_verified or not requires_verification)
