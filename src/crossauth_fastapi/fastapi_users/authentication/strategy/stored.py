"""Random tokens in a key storage: they can be listed and ended, and what is stored is worth nothing as a token."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, Generic

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal, hash_token, random_value
from crossauth_backend.keys.data import encode_data, get_json_data
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_fastapi.fastapi_users._records import credential_fingerprint, key_owner, rebind
from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    MAX_PER_USER,
    Strategy,
    TokenInfo,
    check_lifetime,
    check_most,
    ends_surplus,
)
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
        max_per_user: how many tokens a user may have, looked at now and then; the oldest end with more. 0 for any number.

    Raises:
        CrossauthError: `Configuration` for a lifetime that is not above 0, or a number below it.
    """

    checks_login_mark: ClassVar[bool] = True

    def __init__(
        self, key_storage: KeyStorage, lifetime_seconds: int | None = None, *, max_per_user: int = MAX_PER_USER
    ) -> None:
        check_lifetime(type(self).__name__, lifetime_seconds)
        check_most(type(self).__name__, max_per_user)
        self.key_storage = key_storage
        self.lifetime_seconds = lifetime_seconds
        self.max_per_user = max_per_user

    async def read_token(self, token: str | None, user_manager: BaseUserManager[UP, ID]) -> UP | None:
        """The user of a token; `None` where it is not good."""
        key = await self._key(token)
        if key is None:
            return None
        try:
            user = await user_manager.get(user_manager.parse_id(key.userid))
        except (UserNotExists, InvalidID):
            return None
        # A login rests on a password and a second factor: when they change it is over, whoever changed them.
        return user if equal(str(get_json_data(key).get("mark")), credential_fingerprint(user)) else None

    async def write_token(self, user: UP) -> str:
        """A new token."""
        return await self.write_token_of(user, "")

    async def write_token_of(self, user: UP, sid: str) -> str:
        """See `SupportsLoginIds`."""
        token, now = random_value(TOKEN_BYTES), utc_now()
        expires = None if self.lifetime_seconds is None else now + timedelta(seconds=self.lifetime_seconds)
        data = encode_data({"mark": credential_fingerprint(user), **({"sid": sid} if sid else {})})
        await self.key_storage.save_key(key_owner(user), _stored(token), now, expires, data)
        if ends_surplus(token, self.max_per_user):
            await self.key_storage.delete_oldest_for_user(key_owner(user), KeyPrefix.access_token, self.max_per_user)
        return token

    async def read_sid(self, token: str) -> str | None:
        """See `SupportsLoginIds`."""
        key = await self._key(token)
        return _sid(key) if key is not None else None

    async def destroy_sid(self, user: Any, sid: str) -> None:
        """See `SupportsLoginIds`."""
        for key in await self._keys(user):
            if _sid(key) == sid:
                await self.key_storage.delete_key(key.value)

    async def destroy_token(self, token: str, user: UP) -> None:
        """End a token."""
        await self.key_storage.delete_key(_stored(token))

    async def list_tokens(self, user: Any, current: str | None = None) -> Sequence[TokenInfo]:
        """See `SupportsTokenLists`."""
        own = _stored(current) if current else None
        found = [
            TokenInfo(_handle(key), key.created, key.expires, key.value == own, _sid(key))
            for key in await self._keys(user)
        ]
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
        if keep is not None and await self._key(except_token) is not None:
            # The one that is kept goes on with what its user has now.
            await rebind(self.key_storage, keep, user)

    async def _key(self, token: str | None) -> Key | None:
        if not token or len(token) > MAX_TOKEN:
            return None
        try:
            key = await self.key_storage.get_key(_stored(token))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return None
        good = key.userid is not None and (key.expires is None or key.expires > utc_now())
        return key if good else None

    async def _keys(self, user: Any) -> list[Key]:
        now, keys = utc_now(), await self.key_storage.get_all_for_user(key_owner(user))
        return [
            key
            for key in keys
            if key.value.startswith(KeyPrefix.access_token) and (key.expires is None or key.expires > now)
        ]


def _stored(token: str) -> str:
    return KeyPrefix.access_token + hash_token(token.encode(errors="replace"))


def _handle(key: Key) -> str:
    return hash_token(key.value)[:22]


def _sid(key: Key) -> str | None:
    sid = get_json_data(key).get("sid")
    return sid if isinstance(sid, str) else None
