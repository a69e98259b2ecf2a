"""The authorization code flows (RFC 6749 §4.1): beginning one, and what the authorization server answers.

Every flow has a `state` that belongs to the browser, and PKCE (RFC 7636) where the authorization server knows it, whichever of
the two URLs begins it (RFC 9700 §2.1.1). Where `openid` is among the scopes, the flow is one of OpenID Connect, with a nonce.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.secrets import random_value
from crossauth_backend.oauth.client.authcode import can_prove
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_fastapi._actions.forms import CsrfBody
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.redirects import found, local_path, see_other, with_query
from crossauth_fastapi._middleware.state import SAFE_METHODS, state_of
from crossauth_fastapi._oauth_client.answers import answer_tokens, as_crossauth_error, token_set
from crossauth_fastapi._oauth_client.attempts import MAX_TARGET, Attempt
from crossauth_fastapi._oauth_client.context import ClientContext, TokenAnswer
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint, Handler, ask_for_login
from crossauth_fastapi._oauth_client.formpost import PARAMETER
from crossauth_fastapi._oauth_client.signin import signed_in
from crossauth_fastapi._oauth_client.steps import count_flow, scope_of

OPENID: Final = "openid"
CALLBACK: Final = "authzcode"
_OIDC: Final = OAuthFlows.OidcAuthorizationCode
FLOWS: Final = (OAuthFlows.AuthorizationCode, OAuthFlows.AuthorizationCodeWithPKCE, _OIDC)
_NONCE_BYTES: Final = 32


class StartBody(CsrfBody):
    """Begins a flow."""

    scope: str | None = Field(None, description="What is asked for: names with spaces between them.")
    next: str | None = Field(None, description="Where the browser goes afterwards: a path of this site.")


async def start(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Send the browser to the authorization server."""
    return await begin(ctx, request, form, OAuthFlows.AuthorizationCode)


