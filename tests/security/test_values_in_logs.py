"""What is logged of an exception holds no password hash, secret, address or other value: not as a parameter of a statement, nor
in what a database, Redis or a validator repeats."""

import asyncio
import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
    open_redis,
)
from crossauth_backend.core.hooks import decide_now
from crossauth_backend.events.listeners import notify
from crossauth_backend.storages.redis.client import refusals as redis_refusals
from crossauth_backend.storages.sqlalchemy.engine import refusals
from crossauth_fastapi._http.errors import as_reason
from crossauth_fastapi.fastapi_users import schemas
from tests.accounts import Browser, World
from tests.support import PASSWORD

SECRET = "hunter2-secret"
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
MakeEngine = Callable[[str], AsyncEngine]


def applications_own(url: str) -> AsyncEngine:
    """As an application makes one, which shows parameters."""
    return create_async_engine(sa.make_url(url).set(drivername=DRIVERS[url.partition(":")[0]]))


def logged(caplog: pytest.LogCaptureFixture) -> str:
    formatter = logging.Formatter()
    return "\n".join(formatter.format(record) for record in caplog.records)


def run(url: str, *statements: str) -> None:
    async def begin() -> None:
        engine = open_engine(url)
        async with engine.begin() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)
        await engine.dispose()

    asyncio.run(begin())


async def refused_by(url: str, make: MakeEngine, statement: str, **parameters: Any) -> Exception:
    """What leaves a storage where the database refuses a statement."""
    engine = make(url)
    with pytest.raises((DBAPIError, CrossauthError)) as refused, refusals(ErrorCode.BadRequest):
        async with engine.begin() as connection:
            await connection.execute(sa.text(statement), parameters)
    await engine.dispose()
    return refused.value


