"""Asking somebody who is logged in by a token for the second factor once more, before a request that matters.

Whoever has stolen the token can ask for this without the first factor, so the challenge opens no login: it has a purpose of its
own. A request that a session holds until the code comes is in `page_visit`.
"""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts.challenge import PENDING, decrypt
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.second_factor import pending_login, prove
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User


async def pending_step_up(
    accounts: Accounts, user: User, origin: ClientInfo = UNKNOWN_CLIENT
) -> tuple[dict[str, Any], str]:
    """Ask for the second factor of `user`; see `pending_login`."""
    return await pending_login(accounts, user, None, origin, "step_up")


async def complete_step_up(accounts: Accounts, key: Key | None, params: Params, origin: ClientInfo) -> User:
    """Check the code; the user whose challenge it was.

    Raises:
        CrossauthError: as `complete_login`, also for the challenge of a login.
    """
    user, _ = await prove(accounts, decrypt(key, accounts.ring, PENDING, "step_up"), params, origin)
    return user
