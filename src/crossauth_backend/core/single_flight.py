"""Work that several requests need at the same moment, done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs one task per name at a time; whoever asks meanwhile gets its result.

    The task goes on when a request that waits for it is cancelled: the others still wait.
    """

    def __init__(self) -> None:
        self._running: dict[tuple[int, Hashable], asyncio.Task[T]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """The running task of that name; a new one where there is none."""
        loop = asyncio.get_running_loop()
        key = (id(loop), name)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = loop.create_task(work())
            task.add_done_callback(lambda done: self._finished(key, done))
        return task

    async def run(self, name: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of that task.

        Raises:
            Exception: whatever the work raises.
        """
        return await asyncio.shield(self.start(name, work))

    def _finished(self, key: tuple[int, Hashable], task: asyncio.Task[T]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            # Nobody may have waited for it to the end.
            task.exception()