@pytest.mark.parametrize("make", [open_engine, applications_own])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_unexpected_error_of_a_database_logs_no_parameters(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, kind: str, make: MakeEngine
) -> None:
    """As after a migration to another version: a column of secrets has gone. What has to be mended is in the log."""
    url: str = request.getfixturevalue(f"{kind}_url")
    engine = make(url)
    world = World(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    with world.open() as address, Browser(address) as alice, Browser(address) as bob:
        assert alice.sign_up().status_code == 200
        run(url, 'ALTER TABLE "UserSecrets" RENAME COLUMN password TO old')
        caplog.clear()
        new = "Another1one"
        answers = (
            alice.call("/api/changepassword", old_password=PASSWORD, new_password=new, repeat_password=new),
            bob.sign_up("bob", user_email="bob@example.com", user_phone="+15551234567"),
        )
        # SQLite has one kind of error for this and for a database that is away.
        assert {answer.status_code for answer in answers} == {503 if kind == "sqlite" else 500}
    text = logged(caplog)
    assert "OperationalError" in text or "ProgrammingError" in text
    assert "UserSecrets" in text
    for value in ("$argon2", "bob@example.com", "+15551234567", new, PASSWORD, "[parameters: ("):
        assert value not in text


# What is refused (by PostgreSQL), and what stays of it.
REFUSED = {
    "a missing value": ("INSERT INTO t (name, need) VALUES (:value, NULL)", 'column "need" of relation "t"'),
    "a taken value": ("INSERT INTO t (name, need) VALUES (:value, 'x'), (:value, 'x')", 'constraint "t_name_key"'),
    "a column that is missing": ("INSERT INTO t (name, gone) VALUES (:value, 'x')", 'column "gone" of relation "t"'),
    "a trigger with a code of its own": ("INSERT INTO raising (name) VALUES (:value)", "XX001"),
    "a name": ("SELECT CAST(CAST(:value AS text) AS regclass)", "UndefinedTableError"),
    "a name with dots": ("SELECT CAST(CAST(:value AS text) AS regclass) WHERE :value <> ''", "UndefinedTableError"),
    "a number": ("SELECT CAST(CAST(:value AS text) AS integer)", "22P02"),
    "an argument": ("INSERT INTO t (id) VALUES (:value)", "22000"),
}


@pytest.mark.parametrize("make", [open_engine, applications_own])
@pytest.mark.parametrize("what", REFUSED)
async def test_what_postgresql_repeats_of_a_row_is_in_no_exception(
    postgres_url: str, what: str, make: MakeEngine
) -> None:
    """Its details name values: "Key (email)=(…) already exists", "Failing row contains (…)". Whoever logs it, as a
    server does what nobody handles."""
    statement, stays = REFUSED[what]
    setup = (
        "CREATE TABLE t (id serial PRIMARY KEY, name text UNIQUE, need text NOT NULL)",
        "CREATE TABLE raising (name text)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'not %', NEW.name USING ERRCODE = 'XX001'; END$$",
        "CREATE TRIGGER g BEFORE INSERT ON raising FOR EACH ROW EXECUTE FUNCTION f()",
    )
    await asyncio.to_thread(run, postgres_url, *setup)
    e = await refused_by(postgres_url, make, statement, value=SECRET)
    # Twice is as once.
    as_reason(e)
    text = "".join(traceback.format_exception(e)) + repr(e) + repr(getattr(e, "detail", "")) + repr(e.__cause__)
    assert SECRET not in re.sub(r"File .*\n.*\n", "", text)
    assert stays in text


class Body(BaseModel):
    pin: int


async def violate(url: str) -> None:
    """What a hook of the application's may do with a session of its own, which shows what it is given."""
    engine = applications_own(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.text("INSERT INTO nowhere VALUES (:value)"), {"value": SECRET})
    finally:
        await engine.dispose()


@pytest.mark.parametrize("fault", ["database", "validation", "validation beneath"])
@pytest.mark.parametrize("logs", ["listener", "plain hook", "request"])
async def test_what_an_applications_function_raises_is_logged_without_values(
    sqlite_url: str, caplog: pytest.LogCaptureFixture, logs: str, fault: str
) -> None:
    try:
        if fault == "database":
            await violate(sqlite_url)
        try:
            Body.model_validate({"pin": SECRET})
        except ValueError as e:
            if fault == "validation":
                raise
            raise RuntimeError("no body") from e
    except Exception as e:
        raised = e

    def hook() -> None:
        raise raised

    if logs == "listener":
        notify("login", hook)
    elif logs == "plain hook":
        decide_now("option", hook)
    else:
        as_reason(raised)
    text = logged(caplog)
    assert SECRET not in text
    assert "nowhere" in text if fault == "database" else "ValidationError: pin (int_parsing)" in text
    assert "Traceback" in text
    assert fault != "validation beneath" or "RuntimeError: no body" in text


async def test_what_redis_and_its_client_repeat_of_a_command_is_in_no_exception(redis_url: str) -> None:
    """The client puts the command of a pipeline in front, and the server the arguments of a command that it does not know."""
    client: Any = open_redis(redis_url)
    await client.set("logs:text", "x")
    pipeline = client.pipeline()
    pipeline.hset("logs:text", "data", SECRET)
    seen = []
    for send in (pipeline.execute, lambda: client.execute_command("NOSUCHCOMMAND", SECRET)):
        with pytest.raises(CrossauthError) as refused, redis_refusals():
            await send()
        e = refused.value
        assert SECRET not in re.sub(r"File .*\n.*\n", "", "".join(traceback.format_exception(e))) + str(e.detail)
        seen.append(str(e.detail))
    assert "WRONGTYPE" in seen[0]
    assert "ResponseError" in seen[1]
    await client.delete("logs:text")
    await client.aclose()


@pytest.mark.parametrize(
    "url", [f"redis://user:{SECRET}/x@localhost:6379", f"rediss://{SECRET}:x@[::1/0", f"{SECRET}://"]
)
def test_a_redis_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    """A password with a slash in it would be taken for a port, and shown."""
    with pytest.raises(CrossauthError, match="percent-encoded") as refused:
        open_redis(url)
    text = "".join(traceback.format_exception(refused.value))
    assert refused.value.code is ErrorCode.Configuration
    assert SECRET not in re.sub(r"File .*\n.*\n", "", text)


async def test_an_engine_of_ours_shows_no_parameters_to_the_applications_own_code(sqlite_url: str) -> None:
    """Unless it is asked to."""
    for options, displayed in (({}, False), ({"hide_parameters": False}, True)):
        engine = open_engine(sqlite_url, **options)
        with pytest.raises(DBAPIError) as refused:
            async with engine.begin() as connection:
                await connection.execute(sa.text("INSERT INTO nowhere VALUES (:value)"), {"value": SECRET})
        assert (SECRET in str(refused.value)) is displayed
        await engine.dispose()


def test_a_schema_that_a_stored_user_does_not_fit_repeats_nothing_of_the_user() -> None:
    """The record has the hash of the password."""

    class Stored:
        email = "arthur@camelot.bt"

        def __repr__(self) -> str:
            return SECRET

    with pytest.raises(ValidationError, match="id") as refused:
        schemas.BaseUser[int].model_validate(Stored())
    assert SECRET not in str(refused.value)
