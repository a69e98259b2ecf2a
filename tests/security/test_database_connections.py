"""Connections to a database: all are made as the application's engine makes them, and there are no more than documented."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.core.clock import utc_now
from tests.services.postgres import PostgresServer

NAMED: dict[str, Any] = {"server_settings": {"application_name": "named"}}


def by_sqlalchemy(url: str, **options: Any) -> Any:
    return create_async_engine(url.replace("postgresql", "postgresql+asyncpg"), **options)


@pytest.mark.parametrize("make", [open_engine, by_sqlalchemy])
async def test_the_reader_of_sessions_connects_as_the_engine_does(
    postgres: PostgresServer, postgres_url: str, make: Callable[..., Any]
) -> None:
    """With the application's own arguments, such as those for TLS; and all together are as many as the docs say."""
    engine = make(postgres_url, connect_args=NAMED)
    users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
    reader = keys.key_with_user_reader(users)
    assert reader is not None
    await keys.save_key(None, "s:1", utc_now())
    for _ in range(3):
        reads = [*(reader("s:1") for _ in range(60)), *(keys.get_key("s:1") for _ in range(60))]
        assert all(await asyncio.gather(*reads))
    name = postgres_url.rpartition("/")[2]
    names = postgres.psql(f"SELECT application_name FROM pg_stat_activity WHERE datname = '{name}'").split()
    assert set(names) == {"named"}
    assert 8 < len(names) <= 15 + 8
    await keys.close()
    await users.close()


async def test_an_engine_without_a_bound_is_warned_of_once(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Under it a database that hangs holds requests for ever."""
    for engine, warnings in (
        (by_sqlalchemy(postgres_url), 1),
        (by_sqlalchemy(postgres_url, connect_args={"command_timeout": 5}), 0),
        (open_engine(postgres_url), 0),
        (open_engine(postgres_url, connect_args={"command_timeout": None}), 0),
    ):
        caplog.clear()
        for storage in (SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)):
            await storage.start()
        assert len([r for r in caplog.records if "command_timeout" in r.getMessage()]) == warnings
        await engine.dispose()
