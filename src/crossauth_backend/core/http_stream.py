"""Requests to other servers whose bodies are passed on as they come, without ever being in memory as a whole: on aiohttp, as
`http_client`.

Nothing of a response is judged here, neither its status nor its size: that is for whoever passes it on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.http_client import check_aiohttp, load_aiohttp

if TYPE_CHECKING:
    import aiohttp

RawHeaders = Sequence[tuple[bytes, bytes]]
_MAX_LINE: Final = 16 * 1024
# Bytes that are read from a server before it has to wait: less than this stops and starts it all the time.
_READ_BUFFER: Final = 256 * 1024
# Shorter than that of common servers (uvicorn: 5), so that none closes a connection in the moment in which it is used again.
_KEEP_ALIVE: Final = 4
# Nothing is added to what is passed on, but `Host` and what the length of the body needs.
_NOTHING_ADDED: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_PING_SECONDS: Final = 20
_CLOSE_SECONDS: Final = 0.5


class StreamBroken(Exception):
    """The server has ended a response, or a socket, before it was complete."""


class UpgradeRefused(Exception):
    """The server answered the request for a WebSocket with something else.

    Parameters:
        status: the HTTP status of the answer.
        headers: its headers.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"status {status}")
        self.status, self.headers = status, headers


class SocketClosed(NamedTuple):
    """That a WebSocket was closed by the server.

    Parameters:
        code: its close code (RFC 6455 §7.4); 1006 where it was lost.
        reason: what was said of it.
    """

    code: int
    reason: str


class StreamClient:
    """Sends requests and hands out what comes back, piece by piece.

    It follows no redirect, keeps no cookies, takes no proxy or credentials from the environment, unpacks no content coding, and
    keeps connections open between requests.

    Parameters:
        ssl_context: how servers are checked; by default against the certificate authorities of the system.

    Raises:
        CrossauthError: `Configuration` where aiohttp is missing.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        check_aiohttp()
        self._ssl_context = ssl_context
        # Connections belong to the event loop that they were opened in.
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Sessions] = WeakKeyDictionary()

    async def start(self) -> None:
        """Load what is needed, so that the first request does not wait for it."""
        self._of_loop()

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        sessions = self._sessions.pop(asyncio.get_running_loop(), None)
        if sessions is not None:
            await sessions.sockets.close()
            await sessions.requests.close()

    async def send(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes | AsyncIterable[bytes] | None = None,
    ) -> StreamResponse:
        """Send a request, and wait for the status and the headers of its response, however long it takes.

        Parameters:
            method: any.
            url: absolute, as it is to be sent: nothing in it is encoded or normalised.
            headers: all of them, but `Host`; names may repeat.
            body: read while it is sent, no faster than the server takes it.

        Returns:
            The response, which has to be closed.

        Raises:
            CrossauthError: `Connection` (502) where no response came. What `body` raises ends the request, and is not told.
        """
        sessions = self._of_loop()
        try:
            response = await sessions.requests.request(
                method, sessions.url(url, encoded=True), headers=headers, data=body, allow_redirects=False
            )
        except (sessions.client_error, OSError, ValueError) as e:
            raise unreachable(url, e) from None
        return StreamResponse(response, sessions.client_error)

    async def connect(
        self, url: str, headers: Sequence[tuple[str, str]], protocols: Sequence[str] = (), *, max_message: int
    ) -> StreamSocket:
        """Open a WebSocket.

        Parameters:
            url: as for `send`, `http` or `https`.
            headers: besides those of the handshake.
            protocols: subprotocols that are offered.
            max_message: bytes; the socket is closed where the server sends a longer message.

        Raises:
            CrossauthError: `Connection` (502) where no answer came.
            UpgradeRefused: another answer came.
        """
        sessions = self._of_loop()
        try:
            socket = await sessions.sockets.ws_connect(
                sessions.url(url, encoded=True), headers=headers, protocols=protocols, max_msg_size=max_message,
                timeout=sessions.socket_timeout, heartbeat=_PING_SECONDS, compress=0,
            )  # fmt: skip
        except sessions.handshake_error as e:
            raise UpgradeRefused(e.status, e.headers or {}) from None
        except (sessions.client_error, OSError, ValueError) as e:
            raise unreachable(url, e) from None
        return StreamSocket(socket)

    def _of_loop(self) -> _Sessions:
        loop = asyncio.get_running_loop()
        found = self._sessions.get(loop)
        if found is None:
            found = self._sessions[loop] = _Sessions(self._ssl_context)
        return found


class _Sessions:
    """What aiohttp has for one event loop, looked up once."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        client = load_aiohttp()
        # As many connections as there are requests of browsers, which the server of this application limits.
        connector = client.TCPConnector(limit=0, ssl=ssl_context or True, keepalive_timeout=_KEEP_ALIVE)
        shared = {
            "connector": connector, "cookie_jar": client.DummyCookieJar(), "trust_env": False, "auto_decompress": False,
            "timeout": client.ClientTimeout(total=None, sock_connect=None, connect=None),
            "max_line_size": _MAX_LINE, "max_field_size": _MAX_LINE, "skip_auto_headers": _NOTHING_ADDED,
            "read_bufsize": _READ_BUFFER,
        }  # fmt: skip
        self.requests: aiohttp.ClientSession = client.ClientSession(**shared)
        # Redirects of a handshake cannot be switched off, only refused.
        self.sockets: aiohttp.ClientSession = client.ClientSession(
            **shared, connector_owner=False, middlewares=(_refuse_redirect,)
        )
        self.client_error: type[Exception] = client.ClientError
        self.handshake_error: Any = client.WSServerHandshakeError
        self.socket_timeout = client.ClientWSTimeout(ws_close=_CLOSE_SECONDS)
        self.url: Any = import_module("yarl").URL


