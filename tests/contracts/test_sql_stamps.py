"""Databases from before there were security stamps, and an old and a new version that serve one at the same time."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.core.clock import utc_now
from crossauth_backend.users.stamp import is_digest
from tests.accounts import NEW, Browser, World, name_of, storages
from tests.contracts.old_tables import make_tables
from tests.support import PASSWORD

ANY: Any = {"skip_active_check": True, "skip_email_verified_check": True}


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(request.getfixturevalue(f"{request.param}_url"))
    yield engine
    await engine.dispose()


async def make_old(engine: AsyncEngine) -> None:
    """The tables of users as version 0002 left them, with two users in them."""
    async with engine.begin() as connection:
        await make_tables(connection, "0002")
        for number, name in enumerate(("alice", "bob"), 1):
            await insert_as_before(connection, number, name)


async def insert_as_before(connection: Any, number: int, name: str) -> None:
    await connection.exec_driver_sql(
        'INSERT INTO "User" (id, username, username_normalized, state, factor1, admin) '
        f"VALUES ({number}, '{name}', '{name}', 'active', 'localpassword', false)"
    )
    await connection.exec_driver_sql(f"INSERT INTO \"UserSecrets\" (userid, password) VALUES ({number}, 'hash {name}')")


async def test_users_from_before_get_stamps_of_their_own(engine: AsyncEngine) -> None:
    """And nothing else of them changes."""
    await make_old(engine)
    users = SqlAlchemyUserStorage(engine)
    await users.start()
    found = [await users.get_user_by_id(number) for number in (1, 2)]
    assert [f.user.username for f in found] == ["alice", "bob"]
    assert [f.secrets.password for f in found] == ["hash alice", "hash bob"]
    stamps = [f.user.security_stamp for f in found]
    assert len(set(stamps)) == 2
    assert not any(is_digest(stamp) for stamp in stamps)
    await SqlAlchemyUserStorage(engine).migrate()
    assert [(await users.get_user_by_id(number)).user.security_stamp for number in (1, 2)] == stamps


async def test_a_user_whom_the_version_before_wrote_has_a_digest(engine: AsyncEngine) -> None:
    """Until a credential is changed by this one; and one that it changes itself makes it another."""
    users = SqlAlchemyUserStorage(engine)
    await users.start()
    async with engine.begin() as connection:
        await insert_as_before(connection, 7, "carol")
    before = (await users.get_user_by_id(7)).user.security_stamp
    assert is_digest(before)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE \"UserSecrets\" SET password = 'other' WHERE userid = 7")
    after = (await users.get_user_by_id(7)).user.security_stamp
    assert is_digest(after)
    assert after != before
    assert await users.replace_user(7, {"security_stamp": before}, {"state": "disabled"}) is False
    assert await users.replace_user(7, {"security_stamp": after}, {}, secrets={"password": "new"}) is True
    found = await users.get_user_by_id(7, ANY)
    assert (found.user.state, found.secrets.password) == ("active", "new")
    assert not is_digest(found.user.security_stamp)


async def test_a_verified_address_is_so_until_it_is_another(engine: AsyncEngine) -> None:
    """In the statement that changes it."""
    users, now = SqlAlchemyUserStorage(engine), utc_now()
    new = {"username": "alice", "state": "active", "factor1": "localpassword", "email": "a@example.com"}
    made = await users.create_user({**new, "email_verified_at": now})
    assert made.email_verified_at == now
    await users.update_user({"id": made.id, "email": "a@example.com"})
    assert (await users.get_user_by_id(made.id)).user.email_verified_at == now
    await users.update_user({"id": made.id, "email": "b@example.com"})
    assert (await users.get_user_by_id(made.id)).user.email_verified_at is None


@pytest.fixture
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    world = World(**storages(request, "sqlite"))
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        yield browser


def test_old_and_new_version_serve_side_by_side(browser: Browser, sqlite_url: str) -> None:
    """What the old one writes has no stamp: it does no harm, and no session is honoured for it."""

    def as_before(statement: str) -> None:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
            connection.execute(statement)
            connection.commit()

    as_before('UPDATE "Key" SET stamp = NULL')
    assert browser.who() is None, "a session that the old version opened is asked for anew"
    as_before('UPDATE "User" SET security_stamp = NULL')
    assert browser.log_in().status_code == 200
    assert browser.who() == "alice"
    with Browser(str(browser.base_url)) as other:
        assert other.log_in().status_code == 200
        changed = browser.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
        assert changed.status_code == 200, changed.text
        assert (browser.who(), other.who()) == ("alice", None)
    as_before('UPDATE "User" SET security_stamp = NULL')
    assert browser.log_in(password=NEW).status_code == 200
    as_before("UPDATE \"UserSecrets\" SET password = '$argon2id$another'")
    assert browser.who() is None, "a password that the old version changes ends it as well"
    assert name_of(browser.log_in(password=NEW)) == "UsernameOrPasswordInvalid"


async def test_a_table_without_the_column_is_read_with_its_digest_at_once(engine: AsyncEngine) -> None:
    """The query of every request reads what it is made of; nothing is asked for afterwards."""
    table = sa.Table(
        "person", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("username", sa.String(100), unique=True), sa.Column("state", sa.String(64)),
    )  # fmt: skip
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
    options: Any = {"table": table, "normalize_username": False, "normalize_email": False}
    users, keys = SqlAlchemyUserStorage(engine, options), SqlAlchemyKeyStorage(engine)
    made = await users.create_user(
        {"username": "alice", "state": "active", "factor1": "localpassword"}, {"password": "p"}
    )
    await keys.save_key(made.id, "s:1", utc_now())
    read = keys.key_with_user_reader(users)
    assert read is not None
    for password in ("p", "other"):
        await users.update_user({"id": made.id}, {"password": password})
        found = await read("s:1")
        assert found is not None
        assert found[1] is not None
        assert is_digest(found[1].security_stamp)
        assert found[1] == await users.user_reader()(made.id) == (await users.get_user_by_id(made.id)).user
    await keys.close()
    await users.close()


async def test_keys_of_the_version_before_are_read_without_a_stamp(engine: AsyncEngine) -> None:
    keys = SqlAlchemyKeyStorage(engine)
    await keys.start()
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO \"Key\" (value, userid, created, data) VALUES ('s:old', 1, '2026-01-01 00:00:00+00', '')"
            if engine.dialect.name == "postgresql"
            else "INSERT INTO \"Key\" (value, userid, created, data) VALUES ('s:old', 1, '2026-01-01 00:00:00.000000', '')"
        )
    assert (await keys.get_key("s:old")).stamp is None
