"""Whether a request that is passed on is still worth it: whether the browser is there, the API answers in time, and the session
has not ended.

Nearly every request is over before any of this has to be looked at, and pays for one timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final

from starlette.types import Receive

from crossauth_fastapi._oauth_client.bff.upload import Upload

# Seconds after which somebody looks whether the browser is still there, and the time between two looks.
_SOON: Final = 0.1
_BETWEEN: Final = 0.25
# What goes on for longer than this is looked at again: whether the session that it was begun with is still there.
RECHECK_SECONDS = 5.0


class Ending(Enum):
    """Why a request was ended."""

    browser_left = auto()
    too_slow = auto()
    session_ended = auto()


class Watch:
    """Ends the task that it is made in, by cancelling it, where there is a reason.

    Parameters:
        receive: where the end of the connection is heard, as soon as the body is complete.
        upload: the body; `None` where there is none.
        timeout: seconds without any progress, until the response begins.
        stands: whether the session is still there.
    """

    def __init__(
        self, receive: Receive, upload: Upload | None, timeout: float, stands: Callable[[], Awaitable[bool]]
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._loop = task, task.get_loop()
        self._cancelling = task.cancelling()
        self._receive, self._upload, self._timeout, self._stands = receive, upload, timeout, stands
        self._start = self._loop.time()
        self._checked = self._start
        self._listener: asyncio.Task[None] | None = None
        self._checker: asyncio.Task[None] | None = None
        self._begun = self._over = False
        self.ending: Ending | None = None
        self._timer = self._loop.call_later(min(_SOON, timeout), self._look)

    def begun(self) -> None:
        """Say that the response has begun: from now on it may take any time."""
        self._begun = True

    def close(self) -> None:
        """End nothing any more."""
        self._over = True
        self._timer.cancel()
        for task in (self._listener, self._checker):
            if task is not None:
                task.cancel()

    def has_ended(self) -> bool:
        """Whether a `CancelledError` that was caught was of this; it counts as dealt with then."""
        return self.ending is not None and self._task.uncancel() <= self._cancelling

    def _look(self) -> None:
        if self._over:
            return
        upload = self._upload
        if self._listener is None and (upload is None or upload.complete):
            self._listener = self._loop.create_task(self._listen())
        if self._listener is None and self._loop.time() >= self._checked + RECHECK_SECONDS:
            # A body may go on for ever, and so may the response meanwhile.
            self._checked = self._loop.time()
            self._checker = self._loop.create_task(self._check())
        if self._begun and self._listener is not None:
            return
        wait = _BETWEEN
        if not self._begun:
            last = self._start if upload is None else max(self._start, upload.last)
            left = last + self._timeout - self._loop.time()
            if left <= 0:
                self._end(Ending.too_slow)
                return
            wait = min(wait, left)
        self._timer = self._loop.call_later(wait, self._look)

    async def _listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(RECHECK_SECONDS):
                    while (await self._receive())["type"] != "http.disconnect":
                        pass
                self._end(Ending.browser_left)
                return
            except TimeoutError:
                await self._check()

    async def _check(self) -> None:
        if not await self._stands():
            self._end(Ending.session_ended)

    def _end(self, why: Ending) -> None:
        if not self._over and self.ending is None:
            self.ending = why
            self._task.cancel()
