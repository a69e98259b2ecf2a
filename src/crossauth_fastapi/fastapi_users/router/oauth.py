"""Logging in with an account at a provider, and linking one."""

import logging
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.responses import RedirectResponse

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._answers import (
    UNAUTHORIZED,
    UNVERIFIED,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refused,
)
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._login import log_in
from crossauth_fastapi.fastapi_users._oauth import (
    CSRF_TOKEN_COOKIE_NAME,
    CSRF_TOKEN_KEY,
    STATE_TOKEN_AUDIENCE,
    Account,
    CsrfCookie,
    Flow,
    OAuth2AuthorizeResponse,
    ProviderToken,
    check_redirect,
    generate_csrf_token,
    generate_state_token,
)
from crossauth_fastapi.fastapi_users._passwords import ending_logins
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.logins import Logins
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists, UserNotExists
from crossauth_fastapi.fastapi_users.jwt import SecretType
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType
from crossauth_fastapi.fastapi_users.schemas import U

__all__ = [
    "CSRF_TOKEN_COOKIE_NAME", "CSRF_TOKEN_KEY", "STATE_TOKEN_AUDIENCE", "OAuth2AuthorizeResponse",
    "generate_csrf_token", "generate_state_token", "get_oauth_associate_router", "get_oauth_router",
]  # fmt: skip

logger = logging.getLogger("crossauth.fastapi_users")
SameSite = Literal["lax", "strict", "none"]
_CODES: tuple[ErrorCode | FurtherErrorCode, ...] = (
    ErrorCode.OAUTH_INVALID_STATE, ErrorCode.ACCESS_TOKEN_DECODE_ERROR, ErrorCode.ACCESS_TOKEN_ALREADY_EXPIRED,
    ErrorCode.OAUTH_NOT_AVAILABLE_EMAIL, ErrorCode.OAUTH_USER_ALREADY_EXISTS, FurtherErrorCode.OAUTH_PROVIDER_ERROR,
)  # fmt: skip
_AUTHORIZE: OpenAPIResponseType = {400: describe(FurtherErrorCode.OAUTH_REDIRECT_URL_NEEDED)}


@dataclass(frozen=True, slots=True)
class _Linking:
    """Whose an account at a provider is; see `get_oauth_router`."""

    associate_by_email: bool | None
    is_verified_by_default: bool

    async def user_for(
        self,
        flow: Flow,
        user_manager: BaseUserManager[Any, Any],
        request: Request,
        token: ProviderToken,
        logins: Logins,
    ) -> Any:
        """Who logs in by a provider's token."""
        account = await flow.account(token)
        associate = self.associate_by_email
        if associate is None:
            associate = await self._both_have_proven(flow, user_manager, token, account)
        try:
            with ending_logins(lambda user: flow.core.end_logins(user, logins)):
                return await user_manager.oauth_callback(
                    flow.client.name, token.access_token, account.id, account.email, token.expires_at,
                    token.refresh_token, request, associate_by_email=associate,
                    is_verified_by_default=self.is_verified_by_default,
                )  # fmt: skip
        except UserAlreadyExists as e:
            raise refused(ErrorCode.OAUTH_USER_ALREADY_EXISTS) from e
        except CrossauthError as e:
            raise _unkept(flow, e) from e

    async def _both_have_proven(
        self, flow: Flow, user_manager: BaseUserManager[Any, Any], token: ProviderToken, account: Account
    ) -> bool:
        """Whether a user of the account's address has proven it, and the provider says the same of the account."""
        try:
            user = await user_manager.get_by_email(account.email)
        except UserNotExists:
            return False
        return bool(user.is_verified) and await flow.says_verified(token, account.email)


