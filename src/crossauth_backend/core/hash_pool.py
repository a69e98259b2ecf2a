"""Where passwords are hashed: a few threads, and a bounded queue in front of them in which trusted browsers go first."""

from __future__ import annotations

import asyncio
import heapq
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark

MAX_WAITING: Final = 256
RETRY_AFTER_SECONDS: Final = 5
StillWanted: TypeAlias = Callable[[], Awaitable[bool]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Client:
    device: str | None = None
    still_wanted: StillWanted | None = None


_UNKNOWN: Final = _Client()
_client: ContextVar[_Client] = ContextVar("hashing_for", default=_UNKNOWN)


@contextmanager
def hashing_for(device: str | None = None, still_wanted: StillWanted | None = None) -> Iterator[None]:
    """Say for whom passwords are hashed within the block. Nested blocks add to what is known.

    Parameters:
        device: id of a trusted browser. The first hash of each of them goes before those of strangers.
        still_wanted: asked before a hash begins; where it answers `False` (the client has hung up) it is not begun.
    """
    known = _client.get()
    token = _client.set(_Client(device or known.device, still_wanted or known.still_wanted))
    try:
        yield
    finally:
        _client.reset(token)


@dataclass(order=True, slots=True)
class _Place:
    """A place in the queue. Granting it sets the result of `turn`, which a thread may do for an event loop."""

    rank: int
    number: int
    device: str | None = field(compare=False)
    turn: Future[None] = field(compare=False, default_factory=Future)


class HashPool:
    """A small thread pool with a bounded queue in front of it, so that a flood of logins costs no more than a refusal each.

    Those who wait are ranked: a trusted browser's first hash goes before all strangers', whatever came earlier. More hashes
    of the same browser at the same time wait as a stranger's do. Each rank has a bound of its own, so strangers cannot fill
    the queue for trusted browsers.

    Parameters:
        threads: how many hashes are computed at once; by default one less than there are cores, at least one.
        max_waiting: how many may wait, of each rank.
    """

    def __init__(self, threads: int | None = None, max_waiting: int = MAX_WAITING) -> None:
        self._free = threads or max(1, (os.cpu_count() or 2) - 1)
        self._threads = ThreadPoolExecutor(self._free, thread_name_prefix="crossauth-hash")
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._queue: list[_Place] = []
        self._waiting = [0, 0]
        self._trusted: set[str] = set()
        self._number = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` in a thread, when it is its turn.

        Raises:
            CrossauthError: `Connection` with status 503 and `retry_after` where too many wait already; the same without
                `retry_after` where the client has gone.
        """
        client = _client.get()
        place = self._enter(client.device)
        try:
            if not place.turn.done():
                await asyncio.wrap_future(place.turn)
            if client.still_wanted is not None and not await client.still_wanted():
                raise CrossauthError(
                    ErrorCode.Connection, status=503, detail="the client has gone; no password was hashed"
                )
            running = self._threads.submit(work)
        except BaseException:
            self._give_up(place)
            raise
        # The thread, not whoever waits for it, makes room for the next: a client that goes now does not stop the thread.
        running.add_done_callback(lambda _: self._leave(place))
        return await asyncio.wrap_future(running)

    def _enter(self, device: str | None) -> _Place:
        with self._lock:
            trusted = device is not None and device not in self._trusted
            rank = 0 if trusted else 1
            place = _Place(rank, self._number, device if trusted else None)
            self._number += 1
            if self._free:
                self._free -= 1
                place.turn.set_result(None)
            elif self._waiting[rank] >= self._max_waiting:
                raise CrossauthError(
                    ErrorCode.Connection, mark("Too many people are logging in. Try again in a few seconds."),
                    status=503, retry_after=RETRY_AFTER_SECONDS, detail="too many passwords wait to be hashed",
                )  # fmt: skip
            else:
                self._waiting[rank] += 1
                heapq.heappush(self._queue, place)
            if place.device is not None:
                self._trusted.add(place.device)
            return place

    def _give_up(self, place: _Place) -> None:
        """Leave without having begun."""
        if place.turn.cancel():
            with self._lock:
                if place in self._queue:
                    self._queue.remove(place)
                    heapq.heapify(self._queue)
                    self._waiting[place.rank] -= 1
                self._trusted.discard(place.device or "")
        else:
            self._leave(place)

    def _leave(self, place: _Place) -> None:
        """Hand the turn to the next."""
        with self._lock:
            self._trusted.discard(place.device or "")
            while self._queue:
                following = heapq.heappop(self._queue)
                self._waiting[following.rank] -= 1
                if following.turn.set_running_or_notify_cancel():
                    break
            else:
                self._free += 1
                return
        following.turn.set_result(None)
