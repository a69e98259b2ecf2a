"""What the flows share that ask the user, or another device, in between: counting, names, and what a page carries."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.oauth.client import OAuthTokenResponse
from crossauth_fastapi._http.bodies import bad_request
from crossauth_fastapi._http.errors import NO_STORE, as_reason, error_variables
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.answers import answer_tokens, error_json, keep, show_json, shown
from crossauth_fastapi._oauth_client.context import ClientContext, TokenAnswer

# A second factor is asked for, and given, in this time; as long as an attempt at the authorization code flow.
LASTS: Final = timedelta(minutes=10)
# RFC 6749 §3.3.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_MAX_SCOPE: Final = 1000
# Errors that say nothing of what was sent.
UNAVAILABLE: Final = ("temporarily_unavailable", "server_error")
# Errors after which the same request may succeed, once somebody has confirmed elsewhere (RFC 8628 §3.5).
WAITING: Final = ("authorization_pending", "slow_down")


def counted_by(ctx: ClientContext, subject: str) -> str:
    """`subject` at the provider of `ctx`, for counting: the same name here, or at another provider, is somebody else."""
    return f"{ctx.client.issuer} {ctx.client.client_id} {subject}"


def limited(ctx: ClientContext, request: Request, **subjects: str | None) -> AbstractAsyncContextManager[None]:
    """Count an attempt before the block makes it, and give it back where the block succeeds.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    return ctx.limits.attempt(subjects, ctx.events, address=ctx.origin(request).address)


async def count(ctx: ClientContext, request: Request, **subjects: str | None) -> None:
    """Count what costs the provider something whether or not it succeeds.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    await ctx.limits.count(subjects, ctx.events, address=ctx.origin(request).address)


async def count_flow(ctx: ClientContext, request: Request) -> None:
    """Count a flow that anybody can begin, and that the provider is asked for at once.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    await count(ctx, request, oauth_flow_address=ctx.origin(request).address)


def browser_of(ctx: ClientContext, request: Request) -> str:
    """What marks the browser of the request, for `Seals`; empty where it has no mark."""
    return next(iter(state_of(request).sent_values(ctx.seals.cookie)), "")


def marked_browser(ctx: ClientContext, request: Request) -> str:
    """The same; a browser without one is marked, with the response.

    Without sessions there is no login that could be planted, and programs without cookies may use the flow: they get no mark.
    """
    state = state_of(request)
    mark = browser_of(ctx, request)
    if mark or not ctx.has_sessions:
        return mark
    mark, cookie = ctx.seals.new_browser(state.local)
    state.queue(cookie)
    return mark


def scope_of(ctx: ClientContext, wanted: str | None) -> str:
    """The scope to ask for: what is wanted, or the option `default_scope`; empty for none.

    Raises:
        CrossauthError: `BadRequest` for what is no scope.
    """
    scope = wanted or ctx.options.default_scope or ""
    if len(scope) > _MAX_SCOPE or (scope and not _SCOPE.fullmatch(scope)):
        raise bad_request("scope must be names with single spaces between them")
    return scope


def provider_name(ctx: ClientContext) -> str:
    """What pages call the provider: its name, if it is a known one, or its host."""
    known = ctx.client.settings.provider
    if known is not None and known.title:
        return known.title
    return urlsplit(ctx.client.issuer).hostname or ""


def page_error(e: CrossauthError) -> dict[str, Any]:
    """The variables of an error on a page of a flow, under both spellings that are documented."""
    view = error_variables(e)
    return {
        **view,
        "error_message": view["errorMessage"],
        "error_messages": view["errorMessages"],
        "error_code": view["errorCode"],
        "error_code_name": view["errorCodeName"],
        "error": e.oauthErrorCode,
        "error_description": view["errorMessage"],
    }


def is_users(e: CrossauthError) -> bool:
    """Whether the user can do something about it, so that the form is shown again; all else is answered as an error is."""
    return e.http_status < 500


def wants_json(request: Request) -> bool:
    """Whether a script asks: one that names JSON and not HTML. Forms are answered by pages, whatever the program."""
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


async def answer_in_json(ctx: ClientContext, request: Request, response: OAuthTokenResponse, flow: str) -> Response:
    """Answer the JSON twin of an endpoint: as `answer_tokens`, but never by a page or a redirect.

    Where tokens are kept in the session, the answer says that there are some, and not what they are.

    Raises:
        CrossauthError: as `answer_tokens`.
    """
    if ctx.options.token_response_type == "custom":
        return await answer_tokens(ctx, request, response, flow)
    answer = TokenAnswer(response, flow)
    if not ctx.options.saves_tokens:
        return await show_json(ctx, request, answer)
    tokens = await keep(ctx, request, answer)
    return JSONResponse({"ok": True, **shown(ctx, tokens)}, headers=NO_STORE)


async def refuse_in_json(ctx: ClientContext, request: Request, e: Exception) -> Response:
    """Answer an error of an endpoint for scripts: as JSON, whatever `error_response_type` says."""
    return error_json(as_reason(e))