async def start_with_pkce(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """The same, and not without PKCE."""
    return await begin(ctx, request, form, OAuthFlows.AuthorizationCodeWithPKCE)


async def begin(
    ctx: ClientContext,
    request: Request,
    form: JsonOrFormData,
    flow: str,
    *,
    link: str = "",
    more: dict[str, str] | None = None,
) -> Response:
    """Begin a flow in the browser that asks, and send it to the authorization server.

    Parameters:
        ctx: the client.
        request: the request.
        form: has `scope` and `next`.
        flow: which one, if it is not one of OpenID Connect.
        link: the id of the user whose account is to be linked; empty for a login.
        more: further parameters for the authorization server.

    Raises:
        CrossauthError: the flow cannot begin.
    """
    needs_pkce = flow == OAuthFlows.AuthorizationCodeWithPKCE
    flow, scope = _flow_of(ctx, flow, form.getAsStr("scope") or "")
    is_openid = OPENID in scope.split(" ")
    challenge = verifier = None
    if needs_pkce or await _has_pkce(ctx):
        challenge, verifier = ctx.client.code_challenge_and_verifier()
    attempt = Attempt(
        flow=flow, purpose="link" if link else "login", verifier=verifier,
        nonce=random_value(_NONCE_BYTES) if is_openid else None, target=wanted(request, form), scope=scope, userid=link,
    )  # fmt: skip
    # Only where the browser is really sent there it has begun something.
    state = ctx.attempts.new_state()
    answer = await ctx.client.start_authorization_code_flow(
        state, scope or None, challenge, challenge is not None, nonce=attempt.nonce, redirect_uri=ctx.redirect_uri,
        extra=more,
    )  # fmt: skip
    url = answer.get("url")
    if url is None:
        raise as_crossauth_error(answer)
    ctx.attempts.begin(request, attempt, state)
    return found(url) if request.method in SAFE_METHODS else see_other(url)


def wanted(request: Request, form: JsonOrFormData) -> str:
    """Where the browser wants to go afterwards: a path of this site; empty where it does not say, or says another site."""
    target = local_path(form.getAsStr("next") or request.query_params.get("next"), "")
    return target if len(target.encode()) <= MAX_TARGET else ""


async def come_back(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Finish a flow that this browser has begun, with what the authorization server says."""
    packed = form.getAsStr(PARAMETER)
    fields = ctx.form_posts.open(packed) if packed else {name: form.getAsStr(name) for name in form}
    if ctx.attempts.knows(request, fields.get("state")):
        # From here on it costs a row, and a request to the authorization server.
        await count_flow(ctx, request)
    attempt = await ctx.attempts.take(request, fields.get("state"))
    # It may have been begun before the user had to log in for it, or logged out.
    ask_for_login(ctx, request, attempt.flow, may_redirect=False)
    response = await ctx.client.redirect_endpoint(
        fields.get("code"), fields.get("state"), attempt.verifier, fields.get("error"), fields.get("error_description"),
        nonce=attempt.nonce, iss=fields.get("iss"), redirect_uri=ctx.redirect_uri,
    )  # fmt: skip
    if "error" in response:
        raise as_crossauth_error(response)
    tokens = None
    if attempt.purpose == "link" or ctx.options.local_login:
        done = await signed_in(
            ctx, request, attempt, token_set(ctx, TokenAnswer(response, attempt.flow, attempt.target))
        )
        if isinstance(done, Response):
            return done
        tokens = done
    return await answer_tokens(ctx, request, response, attempt.flow, target=attempt.target, tokens=tokens)


async def come_back_by_form(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Turn the form into a request that has cookies."""
    to = state_of(request).url(ctx.callback)
    return see_other(with_query(to, **{PARAMETER: ctx.form_posts.close(form.to_dict())}))


def _flow_of(ctx: ClientContext, flow: str, scope: str) -> tuple[str, str]:
    """The flow that a request begins, and its scope."""
    has_openid = ctx.has_flow(_OIDC)
    scope = scope_of(ctx, scope) or _usual_scope(ctx, has_openid)
    if has_openid and not ctx.has_flow(flow) and OPENID not in scope.split(" "):
        scope = f"{OPENID} {scope}"
    return (_OIDC if has_openid and OPENID in scope.split(" ") else flow), scope


async def _has_pkce(ctx: ClientContext) -> bool:
    """Whether the authorization server does not say that it knows no PKCE of our kind (RFC 8414 §2)."""
    try:
        return can_prove(ctx.client.settings, await ctx.client.metadata())
    except CrossauthError:
        # Beginning the flow will say what is wrong.
        return True


def _usual_scope(ctx: ClientContext, has_openid: bool) -> str:
    provider = ctx.client.settings.provider
    if provider is not None:
        return provider.scope
    return OPENID if has_openid else ""


def _starters(
    name: str, flow: str, handler: Handler, operation_id: str, summary: str
) -> tuple[ClientEndpoint, ClientEndpoint]:
    """A URL that begins a flow: by POST as a form, and by GET as a link, which leaves nothing on the server."""
    by_post = ClientEndpoint(
        name=name,
        method="POST",
        handler=handler,
        summary=summary,
        operation_id=operation_id,
        flows=(flow, _OIDC),
        body=StartBody,
    )
    return replace(by_post, method="GET", operation_id=f"{operation_id}_page", page=True), by_post


ENDPOINTS: Final = (
    ClientEndpoint(
        name=CALLBACK,
        method="GET",
        handler=come_back,
        summary="Redirect URI: complete the authorization code flow",
        operation_id="oauth_client_callback",
        at_redirect_uri=True,
        flows=FLOWS,
        limits=("oauth_flow_address",),
        needs_login=False,
        page=True,
    ),
    ClientEndpoint(
        name=CALLBACK,
        method="POST",
        handler=come_back_by_form,
        summary="Redirect URI of an authorization server that answers with a form",
        operation_id="oauth_client_form_callback",
        at_redirect_uri=True,
        flows=FLOWS,
        needs_login=False,
        csrf=False,
        page=True,
    ),
    *_starters(
        "authzcodeflow", OAuthFlows.AuthorizationCode, start, "oauth_client_start", "Start the authorization code flow"
    ),
    *_starters(
        "authzcodeflowpkce",
        OAuthFlows.AuthorizationCodeWithPKCE,
        start_with_pkce,
        "oauth_client_start_pkce",
        "Start the authorization code flow with PKCE",
    ),
)
