"""The shipped contract suites, on every storage we have."""

from collections.abc import AsyncIterator

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
    UserStorage,
    open_engine,
    open_redis,
)
from crossauth_backend.keys.storage import check_swap
from crossauth_backend.testing import KeyStorageContract, UserStorageContract
from tests.services.redis import RedisServer


class TestMemoryUsers(UserStorageContract):
    @pytest.fixture
    def users(self) -> UserStorage:
        return InMemoryUserStorage()


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
