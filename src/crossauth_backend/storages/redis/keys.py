"""Keys in Redis.

A key is one hash, `<prefix>k:<value>`, that Redis itself throws away when it expires. The values of a user's keys are in one
sorted set, `<prefix>u:<id>`, by the time at which they expire. Every command and every script touches one Redis key only, so that
the storage works on a Redis Cluster.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

from crossauth_backend.core.clock import as_utc, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option, read_options
from crossauth_backend.core.records import bad_field, refuse_unstorable
from crossauth_backend.core.text import is_storable
from crossauth_backend.keys.data import KeyDataEntry, changed_data
from crossauth_backend.keys.record import Consumed, Key
from crossauth_backend.keys.storage import Counter, KeyStorage
from crossauth_backend.storages.redis.client import RedisClient, check_eviction, refusals
from crossauth_backend.storages.redis.fields import microseconds, to_fields, to_key, user_text
from crossauth_backend.users.record import UserId

_TRIES: Final = 500
_MILLISECOND: Final = 1000

# ARGV: milliseconds to live ("" for ever), then names and values. 1 where the key is new, 0 where it was there.
_SAVE: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
"""
# ARGV: milliseconds to live ("" for ever, "-" for unchanged), number of fields to remove, their names, then names and values.
_UPDATE: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local removed = tonumber(ARGV[2])
if removed > 0 then redis.call('HDEL', KEYS[1], unpack(ARGV, 3, 2 + removed)) end
if #ARGV > 2 + removed then redis.call('HSET', KEYS[1], unpack(ARGV, 3 + removed)) end
if ARGV[1] == '' then redis.call('PERSIST', KEYS[1])
elseif ARGV[1] ~= '-' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
"""
_TAKE: Final = """
if redis.call('HEXISTS', KEYS[1], 'k') == 1 then return {} end
local found = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
return found
"""
# ARGV: now in microseconds. Whether it is the first time, and the fields; no fields where there is no key.
_CONSUME: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {0, {}} end
local first = redis.call('HEXISTS', KEYS[1], 'k') == 0
if first then redis.call('HSET', KEYS[1], 'k', ARGV[1]) end
return {first and 1 or 0, redis.call('HGETALL', KEYS[1])}
"""
# ARGV: the data that was read and what it is to become. -1 where there is no key, 0 where the data is another by now.
_SWAP_DATA: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if (redis.call('HGET', KEYS[1], 'd') or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], 'd') else redis.call('HSET', KEYS[1], 'd', ARGV[2]) end
return 1
"""
# ARGV: how many, now and the end in microseconds, milliseconds to live, how far it may go ("" for ever). -1 where it is there.
_COUNT: Final = """
if ARGV[5] ~= '' and tonumber(redis.call('HGET', KEYS[1], 'd') or '0') > tonumber(ARGV[5]) then return -1 end
local count = redis.call('HINCRBY', KEYS[1], 'd', ARGV[1])
if redis.call('HSETNX', KEYS[1], 'c', ARGV[2]) == 1 then
    redis.call('HSET', KEYS[1], 'e', ARGV[3])
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return count
"""
# ARGV: the time in microseconds.
_TOUCH: Final = """
local last = redis.call('HMGET', KEYS[1], 'c', 'l')
if last[1] and (not last[2] or tonumber(last[2]) < tonumber(ARGV[1])) then redis.call('HSET', KEYS[1], 'l', ARGV[1]) end
"""
# ARGV: a value, and the milliseconds it has to live ("" for ever). The set lives as long as the last of its members, by the
# clock of Redis as the keys do: the application's may show another time.
_INDEX: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local score = ARGV[2] == '' and '+inf' or string.format('%.0f', now + ARGV[2])
redis.call('ZADD', KEYS[1], score, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now))
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if last == 'inf' then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - now)) end
"""


class RedisKeyStorageOptions(TypedDict, total=False):
    """Options of `RedisKeyStorage`."""

    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisKeySettings:
    """`RedisKeyStorageOptions`, parsed."""

    prefix: str = option("crossauth:", env="REDIS_PREFIX", doc="Goes before the name of everything kept in Redis.")


