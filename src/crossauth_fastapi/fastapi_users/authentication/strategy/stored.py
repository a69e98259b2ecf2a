"""Random tokens in a key storage: they can be listed and ended, and what is stored is worth nothing as a token."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Generic

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token, random_value
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy, TokenInfo, check_lifetime
from crossauth_fastapi.fastapi_users.exceptions import InvalidID, UserNotExists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapi_users.models import ID, UP

TOKEN_BYTES: Final = 32
MAX_TOKEN: Final = 200


class KeyStorageStrategy(Strategy[UP, ID], Generic[UP, ID]):
    """Random tokens, kept hashed in a key storage of the library.

    Parameters:
        key_storage: where; one on Redis, on SQL (with `userid_type` where ids are no whole numbers), or in memory.
        lifetime_seconds: seconds a token is good; `None` for ever.

    Raises:
        CrossauthError: `Configuration` for a lifetime that is not above 0.
    """

    def __init__(self, key_storage: KeyStorage, lifetime_seconds: int | None = None) -> None:
        check_lifetime(type(self).__name__, lifetime_seconds)
        self.key_storage = key_storage
        self.lifetime_seconds = lifetime_seconds

    async def read_token(self, token: str | None, user_manager: BaseUserManager[UP, ID]) -> UP | None:
        """The user of a token; `None` where it is not good."""
        if not token or len(token) > MAX_TOKEN:
            return None
        try:
            key = await self.key_storage.get_key(_stored(token))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return None
        if key.userid is None or (key.expires is not None and key.expires <= utc_now()):
            return None
        try:
            return await user_manager.get(user_manager.parse_id(key.userid))
        except (UserNotExists, InvalidID):
            return None

    async def write_token(self, user: UP) -> str:
        """A new token."""
        token, now = random_value(TOKEN_BYTES), utc_now()
        expires = None if self.lifetime_seconds is None else now + timedelta(seconds=self.lifetime_seconds)
        await self.key_storage.save_key(key_owner(user), _stored(token), now, expires)
        return token

    async def destroy_token(self, token: str, user: UP) -> None:
        """End a token."""
        await self.key_storage.delete_key(_stored(token))

    async def list_tokens(self, user: Any, current: str | None = None) -> Sequence[TokenInfo]:
        """See `SupportsTokenLists`."""
        mine = _stored(current) if current else None
        found = [TokenInfo(_handle(key), key.created, key.expires, key.value == mine) for key in await self._keys(user)]
        return sorted(found, key=lambda t: t.created, reverse=True)

    async def destroy_listed(self, user: Any, handle: str) -> bool:
        """See `SupportsTokenLists`."""
        key = next((key for key in await self._keys(user) if _handle(key) == handle), None)
        if key is not None:
            await self.key_storage.delete_key(key.value)
        return key is not None

    async def destroy_all(self, user: Any, except_token: str | None = None) -> None:
        """See `SupportsTokenLists`."""
        keep = _stored(except_token) if except_token else None
        await self.key_storage.delete_all_for_user(key_owner(user), KeyPrefix.access_token, keep)

    async def _keys(self, user: Any) -> list[Key]:
        now, keys = utc_now(), await self.key_storage.get_all_for_user(key_owner(user))
        return [
            key
            for key in keys
            if key.value.startswith(KeyPrefix.access_token) and (key.expires is None or key.expires > now)
        ]


def key_owner(user: Any) -> Any:
    """A user's id as key storages take it: a whole number or a UUID as it is, anything else as text."""
    return user.id if isinstance(user.id, (int, str, uuid.UUID)) else str(user.id)


def _stored(token: str) -> str:
    return KeyPrefix.access_token + hash_token(token.encode(errors="replace"))


def _handle(key: Key) -> str:
    return hash_token(key.value)[:22]
