"""Throwing away, now and then, the sign-ups that nobody finished."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.signup_names import throw_away
from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.users.storage import SupportsSignupExpiry

logger = logging.getLogger("crossauth.accounts")
EVERY_SECONDS: Final = 3600.0
BATCH: Final = 100
# At most so many at one time; the rest waits for the next.
_BATCHES: Final = 100


async def purge_signups(accounts: Accounts, batch: int = BATCH) -> int:
    """Delete the sign-ups whose time is up, a few at a time; returns how many there were.

    Each is deleted only if it still is one when it is deleted: whoever finishes in that moment keeps the account.
    """
    users, count = accounts.users, 0
    if not isinstance(users, SupportsSignupExpiry):
        return 0
    for _ in range(_BATCHES):
        found = await users.expired_signups(accounts.now, batch)
        gone = [await throw_away(accounts, userid) for userid in found]
        count += sum(gone)
        if len(found) < batch or not any(gone):
            break
        await asyncio.sleep(0)
    return count


class SignupPurger:
    """Does so while the application runs. Nothing rests on it: what has expired gives way whether or not it is still stored.

    Parameters:
        accounts: makes the account services.
        every: seconds between two times.
    """

    def __init__(self, accounts: Callable[[], Accounts], every: float = EVERY_SECONDS) -> None:
        self._accounts, self._every = accounts, every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                count = await purge_signups(self._accounts())
                logger.info("%d unfinished sign-ups were deleted", count)
            except CrossauthError as e:
                logger.warning("unfinished sign-ups could not be deleted: %s", e.detail or e.message)
