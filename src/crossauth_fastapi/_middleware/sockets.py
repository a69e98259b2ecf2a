"""WebSockets that end with what they were opened by: a session that is revoked, a token that expires.

A socket lasts, and a credential is checked when it is opened. Where a dependency let it in, it is checked again, at most every
`RECHECK_SECONDS`, when something is received or sent and while the application waits for a message. So nothing goes through a
socket for longer than that after its credential ended, and one that is idle is closed too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any, Final, Protocol

import anyio
from starlette.types import Message, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._http.errors import as_reason
from crossauth_fastapi._middleware.decision import RouteDemand, decide
from crossauth_fastapi._middleware.state import RequestState

logger = logging.getLogger("crossauth.http")
RECHECK_SECONDS = 5.0
# RFC 6455 §7.4.1, and the IANA registry of close codes: a rule of ours forbids it; come again later.
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013


class NamedSource(Protocol):
    """A source, as far as this module needs it."""

    name: str

    async def recheck(self, scope: Scope, state: Any) -> None:
        """See `Source.recheck`."""
        ...


class SocketEnded(OSError):
    """What is sent goes nowhere, as the ASGI specification has it for a connection that is closed."""


class WatchedSocket:
    """One WebSocket, between the server and the application.

    Parameters:
        sources: those that were asked who opens it.
        scope: of the connection.
        state: of the connection.
        receive: from the server.
        send: to the server.
    """

    def __init__(
        self, sources: Iterable[NamedSource], scope: Scope, state: RequestState, receive: Receive, send: Send
    ) -> None:
        self._sources, self._scope, self._state = tuple(sources), scope, state
        self._receive, self._send = receive, send
        self._demands: list[RouteDemand] = []
        self._checked = time.monotonic()
        self._end: Message | None = None

    def add(self, demand: RouteDemand, source: NamedSource | None = None) -> None:
        """Have what a dependency asked for checked again.

        Parameters:
            demand: what it asked for.
            source: where it found who asks, if not among those that were asked first.
        """
        self._demands.append(demand)
        if source is not None and source not in self._sources:
            self._sources = (*self._sources, source)

    async def receive(self) -> Message:
        """The next message; that the socket is closed, where its credential has ended."""
        message = self._end
        while message is None:
            message = await self._next()
            # Also where nothing came for so long.
            if (message is None or message["type"] == "websocket.receive") and not await self._stands():
                message = self._end
        return message

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            SocketEnded: the socket was closed, for its credential has ended.
        """
        if self._end is None and (message["type"] != "websocket.send" or await self._stands()):
            await self._send(message)
        elif message["type"] != "websocket.close":
            raise SocketEnded("the credential that opened this WebSocket has ended")

    async def _next(self) -> Message | None:
        """The next message; `None` where the credential is to be checked again before one has come."""
        if not self._demands:
            return await self._receive()
        with anyio.move_on_after(max(0.0, self._checked + RECHECK_SECONDS - time.monotonic())):
            return await self._receive()
        return None

    async def _stands(self) -> bool:
        """Whether the socket may go on; it is closed where it may not."""
        if self._end is not None:
            return False
        now = time.monotonic()
        if not self._demands or now - self._checked < RECHECK_SECONDS:
            return True
        # At once, so that what comes meanwhile does not ask too.
        self._checked = now
        try:
            for source in self._sources:
                if source.name in self._state.identities or self._state.principal is None:
                    await source.recheck(self._scope, self._state)
            for demand in self._demands:
                await decide(self._state, demand)
        except Exception as e:
            await self._close(as_reason(e))
            return False
        return True

    async def _close(self, reason: CrossauthError) -> None:
        code = TRY_AGAIN_LATER if reason.http_status >= 500 else POLICY_VIOLATION
        self._end = {"type": "websocket.disconnect", "code": code, "reason": reason.code_name}
        await self._send({"type": "websocket.close", "code": code, "reason": reason.code_name})


def watch(
    sources: Iterable[NamedSource], scope: Scope, state: RequestState, receive: Receive, send: Send
) -> tuple[Receive, Send]:
    """What the application is to read from and write to; see `WatchedSocket`."""
    state.socket = WatchedSocket(sources, scope, state, receive, send)
    return state.socket.receive, state.socket.send
