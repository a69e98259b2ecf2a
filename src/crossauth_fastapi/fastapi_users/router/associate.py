"""Linking an account at a provider to whoever is logged in."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import (
    CONFLICT,
    TOO_MANY,
    UNAUTHORIZED,
    UNVERIFIED,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refused,
)
from crossauth_fastapi.fastapi_users._formpost import add_form_post
from crossauth_fastapi.fastapi_users._links import Links, knowing_links
from crossauth_fastapi.fastapi_users._oauth import CSRF_TOKEN_COOKIE_NAME, CsrfCookie, Flow, OAuth2AuthorizeResponse
from crossauth_fastapi.fastapi_users._oauthanswers import AUTHORIZE, CALLBACK_CODES, SameSite, check_accounts, unkept
from crossauth_fastapi.fastapi_users._ownchange import OwnChange, Proof
from crossauth_fastapi.fastapi_users._ownpassword import has_own_password
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists, UserChanged, UserNotExists
from crossauth_fastapi.fastapi_users.jwt import SecretType
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType
from crossauth_fastapi.fastapi_users.providers import as_client
from crossauth_fastapi.fastapi_users.schemas import U

_PROOF_CODES = (
    FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID, FurtherErrorCode.LOGIN_FACTOR2_INVALID,
    FurtherErrorCode.OAUTH_REDIRECT_URL_NEEDED,
)  # fmt: skip


class LinkProof(Proof):
    """What proves that linking an account is one's own wish, where that is asked for, and what to ask the provider for."""

    scopes: list[str] | None = None


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
    require_old_password: bool | None = None,
    core: Core | None = None,
) -> APIRouter:
    """`/authorize` and `/callback`: link an account at a provider to whoever is logged in; `DELETE /linked/{id}` unlinks it.

    Whoever is linked can log in, so where the old password is needed for a new one it is needed here too, and the second factor:
    `POST /authorize` takes them.

    Parameters:
        oauth_client: the provider, as for `get_oauth_router`.
        authenticator: knows who is logged in.
        get_user_manager: a dependency that gives the user manager.
        user_schema: the answer.
        state_secret: signs what binds a flow to a browser.
        redirect_url: where the provider sends the user back to.
        requires_verification: whether users must have proven their address.
        require_old_password: whether the old password must be sent. `None`: as the users router has it.
        csrf_token_cookie_name, csrf_token_cookie_path, csrf_token_cookie_domain, csrf_token_cookie_secure,
            csrf_token_cookie_httponly, csrf_token_cookie_samesite: the cookie that binds a flow to a browser.
        core: limits and events; see `FastAPIUsers`.

    Raises:
        CrossauthError: `Configuration`, as for `get_oauth_router`.
    """
    core, oauth_client = core or default_core(), as_client(oauth_client)
    core.serve(authenticator)
    core.claim_client(oauth_client, get_user_manager)
    router = new_router(core)
    cookie = CsrfCookie(
        name=csrf_token_cookie_name, path=csrf_token_cookie_path, domain=csrf_token_cookie_domain,
        secure=csrf_token_cookie_secure, httponly=csrf_token_cookie_httponly, samesite=csrf_token_cookie_samesite,
        site_url=core.site_url,
    )  # fmt: skip
    name = f"oauth-associate:{oauth_client.name}"
    flow = Flow(
        client=oauth_client, purpose="associate", secret=state_secret, redirect_url=redirect_url,
        route_name=f"{name}.callback", cookie=cookie, core=core,
    )  # fmt: skip

    def own() -> OwnChange:
        return OwnChange(core, core.asks_password if require_old_password is None else require_old_password)

    current = authenticator.current_user(active=True, verified=requires_verification)
    about: OpenAPIResponseType = {**UNAUTHORIZED, **(UNVERIFIED if requires_verification else {})}

    _add_authorize(router, flow, name, current, get_user_manager, about, authenticator, own)
    _add_associate_callback(router, flow, current, get_user_manager, user_schema, about, own)
    about = {**authenticator.describe_forbidden(), **about}
    _add_unlink(router, flow, f"{name}.unlink", current, get_user_manager, about)
    return router