def get_oauth_router(
    oauth_client: Any,
    backend: AuthenticationBackend[UP, ID],
    get_user_manager: UserManagerDependency[UP, ID],
    state_secret: SecretType,
    redirect_url: str | None = None,
    associate_by_email: bool | None = None,
    is_verified_by_default: bool = False,
    *,
    csrf_token_cookie_name: str = CSRF_TOKEN_COOKIE_NAME,
    csrf_token_cookie_path: str = "/",
    csrf_token_cookie_domain: str | None = None,
    csrf_token_cookie_secure: bool = True,
    csrf_token_cookie_httponly: bool = True,
    csrf_token_cookie_samesite: SameSite = "lax",
    login_redirect_url: str | None = None,
    requires_verification: bool = False,
    authenticator: Authenticator[UP, ID] | None = None,
    core: Core | None = None,
) -> APIRouter:
    """`/authorize` and `/callback`: log in with an account at a provider.

    Parameters:
        oauth_client: the provider, any object with the methods of httpx-oauth's `BaseOAuth2`.
        backend: how users are logged in.
        get_user_manager: a dependency that gives the user manager.
        state_secret: signs what binds a flow to a browser.
        redirect_url: where the provider sends the user back to.
        associate_by_email: whether a user of the same e-mail address is linked to the account. `None`: if the provider says
            that the address is proven, and the user has proven it here. `True`: always; the password of a user who has not
            proven the address is replaced. `False`: never.
        is_verified_by_default: whether the address of a new user counts as proven.
        csrf_token_cookie_name, csrf_token_cookie_path, csrf_token_cookie_domain, csrf_token_cookie_secure,
            csrf_token_cookie_httponly, csrf_token_cookie_samesite: the cookie that binds a flow to a browser.
        login_redirect_url: where `/callback` sends the browser instead of answering it; after a refusal too, with the code in
            the parameter `error`. With a `CookieTransport` only.
        requires_verification: whether users must have proven their address.
        authenticator: whose tokens end where a password is replaced; `FastAPIUsers` gives its own.
        core: limits and events; see `FastAPIUsers`.

    Raises:
        CrossauthError: `Configuration` for a redirect that would carry a token.
    """
    core = core or default_core()
    router = new_router(core.lifespan)
    if login_redirect_url is not None:
        check_redirect(login_redirect_url, backend.transport)
    cookie = CsrfCookie(
        name=csrf_token_cookie_name, path=csrf_token_cookie_path, domain=csrf_token_cookie_domain,
        secure=csrf_token_cookie_secure, httponly=csrf_token_cookie_httponly, samesite=csrf_token_cookie_samesite,
    )  # fmt: skip
    name = f"oauth:{oauth_client.name}.{backend.name}"
    flow = Flow(
        client=oauth_client, purpose=f"login {backend.name}", secret=state_secret, redirect_url=redirect_url,
        route_name=f"{name}.callback", cookie=cookie, core=core,
    )  # fmt: skip

    @router.get(
        "/authorize",
        name=f"{name}.authorize",
        summary="Where to log in",
        response_model=OAuth2AuthorizeResponse,
        responses=_AUTHORIZE,
    )
    async def authorize(
        request: Request, response: Response, scopes: list[str] | None = Query(None)
    ) -> OAuth2AuthorizeResponse:
        return await flow.begin(request, response, scopes)

    ends = (authenticator or Authenticator([backend], get_user_manager)).every_users_logins
    linking = _Linking(associate_by_email, is_verified_by_default)
    _add_login_callback(
        router, flow, backend, get_user_manager, linking, ends, login_redirect_url, requires_verification
    )
    return router


def _add_login_callback(
    router: APIRouter, flow: Flow, backend: AuthenticationBackend[Any, Any], get_user_manager: Any,
    linking: _Linking, ends: Any, login_redirect_url: str | None, requires_verification: bool,
) -> None:  # fmt: skip
    codes = [*_CODES, ErrorCode.LOGIN_BAD_CREDENTIALS]
    if requires_verification:
        codes.append(ErrorCode.LOGIN_USER_NOT_VERIFIED)
    success = backend.transport.get_openapi_login_responses_success()
    if login_redirect_url is not None:
        success = {303: {"description": "To the front end: logged in, or with the parameter `error`."}}
    responses: OpenAPIResponseType = {**success, 400: describe(*codes)}

    @router.get(
        "/callback",
        name=flow.route_name,
        summary="Log in with an account at a provider",
        response_model=None,
        responses=responses,
    )
    async def callback(
        request: Request,
        code: str | None = None,
        state: str | None = None,
        error: str | None = None,
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
        logins: Logins = Depends(ends),
    ) -> Response:
        try:
            token = await flow.finish(request, code, state, error)
            user = await linking.user_for(flow, user_manager, request, token, logins)
            response = await log_in(
                flow.core, backend, strategy, user_manager, user, request, requires_verification=requires_verification
            )
        except HTTPException as e:
            if login_redirect_url is None:
                _forget(e, flow.cookie)
                raise
            response = _redirect(login_redirect_url, e)
        else:
            if login_redirect_url is not None:
                response = _redirect(login_redirect_url, response)
        flow.cookie.set(response, "", 0)
        return response


