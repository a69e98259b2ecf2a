"""Answers to refusals that an application's own routes let through: a dependency's, mostly; and to those of the middleware."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, WebSocket
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.oauth.wire.bearer import extended_challenge
from crossauth_backend.oauth.wire.errors import (
    InsufficientScope,
    InsufficientUserAuthentication,
    InvalidToken,
    OAuthError,
)
from crossauth_fastapi._http.errors import LoginRequired, as_reason, error_json
from crossauth_fastapi._http.oautherrors import bearer_refusal, oauth_json
from crossauth_fastapi._http.redirects import found, see_other, with_query
from crossauth_fastapi._middleware.challenges import with_challenges
from crossauth_fastapi._middleware.sockets import POLICY_VIOLATION, TRY_AGAIN_LATER
from crossauth_fastapi._middleware.state import RequestState, state_of

# What RFC 6750 §3.1 and RFC 9470 §3 call a refusal of an access token.
_OF_RESOURCES: Final = (InvalidToken, InsufficientScope, InsufficientUserAuthentication)


async def refuse(request: Request | WebSocket, e: Exception) -> Response | None:
    """The refusal as JSON; but a browser that asked for a page gets one: the login page where a login is lacking, else an error
    page. A WebSocket is closed.
    """
    reason = as_reason(e)
    if isinstance(request, WebSocket):
        code = TRY_AGAIN_LATER if reason.http_status >= 500 else POLICY_VIOLATION
        await request.close(code, reason.code_name)
        return None
    answer = _as_page(request, e, reason) if prefers_html(request) else error_json(reason)
    # A browser that is sent to the login page is not challenged.
    return with_challenges(answer, state_of(request), reason) if answer.status_code >= 400 else answer


async def refuse_oauth(request: Request | WebSocket, e: OAuthError) -> Response | None:
    """An OAuth error that a route raised: with a challenge where it is about the access token (RFC 6750 §3), else as JSON (RFC
    6749 §5.2). A WebSocket is closed.
    """
    if isinstance(request, WebSocket):
        await request.close(TRY_AGAIN_LATER if e.status >= 500 else POLICY_VIOLATION, e.name)
        return None
    if not isinstance(e, _OF_RESOURCES):
        return oauth_json(e)
    scheme = state_of(request).site.challenges.get("bearer", 'Bearer realm="api"')
    return bearer_refusal(e, extended_challenge(scheme, e), e.body())


def _as_page(request: Request, e: Exception, reason: CrossauthError) -> Response:
    state = state_of(request)
    if isinstance(e, LoginRequired) and e.by_session and state.login_url is not None:
        # The form is shown to one who is logged in, too; the name is that of OpenID Connect Core §3.1.2.1.
        again = {"prompt": "login"} if e.again else {}
        if request.method in ("GET", "HEAD"):
            return found(with_query(state.login_url, next=state.here(request), **again))
        # What was sent is lost; the page with the form on it is where to go on.
        return see_other(with_query(state.login_url, next=_page_before(request), **again))
    return error_json(reason) if state.site.error_page is None else state.site.error_page(request, reason)


def _page_before(request: Request) -> str:
    """The page of this site that the request came from; empty where that is not known."""
    try:
        before = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    if before.netloc.lower() != request.headers.get("host", "").lower():
        return ""
    return before._replace(scheme="", netloc="", fragment="").geturl()


def prefers_html(request: HTTPConnection) -> bool:
    """Whether the Accept header names HTML before JSON, as every browser's does for a page."""
    kinds = [kind.partition(";")[0].strip() for kind in request.headers.get("accept", "").split(",")]
    return "text/html" in kinds and (
        "application/json" not in kinds or kinds.index("text/html") < kinds.index("application/json")
    )


def reject(connection: HTTPConnection, e: CrossauthError) -> Exception:
    """What a dependency raises for `e`: on a WebSocket, what closes it."""
    if connection.scope["type"] == "websocket":
        return WebSocketException(TRY_AGAIN_LATER if e.http_status >= 500 else POLICY_VIOLATION, e.code_name)
    return e


def answer_refusals(app: FastAPI) -> None:
    """Let the router of `app` raise what the middleware found, so that it is answered as any other refusal is.

    That is within every other middleware, in whatever order they were added, and by the application's own handlers.
    """
    route = app.router.middleware_stack

    def answer(scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        state = scope.get("state")
        if isinstance(state, RequestState) and state.refusal is not None:
            return _raise(scope, state.refusal)
        return route(scope, receive, send)

    app.router.middleware_stack = answer


async def _raise(scope: Scope, refusal: Exception) -> None:
    if scope["type"] == "websocket" and isinstance(refusal, CrossauthError):
        raise WebSocketException(TRY_AGAIN_LATER, as_reason(refusal).code_name)
    raise refusal
