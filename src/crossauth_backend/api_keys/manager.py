"""The documented `ApiKeyManager`: API keys made, listed, renamed, rotated, revoked and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from crossauth_backend.api_keys.options import ApiKeyManagerOptions, read_api_key_options
from crossauth_backend.api_keys.record import OURS, ApiKey, KeyReturn, VerifiedApiKey, encoded, ours_of, with_data
from crossauth_backend.api_keys.rotation import rotate
from crossauth_backend.api_keys.rows import (
    TRIES,
    UNKNOWN_REQUESTER,
    ApiKeyRows,
    RequestedBy,
    changed_meanwhile,
    newest_of,
    no_such_key,
)
from crossauth_backend.api_keys.rules import MAX_DATA, checked_limit, checked_name, checked_scopes, key_refusal
from crossauth_backend.api_keys.token import from_header, hint_of, new_token, stored, unchecked_value
from crossauth_backend.api_keys.verify import AddressOf, ApiKeyVerifier
from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import MAX_SECONDS
from crossauth_backend.core.secrets import random_value
from crossauth_backend.events.listeners import Events, LoggingListener
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.lastuse import LastUse
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.rules import Limit
from crossauth_backend.users.record import User, UserId

_ID_BYTES: Final = 12


class Default(Enum):
    """What stands for an argument that was left out, where `None` is a value."""

    expiry = "expiry"


class ApiKeyManager:
    """Keeps API keys in `key_storage`, as hashes only.

    A key is bound to its user and not to the password: it survives a new one, ends with the account, and is refused as long as
    the account is not active.

    Parameters:
        key_storage: where the keys are.
        options: see `ApiKeyManagerOptions`.
        clock: what time it is.
        events: who is told; without it events go to the log.

    Raises:
        CrossauthError: `Configuration`, saying what to change.
    """

    def __init__(
        self,
        key_storage: KeyStorage,
        options: ApiKeyManagerOptions | None = None,
        clock: Clock = utc_now,
        events: Events | None = None,
    ) -> None:
        if not isinstance(key_storage, KeyStorage):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"ApiKeyManager: key_storage must be a KeyStorage, not {type(key_storage).__name__}",
            )
        self.settings = read_api_key_options(options or {})
        self.key_storage, self.clock = key_storage, clock
        self.user_storage = self.settings.user_storage
        self.events = events or Events([LoggingListener()], clock)
        self._rows = ApiKeyRows(key_storage, self.settings, self._now)
        self._verifier = ApiKeyVerifier(key_storage, self.settings, self.events, self._now)

    @property
    def prefix(self) -> str:
        """What goes before the hash of a key in the storage."""
        return self.settings.prefix

    @property
    def auth_scheme(self) -> str:
        """Scheme of keys in the `Authorization` header."""
        return self.settings.auth_scheme

    @property
    def last_use(self) -> LastUse:
        """What writes the times of use; to be closed with the application."""
        return self._verifier.last_use

    @staticmethod
    def hashSignedApiKeyValue(value: str) -> str:
        """Under what the key with the text `value` is stored by default, for logs; whether the key is good is not checked."""
        return stored(KeyPrefix.api_key, unchecked_value(value))

    async def start(self) -> None:
        """Nothing to open: the storages open themselves."""

    async def close(self) -> None:
        """Write the times of use that wait."""
        await self.last_use.close()

    async def create_key(
        self,
        name: str,
        userid: UserId | None = None,
        data: Mapping[str, Any] | None = None,
        expiry: int | Default | None = Default.expiry,
        extra_fields: Mapping[str, Any] | None = None,
        *,
        scope: Collection[str] | None = None,
        limit: Limit | tuple[int, int] | None = None,
        by: RequestedBy = UNKNOWN_REQUESTER,
    ) -> KeyReturn:
        """Make a key.

        Parameters:
            name: what its owner calls it.
            userid: whose it is; `None` for nobody's.
            data: JSON values to keep with it; `scope` among them is the list of its scopes.
            expiry: seconds after which it ends; `None` for never; the option `default_expiry` where it is left out.
            extra_fields: further columns of the key table.
            scope: its scopes, instead of those in `data`.
            limit: how many requests in how many seconds, instead of the limit `api_key`.
            by: on whose word.

        Returns:
            The key, and the text that its client needs, which is stored nowhere.

        Raises:
            CrossauthError: `FormEntry` for a bad name; `InvalidScope`; `BadRequest` for other bad arguments;
                `ConstraintViolation` (409) where the user has as many keys as the option `max_per_user` allows; `UserNotExist`;
                `InvalidSession`, `UserNotActive` where the account was changed since `by` was read; `Configuration` for a limit,
                where the storage cannot count.
        """
        if limit is not None:
            self._verifier.counts()
        user = await self._rows.user(userid)
        token = new_token(self.settings.token_prefix, self.settings.key_length)
        key = self._made(token, checked_name(name), userid, _application_data(data, scope), checked_limit(limit))
        key = replace(key, expires=self._end(expiry, key.created), extra=dict(extra_fields or {}))
        await self._rows.make_room(userid)
        async with self._rows.added(key):
            await self._rows.check_room(userid)
            await self._rows.check_still(key, by)
        self._tell(EventName.api_key_created, user, key, by)
        return KeyReturn(key, token)

    async def list_keys(self, userid: UserId | None) -> list[ApiKey]:
        """The keys of a user that have not ended, newest first; those that were rotated and have time left are among them."""
        now = self.clock()
        keys = [
            key for key in await self._rows.of_user(userid) if key_refusal(key, None, now, users_known=False) is None
        ]
        return sorted(keys, key=lambda key: (key.created, key.value), reverse=True)

    async def rename_key(self, userid: UserId | None, id: str, name: str) -> ApiKey:
        """Give the key `id` another name.

        Raises:
            CrossauthError: `FormEntry` for a bad name; `InvalidKey` where the user has no such key; `ConstraintViolation` (409)
                where it is being rotated.
        """
        name = checked_name(name)
        for attempt in range(TRIES):
            key = newest_of(await self._rows.family(userid, id))
            renamed = with_data(key, name=name)
            if key.name == name or await self.key_storage.swap_data(key.value, key.data, renamed.data):
                return renamed
            await asyncio.sleep(0.001 * attempt)
        raise changed_meanwhile()

    async def rotate_key(
        self, userid: UserId | None, id: str, overlap: int | None = None, by: RequestedBy = UNKNOWN_REQUESTER
    ) -> KeyReturn:
        """Give the key `id` a new text, with the same name, scopes, limit and lifetime. The old one works a little longer.

        Of rotations at the same time exactly one succeeds.

        Parameters:
            userid: whose key it is.
            id: which.
            overlap: seconds that the old text still works; the option `rotation_overlap` where it is left out. A text that was
                replaced by an earlier rotation keeps the time that it has left.
            by: on whose word.

        Raises:
            CrossauthError: `InvalidKey` where the user has no such key, or it was revoked meanwhile; `Expired`;
                `ConstraintViolation` (409) where it was rotated at the same time; `TooManyAttempts` where four earlier texts of
                it still work; `InvalidSession`, `UserNotActive` where the account was changed since `by` was read;
                `Configuration` for a storage without `swap_data`.
        """
        seconds = self.settings.rotation_overlap if overlap is None else _checked_seconds("overlap", overlap, 0)
        user = await self._rows.user(userid)
        made = await rotate(self._rows, userid, id, timedelta(seconds=seconds), by)
        self._tell(EventName.api_key_rotated, user, made.key, by)
        return made

    async def revoke_key(self, userid: UserId | None, id: str, by: RequestedBy = UNKNOWN_REQUESTER) -> None:
        """End the key `id` at once, every text of it.

        Raises:
            CrossauthError: `InvalidKey` where the user has no such key.
        """
        user, family = await self._rows.user(userid), await self._rows.family(userid, id)
        if not family:
            raise no_such_key()
        key = family[0]
        # A rotation at the same time may have stored a successor since; see `rotation`.
        while family:
            for row in family:
                await self.key_storage.delete_key(row.value)
            family = await self._rows.family(userid, id)
        self._tell(EventName.api_key_revoked, user, key, by)

    async def revoke_all(self, userid: UserId, by: RequestedBy = UNKNOWN_REQUESTER) -> None:
        """End every key of a user at once."""
        user = await self._rows.user(userid)
        ended: dict[str, ApiKey] = {}
        for _ in range(TRIES):
            keys = await self._rows.of_user(userid)
            if not keys:
                break
            ended |= {key.id: key for key in keys}
            await self.key_storage.delete_all_for_user(userid, self.prefix)
        for key in ended.values():
            self._tell(EventName.api_key_revoked, user, key, by)

    async def verify(self, token: str, address: AddressOf = "") -> VerifiedApiKey:
        """The key whose text is `token`, if it is good, and its user: one storage round trip.

        Counts the request and notes the time of use; see `ApiKeyVerifier`.

        Parameters:
            token: what a client sent.
            address: the peer's address, for events, or a function that finds it out.

        Raises:
            CrossauthError: `InvalidKey`, `Expired`; `TooManyAttempts`, with `retry_after` in seconds.
        """
        return await self._verifier.verify(token, address)

    async def verify_again(self, token: str) -> VerifiedApiKey:
        """As `verify`, for a request that was counted when it came: nothing is counted.

        Parameters:
            token: what the client sent.

        Raises:
            CrossauthError: `InvalidKey`, `Expired`.
        """
        return await self._verifier.find(token)

    async def get_key(self, token: str) -> ApiKey:
        """The key whose text is `token`, if it is good; nothing is counted.

        Raises:
            CrossauthError: `InvalidKey`, `Expired`.
        """
        return (await self._verifier.find(token)).key

    async def validate_token(self, header_value: str, address: str = "") -> ApiKey:
        """The key in the value of an `Authorization` header, `ApiKey <text>`, if it is good.

        Raises:
            CrossauthError: `InvalidKey`, also for another scheme; otherwise as `verify`.
        """
        token = from_header(header_value, self.auth_scheme)
        if token is None:
            raise CrossauthError(ErrorCode.InvalidKey)
        return (await self.verify(token, address)).key

    def _now(self) -> datetime:
        return self.clock()

    def _made(
        self, token: str, name: str, userid: UserId | None, data: Mapping[str, Any], limit: Limit | None
    ) -> ApiKey:
        scope = tuple(data["scope"]) if isinstance(data.get("scope"), list) else None
        key = ApiKey(
            value=stored(self.prefix, token), created=self.clock(), userid=userid, id=random_value(_ID_BYTES), name=name,
            scope=scope, limit=limit, hint=hint_of(token, self.settings.token_prefix),
        )  # fmt: skip
        text = encoded(data, ours_of(key))
        if len(text) > MAX_DATA:
            raise CrossauthError(ErrorCode.BadRequest, f"The data of an API key take at most {MAX_DATA} characters")
        return replace(key, data=text)

    def _end(self, expiry: int | Default | None, now: datetime) -> datetime | None:
        seconds = self.settings.default_expiry if isinstance(expiry, Default) else expiry
        return None if seconds is None else now + timedelta(seconds=_checked_seconds("expiry", seconds, 1))

    def _tell(self, name: EventName, user: User | None, key: ApiKey, by: RequestedBy) -> None:
        self.events.emit(name, user, address=by.address, actor=by.actor, client=key.id)


def _application_data(data: Mapping[str, Any] | None, scope: Collection[str] | None) -> dict[str, Any]:
    """What is kept of the application's.

    Raises:
        CrossauthError: `BadRequest`, `InvalidScope`.
    """
    saved = dict(data or {})
    if OURS in saved:
        raise CrossauthError(ErrorCode.BadRequest, f"The entry {OURS!r} in the data of an API key is reserved")
    if scope is not None:
        saved["scope"] = checked_scopes(scope)
    elif isinstance(saved.get("scope"), (list, tuple)):
        saved["scope"] = checked_scopes(saved["scope"])
    return saved


def _checked_seconds(name: str, seconds: object, least: int) -> int:
    if type(seconds) is not int or not least <= seconds <= MAX_SECONDS:
        raise CrossauthError(
            ErrorCode.BadRequest,
            f"'{name}' of an API key must be a whole number of seconds, from {least} to {MAX_SECONDS}",
        )
    return seconds
