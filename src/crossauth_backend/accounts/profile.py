"""Changing what is known of a user, and deleting an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.accounts.context import ANY_STATE, Accounts
from crossauth_backend.accounts.signup import checked_user
from crossauth_backend.users.record import User, UserId

_DERIVED = ("id", "username_normalized", "email_normalized")


async def update_profile(accounts: Accounts, current: User, changed: User | Mapping[str, Any]) -> User:
    """Store the fields in which `changed` differs from `current`, and return the user as it then is.

    Raises:
        CrossauthError: `FormEntry`, `InvalidEmail`, `UserExists`, `BadRequest` for a field the storage does not have.
    """
    given = changed.to_dict() if isinstance(changed, User) else dict(changed)
    wanted = checked_user(accounts, current.to_dict() | given)
    fields = {n: v for n, v in wanted.items() if n not in _DERIVED and v != current.get(n)}
    if fields:
        await accounts.users.update_user({"id": current.id, **fields})
    return (await accounts.users.get_user_by_id(current.id)).user


async def delete_account(accounts: Accounts, userid: UserId) -> None:
    """Delete the user, the secrets, and every key of the user: sessions, tokens, API keys."""
    # The user goes first: a session whose user is gone signs nobody in, even if the second step is never reached.
    await accounts.users.delete_user_by_id(userid)
    await accounts.sessions.key_storage.delete_all_for_user(userid, "")


async def find_user(accounts: Accounts, userid: UserId) -> User:
    """The user of this id, in whatever state.

    Raises:
        CrossauthError: `UserNotExist`.
    """
    return (await accounts.users.get_user_by_id(userid, ANY_STATE)).user
