"""Counting attempts, before they are made."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, SupportsCounting
from crossauth_backend.limits.rules import TOTAL, network_of, read_limits

logger = logging.getLogger("crossauth.limits")


@dataclass(frozen=True, slots=True)
class Reservation:
    """Attempts that were counted: the counters with their ends, and whether one is more than half used."""

    counters: Mapping[str, datetime]
    nearly_used: bool = False


NOTHING = Reservation({})


class AttemptLimits:
    """Counts attempts in the key storage, so that all workers share the counts.

    An attempt is counted before it is made, so that any number of attempts at once get no further than one after the other. A
    success is given back, once a counter is half used: a login then usually costs one write for its limits.

    Parameters:
        key_storage: where the counts are.
        limits: changes to `DEFAULT_LIMITS`; see `read_limits`.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration` for limits that cannot be, or a storage that cannot count.
    """

    def __init__(self, key_storage: KeyStorage, limits: Mapping[str, Any], clock: Clock = utc_now) -> None:
        self.limits = read_limits(limits)
        self._clock = clock
        if self.limits and not isinstance(key_storage, SupportsCounting):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{type(key_storage).__name__} cannot count attempts: give it the method of SupportsCounting, or switch "
                "every limit off by name: attempt_limits={'login_account': None, ...}",
            )
        self._storage = key_storage

    async def reserve(self, subjects: Mapping[str, str | None]) -> Reservation:
        """Count an attempt.

        Parameters:
            subjects: by the name of a limit, what is counted under it. Empty ones are not counted.

        Raises:
            CrossauthError: `TooManyAttempts`, with `retry_after`, where a limit is reached.
        """
        now = self._clock()
        wanted = {}
        for name, subject in subjects.items():
            limit = self.limits.get(name)
            if limit is not None and subject:
                if name.endswith("_address"):
                    subject = network_of(subject)
                window = int(now.timestamp()) // limit.seconds
                value = f"{KeyPrefix.counter}{hash_token(f'{name} {window} {subject}')}"
                wanted[value] = (name, limit, datetime.fromtimestamp((window + 1) * limit.seconds, UTC))
        if not wanted or not isinstance(self._storage, SupportsCounting):
            return NOTHING
        counters = {value: ends for value, (_, _, ends) in wanted.items()}
        counts = await self._storage.count_up(counters)
        reached = [(name, ends) for value, (name, limit, ends) in wanted.items() if counts[value] > limit.attempts]
        if reached:
            seconds = max(int((ends - now).total_seconds()) for _, ends in reached) + 1
            names = ", ".join(name for name, _ in reached)
            raise CrossauthError(ErrorCode.TooManyAttempts, detail=f"limit {names}", retry_after=seconds)
        returned = {value: (limit, ends) for value, (name, limit, ends) in wanted.items() if name not in TOTAL}
        nearly = any(counts[value] * 2 > limit.attempts for value, (limit, _) in returned.items())
        return Reservation({value: ends for value, (_, ends) in returned.items()}, nearly)

    async def give_back(self, reservation: Reservation) -> None:
        """The attempt succeeded: it does not count. Earlier failures still do."""
        if reservation.nearly_used and isinstance(self._storage, SupportsCounting):
            await self._storage.count_up(reservation.counters, -1)
