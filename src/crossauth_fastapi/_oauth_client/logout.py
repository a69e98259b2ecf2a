"""Logging out at the provider too: begun here (OpenID Connect RP-Initiated Logout), or told by it (Back-Channel Logout).

What is here ends first, and whatever the provider says. A link alone logs nobody out: the page asks, and its form has a CSRF
token.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token, random_value
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_backend.oauth.client.logout import LogoutToken
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_backend.oauth.wire.errors import InvalidRequest
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import CookieSettings
from crossauth_fastapi._actions.forms import CsrfBody, Ok
from crossauth_fastapi._http.bodies import FORM_TYPE, JsonOrFormData, content_type
from crossauth_fastapi._http.errors import NO_STORE
from crossauth_fastapi._http.oautherrors import oauth_json
from crossauth_fastapi._http.openapi import TITLED
from crossauth_fastapi._http.redirects import see_other
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint
from crossauth_fastapi._oauth_client.logout_markers import mark_logged_out
from crossauth_fastapi._oauth_client.steps import limited, provider_name, refuse_in_json
from crossauth_fastapi._pages.policy import EVERY_PAGE, PagePolicy

LOGGED_OUT: Final = "loggedout"
# A logout token that is older was held back by somebody (Back-Channel Logout §2.4 recommends two minutes).
OLDEST: Final = timedelta(days=1)
_LASTS: Final = timedelta(minutes=10)
_LONGEST_STATE: Final = 512
_LIMIT: Final = "logout_token_address"


class LogoutAnswer(Ok):
    """Where the browser is to go."""

    url: str = Field(description="Of the provider, to log out there as well, or of the page that says that it is done.")


class LogoutTokenBody(BaseModel):
    """What a provider sends when a login there has ended."""

    model_config = TITLED
    logout_token: str = Field(description="A signed logout token (OpenID Connect Back-Channel Logout §2.4).")


async def ask(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """The page that asks whether to log out."""
    provider = await ctx.client.end_session_url()
    # The form ends at the provider, and browsers hold the redirects after a form to the policy of its page.
    policy = EVERY_PAGE if provider is None else _leading_to(provider)
    form_url = state_of(request).url(f"{ctx.prefix}{ctx.options.logout_oidc_url.lstrip('/')}")
    variables = {"urls": {"logoutoidc": form_url}, "provider": provider_name(ctx), "leaves": provider is not None}
    return ctx.render(request, ctx.options.confirm_logout_page, variables, policy=policy)


def _leading_to(url: str) -> PagePolicy:
    """The policy of a page whose form ends at a URL of the provider."""
    try:
        return PagePolicy(form_action=(url,))
    except CrossauthError:
        # No policy can name a host like that. Whoever cannot go there is logged out here all the same.
        return EVERY_PAGE


async def log_out(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Log out here, and send the browser to the provider to log out there."""
    tokens = await ctx.tokens.load(request)
    url = await _end(ctx, request, tokens)
    response = see_other(url)
    response.background = _revoking(ctx, tokens)
    return response


