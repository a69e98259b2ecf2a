"""The table of users that an earlier version made on SQLite, brought up to date: what is in it and on it stays."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend import CrossauthError, ErrorCode, SqlAlchemyUserStorage, open_engine

NEW = {"state": "active", "factor1": "localpassword"}
BEFORE = (
    """CREATE TABLE "User" (
	id INTEGER NOT NULL,
	username VARCHAR(254) NOT NULL,
	username_normalized VARCHAR(1024),
	email VARCHAR(320),
	email_normalized VARCHAR(1024),
	state VARCHAR(64) NOT NULL,
	factor1 VARCHAR(64) NOT NULL,
	factor2 VARCHAR(64),
	admin BOOLEAN NOT NULL,
	phone VARCHAR(32),
	PRIMARY KEY (id),
	UNIQUE (username),
	UNIQUE (username_normalized),
	UNIQUE (email),
	UNIQUE (email_normalized)
)""",
    """CREATE TABLE "UserSecrets" (
	userid INTEGER NOT NULL,
	password TEXT,
	totpsecret TEXT,
	otp TEXT,
	expiry BIGINT,
	PRIMARY KEY (userid)
)""",
    'CREATE TABLE "crossauth_UserSecrets_version" (version_num VARCHAR(32) NOT NULL PRIMARY KEY)',
    "INSERT INTO \"crossauth_UserSecrets_version\" VALUES ('0001')",
    # What an application may have put on it.
    "ALTER TABLE \"User\" ADD COLUMN nickname VARCHAR(50) DEFAULT 'none' COLLATE NOCASE CHECK (length(nickname) < 10)",
    'ALTER TABLE "User" ADD COLUMN shout TEXT GENERATED ALWAYS AS (upper(username)) VIRTUAL',
    'CREATE INDEX half ON "User" (lower(nickname)) WHERE admin',
    'CREATE TABLE post (id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES "User" (id) ON DELETE CASCADE)',
    'CREATE VIEW admins AS SELECT username FROM "User" WHERE admin',
    'CREATE TABLE log (text TEXT)',
    'CREATE TRIGGER told AFTER DELETE ON "User" BEGIN INSERT INTO log VALUES (old.username); END',
    """INSERT INTO "User" (id, username, username_normalized, state, factor1, admin, nickname)
       VALUES (1, 'alice', 'alice', 'active', 'localpassword', 1, 'Al'), (7, 'bob', 'bob', 'active', 'localpassword', 0, NULL)""",
    "INSERT INTO post VALUES (1, 1), (2, 7)",
)  # fmt: skip


@pytest.fixture
async def engine(sqlite_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(sqlite_url)
    async with engine.begin() as connection:
        for statement in BEFORE:
            await connection.exec_driver_sql(statement)
    yield engine
    await engine.dispose()


async def rows(engine: AsyncEngine, query: str) -> list[tuple[object, ...]]:
    async with engine.begin() as connection:
        return [tuple(row) for row in (await connection.exec_driver_sql(query)).all()]


async def test_what_is_in_the_table_and_on_it_stays(engine: AsyncEngine) -> None:
    before = await rows(engine, 'SELECT * FROM "User"')
    for _ in range(2):
        users = SqlAlchemyUserStorage(engine, {"extra_columns": [sa.Column("nickname", sa.String(50))]})
        await users.start()
    after = await rows(engine, 'SELECT * FROM "User"')
    assert [row[: len(before[0])] for row in after] == before, "columns that came with a later version are behind"
    assert await rows(engine, "SELECT author FROM post") == [(1,), (7,)], "nothing that refers to users was deleted"
    assert await rows(engine, "SELECT * FROM admins") == [("alice",)]
    assert await rows(engine, "SELECT * FROM log") == []
    assert await rows(engine, "SELECT id FROM \"User\" WHERE nickname = 'AL'") == [(1,)]
    assert await rows(engine, "SELECT name FROM sqlite_master WHERE name = 'half'") == [("half",)]
    assert await rows(engine, "PRAGMA foreign_key_check") == []
    made = await users.create_user({**NEW, "username": "carol"})
    assert (made.id, made["nickname"]) == (8, "none")
    with pytest.raises(CrossauthError) as refused:
        await users.create_user({**NEW, "username": "ALICE"})
    assert refused.value.code is ErrorCode.UserExists
    with pytest.raises(IntegrityError, match="CHECK"):
        await rows(engine, "UPDATE \"User\" SET nickname = 'far too long' RETURNING id")


async def test_ids_are_given_once_from_then_on_and_references_are_kept_up(engine: AsyncEngine) -> None:
    users = SqlAlchemyUserStorage(engine)
    await users.delete_user_by_username("bob")
    assert await rows(engine, "SELECT author FROM post") == [(1,)], "references are enforced again"
    assert await rows(engine, "SELECT * FROM log") == [("bob",)]
    assert (await users.create_user({**NEW, "username": "carol"})).id == 8


async def test_a_table_that_was_made_another_way_is_left_alone(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    theirs = BEFORE[0].replace("id INTEGER NOT NULL", "id INTEGER PRIMARY KEY").replace("PRIMARY KEY (id),", "")
    async with engine.begin() as connection:
        await connection.exec_driver_sql(theirs)
    users = SqlAlchemyUserStorage(engine)
    await users.start()
    (definition,) = (await rows(engine, "SELECT sql FROM sqlite_master WHERE name = 'User'"))[0]
    assert "AUTOINCREMENT" not in definition
    await users.close()
