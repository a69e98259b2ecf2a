"""The one middleware: asks each source who is asking, and writes the queued cookies when the response starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.errors import as_reason, error_json
from crossauth_fastapi._middleware.protection import Protections
from crossauth_fastapi._middleware.state import RequestState


class Source(Protocol):
    """One way of knowing who is asking: a session cookie, a bearer token, an API key."""

    async def identify(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """Fill `state` where the request carries this source's credential.

        Called for every request, so it must cost nothing where there is no such credential. Returns the `receive` that the
        application is to read from: the given one, unless the body had to be read.
        """
        ...


class AuthenticationMiddleware:
    """Pure ASGI; one for an application, however many servers of ours it has.

    Parameters:
        app: what comes next.
        sources: asked in this order; the first to set `user` or `auth_type` is the last asked.
        protections: what is to be put before routes, at the latest when the first request comes.
        site_is_local: whether the site is on http://localhost; `None` to judge by each request.
    """

    def __init__(
        self, app: ASGIApp, sources: Sequence[Source], protections: Protections, site_is_local: bool | None = None
    ) -> None:
        self.app = app
        self.sources = sources
        self.protections = protections
        self.site_is_local = site_is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope["state"] = state = RequestState(scope, self.site_is_local)
        try:
            if self.protections.pending:
                self._protect()
            for source in self.sources:
                receive = await source.identify(scope, state, receive)
                if "auth_type" in state:
                    break
        except ClientDisconnect:
            return
        except CrossauthError as e:
            # A storage that cannot be reached: nobody can be known, so nothing is served as if nobody asked.
            await error_json(as_reason(e))(scope, receive, send)
            return

        async def send_with_cookies(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept") and state:
                _add_headers(message, state.response_headers())
            await send(message)

        await self.app(scope, receive, send_with_cookies)

    def _protect(self) -> None:
        """Put the guards before the routes of an application that was mounted, and so never started by itself."""
        try:
            self.protections.install()
        except CrossauthError as e:
            raise CrossauthError(ErrorCode.Configuration, detail=e.message) from e


def _add_headers(message: Message, headers: list[tuple[bytes, bytes]]) -> None:
    if not headers:
        return
    present = list(message.get("headers", ()))
    if any(name == b"set-cookie" for name, _ in headers) and not any(n == b"cache-control" for n, _ in present):
        # An answer that sets a cookie is one browser's; no cache on the way may keep it.
        present.append((b"cache-control", b"no-store"))
    message["headers"] = present + headers
