"""Recovery codes: what a user writes down for the day the second factor is lost."""

from __future__ import annotations

from typing import Final

from crossauth_backend.accounts.changes import check_still
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import clean_code
from crossauth_backend.core.texts import mark
from crossauth_backend.core.typedcodes import random_base32
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import SupportsTake
from crossauth_backend.users.record import User

COUNT: Final = 10
# 80 random bits: too many to guess, so a plain hash is enough to store.
LENGTH: Final = 16


async def make_codes(accounts: Accounts, user: User) -> list[str]:
    """Ten new codes; all earlier ones stop working. They are stored hashed, so this is the only time they can be shown.

    Raises:
        CrossauthError: `InvalidSession`, `UserNotActive` where the account was changed since `user` was read, or codes were made
            elsewhere at the same time. Nobody is shown these codes then, and they are worth nothing.
    """
    await check_still(accounts, user)
    await delete_codes(accounts, user)
    codes = random_codes()
    stored = [_stored(user, code) for code in codes]
    for value in stored:
        await accounts.keys.save_key(user.id, value, accounts.now)
    try:
        # Whoever took the account back meanwhile has made codes too, or somebody did in another tab.
        await check_still(accounts, user)
        if set(await _codes_of(accounts, user)) != set(stored):
            raise CrossauthError(
                ErrorCode.InvalidSession, mark("New codes were just generated elsewhere. Generate them again.")
            )
    except CrossauthError:
        for value in stored:
            await accounts.keys.delete_key(value)
        raise
    return codes


def random_codes() -> list[str]:
    """Codes as `make_codes` makes them, stored for nobody: for an answer that must not say that there is no new account."""
    return [random_base32(LENGTH, 4) for _ in range(COUNT)]


async def take_code(accounts: Accounts, user: User, code: str) -> None:
    """Use a code up; of any number of calls at once one succeeds.

    Raises:
        CrossauthError: `InvalidToken` for one that is wrong or was used.
    """
    if not isinstance(accounts.keys, SupportsTake):
        raise CrossauthError(ErrorCode.Configuration, detail=f"{type(accounts.keys).__name__} has no method take_key")
    try:
        await accounts.keys.take_key(_stored(user, code))
    except CrossauthError as e:
        if e.code is not ErrorCode.InvalidKey:
            raise
        raise CrossauthError(ErrorCode.InvalidToken, mark("Invalid code")) from None


async def count_codes(accounts: Accounts, user: User) -> int:
    """How many are left."""
    return len(await _codes_of(accounts, user))


async def _codes_of(accounts: Accounts, user: User) -> list[str]:
    keys = await accounts.keys.get_all_for_user(user.id, KeyPrefix.recovery_code)
    return [key.value for key in keys]


async def delete_codes(accounts: Accounts, user: User) -> None:
    """Make all codes stop working."""
    await accounts.keys.delete_all_for_user(user.id, KeyPrefix.recovery_code)


def looks_like_code(text: str) -> bool:
    """Whether `text` can be a recovery code, so that one field may take either."""
    return len(_plain(text)) == LENGTH


def _plain(code: str) -> str:
    return "".join(c for c in clean_code(code).upper() if c.isalnum())


def _stored(user: User, code: str) -> str:
    return KeyPrefix.recovery_code + hash_token(f"{user.id} {_plain(code)}")
