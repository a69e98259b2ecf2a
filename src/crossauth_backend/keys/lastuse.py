"""When sessions and API keys were last used, written behind the requests that use them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.redaction import loggable
from crossauth_backend.keys.storage import KeyStorage, SupportsTouch, SupportsTouches

logger = logging.getLogger("crossauth.keys")
EVERY_SECONDS: Final = 1.0
# After a failure it waits twice as long each time, up to so many seconds.
_LONGEST: Final = 60.0
_BATCH: Final = 500
# More than this is not kept: a time of last use is no more than that.
_MOST: Final = 100_000
# A time of last use is written at most so often.
TOUCH_INTERVAL: Final = timedelta(minutes=1)


class LastUse:
    """Writes the times at which keys were last used, together, a moment later.

    No request waits for it or fails with it. What cannot be written is tried again; what is waiting when the application ends is
    written then. It needs no starting: the first note of an event loop starts its task, which ends when there is nothing left.

    Parameters:
        storage: where the keys are.
        every: seconds between two times.
    """

    def __init__(self, storage: KeyStorage, every: float = EVERY_SECONDS) -> None:
        self._storage, self._every = storage, every
        self.waiting: dict[str, datetime] = {}
        """When keys were used, where that is not written yet; read by everybody, changed by `note`."""
        self._task: asyncio.Task[None] | None = None

    def note(self, value: str, now: datetime) -> None:
        """The key `value` was used."""
        if len(self.waiting) < _MOST or value in self.waiting:
            self.waiting[value] = now
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def start(self) -> None:
        """Nothing to open: the storage opens itself."""

    async def flush(self) -> bool:
        """Write what is waiting, now; whether all of it could be written."""
        while self.waiting:
            batch = dict(list(self.waiting.items())[:_BATCH])
            for value in batch:
                del self.waiting[value]
            try:
                await self._write(batch)
            except Exception as e:
                self.waiting = batch | self.waiting
                why = (e.detail or e.message) if isinstance(e, CrossauthError) else repr(loggable(e))
                logger.warning("%d times of last use could not be written yet: %s", len(self.waiting), why)
                return False
        return True

    async def close(self) -> None:
        """Stop, and write what is waiting."""
        task, self._task = self._task, None
        if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait([task])
        await self.flush()

    async def _run(self) -> None:
        pause = self._every
        while self.waiting:
            await asyncio.sleep(pause)
            pause = self._every if await self.flush() else min(2 * pause, _LONGEST)

    async def _write(self, batch: Mapping[str, datetime]) -> None:
        storage = self._storage
        if isinstance(storage, SupportsTouches):
            await storage.touch_keys(batch)
            return
        for value, time in batch.items():
            if isinstance(storage, SupportsTouch):
                await storage.touch_key(value, time)
            else:
                await storage.update_key({"value": value, "lastactive": time})
