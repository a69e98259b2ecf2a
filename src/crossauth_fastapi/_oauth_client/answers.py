"""What is answered when a flow has given tokens, or an error.

The options `token_response_type` and `error_response_type` say how.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, cast

from fastapi import Request
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.texts import for_json
from crossauth_backend.oauth.client.responses import OAuthTokenResponse
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._http.errors import NO_STORE, as_reason, error_variables, json_headers, with_retry_after
from crossauth_fastapi._http.redirects import found, see_other
from crossauth_fastapi._middleware.state import SAFE_METHODS, state_of
from crossauth_fastapi._oauth_client.context import ClientContext, TokenAnswer
from crossauth_fastapi._oauth_client.decoded import decode_payload

logger = logging.getLogger("crossauth.oauth")
_C = ErrorCode
# Errors of an authorization server that say what a user or an operator can do about it, and the status that they get here. That
# something is still to be waited for is for the flows that wait; elsewhere it makes no sense.
_REASONS: Final[Mapping[str, tuple[ErrorCode, int]]] = {
    "access_denied": (_C.Unauthorized, 401),
    "consent_required": (_C.Unauthorized, 401),
    "expired_token": (_C.ExpiredToken, 401),
    "interaction_required": (_C.Unauthorized, 401),
    "insufficient_scope": (_C.InsufficientScope, 403),
    "invalid_client": (_C.UnauthorizedClient, 401),
    "invalid_grant": (_C.Unauthorized, 401),
    "invalid_request": (_C.BadRequest, 400),
    "invalid_scope": (_C.InvalidScope, 400),
    "invalid_target": (_C.BadRequest, 400),
    "invalid_token": (_C.InvalidToken, 401),
    "login_required": (_C.Unauthorized, 401),
    "mfa_required": (_C.MfaRequired, 401),
    "temporarily_unavailable": (_C.Connection, 503),
    "unauthorized_client": (_C.UnauthorizedClient, 401),
    "unsupported_grant_type": (_C.BadRequest, 400),
    "unsupported_response_type": (_C.BadRequest, 400),
}
_LONGEST: Final = 300
# The flow of tokens that an application says that it got.
ANY_FLOW: Final = "application"
_RAW: Final = ("access_token", "refresh_token", "id_token")


async def answer_tokens(
    ctx: ClientContext,
    request: Request,
    response: OAuthTokenResponse,
    flow: str,
    *,
    target: str = "",
    tokens: TokenSet | None = None,
) -> Response:
    """Answer a request that a flow has given tokens, as the option `token_response_type` says.

    Parameters:
        ctx: the client.
        request: the request.
        response: what the flow has returned. An error is raised.
        flow: which one, by its name in `OAuthFlows`.
        target: where the browser is to go on, a path of this site; empty for what the options say.
        tokens: as they are to be kept, where something was added to what is in the response.

    Raises:
        CrossauthError: the response is an error, or the tokens cannot be kept.
    """
    if "error" in response or not response.get("access_token"):
        raise as_crossauth_error(response)
    ctx = ctx.at(state_of(request).root_path)
    return await _ANSWERS[ctx.options.token_response_type](
        ctx, request, TokenAnswer(response, flow, target, tokens=tokens)
    )


async def show_json(ctx: ClientContext, request: Request, answer: TokenAnswer) -> Response:
    """The token response as JSON."""
    return JSONResponse({"ok": True, **json_of(answer.response)}, headers=NO_STORE)


async def show_page(ctx: ClientContext, request: Request, answer: TokenAnswer) -> Response:
    """The page after a flow, with the token response as its variables."""
    return ctx.render(request, ctx.options.authorized_page, {**json_of(answer.response), "tokens": True})


async def save_and_load(ctx: ClientContext, request: Request, answer: TokenAnswer) -> Response:
    """Keep the tokens in the session, and show the page after a flow: without them."""
    tokens = await keep(ctx, request, answer)
    return ctx.render(request, ctx.options.authorized_page, {**shown(ctx, tokens), "next": answer.target})


async def save_and_redirect(ctx: ClientContext, request: Request, answer: TokenAnswer) -> Response:
    """Keep the tokens in the session, and send the browser on."""
    await keep(ctx, request, answer)
    return go_on(ctx, request, answer.target)


async def ask_application(ctx: ClientContext, request: Request, answer: TokenAnswer) -> Response:
    """Let the application answer.

    Raises:
        CrossauthError: `Configuration` where it returns anything but a response.
    """
    told = cast(OAuthTokenResponse, json_of(answer.response))
    made = await call_hook(ctx.options.receive_token_fn or _none, told, ctx.client, request, Response())
    if not isinstance(made, Response):
        raise CrossauthError(
            _C.Configuration,
            detail=f"option 'receive_token_fn': the function must return a Response, not {type(made).__name__}",
        )
    return made


_ANSWERS: Final = {
    "send_json": show_json,
    "send_in_page": show_page,
    "save_in_session_and_load": save_and_load,
    "save_in_session_and_redirect": save_and_redirect,
    "custom": ask_application,
}


async def keep(ctx: ClientContext, request: Request, answer: TokenAnswer) -> TokenSet:
    """Keep the tokens of an answer in the session.

    Raises:
        CrossauthError: they cannot be kept.
    """
    tokens = token_set(ctx, answer)
    await ctx.tokens.save(request, tokens, renew=answer.before is None)
    return tokens


def token_set(ctx: ClientContext, answer: TokenAnswer) -> TokenSet:
    """The tokens of an answer, as they are kept.

    Raises:
        CrossauthError: the response is an error.
    """
    if answer.tokens is not None:
        return answer.tokens
    try:
        return TokenSet.from_response(
            answer.response, issuer=issuer_of(ctx, answer.response), now=ctx.now, flow=answer.flow, before=answer.before
        )
    except ValueError:
        raise as_crossauth_error(answer.response) from None


def issuer_of(ctx: ClientContext, response: OAuthTokenResponse) -> str:
    """Who issued the tokens of a response: what the verified ID token says, where there is one; it may be a tenant's."""
    issuer = (response.get("id_payload") or {}).get("iss")
    return issuer if isinstance(issuer, str) else ctx.client.issuer


