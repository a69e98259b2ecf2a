"""Keys in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final

from crossauth_backend.core.clock import as_utc, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.records import bad_field, refuse_unstorable
from crossauth_backend.keys.data import KeyDataEntry, changed_data
from crossauth_backend.keys.record import Consumed, Key
from crossauth_backend.keys.storage import Counter, KeyStorage, KeyWithUser, KeyWithUserReader
from crossauth_backend.storages.memory.users import InMemoryUserStorage
from crossauth_backend.users.record import UserId
from crossauth_backend.users.storage import UserStorage

_FIELDS: Final = frozenset(f.name for f in fields(Key)) - {"extra"}
# Below so many keys nothing is looked through to forget what has expired.
_FEW: Final = 1000


class InMemoryKeyStorage(KeyStorage):
    """Keeps keys in one process and forgets them with it. Any field is a column.

    What has expired is forgotten whenever there are twice as many keys as were left the last time.

    No method gives up control between looking and changing, so each is atomic among the tasks of an event loop.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        # A user's keys by the user, so that ending a user's sessions does not look at everybody's.
        self._of_user: dict[UserId | None, dict[str, None]] = {}
        self._many = _FEW

    async def get_key(self, key: str) -> Key:
        """As documented for `KeyStorage`."""
        return self._found(key)

    async def save_key(
        self,
        userid: UserId | None,
        value: str,
        date_created: datetime,
        expires: datetime | None = None,
        data: str | None = None,
        extra_fields: Mapping[str, Any] | None = None,
    ) -> None:
        """As documented for `KeyStorage`."""
        provided = {"value": value, "userid": userid, "created": date_created, "expires": expires, "data": data}
        for name in extra_fields or {}:
            if name in provided:
                raise bad_field(name, "is not an extra field")
        values = _storable({**(extra_fields or {}), **provided})
        if value in self._keys:
            raise CrossauthError(ErrorCode.KeyExists)
        extra = {name: values.pop(name) for name in list(values) if name not in _FIELDS}
        self._store(Key(**values, extra=extra))

    async def update_key(self, key: Mapping[str, Any]) -> None:
        """As documented for `KeyStorage`."""
        if key.get("value") is None:
            raise bad_field("value", "is required")
        values = _storable({name: key[name] for name in key if name != "value"})
        if "created" in values and values["created"] is None:
            raise bad_field("created", "cannot be emptied")
        old = self._keys.get(key["value"])
        if old is not None:
            extra = {name: values.pop(name) for name in list(values) if name not in _FIELDS}
            self._remove(old)
            self._store(replace(old, **values, extra={**old.extra, **extra}))

    async def delete_key(self, value: str) -> None:
        """As documented for `KeyStorage`."""
        self._remove(self._keys.get(value))

    async def delete_all_for_user(self, userid: UserId | None, prefix: str, except_key: str | None = None) -> None:
        """As documented for `KeyStorage`."""
        for value in list(self._of_user.get(userid, ())):
            if value.startswith(prefix) and value != except_key:
                self._remove(self._keys[value])

    async def delete_matching(self, key: Mapping[str, Any]) -> None:
        """As documented for `KeyStorage`."""
        if not key:
            raise CrossauthError(ErrorCode.BadRequest, "At least one field must be given")
        requested = _storable(key)
        for stored in list(self._keys.values()):
            if all(stored.get(name) == (requested[name] or None) for name in requested):
                self._remove(stored)

    async def get_all_for_user(self, userid: UserId | None = None, prefix: str = "") -> list[Key]:
        """As documented for `KeyStorage`."""
        found = (self._keys[value] for value in self._of_user.get(userid, ()) if value.startswith(prefix))
        return [key for key in found if key.consumed is None]

    async def find_key(self, value: str) -> Key | None:
        """As documented for `KeyStorage`."""
        return self._keys.get(value)

    async def consume_key(self, value: str, now: datetime) -> Consumed | None:
        """As documented for `KeyStorage`."""
        found = self._keys.get(value)
        if found is None or found.consumed is not None:
            return None if found is None else Consumed(found, False)
        self._keys[value] = found = replace(found, consumed=as_utc(now))
        return Consumed(found, True)

    async def swap_data(self, value: str, expected: str, new: str) -> bool:
        """As documented for `KeyStorage`."""
        refuse_unstorable({"data": new})
        found = self._keys.get(value)
        if found is None or found.data != expected:
            return False
        self._keys[value] = replace(found, data=new)
        return True

    async def update_many_data(self, key_name: str, data_array: list[KeyDataEntry]) -> None:
        """As documented for `KeyStorage`."""
        old = self._found(key_name)
        self._keys[key_name] = replace(old, data=changed_data(old.data, data_array))

    async def take_key(self, value: str) -> Key:
        """As documented for `SupportsTake`."""
        taken = self._found(value)
        self._remove(taken)
        return taken

    async def count_up(self, counters: Mapping[str, datetime], by: int = 1) -> dict[str, int]:
        """As documented for `SupportsCounting`."""
        return self._count(counters, by)

    def _count(self, counters: Mapping[str, datetime], by: int = 1) -> dict[str, int]:
        counts = {}
        for value, expires in counters.items():
            old = self._keys.get(value) or Key(value=value, created=utc_now(), expires=as_utc(expires))
            counts[value] = int(old.data or 0) + by
            self._store(replace(old, data=str(counts[value])))
        return counts

    async def count_within(self, first: Sequence[Counter], then: Sequence[Counter]) -> dict[str, int]:
        """As documented for `SupportsBoundedCounting`."""
        counts: dict[str, int] = {}
        for stage in (first, then):
            within = [c for c in stage if c.value not in self._keys or int(self._keys[c.value].data) <= c.most]
            counts |= self._count({c.value: c.expires for c in within})
            if any(counts.get(c.value, c.most + 1) > c.most for c in stage):
                break
        return counts

    async def touch_key(self, value: str, lastactive: datetime) -> None:
        """As documented for `SupportsTouch`."""
        old = self._keys.get(value)
        if old is not None:
            self._keys[value] = replace(old, lastactive=as_utc(lastactive))

    async def touch_keys(self, times: Mapping[str, datetime]) -> None:
        """As documented for `SupportsTouches`."""
        for value, time in times.items():
            old = self._keys.get(value)
            if old is not None and (old.lastactive is None or old.lastactive < as_utc(time)):
                self._keys[value] = replace(old, lastactive=as_utc(time))

    async def purge_expired(self, now: datetime, prefix: str = "") -> int:
        """As documented for `SupportsPurge`."""
        return self._forget(as_utc(now), prefix)

    def key_with_user_reader(self, users: UserStorage) -> KeyWithUserReader | None:
        """As documented for `SupportsKeyWithUser`; for users in memory too."""
        if not isinstance(users, InMemoryUserStorage):
            return None
        get_key, get_user = self._keys.get, users.user_or_none

        async def read(value: str) -> KeyWithUser | None:
            key = get_key(value)
            return None if key is None or key.consumed is not None else (key, get_user(key.userid))

        return read

    def print(self) -> None:
        """Write the stored keys to standard output; their data is not shown."""
        for key in self._keys.values():
            print(key)

    def _found(self, value: str) -> Key:
        key = self._keys.get(value)
        if key is None or key.consumed is not None:
            raise CrossauthError(ErrorCode.InvalidKey)
        return key

    def _forget(self, now: datetime, prefix: str = "") -> int:
        keys = (key for key in self._keys.values() if key.value.startswith(prefix))
        expired = [key for key in keys if key.expires is not None and key.expires < now]
        for key in expired:
            self._remove(key)
        return len(expired)

    def _store(self, key: Key) -> None:
        if len(self._keys) >= self._many and key.value not in self._keys:
            self._forget(utc_now())
            self._many = max(_FEW, 2 * len(self._keys))
        self._keys[key.value] = key
        self._of_user.setdefault(key.userid, {})[key.value] = None

    def _remove(self, key: Key | None) -> None:
        if key is None:
            return
        del self._keys[key.value]
        of_user = self._of_user[key.userid]
        del of_user[key.value]
        if not of_user:
            del self._of_user[key.userid]


def _storable(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as they are kept: times in UTC, missing data as empty text."""
    refuse_unstorable(values)
    stored = {name: as_utc(value) if isinstance(value, datetime) else value for name, value in values.items()}
    if "data" in stored:
        stored["data"] = stored["data"] or ""
    return stored
