"""The one clock. Time is aware UTC everywhere; a test hands in a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def from_now(seconds: float, now: datetime) -> datetime:
    """The moment `seconds` after `now`."""
    return now + timedelta(seconds=seconds)


def as_utc(moment: datetime) -> datetime:
    """`moment` in UTC. A naive time, as some databases and older applications hand in, is read as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
