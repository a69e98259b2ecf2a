"""What is written behind the requests: last use, the audit, purging. Nothing of it refuses a request, and nothing ends it."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    Event,
    EventName,
    InMemoryAuditStorage,
    InMemoryKeyStorage,
    KeyPrefix,
    SqlAlchemyAuditStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.periodic import Periodic
from crossauth_backend.events.audit import AuditListener
from crossauth_backend.keys.lastuse import LastUse
from crossauth_backend.keys.purge import Purger
from crossauth_backend.storages.sqlalchemy import batches, schema
from tests.accounts import Browser, World, storages
from tests.support import make_server

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AWAY = CrossauthError(ErrorCode.Connection, status=503)


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    made = open_engine(request.getfixturevalue(f"{request.param}_url"))
    yield made
    await made.dispose()


def event(number: int, at: datetime = NOW) -> Event:
    return Event(name=EventName.login_failed, at=at, reason=str(number))


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "redis"])
def test_the_last_use_is_written_behind_the_request(request: pytest.FixtureRequest, kind: str) -> None:
    """By itself while the application runs, and at the latest when it ends."""
    world = World(**storages(request, kind))
    keys = world.keys
    written: list[dict[str, datetime]] = []
    write = keys.touch_keys  # type: ignore[attr-defined]
    threads: set[str] = set()

    async def noted(times: dict[str, datetime]) -> None:
        threads.add(threading.current_thread().name)
        await write(times)
        written.append({value: (await keys.get_key(value)).lastactive for value in times})  # type: ignore[misc]

    keys.touch_keys = noted  # type: ignore[attr-defined]
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        world.later(minutes=2)
        for _ in range(5):
            assert browser.who() == "alice"
        for _ in range(300):
            if written:
                break
            threading.Event().wait(0.02)
        assert len(written) == 1, "one write for the five requests"
        world.later(minutes=2)
        assert browser.who() == "alice"
    assert len(written) == 2, "written when the application ended"
    (first, second) = (next(iter(times.values())) for times in written)
    assert timedelta(minutes=2) <= second - first < timedelta(minutes=3)


def test_a_write_that_fails_refuses_no_request() -> None:
    """And is made later."""
    keys = InMemoryKeyStorage()
    tried = []

    async def full(times: dict[str, datetime]) -> None:
        tried.append(dict(times))
        raise OSError("full")

    keys.touch_keys = full  # type: ignore[method-assign, assignment]
    world = World(keys=keys)
    world.manager.session.last_use._every = 0.01
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        world.later(minutes=2)
        assert browser.who() == "alice"
        for _ in range(300):
            if len(tried) > 1:
                break
            threading.Event().wait(0.02)
        assert browser.who() == "alice"
        del keys.touch_keys
    (key,) = asyncio.run(keys.get_all_for_user(1, KeyPrefix.session))
    assert key.lastactive is not None
    assert key.lastactive - key.created >= timedelta(minutes=2)


async def test_a_storage_that_touches_one_by_one_or_not_at_all_is_served_too() -> None:
    """By what it has."""

    class One(InMemoryKeyStorage):
        touch_keys = None  # type: ignore[assignment]

    class None_(One):
        touch_key = None  # type: ignore[assignment]

    for storage in (One(), None_()):
        await storage.save_key(1, "s:1", NOW)
        writer = LastUse(storage, every=60)
        writer.note("s:1", NOW)
        await writer.close()
        assert (await storage.get_key("s:1")).lastactive == NOW


async def test_purging_lets_others_write(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows at a time, with a pause; several at once get in each other's way nowhere."""
    monkeypatch.setattr(batches, "ROWS", 50)
    keys = SqlAlchemyKeyStorage(engine)
    await keys.start()
    rows = [{"value": f"s:{n}", "created": NOW, "expires": NOW, "data": ""} for n in range(1000)]
    async with engine.begin() as connection:
        await connection.execute(keys.table.insert(), rows)
    await keys.save_key(None, "s:live", utc_now(), utc_now() + timedelta(days=1))
    others: list[int] = []

    async def write() -> None:
        while True:
            await keys.save_key(None, f"s:other{len(others)}", utc_now())
            others.append(1)
            await asyncio.sleep(0.005)

    deletions: list[str] = []

    @sa.event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("DELETE"):
            deletions.append(statement)

    writing = asyncio.create_task(write())
    counts = await asyncio.gather(*(keys.purge_expired(utc_now()) for _ in range(3)))
    assert sum(counts) == 1000
    assert len(deletions) >= 20, "each is a transaction of its own"
    assert others, "and between them others write"
    writing.cancel()
    await asyncio.wait([writing])
    assert {key.value for key in await keys.get_all_for_user(None)} >= {"s:live", "s:other0"}


