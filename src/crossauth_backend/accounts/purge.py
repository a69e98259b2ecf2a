"""Throwing away, now and then, the sign-ups that nobody finished."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Final

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.signup_names import SignupKept, delete_signup
from crossauth_backend.core.periodic import EVERY_SECONDS, Periodic
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.record import UserId

logger = logging.getLogger("crossauth.accounts")
BATCH: Final = 2000


async def purge_signups(accounts: Accounts, batch: int = BATCH) -> int:
    """Delete the sign-ups whose time is up; returns how many there were.

    Each is deleted only if it still is one when it is deleted: whoever finishes in that moment keeps the account. Those that
    the application keeps, by its hook `before_delete_user` or by rows that refer to them, do not hold the others up.
    """
    users, count = accounts.users, 0
    if not isinstance(users, SupportsSignupExpiry):
        return 0
    # A storage of the application's whose method is from before there was a cursor.
    pages = "after" in inspect.signature(users.expired_signups).parameters
    now, after, stored = accounts.now, None, _Kept()
    while True:
        found = await users.expired_signups(now, batch, after) if pages else await users.expired_signups(now, batch)
        gone = [await stored.delete(accounts, userid) for userid in found]
        count += sum(gone)
        if len(found) < batch or not (pages or any(gone)):
            stored.log()
            return count
        after = found[-1]
        await asyncio.sleep(0)


class _Kept:
    """Counts the sign-ups that could not be deleted, so that they make one line in the log."""

    def __init__(self) -> None:
        self._count, self._cause = 0, ""

    async def delete(self, accounts: Accounts, userid: UserId) -> bool:
        try:
            return await delete_signup(accounts, userid)
        except SignupKept as e:
            self._count += 1
            self._cause = repr(e.__cause__)
            return False

    def log(self) -> None:
        if self._count:
            logger.warning(
                "%d sign-ups whose time is up cannot be deleted, and keep their usernames; the last: %s",
                self._count,
                self._cause,
            )


class SignupPurger(Periodic):
    """Does so while the application runs. Nothing rests on it: what has expired gives way whether or not it is still stored.

    Parameters:
        accounts: makes the account services.
        every: seconds between two times.
    """

    def __init__(self, accounts: Callable[[], Accounts], every: float = EVERY_SECONDS) -> None:
        super().__init__(lambda: purge_signups(accounts()), "unfinished sign-ups that were deleted", every)
