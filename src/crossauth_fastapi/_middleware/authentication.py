"""The one middleware: asks each source who is asking, and writes the queued cookies when the response starts."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossauth_fastapi._http.address import believe_proxies
from crossauth_fastapi._middleware.identity import Identity, is_known_by_header
from crossauth_fastapi._middleware.latebody import look_again_when_late
from crossauth_fastapi._middleware.lifespan import Lifecycle
from crossauth_fastapi._middleware.site import Site
from crossauth_fastapi._middleware.sockets import watch
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState

_NO_STORE: Final = (b"cache-control", b"no-store")
# Where a browser's credential is, and where a program's is too.
_BY_COOKIE: Final = (b"Cookie",)
_BY_HEADER: Final = (b"Cookie", b"Authorization")


class Source(Protocol):
    """One way of knowing who is asking: a session cookie, a bearer token, an API key."""

    name: str
    """Which of `PRECEDENCE` it is."""
    ambient: bool
    """Whether browsers send its credential by themselves, as they do cookies, also for a page of somebody else's."""

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """What the request's credential of this kind says; `None` where it carries none.

        Called for every request, so it must cost nothing where there is no such credential. One that was sent and is refused
        is an identity with an `error`, unless nobody can tell it from another application's.
        """
        ...

    async def look_again(self, scope: Scope, state: RequestState) -> None:
        """Make sure that the credential still stands; asked where a request's body comes later than its headers, and from time to
        time on a WebSocket. Nothing happens where it said nothing before.

        Raises:
            CrossauthError: where it does not.
        """
        ...


class Attached(Protocol):
    """What the servers on one application have in common."""

    site: Site
    lifecycle: Lifecycle

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
        if attached.site.trusted_proxies:
            believe_proxies(scope, attached.site.trusted_proxies)
        state = RequestState(scope, attached.site)
        if state.nested:
            # An application of ours around this one goes on with its own, while this one still answers.
            scope = dict(scope)
        scope["state"] = state
        try:
            if not attached.lifecycle.running:
                await attached.lifecycle.start()
            for source in attached.sources if is_http else _for_socket(attached.sources, state):
                identity = await source.identify(scope, state)
                if identity is not None:
                    state.add_identity(source.name, identity)
            if state.method_ not in SAFE_METHODS:
                receive = await self._check_body(scope, state, receive)
        except ClientDisconnect:
            return
        except Exception as e:
            # Nobody can be known, so nothing is served as if nobody asked. Answered by the router, see `refusals`: within
            # every other middleware, which may have something to add (CORS headers, a log line).
            state.refusal = e

        receive, send = (receive, send) if is_http else watch(attached.sources, scope, state, receive, send)
        send = partial(_send_with_cookies, state, send)
        await self.app(scope, receive, send)

    async def _check_body(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """What a request that changes something needs besides: a look at its credentials again where the body comes late, and at
        the CSRF token where the browser may have sent it for a page of somebody else's.

        Returns:
            What the application is to read from.
        """
        for source in self.attached.sources:
            if source.name in state.identities:
                receive = look_again_when_late(source, scope, state, receive)
        check = state.site.csrf_check
        return receive if check is None or is_known_by_header(state.principal) else await check(state, receive)


def _for_socket(sources: Sequence[Source], state: RequestState) -> list[Source]:
    """Those that may say who opens a WebSocket: for a page of another site not by what the browser sends by itself."""
    return [source for source in sources if not source.ambient or state.from_this_site()]


def _send_with_cookies(state: RequestState, send: Send, message: Message) -> Awaitable[None]:
    kind = message["type"]
    if (kind == "http.response.start" or kind == "websocket.accept") and state.has_headers():
        _add_headers(message, state)
    return send(message)


def _add_headers(message: Message, state: RequestState) -> None:
    headers = state.response_headers() if state.sets_cookies or state.has_token else []
    personal = state.personal and message["type"] == "http.response.start"
    if not headers and not personal:
        return
    present = list(message.get("headers", ()))
    kept, varies = False, b""
    for name, value in present:
        if name == b"cache-control":
            kept = True
        elif name == b"vary":
            varies += b"," + value.lower()
    if not kept and (personal or state.sets_cookies):
        # An answer that is one browser's: no cache on the way may keep it, nor a browser for whoever uses it next.
        present.append(_NO_STORE)
    if personal:
        named = {part.strip() for part in varies.split(b",")} if varies else ()
        for name in _BY_HEADER if state.site.challenges else _BY_COOKIE:
            if name.lower() not in named and b"*" not in named:
                present.append((b"vary", name))
    message["headers"] = present + headers
