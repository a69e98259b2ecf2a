"""WebSockets between a browser and the API: messages both ways, as they come."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.http_stream import SocketClosed, StreamBroken, StreamClient, StreamSocket, UpgradeRefused
from crossauth_fastapi._http.errors import as_reason
from crossauth_fastapi._middleware.sockets import POLICY_VIOLATION, TRY_AGAIN_LATER
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.answers import error_json
from crossauth_fastapi._oauth_client.bff import watch
from crossauth_fastapi._oauth_client.bff.access import Access
from crossauth_fastapi._oauth_client.bff.callers import check_socket
from crossauth_fastapi._oauth_client.bff.forward import target_of
from crossauth_fastapi._oauth_client.bff.headers import request_headers
from crossauth_fastapi._oauth_client.bff.options import Entry, Passage

logger = logging.getLogger("crossauth.oauth")
# Bytes that a message may have, in either direction.
MAX_MESSAGE: Final = 1024 * 1024
_TOO_BIG: Final = 1009
_BAD_GATEWAY: Final = 1014
# RFC 6455 §7.4: codes that may be sent; the others say how a connection ended without one.
_SENDABLE: Final = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)))
_MAX_PROTOCOLS: Final = 20


class SocketForwarder:
    """What serves WebSockets of one entry of `bff_endpoints`.

    Parameters:
        passage: between this site and the API.
        entry: the entry.
        access: the tokens.
        client: opens the sockets of the API.
    """

    def __init__(self, passage: Passage, entry: Entry, access: Access, client: StreamClient) -> None:
        self.passage, self.entry, self.access, self.client = passage, entry, access, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket."""
        connection = HTTPConnection(scope)
        try:
            upstream = await self._open(connection)
        except CrossauthError as e:
            await refuse(as_reason(e), scope, receive, send)
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": upstream.protocol, "headers": []})
            await self._exchange(connection, upstream, receive, send)
        finally:
            await upstream.close(1001)

    async def _open(self, connection: HTTPConnection) -> StreamSocket:
        """The API's end. Nothing is opened there before it is known that a page of this site asks."""
        state = state_of(connection)
        state.personal = True
        check_socket(state, self.passage.site_url)
        url = target_of(self.passage, self.entry, connection.scope)
        protocols: list[str] = connection.scope.get("subprotocols") or []
        if len(protocols) > _MAX_PROTOCOLS:
            raise CrossauthError(ErrorCode.BadRequest, f"There are more than {_MAX_PROTOCOLS} subprotocols")
        token = await self.access.token(connection)
        try:
            async with asyncio.timeout(self.passage.timeout):
                return await self._connect(connection, url, token, protocols)
        except TimeoutError:
            raise CrossauthError(ErrorCode.Connection, "The API did not answer in time", status=504) from None

    async def _connect(self, connection: HTTPConnection, url: str, token: str, protocols: list[str]) -> StreamSocket:
        state = state_of(connection)
        header = state.site.csrf_header
        headers = request_headers(state.headers, () if header is None else (header,))
        for first in (True, False):
            try:
                return await self.client.connect(
                    url, [*headers, ("authorization", f"Bearer {token}")], protocols, max_message=MAX_MESSAGE
                )
            except UpgradeRefused as e:
                challenge = e.headers.get("WWW-Authenticate", "").encode()
                another = await self.access.renewed(connection, token, challenge) if first and e.status == 401 else None
                if another is None:
                    if not first and e.status == 401:
                        self.access.note_refused(token)
                    raise _refused(e.status) from None
                token = another
        raise _refused(401)

    async def _exchange(self, connection: HTTPConnection, upstream: StreamSocket, receive: Receive, send: Send) -> None:
        """Pass messages on until one end closes, then close the other."""
        up = asyncio.create_task(_to_api(receive, upstream))
        down = asyncio.create_task(_to_browser(upstream, send))
        pumps = {up, down}
        try:
            while True:
                done, _ = await asyncio.wait(pumps, timeout=watch.RECHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    break
                if not await self.access.stands(connection):
                    await _close(send, POLICY_VIOLATION, ErrorCode.InvalidSession.name)
                    return
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        if up in done:
            closed = up.result()
            await upstream.close(_sendable(closed.code), closed.reason)
            if closed.code == _TOO_BIG:
                await _close(send, closed.code, closed.reason)
        else:
            closed = down.result()
            await _close(send, _sendable(closed.code, _BAD_GATEWAY), closed.reason)


async def refuse(reason: CrossauthError, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket before it is open: with a response, where the server can send one."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await error_json(reason)(scope, receive, send)
        return
    code = TRY_AGAIN_LATER if reason.http_status >= 500 else POLICY_VIOLATION
    await send({"type": "websocket.close", "code": code, "reason": reason.code_name})


async def _to_api(receive: Receive, upstream: StreamSocket) -> SocketClosed:
    """Pass on what the browser sends, until it closes the socket; says how it did."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return SocketClosed(message.get("code") or 1005, message.get("reason") or "")
        if message["type"] != "websocket.receive":
            continue
        content = _content(message)
        if len(content) > MAX_MESSAGE:
            return SocketClosed(_TOO_BIG, "the message is too long")
        try:
            await upstream.send(content)
        except StreamBroken:
            # The other direction hears how it was closed.
            await asyncio.Event().wait()


async def _to_browser(upstream: StreamSocket, send: Send) -> SocketClosed:
    """Pass on what the API sends, until it closes the socket; says how it did."""
    while True:
        message = await upstream.receive()
        if isinstance(message, SocketClosed):
            return message
        try:
            if isinstance(message, str):
                await send({"type": "websocket.send", "text": message})
            else:
                await send({"type": "websocket.send", "bytes": message})
        except (OSError, RuntimeError):
            await asyncio.Event().wait()


def _content(message: Message) -> str | bytes:
    text: str | None = message.get("text")
    return text if text is not None else message.get("bytes") or b""


async def _close(send: Send, code: int, reason: str) -> None:
    try:
        await send({"type": "websocket.close", "code": code, "reason": reason.encode()[:123].decode(errors="ignore")})
    except (OSError, RuntimeError) as e:
        logger.debug("the browser has closed the socket already: %s", type(e).__name__)


def _sendable(code: int, otherwise: int = 1000) -> int:
    return code if code in _SENDABLE else otherwise


def _refused(status: int) -> CrossauthError:
    """The refusal of a WebSocket that the API refuses: with the status that it gave, where that is one of a refusal."""
    known = {401: ErrorCode.Unauthorized, 403: ErrorCode.Forbidden}
    if 400 <= status < 500:
        return CrossauthError(known.get(status, ErrorCode.BadRequest), "The API refuses this", status=status)
    return CrossauthError(ErrorCode.FetchError, "The API gave no usable answer", status=502, detail=f"status {status}")
