"""Sending in the background, so that response times don't reveal whether there was a message to send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeAlias

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import loggable
from crossauth_backend.core.texts import mark
from crossauth_backend.delivery.mailer import DeliveryRefused, Failure, Message
from crossauth_backend.delivery.waiting import LEASE, InMemory, Waiting, WaitingRoom

logger = logging.getLogger("crossauth.delivery")
_MINUTE: Final = 60.0
# A greylisting server takes what comes again after some minutes, a server that is down may be down for a day
# (RFC 5321 §4.5.4.1): 28 hours in all.
RETRY_SECONDS: Final = (
    5.0, 30.0, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, 60 * _MINUTE, 120 * _MINUTE, 240 * _MINUTE,
    480 * _MINUTE, 720 * _MINUTE,
)  # fmt: skip
CLOSING_SECONDS: Final = 10.0
MAX_WAITING: Final = 10_000
TICK_SECONDS: Final = 1.0
# How often a worker looks for what another has left behind.
SCAN_SECONDS: Final = 300.0
_AT_ONCE: Final = 4
_FUNCTION: Final = "function "
Send: TypeAlias = Callable[[], Awaitable[object]]
Channel: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[object]]
Job: TypeAlias = Callable[[], Awaitable[Message | Send | None]]


class _Diversion:
    """What channels are to send by for a while."""

    def __init__(self, divert: Callable[[Channel], Channel]) -> None:
        self.divert = divert


class DeliveryQueue:
    """Makes messages and sends them, a few at a time.

    A message is kept in `waiting` before it is sent, so that the end of the process does not lose it. One that is not taken is
    tried again, after five seconds at first and for 28 hours, or until the code or link in it has expired. One that is refused
    for good is not. What is given up is reported: to the log and to `on_failure`.

    Parameters:
        on_failure: told why, of each message that was given up.
        retry_seconds: the waits between tries.
        waiting: where messages wait; without one in memory, and the end of the process ends them.
        clock: what time it is.
    """

    def __init__(
        self,
        on_failure: Callable[[Failure], None] = lambda reason: None,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        waiting: WaitingRoom | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._on_failure = on_failure
        self._retry_seconds = retry_seconds
        self._memory = InMemory()
        self._waiting: WaitingRoom = waiting or self._memory
        self._clock = clock
        self._channels: dict[str, Channel] = {}
        self._diversions: list[_Diversion] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._retries: dict[str, asyncio.Task[None]] = {}
        self._mine: dict[str, datetime] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._closing = False
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def add_channel(self, name: str, send: Channel) -> None:
        """Have messages of the channel `name` sent by `send`, which is handed their content. The name must outlive a restart."""
        self._channels[name] = send

    @contextmanager
    def diverted(self, divert: Callable[[Channel], Channel]) -> Iterator[None]:
        """Let every channel send by what `divert` makes of it in the block; for tests."""
        own = _Diversion(divert)
        self._diversions.append(own)
        try:
            yield
        finally:
            # Its own, whichever block ends first: else messages would not be sent any more.
            self._diversions = [entry for entry in self._diversions if entry is not own]

    def put(self, job: Job) -> None:
        """Have `job` make a message, and send it.

        Parameters:
            job: called in the background, so that what it looks up takes nobody's time. It returns a `Message`; or a function
                that sends one, which cannot outlive the process; or `None` where there is none to send.

        Raises:
            CrossauthError: `Connection` with status 503 where ten thousand are waiting already.
        """
        if len(self._tasks) + len(self._mine) >= MAX_WAITING:
            raise CrossauthError(ErrorCode.Connection, mark("Too many messages are waiting to be sent"), status=503)
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def start(self) -> None:
        """Begin to look for messages that wait, those of an earlier run first."""
        self._closing = False
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._watch()

    async def close(self) -> None:
        """Send what is there, for at most ten seconds; what is left waits for the next start."""
        self._closing = True
        watcher, self._watcher = self._watcher, None
        retries = [*self._retries.values(), *([watcher] if watcher else [])]
        for task in retries:
            task.cancel()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=CLOSING_SECONDS)
            for task in left:
                task.cancel()
            retries += left
        if retries:
            await asyncio.wait(retries, timeout=CLOSING_SECONDS)
        for name in list(self._memory.messages):
            del self._memory.messages[name]
            self._give_up("stopped", "the server stopped")
        self._mine.clear()

    async def idle(self) -> None:
        """Return when every message was made and tried once."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def deliver_due(self, *, scan: bool = True) -> None:
        """Try the messages again that are due.

        Parameters:
            scan: those of other processes as well, not only those that this one keeps.
        """
        await self._begin_due(scan)
        while self._retries:
            await asyncio.wait(self._retries.values())

    def _watch(self) -> None:
        if self._watcher is None and not self._closing:
            self._watcher = asyncio.get_running_loop().create_task(self._run_watcher())

    async def _run_watcher(self) -> None:
        loop = asyncio.get_running_loop()
        next_scan = 0.0
        while True:
            # Not at once: the start, which may be part of the first request, asks no storage for it.
            await asyncio.sleep(TICK_SECONDS)
            scan = loop.time() >= next_scan
            try:
                await self._begin_due(scan)
            except Exception as e:
                logger.warning("messages that wait cannot be read: %s", _why(e))
            if scan:
                next_scan = loop.time() + SCAN_SECONDS

    async def _begin_due(self, scan: bool) -> None:
        now = self._clock()
        if scan:
            self._mine |= await self._waiting.listed(now + timedelta(seconds=SCAN_SECONDS))
        names = {name for name, due in self._mine.items() if due <= now}
        for name in names - self._retries.keys():
            task = asyncio.get_running_loop().create_task(self._retry(name))
            self._retries[name] = task
            task.add_done_callback(partial(self._retried, name))

    def _retried(self, name: str, _: asyncio.Task[None]) -> None:
        self._retries.pop(name, None)

    async def _run(self, job: Job) -> None:
        try:
            message = await job()
        except asyncio.CancelledError:
            self._give_up("stopped", "the server stopped before it was made")
            return
        except Exception as e:
            logger.exception("a message could not be made", exc_info=loggable(e))
            self._on_failure("error")
            return
        if message is not None:
            await self._first_try(message)

    async def _first_try(self, message: Message | Send) -> None:
        """Keep the message before it is sent, so that the end of the process does not lose it."""
        storing = asyncio.ensure_future(self._store(message))
        try:
            room, found = await asyncio.shield(storing)
        except asyncio.CancelledError:
            room, found = await storing
            if found is None:
                self._give_up("too_many", "the server stops")
            else:
                await room.put_back(replace(found, due=self._clock()))
            return
        if found is None:
            await self._try_once(message)
            return
        try:
            await self._try_again(room, found)
        except Exception as e:
            # It stays as it is kept, and is found when its lease is over.
            logger.warning("a message that was tried cannot be noted: %s", _why(e))

    async def _store(self, message: Message | Send) -> tuple[WaitingRoom, Waiting | None]:
        """The message as it is kept, leased, and where; without one where too many wait for its recipient."""
        now = self._clock()
        # The number of tries ends it; this only ends what was forgotten while no server ran.
        ends = now + timedelta(seconds=2 * sum(self._retry_seconds) + 1)
        room = self._waiting
        if not isinstance(message, Message):
            # A function cannot be stored: it waits here, under a channel of its own.
            send, name = message, f"{_FUNCTION}{id(message)}"
            self.add_channel(name, lambda _: send())
            message, room = Message(channel=name, to="", content={}), self._memory
        waiting = Waiting(message=message, tries=0, due=now + LEASE, ends=min(ends, message.until or ends))
        try:
            return room, await room.add(waiting, now)
        except Exception as e:
            logger.warning("a message waits in memory, for it cannot be stored: %s", _why(e))
            return self._memory, await self._memory.add(waiting, now)

    async def _try_once(self, message: Message | Send) -> None:
        try:
            async with self._turn:
                await self._deliver(message)
        except DeliveryRefused as e:
            self._give_up(e.reason, e.detail or e.reason)
        except asyncio.CancelledError:
            self._give_up("too_many", "the server stops")
        except Exception as e:
            self._give_up("too_many", _why(e))

    async def _deliver(self, message: Message | Send) -> None:
        if isinstance(message, Message):
            send = self._channels[message.channel]
            for diversion in self._diversions:
                send = diversion.divert(send)
            await send(message.content)
        else:
            await message()

    async def _retry(self, name: str) -> None:
        room = self._memory if name in self._memory.messages else self._waiting
        try:
            found = await room.lease(name, self._clock())
            if found is None:
                self._mine.pop(name, None)
            else:
                await self._try_again(room, found)
        except Exception as e:
            # The storage is away: it stays as it is, and is found again by the next scan.
            self._mine.pop(name, None)
            logger.warning("a message that waits cannot be read: %s", _why(e))

    async def _try_again(self, room: WaitingRoom, found: Waiting) -> None:
        now, message = self._clock(), found.message
        if found.ends < now or message is None:
            await self._forget(room, found, "expired", "its time is over")
            return
        if message.channel not in self._channels:  # another application's, on the same storage
            self._mine.pop(found.name, None)
            await room.put_back(found)
            return
        try:
            async with self._turn:
                now = self._clock()
                # It may have been long until its turn came; the lease must last until it is sent.
                leased = found if found.due - now > LEASE / 2 else await room.renew(found, now)
                if leased is None:  # another worker has it
                    self._mine.pop(found.name, None)
                    return
                found = leased
                await self._deliver(message)
        except DeliveryRefused as e:
            await self._forget(room, found, e.reason, e.detail or e.reason)
        except asyncio.CancelledError:
            await room.put_back(replace(found, due=self._clock()))
        except Exception as e:
            await self._later(room, found, _why(e))
        else:
            await self._remove(room, found)

    async def _later(self, room: WaitingRoom, found: Waiting, why: str) -> None:
        left = self._retry_seconds[found.tries : found.tries + 1]
        due = self._clock() + timedelta(seconds=left[0] if left else 0)
        if not left or due > found.ends:
            await self._forget(room, found, "expired", why)
            return
        logger.warning("a message was not taken and is tried again: %s", why)
        self._mine[found.name] = due
        await room.put_back(replace(found, tries=found.tries + 1, due=due))
        self._watch()

    async def _forget(self, room: WaitingRoom, found: Waiting, reason: Failure, why: str) -> None:
        await self._remove(room, found)
        self._give_up(reason, why)

    async def _remove(self, room: WaitingRoom, found: Waiting) -> None:
        self._mine.pop(found.name, None)
        if room is self._memory and found.message is not None and found.message.channel.startswith(_FUNCTION):
            self._channels.pop(found.message.channel, None)
        await room.remove(found)

    def _give_up(self, reason: Failure, why: str) -> None:
        logger.error("a message was lost (%s): %s", reason, why)
        self._on_failure(reason)


def _why(e: Exception) -> str:
    return (e.detail or e.message) if isinstance(e, CrossauthError) else type(e).__name__