class RedisKeyStorage(KeyStorage):
    """Keeps keys in Redis, or on a Redis Cluster. Any field is a column.

    An expired key is gone: Redis deletes it by its own clock, from the seconds it was given to live.

    Parameters:
        client: best from `open_redis`, whose timeouts fit requests. The storage closes it.
        options: see `RedisKeyStorageOptions`.
    """

    def __init__(self, client: RedisClient, options: RedisKeyStorageOptions | None = None) -> None:
        self.settings = read_options(RedisKeySettings, options or {}, component=type(self).__name__)
        self.client = client
        self._keys, self._users = f"{self.settings.prefix}k:", f"{self.settings.prefix}u:"
        # The commands of both kinds of client are typed as "awaitable or not".
        self._redis: Any = client

    async def start(self) -> None:
        """As documented for `SupportsLifecycle`: asks the server whether it is there, and whether it keeps what it is given.

        Raises:
            CrossauthError: `Configuration` where the server evicts keys, see `check_eviction`; `Connection`.
        """
        with refusals():
            await self._redis.ping()
        await check_eviction(self._redis)

    async def close(self) -> None:
        """As documented for `SupportsLifecycle`."""
        await self._redis.aclose()

    async def get_key(self, key: str) -> Key:
        """As documented for `KeyStorage`; one round trip."""
        name = self._name(key)
        with refusals():
            found = to_key(key, _fields(await self._redis.hgetall(name)))
        if found.consumed is not None:
            raise CrossauthError(ErrorCode.InvalidKey)
        return found

    async def find_key(self, value: str) -> Key | None:
        """As documented for `KeyStorage`; one round trip."""
        return await self._found(value) if is_storable(value) else None

    async def consume_key(self, value: str, now: datetime) -> Consumed | None:
        """As documented for `KeyStorage`; one round trip."""
        if not is_storable(value):
            return None
        first, found = await self._eval(_CONSUME, self._name(value), str(microseconds(now)))
        return Consumed(to_key(value, _fields(found)), bool(first)) if found else None

    async def swap_data(self, value: str, expected: str, new: str) -> bool:
        """As documented for `KeyStorage`."""
        refuse_unstorable({"data": new})
        if not (is_storable(value) and is_storable(expected)):
            return False
        return bool(await self._eval(_SWAP_DATA, self._name(value), expected, new) > 0)

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
        provided = {"userid": userid, "created": date_created, "expires": expires, "data": data}
        for name in extra_fields or {}:
            if name in provided or name == "value":
                raise bad_field(name, "is not an extra field")
        fields = to_fields({**(extra_fields or {}), **provided})
        if not is_storable(value):
            raise bad_field("value", "holds characters that cannot be stored")
        pairs = [text for pair in fields.items() if pair[1] is not None for text in pair]
        life = _life(expires, max(as_utc(date_created), utc_now()))
        if not await self._eval(_SAVE, self._keys + value, life, *pairs):
            raise CrossauthError(ErrorCode.KeyExists)
        # After the key: whoever ends a user's keys meanwhile sees all of whose making anybody has been told.
        if userid is not None:
            await self._index(userid, value, life)

    async def update_key(self, key: Mapping[str, Any]) -> None:
        """As documented for `KeyStorage`."""
        if key.get("value") is None:
            raise bad_field("value", "is required")
        fields = to_fields({name: key[name] for name in key if name != "value"})
        if fields.get("c", "") is None:
            raise bad_field("created", "cannot be emptied")
        value = str(key["value"])
        life = _life(key["expires"], utc_now()) if "expires" in key else "-"
        before = await self._found(value) if "userid" in key or "expires" in key else None
        removed = [name for name, text in fields.items() if text is None]
        pairs = [text for pair in fields.items() if pair[1] is not None for text in pair]
        changed = await self._eval(_UPDATE, self._name(value), life, len(removed), *removed, *pairs)
        if before is not None and changed:
            owner = key.get("userid", before.userid)
            if before.userid is not None and owner != before.userid:
                with refusals():
                    await self._redis.zrem(self._user(before.userid), value)
            if owner is not None:
                await self._index(owner, value, _life(key.get("expires", before.expires), utc_now()))

    async def delete_key(self, value: str) -> None:
        """As documented for `KeyStorage`."""
        with refusals():
            await self._redis.delete(self._name(value))

    async def delete_all_for_user(self, userid: UserId | None, prefix: str, except_key: str | None = None) -> None:
        """As documented for `KeyStorage`. For the keys of nobody it looks at every key there is."""
        values = await self._values(userid)
        await self._delete(userid, [v for v in values if v.startswith(prefix) and v != except_key])

    async def delete_matching(self, key: Mapping[str, Any]) -> None:
        """As documented for `KeyStorage`. Without `value` or `userid` it looks at every key there is."""
        if not key:
            raise CrossauthError(ErrorCode.BadRequest, "At least one field must be given")
        requested = to_fields({name: key[name] for name in key if name != "value"})
        if "value" in key:
            values = [str(key["value"])]
        elif "userid" in key:
            values = await self._values(key["userid"])
        else:
            values = [value async for value in self._everything()]
        for found in await self._read(values):
            if to_fields({name: found.get(name) for name in key if name != "value"}) == requested:
                await self._delete(found.userid, [found.value])

    async def get_all_for_user(self, userid: UserId | None = None, prefix: str = "") -> list[Key]:
        """As documented for `KeyStorage`. For the keys of nobody it looks at every key there is."""
        values = [value for value in await self._values(userid) if value.startswith(prefix)]
        found = await self._read(values)
        if userid is not None and len(found) < len(values):
            gone = set(values) - {key.value for key in found}
            with refusals():
                await self._redis.zrem(self._user(userid), *gone)
        return [key for key in found if key.userid == userid and key.consumed is None]

    async def update_many_data(self, key_name: str, data_array: list[KeyDataEntry]) -> None:
        """As documented for `KeyStorage`."""
        for _ in range(_TRIES):
            old = (await self.get_key(key_name)).data
            swapped = await self._eval(_SWAP_DATA, self._name(key_name), old, changed_data(old, data_array))
            if swapped > 0:
                return
            if swapped < 0:
                raise CrossauthError(ErrorCode.InvalidKey)
        raise CrossauthError(ErrorCode.Connection, detail="the data of a key is changed too often at once", status=503)

    async def take_key(self, value: str) -> Key:
        """As documented for `SupportsTake`."""
        found = await self._eval(_TAKE, self._name(value))
        return to_key(value, _fields(found))

    async def count_up(self, counters: Mapping[str, datetime], by: int = 1) -> dict[str, int]:
        """As documented for `SupportsCounting`; each counter by itself, all in one round trip."""
        return await self._count([(value, end, "") for value, end in counters.items()], by)

    async def count_within(self, first: Sequence[Counter], then: Sequence[Counter]) -> dict[str, int]:
        """As documented for `SupportsBoundedCounting`; one round trip for each that has any."""
        counts: dict[str, int] = {}
        for stage in (first, then):
            counts |= await self._count([(c.value, c.expires, c.most) for c in stage]) if stage else {}
            if any(counts[c.value] < 0 or counts[c.value] > c.most for c in stage):
                break
        return {value: count for value, count in counts.items() if count >= 0}

    async def _count(self, counters: Sequence[tuple[str, datetime, int | str]], by: int = 1) -> dict[str, int]:
        now = utc_now()
        arguments = [(self._name(value), microseconds(end), _life(end, now), most) for value, end, most in counters]
        with refusals():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for name, end, life, most in arguments:
                    pipeline.eval(_COUNT, 1, name, by, microseconds(now), end, life, most)
                found = await pipeline.execute()
        return {value: count for (value, _, _), count in zip(counters, found, strict=True)}

    async def touch_key(self, value: str, lastactive: datetime) -> None:
        """As documented for `SupportsTouch`."""
        await self._eval(_UPDATE, self._name(value), "-", 0, "l", str(microseconds(lastactive)))

    async def touch_keys(self, times: Mapping[str, datetime]) -> None:
        """As documented for `SupportsTouches`; all in one round trip."""
        with refusals():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for value, time in times.items():
                    pipeline.eval(_TOUCH, 1, self._name(value), str(microseconds(time)))
                await pipeline.execute()

    async def _eval(self, script: str, name: str, *arguments: Any) -> Any:
        with refusals():
            return await self._redis.eval(script, 1, name, *arguments)

    async def _index(self, userid: UserId, value: str, life: str) -> None:
        await self._eval(_INDEX, self._user(userid), value, life)

    async def _found(self, value: str) -> Key | None:
        found = await self._read([value])
        return found[0] if found else None

    async def _values(self, userid: UserId | None) -> list[str]:
        """The values of a user's keys, some of which may be gone; of nobody's keys where `userid` is `None`."""
        if userid is None:
            everything = [value async for value in self._everything()]
            return [key.value for key in await self._read(everything) if key.userid is None]
        with refusals():
            return [_text(value) for value in await self._redis.zrange(self._user(userid), 0, -1)]

    async def _everything(self) -> AsyncIterator[str]:
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self._keys) + "*"
        with refusals():
            async for name in self._redis.scan_iter(match=pattern, count=1000):
                yield _text(name)[len(self._keys) :]

    async def _read(self, values: Iterable[str]) -> list[Key]:
        """The keys of these values that exist, in one round trip."""
        values = list(values)
        if not values:
            return []
        with refusals():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for value in values:
                    pipeline.hgetall(self._name(value))
                found = await pipeline.execute()
        return [to_key(value, _fields(hash_)) for value, hash_ in zip(values, found, strict=True) if hash_]

    async def _delete(self, userid: UserId | None, values: list[str]) -> None:
        if not values:
            return
        with refusals():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for value in values:
                    pipeline.delete(self._name(value))
                await pipeline.execute()
            if userid is not None:
                await self._redis.zrem(self._user(userid), *values)

    def _name(self, value: str) -> str:
        if not is_storable(value):
            raise CrossauthError(ErrorCode.InvalidKey)
        return self._keys + value

    def _user(self, userid: UserId) -> str:
        return self._users + user_text(userid)


def _life(end: datetime | None, now: datetime) -> str:
    """The milliseconds that something has to live, empty for ever; what has ended is gone a moment later."""
    return "" if end is None else str(max(1, (microseconds(end) - microseconds(now)) // _MILLISECOND))


def _text(value: bytes | str) -> str:
    """A reply as text; a client of the application's own may decode it already."""
    return value.decode() if isinstance(value, bytes) else value


def _fields(found: Any) -> dict[str, str]:
    """A hash, as the command or a script replies it."""
    if not isinstance(found, dict):
        found = dict(zip(found[::2], found[1::2], strict=True))
    return {_text(name): _text(value) for name, value in found.items()}
