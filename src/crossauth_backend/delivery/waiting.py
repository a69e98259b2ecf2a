"""Where messages wait that could not be sent yet: in the key storage, so that they survive a restart, or in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing, hash_token
from crossauth_backend.delivery.mailer import Message
from crossauth_backend.keys.data import decode_data
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage

MAX_PER_TARGET: Final = 5
# Longer than a try may take: nobody else sends a message that is being sent.
LEASE: Final = timedelta(minutes=10)
_SHARDS: Final = 4
_MAX_PER_SHARD: Final = 2000
_KEPT_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A message that waits.

    Parameters:
        message: the message; `None` where it cannot be read any more.
        tries: how often it was tried.
        due: when it is tried next.
        ends: when it is given up.
        name: under what it is kept.
        data: as it is stored; whoever changes it first has it.
    """

    message: Message | None
    tries: int
    due: datetime
    ends: datetime
    name: str = ""
    data: str = field(default="", repr=False)


class WaitingRoom(Protocol):
    """Keeps messages that wait. Of any number of workers one leases a message at a time."""

    async def add(self, waiting: Waiting, now: datetime) -> Waiting | None:
        """Keep a message, leased until it is due; return it with its name, or `None` where too many wait."""
        ...

    async def listed(self, until: datetime) -> dict[str, datetime]:
        """Names of messages that are due before `until`, and when; whoever kept them."""
        ...

    async def lease(self, name: str, now: datetime) -> Waiting | None:
        """Have a message for oneself for ten minutes; `None` where it is not due, is gone, or another has it."""
        ...

    async def renew(self, waiting: Waiting, now: datetime) -> Waiting | None:
        """Have a leased message for ten minutes more; `None` where another has it by now."""
        ...

    async def put_back(self, waiting: Waiting) -> None:
        """End a lease: store its `tries` and `due`."""
        ...

    async def remove(self, waiting: Waiting) -> None:
        """Forget a leased message."""
        ...


class InMemory:
    """A `WaitingRoom` for one process, that ends with it."""

    def __init__(self) -> None:
        self.messages: dict[str, Waiting] = {}
        self._number = 0

    async def add(self, waiting: Waiting, now: datetime) -> Waiting | None:
        """See `WaitingRoom.add`."""
        if len(self.messages) >= _SHARDS * _MAX_PER_SHARD:
            return None
        self._number += 1
        name = str(self._number)
        self.messages[name] = replace(waiting, name=name)
        return self.messages[name]

    async def listed(self, until: datetime) -> dict[str, datetime]:
        """See `WaitingRoom.listed`."""
        return {name: waiting.due for name, waiting in self.messages.items() if waiting.due <= until}

    async def lease(self, name: str, now: datetime) -> Waiting | None:
        """See `WaitingRoom.lease`."""
        found = self.messages.get(name)
        if found is None or found.due > now:
            return None
        return await self.renew(found, now)

    async def renew(self, waiting: Waiting, now: datetime) -> Waiting | None:
        """See `WaitingRoom.renew`."""
        self.messages[waiting.name] = replace(waiting, due=now + LEASE)
        return self.messages[waiting.name]

    async def put_back(self, waiting: Waiting) -> None:
        """See `WaitingRoom.put_back`."""
        self.messages[waiting.name] = waiting

    async def remove(self, waiting: Waiting) -> None:
        """See `WaitingRoom.remove`."""
        self.messages.pop(waiting.name, None)


