"""The one middleware: asks each source who is asking, and writes the queued cookies when the response starts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol

from fastapi import FastAPI
from starlette.exceptions import WebSocketException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._http.errors import as_reason
from crossauth_fastapi._http.proxies import believe_proxies
from crossauth_fastapi._middleware.identity import has_ambient, is_known_by_header
from crossauth_fastapi._middleware.languages import SpokenApp
from crossauth_fastapi._middleware.lifespan import Lifecycle
from crossauth_fastapi._middleware.site import Site
from crossauth_fastapi._middleware.sockets import TRY_AGAIN_LATER, watch
from crossauth_fastapi._middleware.sources import Source
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState
from crossauth_fastapi._middleware.whereabouts import is_from_this_site

_NO_STORE: Final = (b"cache-control", b"no-store")
# Where a browser's credential is, and where a program's is too.
_BY_COOKIE: Final = (b"Cookie",)
_BY_HEADER: Final = (*_BY_COOKIE, b"Authorization")
# Seconds after which a body has come later than the request that it belongs to.
_LATE: Final = 0.005


class Attached(Protocol):
    """What the servers on one application have in common."""

    site: Site
    lifecycle: Lifecycle
    headers: set[bytes]
    """Those that can hold a credential."""
    anywhere: bool
    """Whether a source looks for its credential elsewhere too."""

    @property
    def sources(self) -> Sequence[Source]:
        """All of them."""
        ...


class AuthenticationMiddleware:
    """Pure ASGI; one for an application, however many servers of ours it has.

    Parameters:
        app: what comes next.
        attached: the application's site; its sources, every one of which is asked; and what has to be ready before the first
            request is served.
    """

    def __init__(self, app: ASGIApp, attached: Attached) -> None:
        self.app = app
        self.attached = attached

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        attached, is_http = self.attached, scope["type"] == "http"
        if attached.site.trusted_proxies is not None:
            believe_proxies(scope, attached.site.trusted_proxies)
        state = RequestState(scope, attached.site)
        # An application of ours around this one goes on with its own, while this one still answers.
        scope = dict(scope) if state.nested else scope
        scope["state"] = state
        try:
            if not attached.lifecycle.running:
                await attached.lifecycle.start()
            held = [name for name, _ in scope["headers"] if name in attached.headers]
            if held or attached.anywhere:
                await _ask(attached.sources if is_http else _for_socket(attached.sources, state), held, scope, state)
            if state.method not in SAFE_METHODS:
                receive = await self._check_body(scope, state, receive)
        except ClientDisconnect:
            return
        except Exception as e:
            # Nobody can be known, so nothing is served as if nobody asked. Answered by the router, see `answer_refusals`: within
            # every other middleware, which may have something to add (CORS headers, a log line).
            state.refusal = e

        receive, send = (receive, send) if is_http else watch(attached.sources, scope, state, receive, send)
        send = partial(_send_with_cookies, state, send)
        languages = attached.site.languages
        await (self.app if languages is None else SpokenApp(self.app, languages))(scope, receive, send)

    async def _check_body(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """What a request that changes something needs besides: a look at its credentials again where the body comes late, and at
        the CSRF token where the browser may have sent it for a page of somebody else's.

        Returns:
            What the application is to read from.
        """
        for source in self.attached.sources:
            if source.name in state.identities:
                receive = _recheck_when_late(source, scope, state, receive)
        check = state.site.csrf_check
        needless = is_known_by_header(state.principal) and not has_ambient(state.identities)
        return receive if check is None or needless else await check(state, receive)


async def _ask(sources: Sequence[Source], held: Sequence[bytes], scope: Scope, state: RequestState) -> None:
    """Ask each of `sources` whose credential can be in one of the headers `held` who sends the request."""
    for source in sources:
        if source.header is None or source.header in held:
            identity = await source.identify(scope, state)
            if identity is not None:
                state.add_identity(source.name, identity)


def _for_socket(sources: Sequence[Source], state: RequestState) -> list[Source]:
    """Those that may say who opens a WebSocket: for a page of another site not by what the browser sends by itself."""
    return [source for source in sources if not source.ambient or is_from_this_site(state)]


def _recheck_when_late(source: Source, scope: Scope, state: RequestState, receive: Receive) -> Receive:
    """A `receive` that has `source` look at its credential once more where the body ends later than it should.

    Whoever holds a stolen credential could else send the headers of a request, wait until the account was taken back, and send
    the body then.
    """
    looked = time.monotonic()

    async def again() -> Message:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body") and time.monotonic() - looked > _LATE:
            await source.recheck(scope, state)
        return message

    return again


def _send_with_cookies(state: RequestState, send: Send, message: Message) -> Awaitable[None]:
    kind = message["type"]
    if (kind == "http.response.start" or kind == "websocket.accept") and (
        state.personal or state.sets_cookies or state.has_token
    ):
        _add_headers(message, state)
    return send(message)


def _add_headers(message: Message, state: RequestState) -> None:
    headers = state.response_headers() if state.sets_cookies or state.has_token else []
    personal = state.personal and message["type"] == "http.response.start"
    if not headers and not personal:
        return
    present = list(message.get("headers", ()))
    stored, varies = False, b""
    for name, value in present:
        if name == b"cache-control":
            stored = True
        elif name == b"vary":
            varies += b"," + value.lower()
    if not stored and (personal or state.sets_cookies):
        # An answer that is one browser's: no cache on the way may keep it, nor a browser for whoever uses it next.
        present.append(_NO_STORE)
    if personal:
        differs = _BY_HEADER if state.site.challenges else _BY_COOKIE
        # Nearly every answer says nothing of that by itself.
        more = _not_named(differs, varies) if varies else differs
        if more:
            present.append((b"vary", b", ".join(more)))
    message["headers"] = present + headers


def _not_named(differs: Sequence[bytes], varies: bytes) -> list[bytes]:
    """Those of `differs` that a response does not name in its own `Vary`."""
    named = {part.strip() for part in varies.split(b",")}
    return [] if b"*" in named else [header for header in differs if header.lower() not in named]


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
