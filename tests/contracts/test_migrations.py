"""Each storage makes and upgrades its own tables, whatever they are called and whichever other storages there are."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    Event,
    EventName,
    SqlAlchemyAuditStorage,
    SqlAlchemyIdentityStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    metadata_of,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.storages.sqlalchemy.names import MAX_NAME, bounded_name
from crossauth_backend.storages.sqlalchemy.schema import HEADS
from tests.contracts.old_tables import make_tables
from tests.contracts.test_alembic import Alembic

NEW = {"username": "alice", "state": "active", "factor1": "localpassword"}
LONG = "a_name_that_is_as_long_as_any_name_of_a_table_may_be_in_postgre"
# Each storage alone: its class, its options by the names of its tables, and where they are called by default.
ALONE: dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]] = {
    "users": (SqlAlchemyUserStorage, ("user_table", "user_secrets_table"), ("User", "UserSecrets")),
    "keys": (SqlAlchemyKeyStorage, ("key_table",), ("Key",)),
    "audit": (SqlAlchemyAuditStorage, ("audit_table",), ("CrossauthAudit",)),
    "identities": (SqlAlchemyIdentityStorage, ("identity_table",), ("CrossauthIdentity",)),
}
each_storage = pytest.mark.parametrize("kind", ALONE)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(url)
    yield opened
    await opened.dispose()


def made(engine: AsyncEngine, kind: str, *names: str, **options: Any) -> Any:
    cls, table_options, _ = ALONE[kind]
    return cls(engine, dict(zip(table_options, names, strict=False)) | options)


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda c: sa.inspect(c).get_table_names()))


async def run(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def version(engine: AsyncEngine, table: str) -> str:
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql(f'SELECT version_num FROM "crossauth_{table}_version"')
        return str(found.scalar_one())


async def use(storage: Any) -> None:
    """Write something, and read it again."""
    if isinstance(storage, SqlAlchemyUserStorage):
        user = await storage.create_user(NEW, {"password": "p"})
        assert (await storage.get_user_by_id(user.id)).secrets.password == "p"
    elif isinstance(storage, SqlAlchemyKeyStorage):
        await storage.save_key(1, "s:1", utc_now())
        assert (await storage.get_key("s:1")).userid == 1
    elif isinstance(storage, SqlAlchemyIdentityStorage):
        assert await storage.link("https://issuer.example", "alice", 1)
        assert [found.sub for found in await storage.of_user(1)] == ["alice"]
    else:
        await storage.record([Event(name=EventName.login_failed, at=utc_now(), reason="x")])
        assert [event.reason for event in await storage.latest()] == ["x"]


@each_storage
async def test_a_storage_alone_makes_its_own_tables_only(engine: AsyncEngine, kind: str) -> None:
    _, _, names = ALONE[kind]
    storage = made(engine, kind)
    await storage.start()
    assert await tables(engine) == {*names, f"crossauth_{names[-1]}_version"}
    assert await version(engine, names[-1]) == HEADS[kind]
    await use(storage)


@each_storage
async def test_names_as_long_as_they_may_be(engine: AsyncEngine, kind: str, tmp_path: Path, url: str) -> None:
    """Two storages whose names begin alike do not take each other's version or index for their own."""
    assert len(LONG) == MAX_NAME
    count = len(ALONE[kind][2])
    first = [f"{LONG[:-2]}{n}a" for n in range(count)]
    second = [f"{LONG[:-2]}{n}b" for n in range(count)]
    for names in (first, second):
        storage = made(engine, kind, *names)
        await storage.start()
        await use(storage)
        assert set(names) <= await tables(engine)
    versions = {name for name in await tables(engine) if name.startswith("crossauth_")}
    assert len(versions) == 2
    assert all(name.endswith("_version") and len(name) <= MAX_NAME for name in versions)


@each_storage
async def test_tables_that_an_application_renamed_are_brought_up_to_date(engine: AsyncEngine, kind: str) -> None:
    _, _, names = ALONE[kind]
    before = made(engine, kind)
    await before.start()
    await use(before)
    renamed = [f"my_{name.lower()}" for name in names]
    await run(engine, *(f'ALTER TABLE "{a}" RENAME TO {b}' for a, b in zip(names, renamed, strict=True)))
    after = made(engine, kind, *renamed)
    await after.start()
    assert await version(engine, renamed[-1]) == HEADS[kind]
    assert not set(names) & await tables(engine)
    if kind == "users":
        assert (await after.get_user_by_username("alice")).secrets.password == "p"
    elif kind == "keys":
        assert (await after.get_key("s:1")).userid == 1
    elif kind == "identities":
        assert [found.sub for found in await after.of_user(1)] == ["alice"]
    else:
        assert [event.reason for event in await after.latest()] == ["x"]


