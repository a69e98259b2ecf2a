"""What is particular to SQL: tables and names of an application's own, migrations, and the query of every request."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    User,
    open_engine,
)
from crossauth_backend.keys.storage import KeyWithUserReader

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
NEW = {"username": "alice", "state": "active", "factor1": "localpassword"}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[AsyncEngine]:
    return open_engine(url)  # type: ignore[return-value]  # closed by the storages


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda c: sa.inspect(c).get_table_names()))


async def test_the_tables_have_the_documented_names_or_the_applications(engine: AsyncEngine) -> None:
    users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
    await users.start()
    await keys.start()
    assert {"User", "UserSecrets", "Key"} <= await tables(engine)
    own = SqlAlchemyUserStorage(
        engine, {"user_table": "people", "user_secrets_table": "people_secrets", "userid_foreign_key_column": "person"}
    )
    others = SqlAlchemyKeyStorage(engine, {"key_table": "people_keys", "userid_foreign_key_column": "person"})
    made = await own.create_user(NEW, {"password": "p"})
    await others.save_key(made.id, "s:1", NOW)
    assert (await others.get_all_for_user(made.id))[0].userid == made.id
    assert {"people", "people_secrets", "people_keys"} <= await tables(engine)
    assert await users.get_users() == []
    await keys.close()


@pytest.mark.parametrize("name", ["", 'a"b', "a b", "a;b", "x" * 64, "é"])
def test_a_name_that_cannot_be_one_does_not_start(name: str) -> None:
    with pytest.raises(CrossauthError, match="letters, digits and underscores"):
        SqlAlchemyKeyStorage(open_engine("sqlite://"), {"key_table": name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(User):
    nickname: str | None = None
    points: int = 0


async def test_extra_columns_and_a_record_of_the_applications_own(engine: AsyncEngine) -> None:
    plain = SqlAlchemyUserStorage(engine)
    await plain.create_user({**NEW, "username": "before"})
    columns = [sa.Column("nickname", sa.String(50)), sa.Column("points", sa.Integer, server_default="3")]
    users = SqlAlchemyUserStorage(engine, {"extra_columns": columns, "record": Member})
    made = await users.create_user({**NEW, "nickname": "Al"})
    assert isinstance(made, Member)
    assert (made.nickname, made["nickname"], made.points) == ("Al", "Al", 3)
    await users.update_user({"id": made.id, "points": 5})
    assert [u.get("points") for u in await users.get_users()] == [3, 5]
    extra = SqlAlchemyUserStorage(engine, {"extra_columns": columns})
    assert (await extra.get_user_by("nickname", "Al")).user.extra == {"nickname": "Al", "points": 5}
    for field in ("unknown", 'x" = 1 --'):
        with pytest.raises(CrossauthError) as refused:
            await users.create_user({**NEW, "username": "eve", field: 1})
        assert refused.value.code is ErrorCode.BadRequest
        with pytest.raises(CrossauthError):
            await users.get_user_by(field, 1)
    await users.close()


async def test_a_table_of_the_applications_own(engine: AsyncEngine) -> None:
    table = sa.Table(
        "person", sa.MetaData(), sa.Column("pk", sa.Uuid, primary_key=True, default=uuid.uuid4),
        sa.Column("username", sa.String(100), unique=True), sa.Column("email", sa.String(100)),
        sa.Column("shoe_size", sa.Float),
    )  # fmt: skip
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
    options: Any = {"table": table, "id_column": "pk", "normalize_username": False, "normalize_email": False}
    users = SqlAlchemyUserStorage(engine, options)
    keys = SqlAlchemyKeyStorage(engine, {"userid_type": sa.Uuid})
    made = await users.create_user({**NEW, "email": "a@example.com", "shoe_size": 42.5}, {"password": "p"})
    assert isinstance(made.id, uuid.UUID)
    assert (made.state, made.factor1, made.admin, made["shoe_size"]) == ("active", "localpassword", False, 42.5)
    assert (await users.get_user_by_id(str(made.id))).secrets.password == "p"
    for nobody in ("not a uuid", str(uuid.uuid4()), 7):
        with pytest.raises(CrossauthError) as refused:
            await users.get_user_by_id(nobody)
        assert refused.value.code is ErrorCode.UserNotExist
    await keys.save_key(made.id, "s:1", NOW)
    read = keys.key_with_user_reader(users)
    assert read is not None
    found = await read("s:1")
    assert found is not None
    assert (found[0].userid, found[1]) == (made.id, made)
    assert not await users.replace_user(made.id, {"shoe_size": 1.0, "state": "active"}, {"shoe_size": 43.0})
    assert not await users.replace_user(made.id, {"state": "disabled"}, {"shoe_size": 43.0})
    saved = {"shoe_size": 42.5, "state": "active", "admin": False, "factor2": None, "email": "a@example.com"}
    assert await users.replace_user(str(made.id), saved, {"shoe_size": 43.0, "email": None})
    assert (await users.get_user_by_id(made.id)).user["shoe_size"] == 43.0
    for wrong in ({"unknown": None}, {"unknown": 1}):
        with pytest.raises(CrossauthError) as refused:
            await users.replace_user(made.id, wrong, {"shoe_size": 1.0})
        assert refused.value.code is ErrorCode.BadRequest
    await users.delete_user_by_id(str(made.id))
    assert await users.get_users() == []
    await keys.close()


@pytest.mark.parametrize(
    ("userid_type", "fits", "misfits"),
    [
        (None, 7, [uuid.uuid4(), "alice", "", True, 2**70]),
        (sa.Uuid, uuid.UUID(int=7), ["alice", 7]),
        (sa.String(36), "alice", [7, uuid.uuid4()]),
    ],
)
async def test_an_id_that_the_column_cannot_keep_is_refused_and_not_lost(
    engine: AsyncEngine, userid_type: Any, fits: Any, misfits: list[Any]
) -> None:
    keys = SqlAlchemyKeyStorage(engine, {"userid_type": userid_type})
    await keys.save_key(fits, "s:1", NOW)
    await keys.save_key(None, "s:2", NOW)
    assert [key.userid for key in await keys.get_all_for_user(fits)] == [fits]
    if not isinstance(fits, str):
        await keys.save_key(str(fits), "s:3", NOW)
        assert [key.userid for key in await keys.get_all_for_user(fits)] == [fits, fits]
        await keys.delete_key("s:3")
    for misfit in misfits:
        for call in (
            keys.save_key(misfit, "s:3", NOW), keys.update_key({"value": "s:1", "userid": misfit}),
            keys.delete_matching({"userid": misfit}),
        ):  # fmt: skip
            with pytest.raises(CrossauthError, match="userid_type") as refused:
                await call
            assert refused.value.code is ErrorCode.Configuration
    assert [key.value for key in await keys.get_all_for_user(fits)] == ["s:1"]
    assert [key.value for key in await keys.get_all_for_user(None)] == ["s:2"]
    await keys.close()


async def test_an_own_table_that_lacks_what_is_needed_does_not_start(engine: AsyncEngine) -> None:
    table = sa.Table("p", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String))
    with pytest.raises(CrossauthError, match="lacks the columns username, username_normalized"):
        SqlAlchemyUserStorage(engine, {"table": table})
    with pytest.raises(CrossauthError, match=r"must be a sqlalchemy\.Table"):
        SqlAlchemyUserStorage(engine, {"table": "person"})


async def test_starting_twice_changes_nothing(engine: AsyncEngine) -> None:
    for _ in range(3):
        users = SqlAlchemyUserStorage(engine)
        await users.start()
        await users.start()
    await users.create_user(NEW)
    again = SqlAlchemyUserStorage(engine)
    assert len(await again.get_users()) == 1
    await again.close()


async def test_without_migration_a_missing_table_is_said_at_start_up(engine: AsyncEngine) -> None:
    users = SqlAlchemyUserStorage(engine, {"migrate": False})
    with pytest.raises(CrossauthError, match=r"Table 'User' does not exist.*migrate") as refused:
        await users.start()
    assert refused.value.code is ErrorCode.Configuration
    await users.migrate()
    await users.start()
    await users.close()


async def test_somebody_elses_table_is_left_alone_and_what_it_lacks_is_said(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql('CREATE TABLE "Key" (id integer primary key, value varchar(200))')
        await connection.exec_driver_sql("INSERT INTO \"Key\" VALUES (1, 'mine')")
    keys = SqlAlchemyKeyStorage(engine)
    with pytest.raises(CrossauthError, match="'Key' lacks the columns userid, created, expires, lastactive, data"):
        await keys.start()
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql('SELECT value FROM "Key"')).scalar() == "mine"
    await keys.close()


PROCESS = """
import asyncio, sys
from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
async def main():
    engine = open_engine(sys.argv[1])
    users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
    await users.start()
    await keys.start()
    made = await users.create_user({"username": sys.argv[2], "state": "active", "factor1": "localpassword"})
    from datetime import datetime, UTC
    try:
        await keys.save_key(None, "s:shared", datetime.now(UTC))
    except Exception as e:
        assert e.code_name == "KeyExists"
    for n in range(30):
        await keys.update_data("s:shared", f"{sys.argv[2]}{n}", n)
    await keys.close()
