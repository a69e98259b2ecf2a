"""Limits of what is requested all the time: counted ahead, a block at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.storage import Counter, KeyStorage, SupportsCounting
from crossauth_backend.limits.manager import window_counter
from crossauth_backend.limits.rules import Limit
from crossauth_backend.limits.switch import limits_are_off

# What part of a limit is counted ahead at first, and at least. Of a limit below so many its last requests are counted one by one.
_OF_THE_LIMIT: Final = 100
# What part of what is left of it is counted ahead by a worker that needs more: much in the middle of a window, and little where
# the workers share its last requests.
_OF_WHAT_IS_LEFT: Final = 20
# Of how many subjects what is left of a block is remembered; what is forgotten stays counted.
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Reached:
    """A request beyond the limit.

    Parameters:
        retry_after: seconds until the window ends.
        first: whether it is the first one in this window, of all workers; for the event.
    """

    retry_after: int
    first: bool


@dataclass(slots=True)
class _Lease:
    """What this worker may still do in one window, and what it knows of that window.

    Attributes:
        left: what it may do without asking.
        unclaimed: what no worker had counted yet when it asked last.
        exhausted: whether nothing more can be had.
        tells: whether it is to tell of the end.
    """

    limit: Limit
    counter: Counter
    left: int = 0
    unclaimed: int = 0
    exhausted: bool = False
    tells: bool = False


class LeasedLimit:
    """A limit whose counts all workers share in the key storage.

    Requests are counted before they are served: first a hundredth of the limit at once, then a twentieth of what is left of it,
    so that most of them cost no write. A subject never gets more than its limit; what a worker has counted ahead and not used
    when the window ends is lost to the others. Once the limit is reached, refusing costs nothing. Where more subjects ask at once
    than a worker can remember, every request is counted by itself.

    Parameters:
        storage: where the counts are.
        name: the name of the limit.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration` where the storage cannot count.
    """

    def __init__(self, storage: KeyStorage, name: str, clock: Clock = utc_now) -> None:
        if not isinstance(storage, SupportsCounting):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{type(storage).__name__} cannot count requests: give it the method of SupportsCounting, or switch the limit "
                f"off by name: attempt_limits={{{name!r}: None}}",
            )
        self._storage, self._name, self._clock = storage, name, clock
        self._leases: dict[str, _Lease] = {}
        self._crowded = False

    async def count(self, subject: str, limit: Limit) -> Reached | None:
        """Count a request of `subject`; `None` where it is within `limit`."""
        if limits_are_off():
            return None
        now = self._clock()
        lease = self._lease(subject, limit, now)
        if not lease.left and not lease.exhausted:
            await self._count_ahead(lease)
        if lease.left:
            lease.left -= 1
            return None
        first, lease.tells = lease.tells, False
        return Reached(int((lease.counter.expires - now).total_seconds()) + 1, first)

    async def _count_ahead(self, lease: _Lease) -> None:
        counter = lease.counter
        ahead = max(1, lease.unclaimed // _OF_WHAT_IS_LEFT, counter.most // _OF_THE_LIMIT)
        # A block that is forgotten before it is used would be lost, and with it the subject's limit.
        block = 1 if self._crowded else ahead
        counted = (await self._storage.count_up({counter.value: counter.expires}, block))[counter.value]
        granted = max(0, min(block, counter.most - (counted - block)))
        lease.unclaimed = max(0, counter.most - counted)
        # Added, not set: another request of this worker may have counted a block meanwhile.
        lease.left += granted
        lease.exhausted = lease.exhausted or granted < block
        lease.tells = lease.tells or counted - block <= counter.most < counted

    def _lease(self, subject: str, limit: Limit, now: datetime) -> _Lease:
        lease = self._leases.get(subject)
        if lease is None or lease.limit != limit or now >= lease.counter.expires:
            self._leases.pop(subject, None)
            lease = self._leases[subject] = _Lease(limit, window_counter(self._name, subject, limit, now))
            self._forget(now)
        return lease

    def _forget(self, now: datetime) -> None:
        """Forget windows that have ended, and the oldest one where there are too many still."""
        for subject in list(islice(self._leases, 2)):
            if now >= self._leases[subject].counter.expires:
                del self._leases[subject]
        self._crowded = len(self._leases) > _MOST
        if self._crowded:
            del self._leases[next(iter(self._leases))]
