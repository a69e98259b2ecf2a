"""Keeping events in a table that administrators can look at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.events.record import Event

logger = logging.getLogger("crossauth.audit")
_BATCH: Final = 500


@runtime_checkable
class AuditStorage(Protocol):
    """Keeps events, and never changes one."""

    async def record(self, events: Sequence[Event]) -> None:
        """Store events, all or none."""
        ...

    async def latest(self, skip: int = 0, take: int = 50, userid: int | str | None = None) -> list[Event]:
        """Events, newest first: `take` of them after the first `skip`; of one user where `userid` is given."""
        ...


class AuditListener:
    """Writes events to `storage` in the background, several at once, so that no request waits for it.

    What could not be written is tried again with the next events, and is in the log in any case.

    Parameters:
        storage: where they are kept.
    """

    def __init__(self, storage: AuditStorage) -> None:
        self._storage = storage
        self._waiting: list[Event] = []
        self._task: asyncio.Task[None] | None = None

    def on_event(self, event: Event) -> None:
        """Keep it for the next writing."""
        self._waiting.append(event)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def start(self) -> None:
        """Nothing to open: the storage opens itself."""

    async def close(self) -> None:
        """Write what is waiting."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        await self._write()

    async def latest(self, skip: int = 0, take: int = 50, userid: int | str | None = None) -> list[Event]:
        """As `AuditStorage.latest`, with what is waiting written first."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        return await self._storage.latest(skip, take, userid)

    async def _write(self) -> None:
        while self._waiting:
            batch = self._waiting[:_BATCH]
            try:
                await self._storage.record(batch)
            except CrossauthError as e:
                logger.error("%d events could not be stored yet: %s", len(self._waiting), e.detail or e.message)
                return
            del self._waiting[: len(batch)]