asyncio.run(main())
"""


async def test_processes_that_start_at_once_do_not_disturb_each_other(url: str) -> None:
    started = [subprocess.Popen([sys.executable, "-c", PROCESS, url, f"user{n}"]) for n in range(4)]
    assert [p.wait(60) for p in started] == [0, 0, 0, 0]
    engine = open_engine(url)
    users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
    assert len(await users.get_users()) == 4
    data = keys.decode_data((await keys.get_key("s:shared")).data)
    assert len(data) == 120, "a change was lost"
    await keys.close()


async def stored(engine: AsyncEngine) -> tuple[SqlAlchemyUserStorage, SqlAlchemyKeyStorage, KeyWithUserReader, User]:
    users = SqlAlchemyUserStorage(engine)
    keys = SqlAlchemyKeyStorage(engine, {"extra_columns": [sa.Column("agent", sa.String(50))]})
    made = await users.create_user({**NEW, "email": "a@example.com"}, {"password": "p"})
    await keys.save_key(made.id, "s:1", NOW, NOW + timedelta(1), '{"a":1}', {"lastactive": NOW, "agent": "x"})
    await keys.save_key(None, "s:2", NOW)
    await keys.save_key(999, "s:3", NOW)
    read = keys.key_with_user_reader(users)
    assert read is not None
    return users, keys, read, made


async def check_reader(engine: AsyncEngine) -> None:
    users, keys, read, made = await stored(engine)
    assert await read("s:1") == (await keys.get_key("s:1"), made)
    assert await read("s:2") == (await keys.get_key("s:2"), None)
    assert await read("s:3") == (await keys.get_key("s:3"), None), "a user that is gone is nobody"
    assert await read("s:none") is None
    await users.update_user({"id": made.id, "state": "disabled", "admin": True})
    found = await read("s:1")
    assert found is not None
    assert found[1] is not None
    assert (found[1].state, found[1].admin) == ("disabled", True), "what was committed is seen at once"
    assert len({id(r) for r in await asyncio.gather(*(read("s:1") for _ in range(50)))}) == 50
    await keys.delete_key("s:1")
    assert await read("s:1") is None
    await keys.close()


async def test_key_and_user_in_one_query(engine: AsyncEngine) -> None:
    await check_reader(engine)


async def test_key_and_user_where_only_sqlalchemy_can_connect() -> None:
    await check_reader(open_engine("sqlite://"))
    await check_reader(create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool))


async def test_the_query_uses_the_index(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    _, keys, _, _ = await stored(engine)
    users = SqlAlchemyUserStorage(engine)
    users.user_reader()
    assert keys._reader is not None
    assert users._reader is not None
    async with engine.connect() as connection:
        for sql, value in ((keys._reader._rows.sql, "s:1"), (users._reader._rows.sql, 1)):
            plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (value,))).all()
            assert not any("SCAN" in str(row) for row in plan), plan
    await keys.close()


async def test_a_user_alone(engine: AsyncEngine) -> None:
    """For sessions that are kept elsewhere: as by the slower way, and nobody for an id that is nobody's."""
    users, keys, _, made = await stored(engine)
    read = users.user_reader()
    assert await read(made.id) == (await users.get_user_by_id(made.id)).user
    for wrong in (made.id + 1, -1, "x", None, uuid.UUID(int=1), 2**40, 2**70):
        assert await read(wrong) is None, wrong
    await keys.close()
    await users.close()


