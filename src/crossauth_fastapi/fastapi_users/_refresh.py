"""Refresh tokens (RFC 9700 §4.14.2): each good once; one that comes back ends all that descend from the same login."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal, hash_token, random_value
from crossauth_backend.keys.record import Key, KeyPrefix, encode_data, get_json_data
from crossauth_backend.keys.storage import KeyStorage, spend
from crossauth_fastapi.fastapi_users._records import key_owner, login_mark, rest_anew
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.stored import MAX_TOKEN, TOKEN_BYTES

_SID_BYTES: Final = 16


class Taken(NamedTuple):
    """What is known of a refresh token: whose, of which login, on what it rests (see `login_mark`), and until when.

    One that was used before (`reused`) has ended its login by now.
    """

    userid: Any
    sid: str
    mark: str
    expires: datetime
    reused: bool


class RefreshTokens:
    """The refresh tokens of one backend.

    Parameters:
        keys: where they are kept, hashed.
        backend: whose they are; no other backend takes them.
    """

    def __init__(self, keys: KeyStorage, backend: AuthenticationBackend[Any, Any]) -> None:
        self._keys, self._backend = keys, backend
        self._life = timedelta(seconds=backend.refresh_lifetime_seconds or 0)

    async def issue(self, user: Any, sid: str, expires: datetime | None = None) -> str:
        """A new token of the login `sid`. What descends from one login ends when its first token would have."""
        now, token = utc_now(), random_value(TOKEN_BYTES)
        data = encode_data({"sid": sid, "mark": login_mark(user)})
        await self._keys.save_key(key_owner(user), self._stored(token), now, expires or now + self._life, data)
        return token

    async def take(self, token: str) -> Taken | None:
        """What is known of a token, which is used up; `None` where it is not good.

        Of several at once all but one come too late. That is how a stolen token is noticed: whichever of thief and owner comes
        second ends both.
        """
        if not token or len(token) > MAX_TOKEN:
            return None
        key = await _found(self._keys, self._stored(token))
        if key is None or key.expires is None or key.expires <= utc_now():
            return None
        data = get_json_data(key)
        sid, mark = str(data.get("sid")), str(data.get("mark"))
        # The row stays until it expires, as the mark by which a second use is known.
        first = await spend(self._keys, f"refresh {key.value}", utc_now(), key.expires)
        if not first:
            await self.end(key.userid, sid)
        return Taken(key.userid, sid, mark, key.expires, reused=not first)

    async def rotate(self, user: Any, taken: Taken) -> str | None:
        """The successor of a token that was taken; `None` where its login has been ended meanwhile, or what it rests on is
        another by now."""
        if not equal(taken.mark, login_mark(user)):
            return None
        token = await self.issue(user, taken.sid, taken.expires)
        if await _found(self._keys, KeyPrefix.spent + hash_token(_ended(taken.sid))) is not None:
            await self.forget(token)
            return None
        return token

    async def forget(self, token: str) -> None:
        """End one token."""
        await self._keys.delete_key(self._stored(token))

    async def end(self, userid: Any, sid: str) -> None:
        """End every token of a login."""
        # Marked before they are deleted, so that one that is being made sees the mark.
        await spend(self._keys, _ended(sid), utc_now(), utc_now() + self._life)
        for key in await _of_user(self._keys, userid):
            if _sid(key) == sid:
                await self._keys.delete_key(key.value)

    def _stored(self, token: str) -> str:
        return KeyPrefix.refresh_token + hash_token(f"{self._backend.name} {token}".encode(errors="replace"))


def new_sid() -> str:
    """The id of a login."""
    return random_value(_SID_BYTES)


async def end_refresh_tokens(keys: KeyStorage, user: Any, except_sids: Collection[str] = ()) -> None:
    """End every refresh token of a user, but those of some logins, which go on with what their user has now."""
    if not except_sids:
        await keys.delete_all_for_user(key_owner(user), KeyPrefix.refresh_token)
        return
    for key in await _of_user(keys, key_owner(user)):
        if _sid(key) not in except_sids:
            await keys.delete_key(key.value)
        else:
            await rest_anew(keys, key.value, user)


async def _of_user(keys: KeyStorage, userid: Any) -> list[Key]:
    return [key for key in await keys.get_all_for_user(userid) if key.value.startswith(KeyPrefix.refresh_token)]


def _sid(key: Key) -> Any:
    return get_json_data(key).get("sid")


async def _found(keys: KeyStorage, value: str) -> Key | None:
    try:
        return await keys.get_key(value)
    except CrossauthError as e:
        if e.code is not ErrorCode.InvalidKey:
            raise
        return None


def _ended(sid: str) -> str:
    return f"refresh family {sid}"
