"""Doing something again and again while an application runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.redaction import loggable

logger = logging.getLogger("crossauth.periodic")
EVERY_SECONDS: Final = 3600.0


class Periodic:
    """Runs `job` now and then. Whatever goes wrong in it is logged, and it is run again all the same.

    Parameters:
        job: what is done; how often it did it, for the log.
        what: what that is, for the log.
        every: seconds between two times.
    """

    def __init__(self, job: Callable[[], Awaitable[int]], what: str, every: float = EVERY_SECONDS) -> None:
        self._job, self._what, self._every = job, what, every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                logger.info("%s: %d", self._what, await self._job())
            except CrossauthError as e:
                logger.warning("%s: %s", self._what, e.detail or e.message)
            except Exception as e:
                logger.exception("%s", self._what, exc_info=loggable(e))