class InKeys:
    """A `WaitingRoom` in a key storage: one key a message, encrypted, for it holds links and codes that are good.

    The keys of one target have fixed names, so no more than `MAX_PER_TARGET` can be. What waits is listed in four keys of
    which each lists at most 2,000, so looking for what is due costs four reads however many sessions are stored.

    Parameters:
        storage: a key storage with `swap_data`.
        ring: encrypts.
    """

    def __init__(self, storage: KeyStorage, ring: KeyRing) -> None:
        self._keys, self._ring = storage, ring

    async def add(self, waiting: Waiting, now: datetime) -> Waiting | None:
        """See `WaitingRoom.add`."""
        assert waiting.message is not None
        mark = hash_token(f"{waiting.message.channel} {waiting.message.to}")[:22]
        data = self._encode(waiting)
        index = await self._index(mark, now)
        if len(index) >= _MAX_PER_SHARD:
            return None
        for number in range(MAX_PER_TARGET):
            name = f"{KeyPrefix.message}{mark}:{number}"
            try:
                # A while longer than it is tried, so that its loss is reported before it is purged.
                await self._keys.save_key(None, name, now, waiting.ends + _KEPT_AFTER, data)
            except CrossauthError as e:
                if e.code is not ErrorCode.KeyExists:
                    raise
                continue
            await self._keys.update_data(_index_of(name), name, _seconds(waiting.due))
            return replace(waiting, name=name, data=data)
        return None

    async def listed(self, until: datetime) -> dict[str, datetime]:
        """See `WaitingRoom.listed`."""
        found: dict[str, datetime] = {}
        for number in range(_SHARDS):
            key = await self._keys.find_key(f"{KeyPrefix.message}index:{number}")
            if key is not None:
                found |= {name: _time(due) for name, due in decode_data(key.data).items() if due <= _seconds(until)}
        return found

    async def lease(self, name: str, now: datetime) -> Waiting | None:
        """See `WaitingRoom.lease`."""
        key = await self._keys.find_key(name)
        if key is None:
            await self._unlist(name)
            return None
        found = self._decode(name, key.data)
        # What cannot be read may be another application's, on the same storage: its own workers see to it.
        if found.due > now or (found.message is None and found.ends > now):
            return None
        return await self.renew(found, now)

    async def renew(self, waiting: Waiting, now: datetime) -> Waiting | None:
        """See `WaitingRoom.renew`."""
        due = now + LEASE
        data = json.dumps({**decode_data(waiting.data), "due": _seconds(due)})
        # Nobody renews twice in a second: the text would be the same, and so would not tell who was first.
        if data == waiting.data or not await self._keys.swap_data(waiting.name, waiting.data, data):
            return None
        return replace(waiting, due=due, data=data)

    async def put_back(self, waiting: Waiting) -> None:
        """See `WaitingRoom.put_back`."""
        data = {**decode_data(waiting.data), "tries": waiting.tries, "due": _seconds(waiting.due)}
        if await self._keys.swap_data(waiting.name, waiting.data, json.dumps(data)):
            await self._keys.update_data(_index_of(waiting.name), waiting.name, _seconds(waiting.due))

    async def remove(self, waiting: Waiting) -> None:
        """See `WaitingRoom.remove`."""
        # Only what was leased: under the same name another message may be kept by now.
        if await self._keys.swap_data(waiting.name, waiting.data, json.dumps({"due": _NEVER})):
            await self._unlist(waiting.name)
            await self._keys.delete_key(waiting.name)

    async def _index(self, mark: str, now: datetime) -> dict[str, Any]:
        name = _index_of(f"{KeyPrefix.message}{mark}:0")
        key = await self._keys.find_key(name)
        if key is not None:
            return decode_data(key.data)
        try:
            await self._keys.save_key(None, name, now)
        except CrossauthError as e:
            if e.code is not ErrorCode.KeyExists:
                raise
        return {}

    async def _unlist(self, name: str) -> None:
        try:
            await self._keys.delete_data(_index_of(name), name)
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise

    def _encode(self, waiting: Waiting) -> str:
        message = waiting.message
        assert message is not None
        until = None if message.until is None else _seconds(message.until)
        box = {"channel": message.channel, "to": message.to, "content": dict(message.content), "until": until}
        plain = {"tries": waiting.tries, "due": _seconds(waiting.due), "ends": _seconds(waiting.ends)}
        return json.dumps({**plain, "box": self._ring.encrypt(json.dumps(box))})

    def _decode(self, name: str, data: str) -> Waiting:
        plain = decode_data(data)
        try:
            message: Message | None = _message(json.loads(self._ring.decrypt(str(plain.get("box")))))
        except (CrossauthError, ValueError, KeyError, TypeError):
            message = None
        due, ends = _time(plain.get("due", _NEVER)), _time(plain.get("ends", _NEVER))
        return Waiting(message=message, tries=int(plain.get("tries", 0)), due=due, ends=ends, name=name, data=data)


# The year 9999: a message that is being removed is never due.
_NEVER: Final = 253_000_000_000


def _index_of(name: str) -> str:
    """The key that lists the message kept under `name`."""
    mark = name.removeprefix(KeyPrefix.message)
    return f"{KeyPrefix.message}index:{sum(mark.partition(':')[0].encode()) % _SHARDS}"


def _message(box: Mapping[str, Any]) -> Message:
    until = None if box["until"] is None else _time(box["until"])
    return Message(channel=box["channel"], to=box["to"], content=box["content"], until=until)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
