"""The one middleware: asks each source who is asking, and writes the queued cookies when the response starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._http.address import Network, believe_proxies
from crossauth_fastapi._http.errors import as_reason, error_json
from crossauth_fastapi._middleware.state import RequestState


class Source(Protocol):
    """One way of knowing who is asking: a session cookie, a bearer token, an API key."""

    async def identify(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """Fill `state` where the request carries this source's credential.

        Called for every request, so it must cost nothing where there is no such credential. Returns the `receive` that the
        application is to read from: the given one, unless the body had to be read.
        """
        ...


class Gate(Protocol):
    """What stands before a path, for whoever is known: it lets the request pass, changes it, or answers itself."""

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, by `app` or otherwise."""
        ...


class AuthenticationMiddleware:
    """Pure ASGI; one for an application, however many servers of ours it has.

    Parameters:
        app: what comes next.
        sources: asked in this order; the first to set `user` or `auth_type` is the last asked.
        gates: by path, what stands before it. Looked up only where somebody is known.
        site_is_local: whether the site is on http://localhost; `None` to judge by each request.
        proxies: the networks of the proxies that are believed.
    """

    def __init__(
        self,
        app: ASGIApp,
        sources: Sequence[Source],
        gates: Mapping[str, Gate],
        site_is_local: bool | None = None,
        proxies: Sequence[Network] = (),
    ) -> None:
        self.app = app
        self.sources = sources
        self.gates = gates
        self.site_is_local = site_is_local
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if self.proxies:
            believe_proxies(scope, self.proxies)
        scope["state"] = state = RequestState(scope, self.site_is_local)
        try:
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

        if "auth_type" in state and (gate := self.gates.get(scope["path"])) is not None:
            await gate(self.app, scope, receive, send_with_cookies)
            return
        await self.app(scope, receive, send_with_cookies)


def _add_headers(message: Message, headers: list[tuple[bytes, bytes]]) -> None:
    if not headers:
        return
    present = list(message.get("headers", ()))
    if any(name == b"set-cookie" for name, _ in headers) and not any(n == b"cache-control" for n, _ in present):
        # An answer that sets a cookie is one browser's; no cache on the way may keep it.
        present.append((b"cache-control", b"no-store"))
    message["headers"] = present + headers