async def test_a_user_alone_in_a_table_of_the_applications_own(engine: AsyncEngine) -> None:
    table = sa.Table(
        "knight", sa.MetaData(), sa.Column("id", sa.Uuid, primary_key=True, default=uuid.uuid4),
        sa.Column("username", sa.String, unique=True), sa.Column("seen", sa.DateTime), sa.Column("round", sa.Boolean),
    )  # fmt: skip
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
    options = {"table": table, "normalize_username": False, "normalize_email": False}
    users = SqlAlchemyUserStorage(engine, options)  # type: ignore[arg-type]
    made = await users.create_user({"username": "galahad", "round": True, "seen": datetime(2026, 1, 2)})
    read = users.user_reader()
    assert await read(made.id) == (await users.get_user_by_id(made.id)).user
    assert await read(str(made.id)) == await read(made.id)
    await users.close()


async def test_storages_on_two_engines_are_read_separately(sqlite_url: str, tmp_path: Path) -> None:
    keys = SqlAlchemyKeyStorage(open_engine(sqlite_url))
    users = SqlAlchemyUserStorage(open_engine(f"sqlite:///{tmp_path}/users.db"))
    assert keys.key_with_user_reader(users) is None


async def test_a_database_that_is_gone_is_a_clean_503(postgres_url: str) -> None:
    engine = open_engine(postgres_url.replace(postgres_url.rsplit(":", 1)[1].split("/")[0], "1"))
    users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
    for call in (users.get_user_by_username("a"), keys.get_key("s:1"), keys.start()):
        with pytest.raises(CrossauthError) as refused:
            await call
        assert (refused.value.code, refused.value.http_status) == (ErrorCode.Connection, 503)
        assert "127.0.0.1" not in refused.value.message
    await keys.close()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nonsense", "cannot be read"),
        ("oracle://x/y", "install"),
        ("sqlite:////no/such/folder/a.db", "/no/such/folder"),
    ],
)
def test_a_database_url_that_cannot_work_is_said_at_once(url: str, text: str) -> None:
    with pytest.raises(CrossauthError, match=text) as refused:
        open_engine(url)
    assert refused.value.code is ErrorCode.Configuration


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02 03:04:05.000006", "2026-01-02 03:04:05.1", "2026-01-02 03:04:05", "2026-01-02T03:04", "2026-01-02",
        "2026-01-02 03:04:05+02:00", "2026-01-02 03:04:05-05:30", "2026-01-02 03:04:05Z",
    ],
)  # fmt: skip
async def test_a_time_that_other_software_wrote_is_the_same_by_both_queries(sqlite_url: str, text: str) -> None:
    """SQLite keeps times as text; a session must not last two hours longer by the query of every request."""
    engine = open_engine(sqlite_url)
    _, keys, read, _ = await stored(engine)
    async with engine.begin() as connection:
        await connection.execute(sa.text('UPDATE "Key" SET expires = :text'), {"text": text})
    found = await read("s:1")
    assert found is not None
    assert found[0].expires is not None
    assert found[0].expires.tzinfo is UTC
    assert found[0].expires == (await keys.get_key("s:1")).expires
    await keys.close()


async def test_counting_needs_no_option_of_the_engine(url: str) -> None:
    """An application's own engine may be one that does not insert several rows at once."""
    made = open_engine(url)
    engine = create_async_engine(made.url, use_insertmanyvalues=False)
    await made.dispose()
    keys, soon = SqlAlchemyKeyStorage(engine), datetime.now(UTC) + timedelta(hours=1)
    assert await keys.count_up({"n:a": soon}, 2) == {"n:a": 2}
    assert await keys.count_up({"n:b": soon, "n:a": soon}, 3) == {"n:a": 5, "n:b": 3}
    await keys.close()
    await engine.dispose()
