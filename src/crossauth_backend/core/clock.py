"""The one clock. Time is aware UTC everywhere; a test hands in a clock of its own, or replaces this one for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


# Clocks that tests have put in the place of the system's, each in a list of its own; the last one counts.
_replaced: list[list[Clock]] = []


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return _replaced[-1][0]() if _replaced else datetime.now(UTC)


@contextmanager
def time_from(clock: Clock) -> Iterator[None]:
    """Let `utc_now` ask `clock` in the block, in the whole process; for tests."""
    own = [clock]
    _replaced.append(own)
    try:
        yield
    finally:
        # Its own, whichever block ends first: else the clock of another one would stay.
        _replaced[:] = [entry for entry in _replaced if entry is not own]


def from_now(seconds: float, now: datetime) -> datetime:
    """The moment `seconds` after `now`."""
    return now + timedelta(seconds=seconds)


def as_utc(moment: datetime) -> datetime:
    """`moment` in UTC. A naive time, as some databases and older applications hand in, is read as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
