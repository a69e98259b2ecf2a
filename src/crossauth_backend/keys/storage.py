"""What a storage of keys must do. The docstrings are the contract; `crossauth_backend.testing` checks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias, runtime_checkable

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.data import KeyDataEntry, decode_data, encode_data
from crossauth_backend.keys.record import Consumed, Key, KeyPrefix
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.storage import UserStorage

KeyWithUser: TypeAlias = tuple[Key, User | None]
KeyWithUserReader: TypeAlias = Callable[[str], Awaitable[KeyWithUser | None]]


class KeyStorage(ABC):
    """Keeps keys. Expiry is judged by the rooms that own the keys, not here: an expired key is returned, or gone.

    A key that was consumed is a tombstone until it expires: `find_key` and `consume_key` show it, and its value stays taken;
    every other read is as if it were not there.
    """

    @abstractmethod
    async def get_key(self, key: str) -> Key:
        """The key whose value is `key`.

        Raises:
            CrossauthError: `InvalidKey` where there is none.
        """

    @abstractmethod
    async def save_key(
        self,
        userid: UserId | None,
        value: str,
        date_created: datetime,
        expires: datetime | None = None,
        data: str | None = None,
        extra_fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a new key; `lastactive`, `consumed` and `stamp` may be among `extra_fields`.

        Raises:
            CrossauthError: `KeyExists` where the value is taken, also by a request that runs at the same time;
                `BadRequest` for a column the storage does not have.
        """

    @abstractmethod
    async def update_key(self, key: Mapping[str, Any]) -> None:
        """Change the given fields of the key `key["value"]`; absent keys leave their field, `None` empties it.

        Nothing happens where there is no such key: a key deleted meanwhile must stay deleted.
        """

    @abstractmethod
    async def delete_key(self, value: str) -> None:
        """Delete the key; nothing happens where there is none."""

    @abstractmethod
    async def delete_all_for_user(self, userid: UserId | None, prefix: str, except_key: str | None = None) -> None:
        """Delete every key of `userid` (`None`: of nobody) whose value starts with `prefix`, but `except_key`."""

    async def delete_oldest_for_user(self, userid: UserId, prefix: str, keep: int) -> int:
        """Delete all but the `keep` newest keys of `userid` whose value starts with `prefix`; return how many there were.

        What is newest goes by `created`, then by `value`: the same order for everybody. So any number of calls at once leave the
        `keep` newest keys there are, neither more nor less. Of very many it may leave some for the next call.
        """
        keys = sorted(
            await self.get_all_for_user(userid, prefix), key=lambda key: (key.created, key.value), reverse=True
        )
        for key in keys[keep:]:
            await self.delete_key(key.value)
        return len(keys[keep:])

    @abstractmethod
    async def delete_matching(self, key: Mapping[str, Any]) -> None:
        """Delete every key that equals `key` on each given field; at least one field must be given."""

    @abstractmethod
    async def get_all_for_user(self, userid: UserId | None = None, prefix: str = "") -> list[Key]:
        """Every key of `userid`, or with `None` of nobody, whose value starts with `prefix`; in any order."""

    @abstractmethod
    async def update_many_data(self, key_name: str, data_array: list[KeyDataEntry]) -> None:
        """Apply all changes to the JSON in a key's `data`, all or none, losing no change made at the same time.

        Raises:
            CrossauthError: `InvalidKey` where there is no such key; `DataFormat` where its data is no JSON object.
        """

    def unfit_users(self, users: UserStorage) -> list[str]:
        """Why keys of `users` cannot be stored here, as texts; asked at the start. Empty where they can, or it is not known."""
        return []

    async def find_key(self, value: str) -> Key | None:
        """The key whose value is `value`, also one that was consumed; `None` where there is none."""
        try:
            key = await self.get_key(value)
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return None
        try:
            mark = await self.get_key(_consumed(value))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return key
        return replace(key, consumed=mark.created)

    async def consume_key(self, value: str, now: datetime) -> Consumed | None:
        """Use a single-use key, leaving a tombstone in its place until it expires.

        Of any number of calls at once exactly one is told that it was the first. Whether the key has expired is for the caller
        to judge, as everywhere. A key without `expires` leaves its tombstone for ever.

        A storage that only has what is abstract here keeps the tombstone as a key of its own, by the side of the key: then only
        `find_key` and `consume_key` know of it, and `get_key` goes on returning the key.

        Parameters:
            value: the key's value.
            now: the time of its use.

        Returns:
            The key, and whether this was the first time; `None` where there is no such key.
        """
        found = await self.find_key(value)
        if found is None or found.consumed is not None:
            return None if found is None else Consumed(found, False)
        try:
            await self.save_key(None, _consumed(value), now, found.expires)
        except CrossauthError as e:
            if e.code is not ErrorCode.KeyExists:
                raise
            return Consumed(replace(found, consumed=now), False)
        return Consumed(replace(found, consumed=now), True)

    async def swap_data(self, value: str, expected: str, new: str) -> bool:
        """Set a key's `data` to `new` where it is `expected`, in one step; a tombstone's as well.

        Returns:
            Whether it was done: `False` where the data is another, or there is no such key.

        Raises:
            CrossauthError: `Configuration` where the storage has no such method; see `check_swap`.
        """
        raise _cannot_swap(self)

    async def update_data(self, key_name: str, data_name: str, value: Any) -> None:
        """Set one entry of a key's data, see `update_many_data`."""
        await self.update_many_data(key_name, [{"data_name": data_name, "value": value}])

    async def delete_data(self, key_name: str, data_name: str) -> None:
        """Remove one entry of a key's data, see `update_many_data`."""
        await self.update_many_data(key_name, [{"data_name": data_name}])

    @staticmethod
    def decode_data(data: str | None) -> dict[str, Any]:
        """The JSON object in a key's `data`."""
        return decode_data(data)

    @staticmethod
    def encode_data(data: Mapping[str, Any] | None) -> str:
        """A key's `data` for a mapping."""
        return encode_data(data)


