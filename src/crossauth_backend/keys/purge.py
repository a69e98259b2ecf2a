"""Throwing away, now and then, what has expired."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.periodic import EVERY_SECONDS, Periodic
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, SupportsPurge

# A clock that is ahead for a while, and is then put right, must neither end logins nor make used links count again.
MARGIN: Final = timedelta(days=7)


class Purger(Periodic):
    """Deletes expired keys while the application runs: sessions, tokens, counts.

    Nothing rests on it: what has expired is refused whether or not it is still stored. Counts of attempts go at once, as do the
    requests of flows that nobody came back to, which are large and anybody's to make; everything else stays for a week.

    Parameters:
        storage: where the keys are; one that cannot purge is left alone.
        clock: what time it is.
        every: seconds between two times.
    """

    def __init__(self, storage: KeyStorage, clock: Clock = utc_now, every: float = EVERY_SECONDS) -> None:
        super().__init__(self.purge, "expired keys that were deleted", every)
        self._storage, self._clock = storage, clock

    async def start(self) -> None:
        """Begin, where the storage can purge."""
        if isinstance(self._storage, SupportsPurge):
            await super().start()

    async def purge(self) -> int:
        """Do it now; how many there were."""
        storage, now = self._storage, self._clock()
        if not isinstance(storage, SupportsPurge):
            return 0
        count = await storage.purge_expired(now - MARGIN)
        if "prefix" in inspect.signature(storage.purge_expired).parameters:
            for prefix in (KeyPrefix.counter, KeyPrefix.authorization_request):
                count += await storage.purge_expired(now, prefix)
        return count