def get_oauth_associate_router(
    oauth_client: Any,
    authenticator: Authenticator[UP, ID],
    get_user_manager: UserManagerDependency[UP, ID],
    user_schema: type[U],
    state_secret: SecretType,
    redirect_url: str | None = None,
    requires_verification: bool = False,
    *,
    csrf_token_cookie_name: str = CSRF_TOKEN_COOKIE_NAME,
    csrf_token_cookie_path: str = "/",
    csrf_token_cookie_domain: str | None = None,
    csrf_token_cookie_secure: bool = True,
    csrf_token_cookie_httponly: bool = True,
    csrf_token_cookie_samesite: SameSite = "lax",
    core: Core | None = None,
) -> APIRouter:
    """`/authorize` and `/callback`: link an account at a provider to whoever is logged in; `DELETE /{account_id}` unlinks it.

    Parameters:
        oauth_client: the provider, any object with the methods of httpx-oauth's `BaseOAuth2`.
        authenticator: knows who is logged in.
        get_user_manager: a dependency that gives the user manager.
        user_schema: the answer.
        state_secret: signs what binds a flow to a browser.
        redirect_url: where the provider sends the user back to.
        requires_verification: whether users must have proven their address.
        csrf_token_cookie_name, csrf_token_cookie_path, csrf_token_cookie_domain, csrf_token_cookie_secure,
            csrf_token_cookie_httponly, csrf_token_cookie_samesite: the cookie that binds a flow to a browser.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or default_core()
    router = new_router(core.lifespan)
    cookie = CsrfCookie(
        name=csrf_token_cookie_name, path=csrf_token_cookie_path, domain=csrf_token_cookie_domain,
        secure=csrf_token_cookie_secure, httponly=csrf_token_cookie_httponly, samesite=csrf_token_cookie_samesite,
    )  # fmt: skip
    name = f"oauth-associate:{oauth_client.name}"
    flow = Flow(
        client=oauth_client, purpose="associate", secret=state_secret, redirect_url=redirect_url,
        route_name=f"{name}.callback", cookie=cookie, core=core,
    )  # fmt: skip
    current = authenticator.current_user(active=True, verified=requires_verification)
    about: OpenAPIResponseType = {**UNAUTHORIZED, **(UNVERIFIED if requires_verification else {})}

    @router.get(
        "/authorize",
        name=f"{name}.authorize",
        response_model=OAuth2AuthorizeResponse,
        responses={**about, **_AUTHORIZE},
    )
    async def authorize(
        request: Request, response: Response, scopes: list[str] | None = Query(None), user: Any = Depends(current)
    ) -> OAuth2AuthorizeResponse:
        return await flow.begin(request, response, scopes, str(user.id))

    _add_associate_callback(router, flow, current, get_user_manager, user_schema, about)
    _add_unlink(router, flow, f"{name}.unlink", current, get_user_manager, about)
    return router


def _add_associate_callback(
    router: APIRouter, flow: Flow, current: Any, get_user_manager: Any, user_schema: type[U], about: OpenAPIResponseType
) -> None:
    responses: OpenAPIResponseType = {**about, 400: describe(*_CODES)}

    @router.get(
        "/callback",
        name=flow.route_name,
        summary="Link an account at a provider",
        response_model=user_schema,
        responses=responses,
    )
    async def callback(
        request: Request,
        response: Response,
        code: str | None = None,
        state: str | None = None,
        error: str | None = None,
        user: Any = Depends(current),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
    ) -> object:
        token = await flow.finish(request, code, state, error, str(user.id))
        account = await flow.account(token)
        try:
            linked = await user_manager.oauth_associate_callback(
                user, flow.client.name, token.access_token, account.id, account.email, token.expires_at,
                token.refresh_token, request,
            )  # fmt: skip
        except UserAlreadyExists as e:
            raise refused(ErrorCode.OAUTH_USER_ALREADY_EXISTS) from e
        except CrossauthError as e:
            raise _unkept(flow, e) from e
        flow.core.tell(EventName.user_updated, request, linked, "oauth account linked")
        flow.cookie.set(response, "", 0)
        return user_schema.model_validate(linked)


def _add_unlink(
    router: APIRouter, flow: Flow, name: str, current: Any, get_user_manager: Any, about: OpenAPIResponseType
) -> None:
    responses: OpenAPIResponseType = {**about, 404: describe(FurtherErrorCode.OAUTH_ACCOUNT_NOT_LINKED)}

    # The id of an account may have a slash in it (Google's do).
    @router.delete("/{account_id:path}", status_code=204, name=name, summary="Unlink an account", responses=responses)
    async def unlink(
        account_id: str,
        request: Request,
        user: Any = Depends(current),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
    ) -> Response:
        """Unlink an account. Its user logs in by password, or by a reset of it, from then on."""
        try:
            await user_manager.oauth_unlink(user, flow.client.name, account_id, request)
        except UserNotExists as e:
            raise refused(FurtherErrorCode.OAUTH_ACCOUNT_NOT_LINKED, 404) from e
        except NotImplementedError as e:
            raise HTTPException(501) from e
        flow.core.tell(EventName.user_updated, request, user, "oauth account unlinked")
        return Response(status_code=204)


def _unkept(flow: Flow, e: CrossauthError) -> Exception:
    """The refusal of an account that the database does not take: most often a token is longer than its column."""
    if e.http_status >= 500:
        return e
    logger.error("what the provider %s answered does not fit the tables: widen their columns", flow.client.name)
    return refused(FurtherErrorCode.OAUTH_PROVIDER_ERROR)


def _redirect(url: str, result: Response | HTTPException) -> Response:
    """To the front end: with the cookies of a login, or the code of a refusal."""
    if isinstance(result, Response):
        response = RedirectResponse(url, 303)
        response.raw_headers += [pair for pair in result.raw_headers if pair[0] == b"set-cookie"]
        return response
    code = result.detail if isinstance(result.detail, str) else result.detail.get("code", "")
    return RedirectResponse(f"{url}{'&' if '?' in url else '?'}error={quote(str(code))}", 303)


def _forget(e: HTTPException, cookie: CsrfCookie) -> None:
    """Let a refusal delete the cookie of the flow it ends."""
    response = Response()
    cookie.set(response, "", 0)
    e.headers = {**(e.headers or {}), "Set-Cookie": response.headers["set-cookie"]}
