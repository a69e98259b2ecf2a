"""Security events in memory."""

from __future__ import annotations

from collections.abc import Sequence

from crossauth_backend.events.record import Event


class InMemoryAuditStorage:
    """Keeps events in one process and forgets them with it. See `AuditStorage`."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    async def record(self, events: Sequence[Event]) -> None:
        """As documented for `AuditStorage`."""
        self._events += events

    async def latest(self, skip: int = 0, take: int = 50, userid: int | str | None = None) -> list[Event]:
        """As documented for `AuditStorage`."""
        found = [e for e in reversed(self._events) if userid is None or str(e.userid) == str(userid)]
        return found[skip : skip + take]
