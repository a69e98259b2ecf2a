"""A manager of API keys with a clock, and storages that stop in the middle."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from crossauth_backend import (
    ApiKeyManager,
    CrossauthError,
    ErrorCode,
    Event,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    User,
    UserStorage,
)
from crossauth_backend.events.listeners import Events
from crossauth_backend.testing.expect import outcome, refused
from tests.support import SECRET

__all__ = ["Interrupted", "Keeper", "add_user", "outcome", "refused"]


class Keeper:
    """A manager, what it works with, and what it has told."""

    def __init__(self, keys: KeyStorage | None = None, users: UserStorage | None = None, **options: Any) -> None:
        self.keys = keys or InMemoryKeyStorage()
        self.users = users or InMemoryUserStorage()
        # At a full hour, so that no window of a limit ends while a test counts. Redis forgets by its own clock: not in the past.
        self.now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        self.told: list[Event] = []
        provided = {"secret": SECRET, "user_storage": self.users, **options}
        self.manager = ApiKeyManager(self.keys, provided, lambda: self.now, Events([self], lambda: self.now))

    def on_event(self, event: Event) -> None:
        self.told.append(event)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    @property
    def names(self) -> list[str]:
        return [event.name.value for event in self.told]

    async def code(self, token: str) -> ErrorCode | None:
        """Why a key is refused; `None` where it is good."""
        return await outcome(self.manager.verify(token))

    async def alice(self) -> User:
        return await add_user(self.users, "alice")


async def add_user(users: UserStorage, name: str) -> User:
    made = await users.create_user(
        {"username": name, "state": "active", "factor1": "localpassword"}, {"password": "a hash"}
    )
    return (await users.get_user_by_id(made.id)).user


class Interrupted(InMemoryKeyStorage):
    """A storage in which something else happens, once, just before one of its methods runs."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        self.reads = 0

    async def _interrupt(self, name: str) -> None:
        happens = self.before.pop(name, None)
        if happens is not None:
            await happens()

    async def save_key(self, *args: Any, **given: Any) -> None:
        await self._interrupt("save_key")
        await super().save_key(*args, **given)
        await self._interrupt("after save_key")

    async def swap_data(self, value: str, expected: str, new: str) -> bool:
        await self._interrupt("swap_data")
        done = await super().swap_data(value, expected, new)
        await self._interrupt("after swap_data")
        return done

    async def find_key(self, value: str) -> Any:
        await self._interrupt("find_key")
        return await super().find_key(value)

    async def delete_key(self, value: str) -> None:
        await self._interrupt("delete_key")
        await super().delete_key(value)

    async def delete_all_for_user(self, userid: Any, prefix: str, except_key: str | None = None) -> None:
        """In two steps, as Redis does it."""
        values = [key.value for key in await self.get_all_for_user(userid, prefix)]
        await self._interrupt("delete_all_for_user")
        for value in values:
            await super().delete_key(value)

    async def update_key(self, key: Any) -> None:
        await self._interrupt("update_key")
        await super().update_key(key)

    def key_with_user_reader(self, users: UserStorage) -> Any:
        inner = super().key_with_user_reader(users)
        assert inner is not None

        async def read(value: str) -> Any:
            self.reads += 1
            return await inner(value)

        return read


async def fail() -> None:
    raise CrossauthError(ErrorCode.Connection)
