"""Logging in with an account at a provider, and linking one."""

from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.responses import RedirectResponse

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import (
    CONFLICT,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refused,
)
from crossauth_fastapi.fastapi_users._formpost import add_form_post
from crossauth_fastapi.fastapi_users._links import Links, knowing_links
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
from crossauth_fastapi.fastapi_users._oauthanswers import AUTHORIZE, CALLBACK_CODES, SameSite, check_accounts, unkept
from crossauth_fastapi.fastapi_users._ownpassword import has_own_password, note_own_password
from crossauth_fastapi.fastapi_users._passwords import ending_logins, knowing_own_passwords
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.logins import Logins
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy
from crossauth_fastapi.fastapi_users.exceptions import ConstraintViolated, UserAlreadyExists, UserNotExists
from crossauth_fastapi.fastapi_users.jwt import SecretType
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType
from crossauth_fastapi.fastapi_users.providers import as_client
from crossauth_fastapi.fastapi_users.router.associate import get_oauth_associate_router

__all__ = [
    "CSRF_TOKEN_COOKIE_NAME", "CSRF_TOKEN_KEY", "STATE_TOKEN_AUDIENCE", "OAuth2AuthorizeResponse",
    "generate_csrf_token", "generate_state_token", "get_oauth_associate_router", "get_oauth_router",
]  # fmt: skip


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
            associate = await self._email_verified_on_both_sides(flow, user_manager, token, account)
        declared = self.associate_by_email is None and associate

        async def proves(user: Any, email: str) -> bool:
            return (declared and same_mailbox(user.email, email)) or await flow.proves(token, user, email)

        try:
            with (
                ending_logins(lambda user: _end_everything(flow.core, user, logins, request)),
                knowing_own_passwords(partial(has_own_password, flow.core.keys)),
                knowing_links(Links(flow.core.keys, proves)),
            ):
                return await user_manager.oauth_callback(
                    flow.client.name, token.access_token, account.id, account.email, token.expires_at,
                    token.refresh_token, request, associate_by_email=associate,
                    is_verified_by_default=self.is_verified_by_default,
                )  # fmt: skip
        except UserAlreadyExists as e:
            raise refused(ErrorCode.OAUTH_USER_ALREADY_EXISTS) from e
        except ConstraintViolated as e:
            raise refused(FurtherErrorCode.CONSTRAINT_VIOLATED, 409) from e
        except CrossauthError as e:
            raise unkept(flow, e) from e

    async def _email_verified_on_both_sides(
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
        oauth_client: the provider: a `ProviderClient`, what `provider_options` returned, or any object with the methods of
            httpx-oauth's `BaseOAuth2`.
        backend: how users are logged in.
        get_user_manager: a dependency that gives the user manager.
        state_secret: signs what binds a flow to a browser.
        redirect_url: where the provider sends the user back to.
        associate_by_email: whether a user of the same email address is linked to the account. `None`: if the provider says
            that the address is proven, and the user has proven it here. `True`: always. `False`: never. A password that was not
            set by a link in a mail is replaced then, see `BaseUserManager.oauth_callback`.
        is_verified_by_default: whether the address of a new user counts as proven.
        csrf_token_cookie_name, csrf_token_cookie_path, csrf_token_cookie_domain, csrf_token_cookie_secure,
            csrf_token_cookie_httponly, csrf_token_cookie_samesite: the cookie that binds a flow to a browser.
        login_redirect_url: where `/callback` sends the browser instead of answering it; after a refusal too, with the code in
            the parameter `error`. With a `CookieTransport` only.
        requires_verification: whether users must have proven their address.
        authenticator: whose tokens end where a password is replaced; `FastAPIUsers` gives its own.
        core: limits and events; see `FastAPIUsers`.

    Raises:
        CrossauthError: `Configuration` for a redirect that would carry a token; for a client whose name another one has; or
            where a session server's users are served, of whom no accounts are kept.
    """
    core, oauth_client = core or default_core(), as_client(oauth_client)
    core.claim_client(oauth_client, get_user_manager)
    router = new_router(core)
    if login_redirect_url is not None:
        check_redirect(login_redirect_url, backend.transport)
    cookie = CsrfCookie(
        name=csrf_token_cookie_name, path=csrf_token_cookie_path, domain=csrf_token_cookie_domain,
        secure=csrf_token_cookie_secure, httponly=csrf_token_cookie_httponly, samesite=csrf_token_cookie_samesite,
        site_url=core.site_url,
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
        responses=AUTHORIZE,
    )
    async def authorize(
        request: Request,
        response: Response,
        scopes: list[str] | None = Query(None),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
    ) -> OAuth2AuthorizeResponse:
        check_accounts(user_manager)
        return await flow.begin(request, response, scopes)

    known = authenticator or Authenticator([backend], get_user_manager)
    core.serve(known)
    linking = _Linking(associate_by_email, is_verified_by_default)
    _add_login_callback(
        router, flow, backend, get_user_manager, linking, known, login_redirect_url, requires_verification
    )
    return router


def _add_login_callback(
    router: APIRouter, flow: Flow, backend: AuthenticationBackend[Any, Any], get_user_manager: Any,
    linking: _Linking, authenticator: Authenticator[Any, Any], login_redirect_url: str | None, requires_verification: bool,
) -> None:  # fmt: skip
    codes = [*CALLBACK_CODES, ErrorCode.LOGIN_BAD_CREDENTIALS]
    if requires_verification:
        codes.append(ErrorCode.LOGIN_USER_NOT_VERIFIED)
    success: OpenAPIResponseType = backend.transport.get_openapi_login_responses_success()
    if login_redirect_url is not None:
        success = {303: {"description": "To the front end: logged in, or with the parameter `error`."}}
    responses: OpenAPIResponseType = {**success, 400: describe(*codes), **CONFLICT}

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
        iss: str | None = None,
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        strategy: Strategy[Any, Any] = Depends(backend.get_strategy),
        logins: Logins = Depends(authenticator.every_users_logins),
    ) -> Response:
        try:
            token = await flow.finish(request, code, state, error, iss=iss)
            user = await linking.user_for(flow, user_manager, request, token, logins)
            response = await log_in(
                flow.core, backend, strategy, user_manager, user, request, requires_verification=requires_verification
            )
        except CrossauthError:
            raise
        except HTTPException as e:
            if login_redirect_url is None:
                _forget(e, flow, request, state)
                raise
            response = _redirect(login_redirect_url, e)
        else:
            if login_redirect_url is not None:
                response = _redirect(login_redirect_url, response)
        flow.leave(request, response, state)
        return response

    add_form_post(router, flow.client, flow.route_name)


async def _end_everything(core: Core, user: Any, logins: Logins, request: Request) -> None:
    """End what somebody opened by a password that has been replaced because it may be a stranger's."""
    await core.end_logins(user, logins)
    await note_own_password(core.keys, user)
    core.emit(EventName.password_changed, request, user, "replaced: an account at a provider was linked by address")


def _redirect(url: str, result: Response | HTTPException) -> Response:
    """To the front end: with the cookies of a login, or the code of a refusal."""
    if isinstance(result, Response):
        response = RedirectResponse(url, 303)
        response.raw_headers += [pair for pair in result.raw_headers if pair[0] == b"set-cookie"]
        return response
    code = result.detail if isinstance(result.detail, str) else result.detail.get("code", "")
    return RedirectResponse(f"{url}{'&' if '?' in url else '?'}error={quote(str(code))}", 303)


def _forget(e: HTTPException, flow: Flow, request: Request, state: str | None) -> None:
    """Let a refusal end the flow in the browser."""
    response = Response()
    flow.leave(request, response, state)
    e.headers = {**(e.headers or {}), "Set-Cookie": response.headers["set-cookie"]}
