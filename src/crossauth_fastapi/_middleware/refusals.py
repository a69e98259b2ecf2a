"""Answers to refusals that an application's own routes let through: a dependency's, mostly; and to those of the middleware."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, WebSocket
from starlette.exceptions import WebSocketException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response

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
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._middleware.whereabouts import here, login_url

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


async def answer_nobody(request: Request | WebSocket, e: ClientDisconnect) -> Response | None:
    """An answer that is not read: the client disconnected while it sent the request. That is no error, and is not logged."""
    return None if isinstance(request, WebSocket) else Response(status_code=400)


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
    to = login_url(state)
    if isinstance(e, LoginRequired) and e.by_session and to is not None:
        # The form is shown to one who is logged in, too; the name is that of OpenID Connect Core §3.1.2.1.
        again = {"prompt": "login"} if e.again else {}
        if request.method in ("GET", "HEAD"):
            return found(with_query(to, next=here(state, request), **again))
        # What was sent is lost; the page with the form on it is where to go on.
        return see_other(with_query(to, next=_page_before(request), **again))
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