async def _refuse_redirect(request: Any, handler: Any) -> Any:
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise load_aiohttp().WSServerHandshakeError(
            response.request_info, response.history, status=response.status, message="redirect", headers={}
        )
    return response


class StreamResponse:
    """A response, whose body is read piece by piece.

    Parameters:
        response: of aiohttp.
        client_error: what aiohttp raises.
    """

    __slots__ = ("_client_error", "_content", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, client_error: type[Exception]) -> None:
        self._response, self._content, self._client_error = response, response.content, client_error
        self.status = response.status
        self.headers: RawHeaders = response.raw_headers
        """As they came, in their order; the names as the server wrote them."""

    async def read(self) -> bytes:
        """What has come of the body, as soon as there is any; empty at its end.

        Raises:
            StreamBroken: the server has ended it before it was complete.
        """
        try:
            return await self._content.readany()
        except (self._client_error, OSError, RuntimeError, ValueError) as e:
            raise StreamBroken(type(e).__name__) from None

    @property
    def is_complete(self) -> bool:
        """Whether everything was read."""
        return self._content.at_eof()

    def close(self) -> None:
        """Let go of it: the connection is closed where not everything was read."""
        if self._content.at_eof():
            self._response.release()
        else:
            self._response.close()


class StreamSocket:
    """An open WebSocket.

    Parameters:
        socket: of aiohttp.
    """

    __slots__ = ("_socket", "protocol")

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.protocol = socket.protocol
        """The subprotocol that the server has chosen."""

    async def receive(self) -> str | bytes | SocketClosed:
        """The next message, or that there is none any more."""
        message = await self._socket.receive()
        if isinstance(message.data, (str, bytes)) and message.type.value in (1, 2):
            return message.data
        reason = message.extra if isinstance(message.extra, str) else ""
        return SocketClosed(self._socket.close_code or 1006, reason)

    async def send(self, message: str | bytes) -> None:
        """Send a message; returns when there is room for the next one.

        Raises:
            StreamBroken: the socket is closed.
        """
        try:
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
        except (OSError, RuntimeError) as e:
            raise StreamBroken(type(e).__name__) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it; the server has half a second to agree."""
        await self._socket.close(code=code, message=reason.encode()[:123])


def unreachable(url: str, reason: Exception) -> CrossauthError:
    """The error of a request that was not answered. Only the host is named: paths and queries may hold secrets."""
    host = urlsplit(url).hostname or "?"
    return CrossauthError(
        ErrorCode.Connection, "The API could not be reached", status=502, detail=f"{host}: {type(reason).__name__}"
    )
