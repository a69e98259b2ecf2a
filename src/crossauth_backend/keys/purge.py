"""Throwing away, now and then, what has expired."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.keys.storage import KeyStorage, SupportsPurge

logger = logging.getLogger("crossauth.keys")
EVERY_SECONDS: Final = 3600.0


class Purger:
    """Deletes expired keys while the application runs: sessions, tokens, counts.

    Nothing rests on it: what has expired is refused whether or not it is still stored.

    Parameters:
        storage: where the keys are; one that cannot purge is left alone.
        clock: what time it is.
        every: seconds between two times.
    """

    def __init__(self, storage: KeyStorage, clock: Clock = utc_now, every: float = EVERY_SECONDS) -> None:
        self._storage, self._clock, self._every = storage, clock, every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        if self._task is None and isinstance(self._storage, SupportsPurge):
            self._task = asyncio.get_running_loop().create_task(self._run(self._storage))

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, storage: SupportsPurge) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                count = await storage.purge_expired(self._clock())
                logger.info("%d expired keys were deleted", count)
            except CrossauthError as e:
                logger.warning("expired keys could not be deleted: %s", e.detail or e.message)
