"""A site with a backend-for-frontend, and the API behind it, each on a socket of its own."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from crossauth_backend.core.http_stream import StreamClient
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi import FastApiServer
from crossauth_fastapi._middleware.order import servers_on
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.bff.access import Access, Allowance
from crossauth_fastapi._oauth_client.bff.options import read_passage
from crossauth_fastapi._oauth_client.bff.routes import add_passage
from crossauth_fastapi._oauth_client.options import BffEndpoint, ClientServerSettings
from tests.services.uvicorn import serve
from tests.support import Client, make_server

ALL = ["GET", "POST", "PUT", "DELETE", "PATCH"]
ENDPOINTS = (
    BffEndpoint("/echo", ALL, True),
    BffEndpoint("/read", ["GET"], False),
    BffEndpoint("/answer", ["GET", "POST"], False),
    BffEndpoint("/stream", ["GET", "POST"], True),
    BffEndpoint("/ws", ["GET"], True),
)
# Seconds until the API hears that the browser has left.
LEAVING = 1.0


class Api:
    """An API that says what it was sent, and does what it is told.

    `answer` is what `/answer` answers, status, headers and body; `seen` are the requests that came, `gone` the streams whose
    client has left, `open` how many there are just now.
    """

    def __init__(self) -> None:
        self.answer: tuple[int, list[tuple[bytes, bytes]], bytes] = (200, [], b"")
        self.seen: list[dict[str, Any]] = []
        self.gone: list[str] = []
        self.open = 0
        self.accepts: set[str] | None = None
        """Access tokens that are good; any, where it is `None`."""
        self.received = 0
        self.go_on = threading.Event()
        self.url = ""
        self.moved = ""
        """Where WebSockets are redirected to."""

    def forget(self) -> None:
        """Forget what came, once the streams of another test have ended."""
        assert soon(lambda: self.open == 0)
        self.seen.clear()
        self.gone.clear()

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/echo", self._echo, methods=[*ALL, "OPTIONS"]),
                Route("/v1/echo/{path:path}", self._echo, methods=ALL),
                Route("/v1/read", self._echo, methods=ALL),
                Route("/v1/answer", _Answer(self)),
                Route("/v1/secret", self._echo),
                Route("/v1/stream/events", self._events, methods=["GET", "POST"]),
                Route("/v1/stream/bytes", self._bytes),
                Route("/v1/stream/silence", _Silence(self), methods=["GET", "POST"]),
                Route("/v1/stream/cut", _Cut()),
                Route("/v1/stream/upload", self._upload, methods=["POST"]),
                Route("/v1/stream/slow", self._slow_upload, methods=["POST"]),
                Route("/v1/stream/early", _Early(), methods=["POST"]),
                WebSocketRoute("/v1/ws", self._socket),
                WebSocketRoute("/v1/ws/{path:path}", self._socket),
            ]
        )

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        token = connection.headers.get("authorization", "").removeprefix("Bearer ")
        if self.accepts is None or token in self.accepts:
            return None
        return Response("no", 401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})

    async def _echo(self, request: Request) -> Response:
        body = await request.body()
        told = {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.scope["headers"]],
            "body": body.decode("latin-1"),
        }
        self.seen.append(told)
        return self._refusal(request) or JSONResponse(told)

    async def _events(self, request: Request) -> Response:
        async def events() -> Any:
            self.open += 1
            try:
                yield b"data: first\n\n"
                for number in range(1000):
                    while not self.go_on.is_set():
                        await asyncio.sleep(0.01)
                    yield f"data: {number}\n\n".encode()
                    await asyncio.sleep(0.01)
            finally:
                self.gone.append("events")
                self.open -= 1

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _bytes(self, request: Request) -> Response:
        size, part = int(request.query_params["size"]), b"x" * 262_144

        async def parts() -> Any:
            left = size
            while left > 0:
                yield part[:left]
                left -= len(part)

        headers = {} if "chunked" in request.query_params else {"content-length": str(size)}
        return StreamingResponse(parts(), headers=headers, media_type="application/octet-stream")

    async def _upload(self, request: Request) -> Response:
        self.received = 0
        async for part in request.stream():
            self.received += len(part)
        return JSONResponse({"received": self.received, "headers": dict(request.headers)})

    async def _slow_upload(self, request: Request) -> Response:
        self.received = 0
        try:
            async for part in request.stream():
                self.received += len(part)
                while not self.go_on.is_set():
                    await asyncio.sleep(0.01)
        except Exception:
            self.gone.append("upload")
            raise
        return JSONResponse({"received": self.received})

    async def _socket(self, socket: WebSocket) -> None:
        refusal = self._refusal(socket)
        if refusal is not None:
            await socket.send_denial_response(refusal)
            return
        if self.moved:
            await socket.send_denial_response(RedirectResponse(self.moved))
            return
        self.seen.append({"headers": dict(socket.headers), "path": socket.url.path, "query": socket.url.query})
        offered = socket.scope["subprotocols"]
        self.open += 1
        try:
            await socket.accept("chat" if "chat" in offered else None)
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    self.gone.append(f"socket {message.get('code')}")
                    return
                await self._say(socket, message)
        except WebSocketDisconnect:
            self.gone.append("socket")
        finally:
            self.open -= 1

    async def _say(self, socket: WebSocket, message: Any) -> None:
        text = message.get("text")
        self.received = len(text or "")
        if text is None:
            await socket.send_bytes(message["bytes"])
        elif text == "close":
            await socket.close(4001, "as you wish")
        elif text == "die":
            raise RuntimeError("died, as told")
        elif text.startswith("big "):
            await socket.send_text("x" * int(text[4:]))
        else:
            await socket.send_text(text)


class _Answer:
    def __init__(self, api: Api) -> None:
        self.api = api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, headers, body = self.api.answer
        self.api.seen.append({"path": scope["path"]})
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Silence:
    """Answers nothing until it is told to, or its client leaves."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.api.gone.append("silence")


