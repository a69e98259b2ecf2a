"""The key storages that the routes of an application use: opened before the first request, purged now and then, and closed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.keys.purge import Purger
from crossauth_backend.keys.storage import SupportsLifecycle
from crossauth_fastapi._middleware.lifespan import Lifecycle

logger = logging.getLogger("crossauth.fastapi_users")
# A strategy that makes a storage for every request would otherwise have us keep all of them.
_MOST: Final = 16


class Storages:
    """The storages of one `FastAPIUsers`, each once.

    Parameters:
        foreign: a storage that somebody else opens and closes.
    """

    def __init__(self, foreign: Any = None) -> None:
        self.all: list[Any] = []
        self._foreign = foreign
        self._lifecycle = Lifecycle(lambda: None)
        self._has_lifespan = self._warned = False
        self._fault = ""

    def add(self, storage: Any) -> None:
        """Take care of a storage, where it is one and not known yet."""
        if storage is self._foreign or any(storage is known for known in self.all) or not hasattr(storage, "save_key"):
            return
        if len(self.all) >= _MOST:
            if not self._warned:
                self._warned = True
                logger.error(
                    "a strategy's key storage is another for every request, so it is neither checked nor purged: make it once"
                )
            return
        self.all.append(storage)
        self._lifecycle.add([*([storage] if isinstance(storage, SupportsLifecycle) else []), Purger(storage)])

    def add_part(self, part: SupportsLifecycle) -> None:
        """Take care of something else that has connections to close."""
        self._lifecycle.add([part])

    async def open(self, *strategies: Any) -> None:
        """Open what is not open: every storage where no lifespan runs, and those of `strategies`, which a request brought.

        Raises:
            CrossauthError: why a storage cannot be used. The log says it too, once.
        """
        for strategy in strategies:
            self.add(getattr(strategy, "key_storage", None))
        if self._lifecycle.running:
            return
        try:
            await self._lifecycle.start()
        except CrossauthError as e:
            if e.detail is not None and e.detail != self._fault:
                self._fault = e.detail
                logger.error("a key storage cannot be used: %s", e.detail)
            raise

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Open the storages while the application runs. Every router brings this along, and one of them does it."""
        if self._has_lifespan:
            yield
            return
        self._has_lifespan = True
        try:
            await self._lifecycle.open()
            yield
        finally:
            self._has_lifespan = False
            await self._lifecycle.close()
