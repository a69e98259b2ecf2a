"""Refresh tokens (RFC 9700 §4.14.2): each good once; one that comes back ends all that descend from the same login.

A login is one record. Its token is `<login>.<generation>.<secrets>`, of which the record holds hashes. The successor is made of
the token itself and of salt that the record keeps: whoever sends a token again within the grace window, because the answer was
lost, gets the same successor, which nobody can make who only reads the record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.secrets import derive_key, equal, hash_token, random_value, to_base64url
from crossauth_backend.keys.data import encode_data, get_json_data
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_fastapi.fastapi_users._records import credential_fingerprint, key_owner, rebind
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.stored import MAX_TOKEN, TOKEN_BYTES

_SID_BYTES: Final = 9
_FAMILY_BYTES: Final = 16
_FAMILY: Final = 22
_TRIES: Final = 5
_MAX_DIGITS: Final = 9


class Reused(Exception):
    """A refresh token that had been used up, and has ended its login."""


class PresentedToken(NamedTuple):
    """A refresh token that was sent: its user, its login, and the fingerprint it has (see `credential_fingerprint`).

    One that was used up (`reused`) has ended its login by now.
    """

    userid: Any
    sid: str
    mark: str
    reused: bool
    token: str


class _Token(NamedTuple):
    """A token taken apart. `family` is the same in all tokens of a login: it tells one of ours from garbage."""

    sid: str
    generation: int
    family: str
    secret: str

    def __str__(self) -> str:
        return f"{self.sid}.{self.generation}.{self.family}{self.secret}"

    def successor(self, salt: str) -> _Token:
        """The next token; `salt` is the record's."""
        secret = to_base64url(derive_key(self.secret, f"refresh token {salt}"))
        return self._replace(generation=self.generation + 1, secret=secret)


class RefreshTokens:
    """The refresh tokens of one backend.

    Parameters:
        keys: where the logins are kept.
        backend: whose they are; no other backend takes their tokens.
    """

    def __init__(self, keys: KeyStorage, backend: AuthenticationBackend[Any, Any]) -> None:
        self._keys, self._backend = keys, backend
        self._life = timedelta(seconds=backend.refresh_lifetime_seconds or 0)
        self._grace = timedelta(seconds=backend.refresh_grace_seconds)

    async def issue(self, user: Any, sid: str) -> str:
        """The first token of the login `sid`. All that descend from it end when it would have ended."""
        now, token = utc_now(), _Token(sid, 0, random_value(_FAMILY_BYTES), random_value(TOKEN_BYTES))
        record = {
            "sid": sid, "mark": credential_fingerprint(user), "generation": 0,
            "family": hash_token(token.family), "current": hash_token(token.secret),
        }  # fmt: skip
        await self._keys.save_key(key_owner(user), self._stored(sid), now, now + self._life, encode_data(record))
        return str(token)

    async def take(self, token: str) -> PresentedToken | None:
        """What is known of a token; `None` where it is not good. It is used up by `rotate`, and not before.

        A token from several generations back, or from before the grace window, is known by somebody who should not know it:
        whichever of thief and owner sends it ends the login of both.
        """
        sent = _read(token)
        key = await self._live(sent.sid) if sent is not None else None
        if sent is None or key is None:
            return None
        record = get_json_data(key)
        if not equal(str(record.get("family")), hash_token(sent.family)):
            return None
        good = self._is_good(sent, record)
        if not good and sent.generation >= record["generation"]:
            return None
        if not good:
            await self.end(sent.sid)
        return PresentedToken(key.userid, sent.sid, str(record.get("mark")), not good, token)

    async def rotate(self, user: Any, taken: PresentedToken) -> str | None:
        """The successor of a token. In one step the token is used up and its successor is good.

        `None` where the login has been ended meanwhile, or what it rests on is another by now.

        Raises:
            Reused: it was used up meanwhile, which has ended the login.
        """
        sent = _read(taken.token)
        assert sent is not None
        for _ in range(_TRIES):
            key = await self._live(sent.sid)
            record = get_json_data(key) if key is not None else {}
            if key is None or not equal(str(record.get("mark")), credential_fingerprint(user)):
                return None
            if not self._is_good(sent, record):
                # Another request with this token was faster, and there is no grace.
                await self.end(sent.sid)
                raise Reused
            if sent.generation != record["generation"]:
                return str(sent.successor(record["salt"]))
            salt = random_value(_FAMILY_BYTES)
            successor = sent.successor(salt)
            changed = record | {
                "generation": successor.generation, "current": hash_token(successor.secret),
                "previous": record["current"], "salt": salt, "rotated": utc_now().timestamp(),
            }  # fmt: skip
            if await self._keys.swap_data(key.value, key.data, encode_data(changed)):
                return str(successor)
        return None

    async def end(self, sid: str) -> None:
        """End every token of a login, by one write that makes none."""
        await self._keys.delete_key(self._stored(sid))

    def _is_good(self, sent: _Token, record: Mapping[str, Any]) -> bool:
        """Whether a token is the newest of its login, or was it a moment ago."""
        secret = hash_token(sent.secret)
        if sent.generation == record["generation"]:
            return equal(record["current"], secret)
        if sent.generation + 1 != record["generation"] or not equal(str(record.get("previous")), secret):
            return False
        return bool(utc_now().timestamp() < record["rotated"] + self._grace.total_seconds())

    async def _live(self, sid: str) -> Key | None:
        key = await self._keys.find_key(self._stored(sid))
        return key if key is not None and key.expires is not None and key.expires > utc_now() else None

    def _stored(self, sid: str) -> str:
        return KeyPrefix.refresh_token + hash_token(f"{self._backend.name} login {sid}".encode(errors="replace"))


async def end_login(keys: KeyStorage, backends: Iterable[AuthenticationBackend[Any, Any]], sid: str) -> None:
    """End the refresh tokens of a login, whichever of the backends it began with: several may have one table of tokens."""
    for backend in backends:
        if backend.refresh_lifetime_seconds is not None:
            await RefreshTokens(keys, backend).end(sid)


def new_sid() -> str:
    """The id of a login: 12 characters of base64url."""
    return random_value(_SID_BYTES)


async def end_refresh_tokens(keys: KeyStorage, user: Any, except_sids: Collection[str] = ()) -> None:
    """End every refresh token of a user, but those of some logins, which go on with what their user has now."""
    if not except_sids:
        await keys.delete_all_for_user(key_owner(user), KeyPrefix.refresh_token)
        return
    for key in await keys.get_all_for_user(key_owner(user), KeyPrefix.refresh_token):
        if get_json_data(key).get("sid") not in except_sids:
            await keys.delete_key(key.value)
        else:
            await rebind(keys, key.value, user)


def _read(token: str) -> _Token | None:
    sid, _, rest = token.partition(".")
    generation, _, secrets = rest.partition(".")
    known = sid and generation.isascii() and generation.isdigit() and len(generation) <= _MAX_DIGITS
    if not known or len(token) > MAX_TOKEN or len(secrets) <= _FAMILY:
        return None
    return _Token(sid, int(generation), secrets[:_FAMILY], secrets[_FAMILY:])