async def test_counts_are_purged_by_an_index_of_their_own(engine: Any) -> None:
    """Not by a walk, for each batch, over the sessions that expired within the margin."""
    keys = SqlAlchemyKeyStorage(engine)
    await keys.start()
    soon = NOW + timedelta(hours=1)
    sessions = [{"value": f"s:{n}", "created": NOW, "expires": NOW, "data": ""} for n in range(5000)]
    counters = [{"value": f"n:{n}", "created": NOW, "expires": soon, "data": "1"} for n in range(600)]
    async with engine.begin() as connection:
        await connection.execute(keys.table.insert(), sessions + counters)
    plans: list[str] = []
    deletions: list[tuple[str, Any]] = []

    @sa.event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(connection: Any, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        if statement.startswith("DELETE"):
            deletions.append((statement, parameters))

    assert await keys.purge_expired(NOW + timedelta(days=1), KeyPrefix.counter) == 600
    assert len(deletions) == 600 // batches.ROWS + 1
    async with engine.connect() as connection:
        how = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        for statement, parameters in deletions:
            plans.append(str((await connection.exec_driver_sql(how + statement, parameters)).all()))
    assert all("ix_Key_counters" in plan for plan in plans), plans
    assert len(await keys.get_all_for_user(None)) == 5000


async def test_a_table_of_the_version_before_gets_the_index_and_serves_that_version_still(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both at once, in either order."""

    def indexes(connection: sa.Connection) -> set[Any]:
        return {index["name"] for index in sa.inspect(connection).get_indexes("Key")}

    await SqlAlchemyKeyStorage(engine).start()
    async with engine.begin() as connection:
        await connection.exec_driver_sql('DROP INDEX "ix_Key_counters"')
        await connection.exec_driver_sql("UPDATE \"crossauth_Key_version\" SET version_num = '0002'")
    fresh = SqlAlchemyKeyStorage(engine)
    await fresh.start()
    async with engine.connect() as connection:
        assert "ix_Key_counters" in await connection.run_sync(indexes)
    monkeypatch.setitem(schema.HEADS, "keys", "0002")
    before = SqlAlchemyKeyStorage(engine)
    await before.start()
    await before.save_key(None, "n:1", NOW, NOW, "1")
    assert await fresh.purge_expired(NOW + timedelta(days=1), KeyPrefix.counter) == 1


async def test_a_clock_that_is_ahead_for_days_ends_no_login() -> None:
    """Nor lets a used link count again; only counts of attempts go at once."""
    keys, ahead = InMemoryKeyStorage(), timedelta(days=3)
    now = utc_now()
    for value in ("s:1", "spent:1", "n:1"):
        await keys.save_key(None, value, now, now + timedelta(hours=1))
    assert await Purger(keys, lambda: now + ahead).purge() == 1
    assert {key.value for key in await keys.get_all_for_user(None)} == {"s:1", "spent:1"}
    assert await Purger(keys, lambda: now + timedelta(days=8)).purge() == 2


async def test_a_login_ends_no_more_old_sessions_than_one_write_may(engine: Any) -> None:
    """Databases refuse statements with very many parameters; a login of somebody with a great many sessions is not to fail."""
    keys = SqlAlchemyKeyStorage(engine)
    rows = [{"value": f"s:{n:04}", "userid": 1, "created": NOW, "data": ""} for n in range(600)]
    await keys.start()
    async with engine.begin() as connection:
        await connection.execute(keys.table.insert(), rows)
    deleted = []
    while not deleted or deleted[-1]:
        deleted.append(await keys.delete_oldest_for_user(1, "s:", 50))
    assert (sum(deleted), max(deleted)) == (550, batches.ROWS)
    assert {key.value for key in await keys.get_all_for_user(1)} == {f"s:{n:04}" for n in range(550, 600)}


async def test_a_storage_whose_purge_knows_no_prefix_is_purged_too() -> None:
    """As it was asked for before."""

    class Old(InMemoryKeyStorage):
        async def purge_expired(self, now: datetime) -> int:  # type: ignore[override]
            return await super().purge_expired(now)

    keys = Old()
    await keys.save_key(None, "s:1", NOW, NOW)
    assert await Purger(keys).purge() == 1


async def test_what_is_done_now_and_then_survives_whatever_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log, and done again."""
    runs: list[int] = []

    async def job() -> int:
        runs.append(1)
        raise RuntimeError("broken") if len(runs) == 1 else AWAY

    periodic = Periodic(job, "things", every=0.005)
    await periodic.start()
    while len(runs) < 4:
        await asyncio.sleep(0.005)
    await periodic.close()
    assert "broken" in caplog.text
    assert "things: " in caplog.text


async def test_an_event_that_cannot_be_stored_does_not_hold_the_others_up() -> None:
    """And while the storage is away they wait for it, without another event to remind anybody."""

    class Picky(InMemoryAuditStorage):
        away = True

        async def record(self, events: Any) -> None:
            if self.away:
                raise AWAY
            if any(e.reason == "3" for e in events):
                raise ValueError("not this one")
            await super().record(events)

    storage = Picky()
    listener = AuditListener(storage, again=0.005)
    for number in range(6):
        listener.on_event(event(number))
    await asyncio.sleep(0.03)
    assert await storage.latest() == []
    storage.away = False
    for _ in range(200):
        await asyncio.sleep(0.01)
        if len(await storage.latest()) == 5:
            break
    else:
        raise AssertionError("nobody tried again")
    assert [e.reason for e in await listener.latest()] == ["5", "4", "2", "1", "0"]
    listener.on_event(event(7))
    await listener.close()
    assert (await storage.latest())[0].reason == "7"


async def test_many_who_look_and_write_at_once_lose_no_event(engine: Any) -> None:
    """Each is stored once."""
    storage = SqlAlchemyAuditStorage(engine)
    listener = AuditListener(storage)

    async def notify(number: int) -> None:
        listener.on_event(event(number))
        await listener.latest()

    await asyncio.gather(*(notify(n) for n in range(40)))
    await listener.close()
    assert sorted(int(e.reason) for e in await storage.latest(take=100)) == list(range(40))
    await storage.close()


async def test_the_audit_is_kept_for_a_year(engine: Any) -> None:
    """Or as long as the option says."""
    storage = SqlAlchemyAuditStorage(engine)
    now = utc_now()
    await storage.record([event(n, now - timedelta(days=n)) for n in (400, 364, 30, 0)])

    def purge(**options: Any) -> Any:
        server = make_server(audit_storage=storage, **options)
        assert server.session_server is not None
        manager = server.session_server.session_manager
        return [part._job() for part in manager.parts() if isinstance(part, Periodic) and "events" in part._what]

    for job in purge():
        assert await job == 1
    assert purge(audit_retention_days=0) == []
    for job in purge(audit_retention_days=7):
        assert await job == 2
    assert [e.reason for e in await storage.latest()] == ["0"]
    with pytest.raises(CrossauthError, match="audit_retention_days"):
        purge(audit_retention_days=-1)
    await storage.close()


def test_a_database_that_others_write_to_refuses_no_session(sqlite_url: str) -> None:
    """Whose last use is to be written: reading waits for nobody."""
    engine = open_engine(sqlite_url)
    world = World(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    with world.open() as url, Browser(url) as browser, sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as other:
        browser.sign_up(factor2="none")
        world.later(minutes=2)
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        browser.timeout = 4  # a write would wait for five seconds, and then be refused
        assert browser.get("/me").json() == {"username": "alice"}
        other.execute("ROLLBACK")
    other.close()
