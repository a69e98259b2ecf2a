"""Sending in the background, so that no answer waits for a mail server, nor tells by its time whether there was mail to send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook

logger = logging.getLogger("crossauth.delivery")
RETRY_SECONDS: Final = (1.0, 5.0, 30.0, 120.0)
CLOSING_SECONDS: Final = 10.0
MAX_WAITING: Final = 10_000
_AT_ONCE: Final = 4
Send = Callable[[], Awaitable[object]]
Job = Callable[[], Awaitable[Send | None]]


class DeliveryQueue:
    """Makes messages and sends them, a few at a time.

    What cannot be sent is tried again after 1, 5, 30 and 120 seconds, and then reported: to the log and to `on_failure`.

    Parameters:
        on_failure: told of each message that was given up.
        retry_seconds: the waits between tries.
    """

    def __init__(
        self, on_failure: Callable[[], None] = lambda: None, retry_seconds: tuple[float, ...] = RETRY_SECONDS
    ) -> None:
        self._on_failure = on_failure
        self._retry_seconds = retry_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def put(self, job: Job) -> None:
        """Have `job` make a message, and send it.

        Parameters:
            job: called in the background, so that what it looks up takes nobody's time; returns what sends the message, or
                `None` where there is none to send.

        Raises:
            CrossauthError: `Connection` with status 503 where ten thousand are waiting already.
        """
        if len(self._tasks) >= MAX_WAITING:
            raise CrossauthError(ErrorCode.Connection, "Too many messages are waiting to be sent", status=503)
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def start(self) -> None:
        """Nothing to open."""
        self._closing = False

    async def close(self) -> None:
        """Send what is waiting, for at most ten seconds; what is left is reported as lost."""
        self._closing = True
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)
            for task in left:
                task.cancel()
                self._give_up("the server stopped")

    async def idle(self) -> None:
        """Return when nothing is waiting."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, job: Job) -> None:
        try:
            async with self._turn:
                send = await job()
        except Exception:
            logger.exception("a message could not be made")
            self._on_failure()
            return
        if send is not None:
            await self._send(send)

    async def _send(self, send: Send) -> None:
        for wait in (*self._retry_seconds, None):
            try:
                async with self._turn:
                    await call_hook(send)
                return
            except Exception as e:
                why = (e.detail or e.message) if isinstance(e, CrossauthError) else type(e).__name__
            if wait is None or self._closing:
                break
            logger.warning("a message was not taken and is tried again: %s", why)
            await asyncio.sleep(wait)
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        logger.error("a message was lost: %s", why)
        self._on_failure()
