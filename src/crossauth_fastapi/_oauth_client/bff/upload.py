"""What a browser sends, read no faster than the API takes it."""

from __future__ import annotations

import asyncio
from typing import Self

from starlette.types import Receive

from crossauth_backend.core.errors import CrossauthError, ErrorCode


class BrowserLeft(Exception):
    """Nobody waits for an answer any more."""


class Upload:
    """The body of a request. It is read whole where it is short and has come already, and else while it is sent on.

    Parameters:
        receive: where it comes from.
        length: what the browser says of its length; `None` where it does not.
        limit: bytes that it may have; `None` for any number.
    """

    def __init__(self, receive: Receive, length: int | None, limit: int | None) -> None:
        self._receive, self._length, self._limit = receive, length, limit
        self._first: bytes | None = None
        self._taken = False
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self.complete = False
        """Whether all of it has come."""
        self.waits_for_browser = False
        self.last = self._loop.time()
        """When the last part of it came, by the clock of the event loop."""
        self.error: Exception | None = None
        """Why it cannot be sent on."""

    async def begin(self) -> bytes | Self | None:
        """What is to be sent: all of it, or this, or nothing.

        Raises:
            CrossauthError: `BadRequest` (413) where it is too long, or another refusal.
            BrowserLeft: the browser is gone.
        """
        first = await self._next()
        if self.complete:
            return first or None
        self._first = first
        return self

    def __aiter__(self) -> Self:
        """The parts, once.

        Raises:
            ValueError: somebody has taken them. A client that sends a request again, on another connection, would send what is
                left of the body as if it were all of it.
        """
        if self._taken:
            raise ValueError("a body that was read while it was sent cannot be sent again")
        self._taken = True
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, None
            return first
        while not self.complete:
            part = await self._next()
            if part:
                return part
        raise StopAsyncIteration

    async def _next(self) -> bytes:
        self.waits_for_browser = True
        try:
            message = await self._receive()
            if message["type"] != "http.request":
                raise BrowserLeft
            part: bytes = message.get("body", b"")
            self._count(len(part), message.get("more_body", False))
        except Exception as e:
            # It ends up in the client, which says nothing but that there was something.
            self.error = e
            raise
        self.waits_for_browser = False
        self.last = self._loop.time()
        return part

    def _count(self, size: int, more: bool) -> None:
        self._size += size
        if self._limit is not None and self._size > self._limit:
            raise too_long(self._limit)
        # What the API is told of the length is what it is to get: the next request on the connection begins behind it.
        if self._length is not None and (self._size > self._length or (not more and self._size < self._length)):
            raise CrossauthError(ErrorCode.BadRequest, "The body is not as long as Content-Length says")
        self.complete = not more


def too_long(limit: int) -> CrossauthError:
    """The refusal of a body that is longer than `limit` bytes."""
    return CrossauthError(ErrorCode.BadRequest, f"The body is longer than {limit} bytes", status=413)
