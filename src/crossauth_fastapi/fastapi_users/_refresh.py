"""Refresh tokens (RFC 9700 §4.14.2): each good once; one that comes back ends all that descend from the same login."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token, random_value
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, spend
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.stored import MAX_TOKEN, TOKEN_BYTES, key_owner

_FAMILY_BYTES: Final = 16


class RefreshTokens:
    """The refresh tokens of one backend.

    Parameters:
        keys: where they are kept, hashed.
        backend: whose they are; no other backend takes them.
    """

    def __init__(self, keys: KeyStorage, backend: AuthenticationBackend[Any, Any]) -> None:
        self._keys, self._backend = keys, backend
        self._life = timedelta(seconds=backend.refresh_lifetime_seconds or 0)

    async def issue(self, user: Any, family: str | None = None, expires: datetime | None = None) -> str:
        """A new token. A family is what descends from one login; it ends when its first token would have."""
        now = utc_now()
        token, family = random_value(TOKEN_BYTES), family or random_value(_FAMILY_BYTES)
        await self._keys.save_key(key_owner(user), self._stored(token), now, expires or now + self._life, family)
        return token

    async def take(self, token: str) -> Key | None:
        """What is known of a token, which is used up; `None` where it is not good.

        Of several at once all but one come too late. That is how a stolen token is noticed: whichever of thief and owner comes
        second ends both.
        """
        if not token or len(token) > MAX_TOKEN:
            return None
        try:
            key = await self._keys.get_key(self._stored(token))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return None
        expires = key.expires
        if expires is None or expires <= utc_now():
            return None
        # The row stays until it expires, as the mark by which a second use is known.
        if not await spend(self._keys, f"refresh {key.value}", utc_now(), expires):
            await self.end_family(key)
            return None
        return key

    async def rotate(self, user: Any, key: Key) -> str | None:
        """The successor of a token that was taken; `None` where its family has been ended meanwhile."""
        token = await self.issue(user, key.data, key.expires)
        if await self._has_ended(key.data):
            await self._keys.delete_key(self._stored(token))
            return None
        return token

    async def end(self, token: str) -> None:
        """End the family of a token: its user logs out."""
        try:
            await self.end_family(await self._keys.get_key(self._stored(token)))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise

    async def end_family(self, key: Key) -> None:
        """End every token that descends from the same login."""
        # Marked before they are deleted, so that one that is being made sees the mark.
        await spend(self._keys, self._mark(key.data), utc_now(), utc_now() + self._life)
        await self._keys.delete_matching({"userid": key.userid, "data": key.data})

    async def _has_ended(self, family: str) -> bool:
        try:
            await self._keys.get_key(KeyPrefix.spent + hash_token(self._mark(family)))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return False
        return True

    def _mark(self, family: str) -> str:
        return f"refresh family {family}"

    def _stored(self, token: str) -> str:
        return KeyPrefix.refresh_token + hash_token(f"{self._backend.name} {token}".encode(errors="replace"))
