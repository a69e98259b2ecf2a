"""The refresh token flow (RFC 6749 §6): of a token that is sent, or of the tokens in the session."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client import OAuthFlows
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._actions.forms import CsrfBody
from crossauth_fastapi._actions.request import read_body
from crossauth_fastapi._http.bodies import JsonOrFormData, bad_request
from crossauth_fastapi._http.errors import NO_STORE
from crossauth_fastapi._http.redirects import local_path
from crossauth_fastapi._oauth_client.answers import answer_tokens, as_crossauth_error, ask_application, go_on, shown
from crossauth_fastapi._oauth_client.bodies import RefreshAnswer, RefreshBody, TokensGiven
from crossauth_fastapi._oauth_client.context import ClientContext, TokenAnswer
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint, Handler
from crossauth_fastapi._oauth_client.steps import count_flow, refuse_in_json

_FLOW: Final = OAuthFlows.RefreshToken


async def begin(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Renew the tokens of the refresh token that is sent, or those of the session."""
    sent = read_body(RefreshBody, form).refresh_token
    before = await ctx.tokens.load(request) if ctx.has_sessions else None
    own = before.refresh_token if before is not None else None
    # That of the session is used with the session's tokens, and at no time twice, whoever sends it.
    if sent and not (ctx.options.saves_tokens and own is not None and equal(own, sent)):
        return await _renew_sent(ctx, request, sent)
    if own is None:
        raise bad_request("There is no refresh token")
    return await _answer(ctx, request, await _renewed(ctx, request, force=True), form)


def renewing(*, force: bool) -> Handler:
    """What renews the tokens of the session, and answers as after any flow.

    Parameters:
        force: whether it does so before they have ended, too.
    """

    async def renew(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
        return await _answer(ctx, request, await _renewed(ctx, request, force=force), form)

    return renew


def renewing_in_json(*, force: bool) -> Handler:
    """The same for scripts, which are told how long the access token is good for; 204 where there are no tokens.

    Parameters:
        force: whether it does so before they have ended, too.
    """

    async def renew(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
        if await ctx.tokens.load(request) is None:
            return Response(status_code=204, headers=NO_STORE)
        return _expiry(await _renewed(ctx, request, force=force))

    return renew


async def _renew_sent(ctx: ClientContext, request: Request, sent: str) -> Response:
    """Renew the tokens of a refresh token that the browser has, as those of `send_json` are renewed."""
    await count_flow(ctx, request)
    response = await ctx.client.refresh_token_flow(sent)
    if "error" in response:
        raise as_crossauth_error(response)
    if ctx.options.saves_tokens:
        # One that is not replaced goes on (RFC 6749 §6).
        response.setdefault("refresh_token", sent)
    return await answer_tokens(ctx, request, response, _FLOW)


async def _renewed(ctx: ClientContext, request: Request, *, force: bool) -> TokenSet:
    """The tokens of the session, renewed where they have to be.

    Raises:
        CrossauthError: `InvalidSession` where there are none, or the provider says that they have ended for good; an error of
            another status where nobody can say.
    """
    if force:
        # As often as somebody likes, and each time the provider is asked.
        await count_flow(ctx, request)
    tokens = await ctx.tokens.fresh(request, force=force)
    if tokens is None or tokens.is_expired(ctx.now, timedelta(0)):
        raise CrossauthError(ErrorCode.InvalidSession, mark("Your tokens have expired. Log in again."))
    return tokens


async def _answer(ctx: ClientContext, request: Request, tokens: TokenSet, form: JsonOrFormData) -> Response:
    """Answer a request whose tokens are in the session already: they stay there."""
    kind, after = ctx.options.token_response_type, local_path(form.getAsStr("next"), "")
    if kind == "save_in_session_and_redirect":
        return go_on(ctx, request, after)
    if kind == "save_in_session_and_load":
        return ctx.render(request, ctx.options.authorized_page, {**shown(ctx, tokens), "next": after})
    if kind == "custom":
        return await ask_application(ctx, request, TokenAnswer(tokens.response(ctx.now), _FLOW, after, tokens))
    return _expiry(tokens)


def _expiry(tokens: TokenSet) -> Response:
    return JSONResponse({"ok": True, "expires_at": tokens.expires_at}, headers=NO_STORE)


def _has_sessions(ctx: ClientContext) -> bool:
    return ctx.has_sessions


def _of_session(name: str, *, force: bool, summary: str, operation_id: str) -> tuple[ClientEndpoint, ClientEndpoint]:
    """An endpoint that renews the tokens of the session, and its JSON twin."""
    limits = ("oauth_flow_address",) if force else ()
    page = ClientEndpoint(
        name=name, method="POST", handler=renewing(force=force), flows=(_FLOW,), enabled=_has_sessions,
        summary=f"{summary} and continue", operation_id=f"{operation_id}_page",
        body=CsrfBody, answer=TokensGiven, templates=("authorized_page",), limits=limits,
    )  # fmt: skip
    api = ClientEndpoint(
        name=name, api=True, method="POST", handler=renewing_in_json(force=force), flows=(_FLOW,),
        enabled=_has_sessions, refused=refuse_in_json, summary=summary, operation_id=operation_id,
        body=CsrfBody, answer=RefreshAnswer, may_be_empty=True, limits=limits,
    )  # fmt: skip
    return page, api


ENDPOINTS: Final = (
    ClientEndpoint(
        name="refreshtokenflow", method="POST", handler=begin, flows=(_FLOW,), summary="Refresh tokens",
        operation_id="oauth_client_refresh_token_flow", body=RefreshBody, answer=TokensGiven, limits=("oauth_flow_address",),
    ),
    *_of_session(
        "refreshtokensifexpired", force=False, summary="Refresh the tokens of the session if they have expired",
        operation_id="oauth_client_refresh_tokens_if_expired",
    ),
    *_of_session(
        "refreshtokens", force=True, summary="Refresh the tokens of the session", operation_id="oauth_client_refresh_tokens",
    ),
)  # fmt: skip
