"""Whether something is used for the first time: known to all workers, or to one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.keys.storage import KeyStorage

_MOST: Final = 10_000


class InStorage:
    """Marks what was used in a storage of keys.

    Parameters:
        keys: the storage.
        clock: what time it is.
    """

    def __init__(self, keys: KeyStorage, clock: Callable[[], datetime]) -> None:
        self._keys, self._clock = keys, clock

    async def __call__(self, name: str, expires: datetime) -> bool:
        """Whether `name` was not used before; it need not be remembered longer than until `expires`."""
        return await consume_once(self._keys, name, self._clock(), expires)


class InMemory:
    """Marks what was used in this process only, and no more of it than fits.

    What it guards is of no use a second time anyway: an authorization code is good once. It only ends sooner.

    Parameters:
        clock: what time it is.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._used: dict[str, datetime] = {}

    async def __call__(self, name: str, expires: datetime) -> bool:
        """See `InStorage`."""
        key, now = hash_token(name), self._clock()
        if len(self._used) >= _MOST:
            self._used = {known: until for known, until in self._used.items() if until > now}
        while len(self._used) >= _MOST:
            del self._used[next(iter(self._used))]
        if key in self._used:
            return False
        self._used[key] = expires
        return True