def _add_authorize(
    router: APIRouter, flow: Flow, name: str, current: Any, get_user_manager: Any, about: OpenAPIResponseType,
    authenticator: Authenticator[Any, Any], own: Callable[[], OwnChange],
) -> None:  # fmt: skip
    @router.get(
        "/authorize",
        name=f"{name}.authorize",
        response_model=OAuth2AuthorizeResponse,
        responses={**about, **AUTHORIZE},
    )
    async def authorize(
        request: Request,
        response: Response,
        scopes: list[str] | None = Query(None),
        user: Any = Depends(current),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
    ) -> OAuth2AuthorizeResponse:
        check_accounts(user_manager)
        await own().allow_link(LinkProof(), user, user_manager, request)
        return await flow.begin(request, response, scopes, user)

    @router.post(
        "/authorize",
        name=f"{name}.prove",
        summary="Where to link an account, with what proves that it is one's own wish",
        response_model=OAuth2AuthorizeResponse,
        responses={
            **about,
            400: describe(*_PROOF_CODES),
            **authenticator.describe_forbidden(FurtherErrorCode.LOGIN_FACTOR2_REQUIRED),
            **TOO_MANY,
        },
    )
    async def prove(
        request: Request,
        response: Response,
        proof: LinkProof,
        user: Any = Depends(current),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
    ) -> OAuth2AuthorizeResponse:
        check_accounts(user_manager)
        await own().allow_link(proof, user, user_manager, request)
        return await flow.begin(request, response, proof.scopes, user)


def _add_associate_callback(
    router: APIRouter, flow: Flow, current: Any, get_user_manager: Any, user_schema: type[U], about: OpenAPIResponseType,
    own: Callable[[], OwnChange],
) -> None:  # fmt: skip
    responses: OpenAPIResponseType = {**about, 400: describe(*CALLBACK_CODES), **CONFLICT}

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
        iss: str | None = None,
        user: Any = Depends(current),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
    ) -> object:
        token = await flow.finish(request, code, state, error, user, iss)
        account = await flow.account(token)

        async def proves(user: Any, email: str) -> bool:
            # The password was given where the flow began, and is the same: the state rests on it.
            provided = own().asks_password and await has_own_password(flow.core.keys, user)
            return provided or await flow.proves(token, user, email)

        try:
            with knowing_links(Links(flow.core.keys, proves)):
                linked = await user_manager.oauth_associate_callback(
                    user, flow.client.name, token.access_token, account.id, account.email, token.expires_at,
                    token.refresh_token, request,
                )  # fmt: skip
        except UserAlreadyExists as e:
            raise refused(ErrorCode.OAUTH_USER_ALREADY_EXISTS) from e
        except (UserChanged, UserNotExists) as e:
            raise refused(ErrorCode.OAUTH_INVALID_STATE) from e
        except CrossauthError as e:
            raise unkept(flow, e) from e
        flow.core.emit(EventName.user_updated, request, linked, f"oauth account linked: {flow.client.name}")
        flow.leave(request, response, state)
        return user_schema.model_validate(linked)

    add_form_post(router, flow.client, flow.route_name)


def _add_unlink(
    router: APIRouter, flow: Flow, name: str, current: Any, get_user_manager: Any, about: OpenAPIResponseType
) -> None:
    responses: OpenAPIResponseType = {
        **about, 404: describe(FurtherErrorCode.OAUTH_ACCOUNT_NOT_LINKED), **CONFLICT,
    }  # fmt: skip

    # The id of an account may have a slash in it (Google's do); below a name of its own, so that no other route is caught.
    @router.delete(
        "/linked/{account_id:path}", status_code=204, name=name, summary="Unlink an account", responses=responses
    )
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
        await Links(flow.core.keys).forget(user, flow.client.name, account_id)
        flow.core.emit(EventName.user_updated, request, user, f"oauth account unlinked: {flow.client.name}")
        return Response(status_code=204)
