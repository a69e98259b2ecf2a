"""Security events in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crossauth_backend.events.record import Event


class InMemoryAuditStorage:
    """Keeps events in one process and forgets them with it. See `AuditStorage`."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    async def record(self, events: Sequence[Event]) -> None:
        """As documented for `AuditStorage`."""
        self._events += events

    async def purge_before(self, time: datetime) -> int:
        """As documented for `SupportsAuditPurge`."""
        before, self._events = len(self._events), [e for e in self._events if e.at >= time]
        return before - len(self._events)

    async def latest(self, skip: int = 0, take: int = 50, userid: int | str | None = None) -> list[Event]:
        """As documented for `AuditStorage`."""
        found = [e for e in reversed(self._events) if userid is None or str(e.userid) == str(userid)]
        return found[skip : skip + take]