async def log_out_in_json(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Log out here and get the provider's logout URL."""
    tokens = await ctx.tokens.load(request)
    url = await _end(ctx, request, tokens)
    return JSONResponse({"ok": True, "url": url}, headers=NO_STORE, background=_revoking(ctx, tokens))


async def come_back(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Say that it is done, to the browser that began it.

    Raises:
        CrossauthError: `Unauthorized` where `state` is missing, or of another browser.
    """
    sent, state = form.getAsStr("state") or "", state_of(request)
    cookie = _cookie(ctx, sent)
    if not 0 < len(sent) <= _LONGEST_STATE or not state.sent_values(cookie):
        raise CrossauthError(
            ErrorCode.Unauthorized,
            mark("This logout was started in another browser"),
            detail="logout: the state is another",
        )
    state.queue_deletion(cookie.shape(state.local).name, cookie.options(state.local))
    return ctx.render(request, ctx.options.logged_out_page, {"provider": provider_name(ctx)})


async def told_by_provider(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """End what the provider says has ended (Back-Channel Logout §2.5 to §2.8).

    Raises:
        OAuthError: the logout token is not valid, or was used.
        CrossauthError: `TooManyAttempts`.
    """
    keys = ctx.keys
    if keys is None:
        raise CrossauthError(ErrorCode.Configuration, detail="back-channel logout without a key storage")
    async with limited(ctx, request, **{_LIMIT: ctx.origin(request).address}):
        if content_type(request.headers.get("content-type", "")) != FORM_TYPE:
            raise InvalidRequest("A logout token is sent as a form")
        token = await ctx.client.verify_logout_token(form.getAsStr("logout_token") or "")
        used = await _use_once(keys, token, ctx.now)
    try:
        await mark_logged_out(keys, token, ctx.now)
    except Exception:
        # The provider sends it again.
        await keys.delete_key(used)
        raise
    ctx.events.emit(
        EventName.logged_out, None, address=ctx.origin(request).address, reason=f"at the provider {ctx.client.issuer}"
    )
    return Response(status_code=200, headers=NO_STORE)


async def refuse_provider(ctx: ClientContext, request: Request, e: Exception) -> Response:
    """Tell a provider that its logout token is not accepted (§2.8): 400, or 429 and 503 where it may be later."""
    return oauth_json(e, challenge=None)


async def _use_once(keys: KeyStorage, token: LogoutToken, now: datetime) -> str:
    """Use up a logout token; the key that says so."""
    if token.iat < (now - OLDEST).timestamp():
        raise InvalidRequest(mark("The logout token is invalid"), detail="logout token: iat")
    # Beyond this it is refused for its age.
    expires = datetime.fromtimestamp(token.iat, UTC) + OLDEST + timedelta(minutes=10)
    name = f"logout token {token.iss} {token.jti}"
    if not await consume_once(keys, name, now, expires):
        raise InvalidRequest(mark("The logout token is invalid"), detail="logout token: jti")
    return KeyPrefix.consumed + hash_token(name)


async def _end(ctx: ClientContext, request: Request, tokens: TokenSet | None) -> str:
    """End tokens and session of the browser; where it is to go then."""
    hint = tokens.id_token if tokens is not None and ctx.options.logout_id_token_hint else None
    own = ctx.options.post_logout_redirect_uri
    # Another page than ours would look at no state.
    state = None if own is not None else random_value(ctx.client.settings.state_length)
    back = own or f"{ctx.site_url}{ctx.prefix}{LOGGED_OUT}"
    await ctx.tokens.delete(request)
    if ctx.accounts is not None:
        await ctx.accounts.log_out(request)
    if state is not None:
        _remember(ctx, request, state)
    url = await ctx.client.end_session_url(id_token_hint=hint, post_logout_redirect_uri=back, state=state)
    if url is not None:
        return url
    return back if state is None else f"{back}?state={state}"


def _remember(ctx: ClientContext, request: Request, text: str) -> None:
    """Bind the `state` of a logout to the browser; a cookie for each lets two tabs log out at once."""
    state, cookie = state_of(request), _cookie(ctx, text)
    options = cookie.options(state.local, ctx.now + _LASTS)
    state.queue(Cookie(cookie.shape(state.local).name, "1", options))


def _cookie(ctx: ClientContext, state: str) -> SignedCookie:
    """The cookie of one logout: its name says of which, and there is nothing else to know of it."""
    name = hash_token(f"{ctx.name}\n{ctx.client.issuer}\n{state}")[:22]
    return SignedCookie(CookieSettings(), f"OAUTHLOGOUT-{name}", b"")


def _revoking(ctx: ClientContext, tokens: TokenSet | None) -> BackgroundTask | None:
    """What revokes the refresh token, after the answer: nobody has it any more, so it makes no difference to the browser."""
    if tokens is None or tokens.refresh_token is None:
        return None
    return BackgroundTask(ctx.client.revoke, tokens.refresh_token, "refresh_token")


def hears_of_logouts(ctx: ClientContext) -> bool:
    """Whether the provider can say that a login has ended: one of which the session knows by its tokens."""
    keeps = ctx.options.saves_tokens or ctx.options.token_response_type == "custom"
    return ctx.has_sessions and ctx.keys is not None and keeps


def _has_sessions(ctx: ClientContext) -> bool:
    return ctx.has_sessions


_FLOWS: Final = (OAuthFlows.OidcAuthorizationCode,)
ENDPOINTS: Final[tuple[ClientEndpoint, ...]] = (
    ClientEndpoint(
        name="logoutoidc", option="logout_oidc_url", method="GET", handler=ask, flows=_FLOWS, enabled=_has_sessions,
        needs_login=False, page=True, summary="Confirm logging out here and at the provider",
        operation_id="oauth_logout_page", templates=("confirm_logout_page",),
    ),
    ClientEndpoint(
        name="logoutoidc", option="logout_oidc_url", method="POST", handler=log_out, flows=_FLOWS, enabled=_has_sessions,
        needs_login=False, page=True, summary="Log out here and at the provider", operation_id="oauth_logout_form",
        events=(EventName.logged_out,),
    ),
    ClientEndpoint(
        name="logoutoidc", option="logout_oidc_url", api=True, method="POST", handler=log_out_in_json, flows=_FLOWS,
        enabled=_has_sessions, needs_login=False, refused=refuse_in_json,
        summary="Log out here and get the provider's logout URL", operation_id="oauth_logout",
        body=CsrfBody, answer=LogoutAnswer, events=(EventName.logged_out,),
    ),
    ClientEndpoint(
        name=LOGGED_OUT, method="GET", handler=come_back, flows=_FLOWS, needs_login=False, page=True,
        enabled=lambda ctx: ctx.has_sessions and ctx.options.post_logout_redirect_uri is None,
        summary="Return from logging out at the provider", operation_id="oauth_logged_out",
        templates=("logged_out_page",),
    ),
    ClientEndpoint(
        name="backchannellogout", option="backchannel_logout_url", method="POST", handler=told_by_provider, flows=_FLOWS,
        enabled=hears_of_logouts, csrf=False, needs_login=False, refused=refuse_provider,
        summary="Receive a back-channel logout from the provider", operation_id="oauth_backchannel_logout",
        body=LogoutTokenBody, for_servers=True, events=(EventName.logged_out,), limits=(_LIMIT,),
    ),
)  # fmt: skip
