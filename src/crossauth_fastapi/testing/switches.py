"""Stop the clock, switch limits off and hash passwords cheaply, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from crossauth_backend.core.clock import time_from, utc_now
from crossauth_backend.limits.switch import without_limits
from crossauth_backend.testing.clock import FakeClock
from crossauth_backend.testing.passwords import cheap_hashes


@contextmanager
def frozen_clock(now: datetime | None = None) -> Iterator[FakeClock]:
    """Stop the clock of the library in the block; move it with `clock.advance(hours=2)`.

    Sessions, links, codes, tokens and windows of limits expire by it, and the codes of authenticator apps follow it. It holds
    for the whole process. A database or Redis that deletes what has expired does so by its own clock.

    Parameters:
        now: the time to begin with; by default the real time.
    """
    clock = FakeClock(now or utc_now())
    with time_from(clock):
        yield clock


@contextmanager
def no_limits() -> Iterator[None]:
    """Switch every limit of attempts and requests off in the block, for all applications of the process.

    Only a call of this function does so: there is no option and no environment variable.
    """
    with without_limits():
        yield


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Hash passwords at the least cost in the block, for all applications of the process: some thirty milliseconds less each.

    Only a call of this function does so: there is no option and no environment variable. A hash that is created in the block
    protects nothing; outside of it, it is replaced at the next login.
    """
    with cheap_hashes():
        yield
