"""Keeping events in a table that administrators can look at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import loggable
from crossauth_backend.events.record import Event

logger = logging.getLogger("crossauth.audit")
_BATCH: Final = 500
_AGAIN: Final = 5.0
# More than this is not kept while the storage is away.
_MOST: Final = 100_000


@runtime_checkable
class AuditStorage(Protocol):
    """Keeps events, and never changes one."""

    async def record(self, events: Sequence[Event]) -> None:
        """Store events, all or none."""
        ...

    async def latest(self, skip: int = 0, take: int = 50, userid: int | str | None = None) -> list[Event]:
        """Events, newest first: `take` of them after the first `skip`; of one user where `userid` is given."""
        ...


@runtime_checkable
class SupportsAuditPurge(Protocol):
    """An audit storage that can throw away what is old."""

    async def purge_before(self, time: datetime) -> int:
        """Delete every event of before `time`, a few at a time; return how many there were."""
        ...


class AuditListener:
    """Writes events to `storage` in the background, several at once, so that no request waits for it.

    What could not be written is tried again, and is in the log in any case. An event that the storage will never take is left
    out, so that it does not stand in the way of the others.

    Parameters:
        storage: where they are kept.
        again: seconds until what could not be written is tried again.
    """

    def __init__(self, storage: AuditStorage, again: float = _AGAIN) -> None:
        self._storage, self._again = storage, again
        self._waiting: list[Event] = []
        self._task: asyncio.Task[None] | None = None
        self._busy: asyncio.Future[None] | None = None

    def on_event(self, event: Event) -> None:
        """Keep it for the next writing."""
        if len(self._waiting) >= _MOST:
            del self._waiting[0]
        self._waiting.append(event)
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def start(self) -> None:
        """Nothing to open: the storage opens itself."""

    async def close(self) -> None:
        """Write what is waiting."""
        await self._free()
        task, self._task = self._task, None
        if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait([task])
        await self._write()

    async def latest(self, skip: int = 0, take: int = 50, userid: int | str | None = None) -> list[Event]:
        """As `AuditStorage.latest`, with what is waiting written first."""
        await self._write()
        return await self._storage.latest(skip, take, userid)

    async def _run(self) -> None:
        while self._waiting:
            if not await self._write():
                await asyncio.sleep(self._again)

    async def _free(self) -> None:
        """Wait until nobody is writing."""
        while self._busy is not None and self._busy.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([self._busy])

    async def _write(self) -> bool:
        """Write what is waiting; whether all of it could be written."""
        await self._free()
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            busy = self._busy = asyncio.get_running_loop().create_future()
            left = batch
            try:
                left = await self._store(batch)
            finally:
                self._waiting = left + self._waiting
                self._busy = None
                busy.set_result(None)
            if left:
                return False
            await self._free()
        return True

    async def _store(self, batch: list[Event]) -> list[Event]:
        """Store events, and return those that are to be tried again."""
        try:
            await self._storage.record(batch)
            return []
        except Exception as e:
            why = (e.detail or e.message) if isinstance(e, CrossauthError) else repr(loggable(e))
            logger.error("%d events could not be stored yet: %s", len(batch), why)
            if len(batch) == 1 or (isinstance(e, CrossauthError) and e.code is ErrorCode.Connection):
                return batch
        failed = [event for event in batch if await self._store([event])]
        if len(failed) == len(batch):
            return batch
        # The storage is there and takes others, so it is these.
        for event in failed:
            logger.error("an event is left out of the audit: %s", event.name.value)
        return []
