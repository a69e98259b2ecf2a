"""The query that reads sessions runs beside SQLAlchemy, on connections of its own: they are what the application makes of them"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.storages.sqlalchemy import drivers
from tests.accounts import Browser, World


@contextmanager
def site(engine: AsyncEngine) -> Iterator[Browser]:
    """Alice, logged in at a site on `engine`."""
    world = World(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    with world.open() as url, Browser(url) as alice:
        assert alice.sign_up("alice", factor2="none").status_code == 200
        yield alice


def in_schema(url: str, engine: AsyncEngine) -> None:
    """Every new connection works in the schema `tenant`, as SQLAlchemy's documentation shows it."""

    async def make() -> None:
        plain = open_engine(url)
        async with plain.begin() as connection:
            await connection.execute(sa.text("CREATE SCHEMA tenant"))
        await plain.dispose()

    asyncio.run(make())

    @sa.event.listens_for(engine.sync_engine, "connect")
    def choose(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET search_path TO tenant")
        cursor.close()
        connection.commit()


def test_sessions_are_read_in_the_schema_that_the_application_chose(postgres_url: str) -> None:
    """A listener of `connect` sets the search path: sessions of the other schema count for nothing"""
    engine = open_engine(postgres_url)
    in_schema(postgres_url, engine)
    with site(open_engine(postgres_url)) as other, site(engine) as alice:
        for _ in range(2):
            assert alice.get("/me").json()["username"] == "alice"
        assert alice.get("/me", headers={"Cookie": f"SESSIONID={other.cookies['SESSIONID']}"}).status_code == 401


@pytest.mark.parametrize("event", ["checkout", "begin"])
def test_where_something_is_done_before_each_use_sqlalchemy_reads_sessions(postgres_url: str, event: str) -> None:
    engine, used = open_engine(postgres_url), []

    def note(*args: object) -> None:
        used.append(args)

    sa.event.listen(engine.sync_engine, event, note)
    with site(engine) as alice:
        assert alice.get("/me").status_code == 200
        before = len(used)
        assert alice.get("/me").status_code == 200
        assert len(used) > before


@pytest.mark.parametrize("when", ["before the storages", "after them"])
def test_a_password_that_is_made_for_each_connection_is_used_for_those_that_read_sessions(
    postgres_url: str, when: str
) -> None:
    """A listener of `do_connect` gives a password of the moment, as SQLAlchemy's documentation shows it"""
    right = sa.make_url(postgres_url)
    engine = open_engine(str(right.set(username="nobody").render_as_string(hide_password=False)))
    asked: list[int] = []

    def token(dialect: object, record: object, arguments: object, parameters: dict[str, Any]) -> None:
        asked.append(1)
        parameters["user"] = right.username

    if when == "before the storages":
        sa.event.listen(engine.sync_engine, "do_connect", token)
    world = World(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    if when == "after them":
        sa.event.listen(engine.sync_engine, "do_connect", token)
    with world.open() as url, Browser(url) as alice:
        assert alice.sign_up("alice", factor2="none").status_code == 200
        before = len(asked)
        assert alice.get("/me").status_code == 200
        assert len(asked) > before or before > 1


async def test_a_connection_that_nobody_used_for_a_while_is_not_used_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firewalls forget connections without a word: the next query on one would wait in vain"""
    engine = open_engine(postgres_url)
    driver = drivers.AsyncpgDriver(engine, "SELECT pg_backend_pid() WHERE $1::text = 'x'")

    async def backend() -> int:
        row = await driver.fetch("x")
        assert row is not None
        return int(row[0])

    first = await backend()
    assert await backend() == first
    monkeypatch.setattr(drivers, "_IDLE_SECONDS", 0)
    assert await backend() != first
    await driver.close()
    await engine.dispose()


async def test_a_connection_that_hangs_costs_one_request_and_takes_the_others_with_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(postgres_url)
    driver = drivers.AsyncpgDriver(engine, "SELECT pg_backend_pid(), pg_sleep($1::float8)")
    rows = await asyncio.gather(*(driver.fetch(0.2) for _ in range(4)))
    known = {row[0] for row in rows if row}
    assert len(known) == 4
    monkeypatch.setattr(drivers, "_QUERY_SECONDS", 0.3)
    with pytest.raises(Exception, match="cannot be reached"):
        await driver.fetch(20.0)
    row = await driver.fetch(0.0)
    assert row is not None
    assert row[0] not in known
    await driver.close()
    await engine.dispose()


async def test_more_requests_than_connections_take_turns_and_none_is_mixed_up(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    driver = drivers.AsyncpgDriver(engine, "SELECT $1::int, pg_backend_pid()")
    rows = await asyncio.gather(*(driver.fetch(n) for n in range(200)))
    assert [row[0] for row in rows if row] == list(range(200))
    assert len({row[1] for row in rows if row}) <= drivers._CONNECTIONS
    await driver.close()
    await engine.dispose()


def test_sessions_on_sqlite_are_read_as_the_application_opens_it(sqlite_url: str) -> None:
    """A listener of `connect` unlocks or attaches a database: it is asked for the connection that reads sessions too"""
    engine = open_engine(sqlite_url)
    opened: list[int] = []
    sa.event.listen(engine.sync_engine, "connect", lambda connection, record: opened.append(1))
    with site(engine) as alice:
        before = len(opened)
        assert alice.get("/me").status_code == 200
        assert len(opened) >= max(before, 2)


async def test_a_map_of_schemas_is_refused_at_the_start(postgres_url: str) -> None:
    engine = create_async_engine(
        open_engine(postgres_url).url, execution_options={"schema_translate_map": {None: "tenant"}}
    )
    with pytest.raises(Exception, match="schema_translate_map"):
        await SqlAlchemyKeyStorage(engine).start()
    await engine.dispose()