def can_swap(storage: KeyStorage) -> bool:
    """Whether `storage` has `swap_data`."""
    return type(storage).swap_data is not KeyStorage.swap_data


def check_swap(storage: KeyStorage) -> None:
    """Make sure, before the application starts, that `storage` can do `swap_data`.

    Raises:
        CrossauthError: `Configuration` where it cannot.
    """
    if not can_swap(storage):
        raise _cannot_swap(storage)


def _cannot_swap(storage: KeyStorage) -> CrossauthError:
    return CrossauthError(
        ErrorCode.Configuration,
        f"{type(storage).__name__} cannot compare and set: give it the method `swap_data` of KeyStorage",
    )


def _consumed(value: str) -> str:
    """The value under which a storage without tombstones keeps that a key was consumed."""
    return KeyPrefix.consumed + hash_token(f"consumed {value}")


@runtime_checkable
class SupportsTake(Protocol):
    """A key storage that can consume single-use keys."""

    async def take_key(self, value: str) -> Key:
        """Return the key and delete it in one step: of any number of calls at once exactly one gets it.

        Raises:
            CrossauthError: `InvalidKey` for all the others.
        """
        ...


@runtime_checkable
class SupportsCounting(Protocol):
    """A key storage that can count, for limits that several workers share."""

    async def count_up(self, counters: Mapping[str, datetime], by: int = 1) -> dict[str, int]:
        """Add `by` to each counter, each in one step that loses no count made at the same time; return what they then are.

        A counter is a key of nobody: `counters` maps its value to when it expires. One that is not there begins at 0.
        """
        ...


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted for a limit: a key of nobody, when it expires, and how far it may go."""

    value: str
    expires: datetime
    most: int


@runtime_checkable
class SupportsBoundedCounting(Protocol):
    """A key storage in which what is refused leaves nothing behind."""

    async def count_within(self, first: Sequence[Counter], then: Sequence[Counter]) -> dict[str, int]:
        """Add 1 to each counter of `first`, and where all of them stay within their `most`, to each of `then`.

        Each is counted in one step that loses no count made at the same time. A counter goes no further than one beyond its
        `most`: one that is there already is left as it is.

        Returns:
            What those that were counted then are; those that were left are missing.
        """
        ...


@runtime_checkable
class SupportsTouch(Protocol):
    """A key storage that writes a session's last use without reading it first."""

    async def touch_key(self, value: str, lastactive: datetime) -> None:
        """Set `lastactive`; nothing happens where there is no such key."""
        ...


@runtime_checkable
class SupportsTouches(Protocol):
    """A key storage that writes the last use of many sessions together."""

    async def touch_keys(self, times: Mapping[str, datetime]) -> None:
        """Set `lastactive` of each key to its time, unless it is later already; nothing happens for a key that is gone."""
        ...


@runtime_checkable
class SupportsPurge(Protocol):
    """A key storage that can throw away what has expired."""

    async def purge_expired(self, now: datetime, prefix: str = "") -> int:
        """Delete every key whose `expires` is before `now` and whose value starts with `prefix`; how many there were.

        A few at a time: requests that write meanwhile wait for no more than a moment.
        """
        ...


@runtime_checkable
class SupportsKeyWithUser(Protocol):
    """A key storage that can read a key and the user it belongs to in one query."""

    def key_with_user_reader(self, users: UserStorage) -> KeyWithUserReader | None:
        """A function from a key's value to key and user (no state check), or to `None` where there is no such key.

        The user is `None` for a key of nobody and for one whose user is gone. `None` instead of a function where the
        two storages are not on one engine.
        """
        ...


@runtime_checkable
class SupportsLifecycle(Protocol):
    """A storage that has something to open and to close."""

    async def start(self) -> None:
        """Check (and where configured, create) what the storage needs. May be called more than once.

        Raises:
            CrossauthError: `Configuration`, saying what is missing and how to make it.
        """
        ...

    async def close(self) -> None:
        """Release connections. May be called more than once."""
        ...
