"""Throwing away, now and then, the sign-ups that nobody finished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.signup_names import throw_away
from crossauth_backend.core.periodic import EVERY_SECONDS, Periodic
from crossauth_backend.users.storage import SupportsSignupExpiry

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


class SignupPurger(Periodic):
    """Does so while the application runs. Nothing rests on it: what has expired gives way whether or not it is still stored.

    Parameters:
        accounts: makes the account services.
        every: seconds between two times.
    """

    def __init__(self, accounts: Callable[[], Accounts], every: float = EVERY_SECONDS) -> None:
        super().__init__(lambda: purge_signups(accounts()), "unfinished sign-ups that were deleted", every)