async def test_tables_of_an_old_version_that_an_application_renamed(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await make_tables(connection, "0001")
        await connection.exec_driver_sql(
            'INSERT INTO "User" (username, username_normalized, state, factor1, admin) '
            "VALUES ('bob', 'bob', 'active', 'localpassword', false)"
        )
    await run(engine, 'ALTER TABLE "User" RENAME TO people', 'ALTER TABLE "UserSecrets" RENAME TO people_secrets')
    users = made(engine, "users", "people", "people_secrets")
    await users.start()
    bob = (await users.get_user_by_username("bob")).user
    assert bob.security_stamp
    await use(users)
    await users.delete_user_by_id(bob.id)
    assert [user.username for user in await users.get_users()] == ["alice"]


@pytest.mark.parametrize(
    ("kind", "table"),
    [("keys", "Key"), ("audit", "CrossauthAudit"), ("users", "UserSecrets"), ("identities", "CrossauthIdentity")],
)
async def test_a_table_that_is_gone_is_made_again(engine: AsyncEngine, kind: str, table: str) -> None:
    await made(engine, kind).start()
    await run(engine, f'DROP TABLE "{table}"')
    again = made(engine, kind)
    await again.start()
    await use(again)


async def test_users_are_not_made_beside_the_secrets_of_others(engine: AsyncEngine) -> None:
    """Or the first new user would have the password of the first of those others."""
    before = made(engine, "users")
    await use(before)
    other = made(engine, "users", "people")
    with pytest.raises(CrossauthError, match=r"'people' does not exist, but 'UserSecrets' has rows") as refused:
        await other.start()
    assert refused.value.code is ErrorCode.Configuration
    assert "people" not in await tables(engine)
    await before.delete_user_by_id(1)
    await other.start()
    await use(other)


async def test_names_that_sqlite_takes_for_the_same(sqlite_url: str) -> None:
    """Such as the table of the routes for users, `user`, beside ours, `User`."""
    engine = open_engine(sqlite_url)
    await run(engine, 'CREATE TABLE "user" (id integer primary key)')
    with pytest.raises(CrossauthError, match=r"'User' cannot be made.*'user', which is there.*option") as refused:
        await made(engine, "users").start()
    assert refused.value.code is ErrorCode.Configuration
    await made(engine, "users", "people").start()
    await engine.dispose()


@each_storage
async def test_each_storage_is_made_by_hand_where_it_does_not_do_so_itself(engine: AsyncEngine, kind: str) -> None:
    names = ALONE[kind][2]
    storage = made(engine, kind, *(f"my_{name}" for name in names), migrate=False)
    with pytest.raises(CrossauthError, match=r"does not exist.*await storage\.migrate"):
        await storage.start()
    await storage.migrate()
    await storage.start()
    await use(storage)


def test_what_the_migrations_make_is_what_the_tables_say(tmp_path: Path, url: str) -> None:
    """So an application's own Alembic finds nothing to change, under the longest names too."""
    import asyncio

    engine = open_engine(url)
    storages = [made(engine, kind, *(f"{LONG[:-3]}{kind[0]}{n}x" for n in range(2))) for kind in ALONE]
    storages += [made(engine, kind) for kind in ALONE]

    async def start() -> None:
        for storage in storages:
            await storage.start()
        await engine.dispose()

    asyncio.run(start())
    from crossauth_backend import alembic_include_object

    theirs = Alembic(tmp_path, url, metadata_of(*storages), include_object=alembic_include_object)
    assert theirs.propose(1) == ""


def test_a_bounded_name_keeps_two_names_apart() -> None:
    assert bounded_name("crossauth_", "Key", "_version") == "crossauth_Key_version"
    one, two = (bounded_name("crossauth_", f"{LONG[:-1]}{n}", "_version") for n in "12")
    assert one != two
    assert len(one) == MAX_NAME
    assert one.startswith("crossauth_a_name")
    assert one.endswith("_version")
