"""Secrets of an application's factors on SQL: a place for them in databases from before, and nothing but what can be kept."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend import CrossauthError, ErrorCode, SqlAlchemyUserStorage, open_engine
from tests.contracts.old_tables import make_tables
from tests.contracts.test_sql_stamps import insert_as_before

NEW: dict[str, Any] = {"username": "carol", "state": "active", "factor1": "localpassword"}


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(request.getfixturevalue(f"{request.param}_url"))
    yield engine
    await engine.dispose()


async def test_a_table_from_before_gets_a_place_for_them(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await make_tables(connection, "0004")
        await insert_as_before(connection, 1, "alice")
    users = SqlAlchemyUserStorage(engine)
    await users.start()
    assert (await users.get_user_by_id(1)).secrets.password == "hash alice"
    await users.update_user({"id": 1}, {"word": "blue"})
    found = await users.get_user_by_id(1)
    assert (found.secrets.password, found.secrets["word"]) == ("hash alice", "blue")
    # A worker of the version before goes on, and loses nothing.
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE \"UserSecrets\" SET password = 'other' WHERE userid = 1")
    assert (await users.get_user_by_id(1)).secrets["word"] == "blue"


async def test_a_user_without_a_row_of_secrets_gets_one(engine: AsyncEngine) -> None:
    users = SqlAlchemyUserStorage(engine)
    made = await users.create_user(NEW)
    async with engine.begin() as connection:
        await connection.exec_driver_sql('DELETE FROM "UserSecrets"')
    assert await users.replace_secret(made.id, "word", "blue", "red") is False
    assert await users.replace_secret(made.id, "word", None, "red") is True
    assert (await users.get_user_by_id(made.id)).secrets["word"] == "red"
    await users.delete_user_by_id(made.id)
    async with engine.begin() as connection:
        assert (await connection.exec_driver_sql('SELECT count(*) FROM "UserSecrets"')).scalar() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("userid_", [1]), ("word", {"a": 1}), ("word", b"x"), ("word", "\ud800"), ("word", "a\x00b"), ("word", float("nan")),
        ("word", float("inf")), ("word", 10**30), ("word", "x" * 70_000), ("extra", "x"),
        ("wo\x00rd", "x"), ("\ud800", "x"),
    ],
)  # fmt: skip
async def test_what_cannot_be_kept_is_refused_by_name(engine: AsyncEngine, name: str, value: Any) -> None:
    users = SqlAlchemyUserStorage(engine)
    with pytest.raises(CrossauthError) as e:
        await users.create_user(NEW, {name: value})
    assert e.value.code is ErrorCode.BadRequest
    assert await users.get_users() == []
    made = await users.create_user(NEW, {"word": True})
    for change in (
        users.update_user({"id": made.id}, {name: value}),
        users.replace_secret(made.id, name, None, value),
    ):
        with pytest.raises(CrossauthError) as e:
            await change
        assert e.value.code is ErrorCode.BadRequest
    assert (await users.get_user_by_id(made.id)).secrets["word"] is True


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "7", '"x"', "{", "[" * 100_000, '{"a":' * 100_000, '{"word": ["x"]}', '{"word": null}',
        '{"userid": 99, "password": "other", "extra": {"word": "x"}}', '{"number": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
async def test_what_another_program_wrote_there_is_no_secret_and_no_fault(engine: AsyncEngine, text: str) -> None:
    users = SqlAlchemyUserStorage(engine)
    made = await users.create_user(NEW, {"password": "hash"})
    mark = "?" if engine.dialect.name == "sqlite" else "$1"
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f'UPDATE "UserSecrets" SET extra = {mark}', (text,))
    found = await users.get_user_by_id(made.id)
    assert (found.secrets.userid, found.secrets.password, found.secrets.get("word")) == (made.id, "hash", None)
    assert await users.replace_secret(made.id, "word", None, "blue") is True
    assert (await users.get_user_by_id(made.id)).secrets["word"] == "blue"


async def test_one_secret_is_not_taken_for_another(engine: AsyncEngine) -> None:
    """To a database and to Python `1` may be `True`; to a factor it is not."""
    users = SqlAlchemyUserStorage(engine)
    made = await users.create_user(NEW, {"word": 1})
    assert await users.replace_secret(made.id, "word", True, "x") is False  # type: ignore[arg-type]
    assert await users.replace_secret(made.id, "word", 1, json.dumps({"a": 1})) is True  # type: ignore[arg-type]
    assert (await users.get_user_by_id(made.id)).secrets["word"] == '{"a": 1}'
