"""What has to be opened before an application serves its first request, and closed when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.keys.storage import SupportsLifecycle


class Lifecycle:
    """The parts of one application, opened once: when it starts, or at its first request where nothing starts it.

    Starlette does not run the lifespan of a mounted application. Its parts are then open until the process ends; an application
    that wants them closed enters `inner.router.lifespan_context(inner)` in the lifespan of the outer one.

    Parameters:
        ready: called when everything is open, and the application has all its routes.
    """

    def __init__(self, ready: Callable[[], None]) -> None:
        self.running = False
        self._ready = ready
        self._parts: list[SupportsLifecycle] = []
        self._open_parts: list[SupportsLifecycle] = []
        self._opening: asyncio.Task[None] | None = None

    def add(self, parts: Sequence[SupportsLifecycle]) -> None:
        """Take care of `parts` too, after those that are there. New ones are opened with the next `start`."""
        for part in parts:
            if all(part is not known for known in self._parts):
                self._parts.append(part)
                self.running = False

    @property
    def parts(self) -> tuple[SupportsLifecycle, ...]:
        """What is opened, in this order."""
        return tuple(self._parts)

    def attach(self, app: FastAPI) -> None:
        """Open with `app`, before anything of its own, so that what is wrong is known then; close with it, last first."""
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            try:
                # What was opened before a part that says no is closed too, or the process would not end.
                await self._open()
                async with inner(app) as state:
                    self._ready()
                    self.running = True
                    yield state
            finally:
                await self.close()

        app.router.lifespan_context = lifespan

    async def close(self) -> None:
        """Close every part, last first, whatever another one raises."""
        self.running = False
        self._open_parts.clear()
        async with AsyncExitStack() as stack:
            for part in self._parts:
                stack.push_async_callback(part.close)

    async def start(self) -> None:
        """Open what is not open. Requests that come meanwhile wait for it; the next one tries again where it failed.

        Raises:
            CrossauthError: what a part says against it.
        """
        if self.running:
            return
        loop = asyncio.get_running_loop()
        if self._opening is None or self._opening.done() or self._opening.get_loop() is not loop:
            self._opening = loop.create_task(self.open())
        try:
            # Shielded: the client of the request that began it may go, others wait for it.
            await asyncio.shield(self._opening)
        except CrossauthError as e:
            # At the start its text is for who configures the application; here it would be for a visitor.
            detail, retry = e.detail or e.message, e.retry_after
            raise CrossauthError(e.code, detail=detail, status=e.http_status, retry_after=retry) from e

    async def open(self) -> None:
        """Open what is not open, for a caller that no visitor waits for.

        Raises:
            CrossauthError: what a part says against it, to whoever configures the application.
        """
        await self._open()
        self._ready()
        self.running = True

    async def _open(self) -> None:
        for part in self._parts:
            if all(part is not known for known in self._open_parts):
                await part.start()
                self._open_parts.append(part)
