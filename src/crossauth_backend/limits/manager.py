"""Counting attempts, before they are made."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.events.listeners import Events
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import Counter, KeyStorage, SupportsBoundedCounting, SupportsCounting
from crossauth_backend.limits.rules import RULES, Limit, mailbox_of, read_limits
from crossauth_backend.limits.switch import limits_are_off
from crossauth_backend.users.record import User

logger = logging.getLogger("crossauth.limits")


@dataclass(frozen=True, slots=True)
class Reservation:
    """Attempts that were counted: the counters with their ends, and whether one is more than half used."""

    counters: Mapping[str, datetime]
    nearly_used: bool = False


NOTHING = Reservation({})


@dataclass(frozen=True, slots=True)
class _Counted:
    """One limit of an attempt: its name, whether it is looked at first, whether successes count, and where it is counted."""

    name: str
    address: bool
    total: bool
    counter: Counter


def window_counter(name: str, subject: str, limit: Limit, now: datetime) -> Counter:
    """What is counted for `subject` under the limit `name` in the window that is open now."""
    window = int(now.timestamp()) // limit.seconds
    value = f"{KeyPrefix.counter}{hash_token(f'{name} {window} {subject}')}"
    return Counter(value, datetime.fromtimestamp((window + 1) * limit.seconds, UTC), limit.attempts)


def network_of(address: str) -> str:
    """By what attempts from `address` are counted: the host, or the /64 of an IPv6 host, which has 2^64 of them.

    An IPv4 address in IPv6 form is that IPv4 address. What is no address is counted as it is.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


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
        self._bounded = key_storage if isinstance(key_storage, SupportsBoundedCounting) else None

    async def count(
        self, subjects: Mapping[str, str | None], events: Events, *, address: str = "", user: User | None = None
    ) -> Reservation:
        """Count an attempt, and tell `events` of the first in a window that is one too many.

        Those counted by address come first: where one of them is reached, nothing is counted under the others, and what is
        refused leaves nothing behind, however often it is tried.

        Parameters:
            subjects: by the name of a limit, what is counted under it. Empty ones are not counted.
            events: who is told.
            address: the peer's address, for the event.
            user: whose account it is about, where that is known, for the event.

        Raises:
            CrossauthError: `TooManyAttempts`, with `retry_after`, where a limit is reached; `Configuration` for a name that no
                limit has.
        """
        now = self._clock()
        requested = [counted for name, subject in subjects.items() if (counted := self._counted(name, subject, now))]
        if not requested:
            return NOTHING
        stages = [[c for c in requested if c.address], [c for c in requested if not c.address]]
        counts = await self._count(*([c.counter for c in stage] for stage in stages))
        for stage in stages:
            reached = [c for c in stage if counts.get(c.counter.value, c.counter.most + 2) > c.counter.most]
            first = [c.name for c in reached if counts.get(c.counter.value) == c.counter.most + 1]
            if first:
                events.emit(EventName.attempts_limited, user, address=address, reason=", ".join(first))
            if reached:
                seconds = max(int((c.counter.expires - now).total_seconds()) for c in reached) + 1
                names = ", ".join(c.name for c in reached)
                raise CrossauthError(ErrorCode.TooManyAttempts, detail=f"limit {names}", retry_after=seconds)
        returned = [c for c in requested if not c.total]
        nearly = any(counts[c.counter.value] * 2 > c.counter.most for c in returned)
        return Reservation({c.counter.value: c.counter.expires for c in returned}, nearly)

    @asynccontextmanager
    async def attempt(
        self, subjects: Mapping[str, str | None], events: Events, *, address: str = "", user: User | None = None
    ) -> AsyncIterator[None]:
        """As `count`, around what is tried. Where the block succeeds the attempt does not count; earlier failures still do."""
        reservation = await self.count(subjects, events, address=address, user=user)
        yield
        if reservation.nearly_used and isinstance(self._storage, SupportsCounting):
            await self._storage.count_up(reservation.counters, -1)

    async def allows(
        self, subjects: Mapping[str, str | None], events: Events, *, address: str = "", user: User | None = None
    ) -> bool:
        """As `count`, for what is left undone in silence beyond a limit: whether it is within the limits."""
        try:
            await self.count(subjects, events, address=address, user=user)
        except CrossauthError as e:
            if e.code is not ErrorCode.TooManyAttempts:
                raise
            return False
        return True

    def mail_counter(self, events: Events) -> Callable[[str], Awaitable[bool]]:
        """What counts a message to an email address by its mailbox, and says whether it is within the limit."""

        async def count(to: str) -> bool:
            return await self.allows({"mail_target": mailbox_of(to)}, events)

        return count

    def _counted(self, name: str, subject: str | None, now: datetime) -> _Counted | None:
        rule = RULES.get(name)
        if rule is None:
            raise CrossauthError(ErrorCode.Configuration, detail=f"there is no limit {name!r}")
        limit = self.limits.get(name)
        if limit is None or not subject or limits_are_off():
            return None
        if rule.address:
            subject = network_of(subject)
        return _Counted(name, rule.address, rule.total, window_counter(name, subject, limit, now))

    async def _count(self, first: list[Counter], then: list[Counter]) -> Mapping[str, int]:
        if self._bounded is not None:
            return await self._bounded.count_within(first, then)
        # As good, but what is refused is counted as well.
        counts: dict[str, int] = {}
        for stage in (first, then):
            if stage and isinstance(self._storage, SupportsCounting):
                counts |= await self._storage.count_up({c.value: c.expires for c in stage})
            if any(counts[c.value] > c.most for c in stage):
                break
        return counts