class _Cut:
    """Ends in the middle."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"1000")] if b"length" in scope["query_string"] else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(0.05)
        raise RuntimeError("cut, as told")


class _Early:
    """Answers without reading the body."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 422, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"no"})


class Tokens:
    """The tokens of every session that has a user; each refresh gives the next one."""

    def __init__(self) -> None:
        self.number, self.refreshes = 1, 0
        self.ended = False
        self.error: Exception | None = None

    async def load(self, connection: HTTPConnection) -> TokenSet | None:
        if state_of(connection)["user"] is None or self.ended:
            return None
        return TokenSet(access_token=f"token-{self.number}", issuer="https://as.test", saved_at=0, flow="test")

    async def recheck(self, connection: HTTPConnection) -> TokenSet | None:
        return await self.load(connection)

    async def access_token(self, connection: HTTPConnection) -> str | None:
        tokens = await self.fresh(connection)
        return None if tokens is None else tokens.access_token

    async def fresh(self, connection: HTTPConnection, *, force: bool = False) -> TokenSet | None:
        if self.error is not None:
            raise self.error
        if force:
            self.refreshes += 1
            self.number += 1
        return await self.load(connection)


class Site:
    """A site whose backend-for-frontend serves an API.

    Parameters:
        api_url: where the API is.
        options: of the client; besides, `app` and `server`, options of the session server.
    """

    def __init__(self, api_url: str, server: dict[str, Any] | None = None, **options: Any) -> None:
        self.tokens = Tokens()
        self.allowance = options.pop("allowance", None)
        site_url = options.pop("site_url", "http://localhost")
        provided = {"site_url": site_url, **(server or {})}
        self.server: FastApiServer = make_server(app=options.pop("app", None) or FastAPI(), **provided)
        settings = ClientServerSettings(
            site_url=site_url, token_response_type="save_in_session_and_load",
            **{"bff_base_url": f"{api_url}/v1", "bff_endpoints": list(ENDPOINTS), **options},
        )  # fmt: skip
        passage = read_passage(settings, settings.prefix, site_url, is_confidential=True)
        self.client = client = StreamClient()
        servers = servers_on(self.server.app)
        servers.lifecycle.add([client])
        counted = self.allowance or Allowance(None, None, servers_events())
        access = Access(self.tokens, counted, lambda: next((s for s in servers.sources if s.name == "session"), None))
        add_passage(self.server.app.router, passage, access, client, name="oauth")


def servers_events() -> Any:
    from crossauth_backend.events.listeners import Events

    return Events(())


@contextmanager
def open_site(**options: Any) -> Iterator[tuple[Client, Api, Site]]:
    """A browser that is logged in, the API, and the site between them."""
    api = Api()
    with serve(api.app) as api_url:
        site = Site(api_url, **options)
        with serve(site.server.app) as url, Client(url) as client:
            client.sign_up()
            yield client, api, site
            api.go_on.set()


def soon(what: Callable[[], Any], seconds: float = 5.0) -> bool:
    """Whether something becomes true in so many seconds, which are plenty unless a test is about them."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.01)
    return bool(what())


def sent(response: Any) -> dict[str, str]:
    """The headers that the API got, of an answer of `/echo`."""
    return dict(json.loads(response.content)["headers"])
