"""The shipped contract suites, on every storage we have."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    RedisKeyStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    User,
    UserStorage,
    open_engine,
    open_redis,
)
from crossauth_backend.keys.storage import check_swap
from crossauth_backend.testing import KeyStorageContract, UserStorageContract
from crossauth_backend.users.reads import UserStorageGetOptions
from crossauth_backend.users.record import UserAndSecrets
from tests.services.redis import RedisServer


class TestMemoryUsers(UserStorageContract):
    @pytest.fixture
    def users(self) -> UserStorage:
        return InMemoryUserStorage()


class PlainUserStorage(UserStorage):
    """A storage that an application wrote before there were stamps: what is abstract, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self._inner = InMemoryUserStorage()

    async def get_user_by(self, field: str, value: Any, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        found = await self._inner.get_user_by(field, value, options)
        return replace(found, user=replace(found.user, security_stamp=None))

    async def create_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> User:
        return replace(await self._inner.create_user(user, secrets), security_stamp=None)

    async def update_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> None:
        await self._inner.update_user(user, secrets)

    async def delete_user_by_id(self, id: Any) -> None:
        await self._inner.delete_user_by_id(id)

    async def get_users(self, skip: int | None = None, take: int | None = None) -> list[User]:
        return [replace(user, security_stamp=None) for user in await self._inner.get_users(skip, take)]


class TestPlainUsers(UserStorageContract):
    @pytest.fixture
    def users(self) -> UserStorage:
        return PlainUserStorage()

    async def test_a_user_is_replaced_only_if_nobody_else_did(self, users: UserStorage) -> None:
        """Two at once it cannot tell apart; one after the other it can."""
        made = await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"})
        assert await users.replace_user(made.id, {"state": "active"}, {"state": "disabled"}) is True
        assert await users.replace_user(made.id, {"state": "active"}, {"state": "disabled"}) is False


class TestMemoryKeys(KeyStorageContract):
    @pytest.fixture
    def keys(self) -> KeyStorage:
        return InMemoryKeyStorage()


class PlainKeyStorage(InMemoryKeyStorage):
    """A storage that an application wrote when storages were not asked to consume and to swap."""

    find_key, consume_key, swap_data = KeyStorage.find_key, KeyStorage.consume_key, KeyStorage.swap_data


class TestPlainKeys(KeyStorageContract):
    @pytest.fixture
    def keys(self) -> KeyStorage:
        return PlainKeyStorage()


async def test_a_storage_that_cannot_swap_is_refused_before_it_is_used() -> None:
    check_swap(InMemoryKeyStorage())
    with pytest.raises(CrossauthError, match=r"PlainKeyStorage.*swap_data") as refused:
        check_swap(PlainKeyStorage())
    assert refused.value.code is ErrorCode.Configuration
    with pytest.raises(CrossauthError, match="swap_data"):
        await PlainKeyStorage().swap_data("s:1", "", "")


class SqlUsers(UserStorageContract):
    @pytest.fixture
    async def users(self, url: str) -> AsyncIterator[UserStorage]:
        storage = SqlAlchemyUserStorage(open_engine(url))
        yield storage
        await storage.close()


class SqlKeys(KeyStorageContract):
    @pytest.fixture
    async def keys(self, url: str) -> AsyncIterator[KeyStorage]:
        storage = SqlAlchemyKeyStorage(open_engine(url))
        yield storage
        await storage.close()


class OnSqlite:
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class InMemorySqlite:
    @pytest.fixture
    def url(self) -> str:
        return "sqlite://"


class OnPostgres:
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


class TestSqliteUsers(OnSqlite, SqlUsers):
    pass


class TestSqliteKeys(OnSqlite, SqlKeys):
    pass


class TestSqliteInMemoryUsers(InMemorySqlite, SqlUsers):
    pass


class TestSqliteInMemoryKeys(InMemorySqlite, SqlKeys):
    pass


class TestPostgresUsers(OnPostgres, SqlUsers):
    pass


class TestPostgresKeys(OnPostgres, SqlKeys):
    pass


class TestRedisKeys(KeyStorageContract):
    @pytest.fixture
    async def keys(self, redis_url: str) -> AsyncIterator[KeyStorage]:
        storage = RedisKeyStorage(open_redis(redis_url))
        yield storage
        await storage.close()


class TestRedisClusterKeys(KeyStorageContract):
    @pytest.fixture
    async def keys(
        self, redis_cluster_instance: RedisServer, request: pytest.FixtureRequest
    ) -> AsyncIterator[KeyStorage]:
        client = open_redis(redis_cluster_instance.url, cluster=True)
        storage = RedisKeyStorage(client, {"prefix": f"{request.node.name}:"})
        await storage.start()
        yield storage
        await storage.close()