def go_on(ctx: ClientContext, request: Request, target: str = "") -> Response:
    """Send a browser on after a flow: to `target`, or to what the option `authorized_url` says."""
    state, url = state_of(request), ctx.options.authorized_url
    to = target or (state.link(url) if url.startswith("/") or "://" in url else state.url(ctx.prefix + url))
    return found(to) if request.method in SAFE_METHODS else see_other(to)


def json_of(response: OAuthTokenResponse) -> dict[str, Any]:
    """A token response as it is sent: as it came, and the decoded ID token as `id_payload`."""
    told: dict[str, Any] = dict(response)
    if "id_payload" not in told:
        payload = decode_payload(response.get("id_token"))
        if payload is not None:
            told["id_payload"] = payload
    return told


def shown(ctx: ClientContext, tokens: TokenSet) -> dict[str, Any]:
    """What a page may say of tokens that are kept on the server: everything but themselves."""
    told: dict[str, Any] = {name: value for name, value in tokens.response(ctx.now).items() if name not in _RAW}
    return told | {f"have_{name}": getattr(tokens, name) is not None for name in _RAW}


async def answer_error(ctx: ClientContext, request: Request, e: Exception) -> Response:
    """Answer a request that failed, as the option `error_response_type` says, after logging it. It raises nothing.

    Parameters:
        ctx: the client.
        request: the request.
        e: why.
    """
    reason = as_reason(e)
    kind, ctx = ctx.options.errors_as, ctx.at(state_of(request).root_path)
    if kind == "json_error":
        return error_json(reason)
    try:
        if kind == "page_error":
            return error_page(ctx, request, reason)
        made = await call_hook(ctx.options.error_fn or _none, ctx.server, request, Response(), reason)
        if isinstance(made, Response):
            return made
        raise CrossauthError(
            _C.Configuration,
            detail=f"option 'error_fn': the function must return a Response, not {type(made).__name__}",
        )
    except Exception as failed:
        # An error must not become another one on its way out.
        return error_json(as_reason(failed))


def error_json(e: CrossauthError) -> Response:
    """An error as JSON, with `ok` false and the documented fields."""
    return with_retry_after(
        JSONResponse(for_json({"ok": False, **error_fields(e)}), e.http_status, headers=json_headers()), e
    )


def error_page(ctx: ClientContext, request: Request, e: CrossauthError) -> Response:
    """An error as the page that the option `error_page` names."""
    variables = {**error_variables(e), **error_fields(e), "httpStatus": e.http_status}
    return with_retry_after(ctx.render(request, ctx.options.error_page, variables, e.http_status), e)


def error_fields(e: CrossauthError) -> dict[str, Any]:
    """The documented fields of an error of the client: `status`, `error_message`, `error_messages`, `error_code`,
    `error_code_name`.
    """
    return {
        "status": e.http_status,
        "error_message": e.message,
        "error_messages": e.messages,
        "error_code": e.code.value,
        "error_code_name": e.code_name,
    }


def as_crossauth_error(response: Mapping[str, Any]) -> CrossauthError:
    """The reason that an error of a flow stands for. What the authorization server says of it is shown, unless it is no text.

    Parameters:
        response: has `error`, and perhaps `error_description`.
    """
    error, declared = response.get("error"), response.get("error_description")
    code, status = _REASONS.get(error, (_C.FetchError, 502)) if isinstance(error, str) else (_C.FetchError, 502)
    name = error if isinstance(error, str) and error.isascii() and error.isprintable() else "no error name"
    # A failure of the other side is said in our words: its own are for whoever runs it.
    public = _clean(declared) if status < 500 or code is _C.Connection else None
    return CrossauthError(code, public, detail=f"the authorization server says: {name[:_LONGEST]}", status=status)


def log_tokens_of(response: Mapping[str, Any]) -> None:
    """Log which tokens came, and what kinds of claims they have: by a hash, never a token."""
    for name in _RAW:
        token = response.get(name)
        if isinstance(token, str):
            claims = ", ".join(sorted(str(claim)[:40] for claim in decode_payload(token) or {}))
            logger.debug("%s %s… (%s)", name, hash_token(token)[:8], claims or "not a JWT")


def _clean(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    stored = "".join(c for c in text[:_LONGEST] if c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF).strip()
    return stored or None


def _none(*args: Any) -> None:
    """Stands for a function that the options do not name; the start has seen to it that they do."""
