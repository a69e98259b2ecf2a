"""Events that a program causes again and again, told now and then."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

from crossauth_backend.core.clock import Clock

_EVERY: Final = timedelta(hours=1)
_MOST: Final = 10_000


class Seldom:
    """Says of each name once an hour that it is due; of so many names, those that were told last.

    Parameters:
        clock: what time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[Hashable, datetime] = {}

    def is_due(self, name: Hashable) -> bool:
        """Whether it is time to tell of `name`, which then counts as told."""
        now, told = self._clock(), self._told.pop(name, None)
        fresh = told is not None and now - told < _EVERY
        self._told[name] = told if told is not None and fresh else now
        if len(self._told) > _MOST:
            del self._told[next(iter(self._told))]
        return not fresh
