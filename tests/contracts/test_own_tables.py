"""A table of users that the application made: what it must have is known at the start, what it refuses is said."""

import asyncio
import logging
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend import (
    CrossauthError,
    DummyFactor2Authenticator,
    DummySmsAuthenticator,
    EmailAuthenticator,
    ErrorCode,
    Event,
    EventName,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    Outbox,
    SqlAlchemyAuditStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from tests.accounts import Browser, World, name_of
from tests.support import CHEAP, make_server

KEY = sa.Column("id", sa.Integer, primary_key=True)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def engine(url: str) -> Any:
    return open_engine(url)


def text(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(200), **options)


def customer(*columns: sa.Column[Any], lacks: str = "", id_: sa.Column[Any] = KEY, unique: bool = True) -> sa.Table:
    """A table of an application's own, with everything that is needed but `lacks`."""
    usual = [
        text("username"), text("username_normalized", unique=unique), text("email"),
        text("email_normalized", unique=unique), text("state"), text("factor1"), text("factor2"),
        sa.Column("admin", sa.Boolean),
    ]  # fmt: skip
    stored = [column for column in usual if column.name not in lacks.split()]
    return sa.Table("customer", sa.MetaData(), id_._copy(), *(column._copy() for column in (*stored, *columns)))


async def create(engine: AsyncEngine, table: sa.Table) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
    await engine.dispose()


def server(engine: AsyncEngine, table: sa.Table, **options: Any) -> Any:
    editable = ["email"] if "email" in table.c else []
    users = SqlAlchemyUserStorage(engine, {"table": table, "user_editable_fields": editable})
    return make_server(users, InMemoryKeyStorage(), **options)


def test_everything_that_an_own_table_lacks_is_said_in_one_message(engine: AsyncEngine) -> None:
    """By what is switched on."""
    with pytest.raises(CrossauthError, match=r"lacks the columns state, factor1\b") as refused:
        server(engine, customer(lacks="state factor1 factor2 email email_normalized admin"))
    assert refused.value.code is ErrorCode.Configuration
    assert "factor2" not in refused.value.message
    with pytest.raises(
        CrossauthError, match=r"lacks the columns state, factor1, factor2, email, admin\b.*databases\.md"
    ):
        server(
            engine, customer(lacks="state factor1 factor2 email email_normalized admin"), allowed_factor2=["none", "totp"],
            enable_password_reset=True, enable_admin_endpoints=True,
        )  # fmt: skip
    with pytest.raises(
        CrossauthError, match=r"lacks the columns username_normalized, and for a session server state, fac"
    ):
        server(engine, customer(lacks="state factor1 username_normalized"))
    with pytest.raises(CrossauthError, match=r"column 'state' of table 'customer' holds Boolean\(\), not str"):
        server(engine, customer(sa.Column("state", sa.Boolean), lacks="state"))
    server(engine, customer(lacks="admin"), enable_admin_endpoints=True, is_admin_fn=lambda user: False)
    server(engine, customer(lacks="factor2 email email_normalized admin"))


def factors(name: str, factor: Any) -> dict[str, Any]:
    return {"localpassword": LocalPasswordAuthenticator(InMemoryUserStorage(), CHEAP), name: factor}


class Badge(DummyFactor2Authenticator):
    def user_fields(self) -> list[str]:
        return ["badge"]


@pytest.mark.parametrize(
    ("factor", "lacks", "missing"),
    [
        (DummySmsAuthenticator(), "", "phone"),
        (EmailAuthenticator({"email_from": "a@example.com", "mailer": Outbox()}), "email email_normalized", "email"),
        (Badge("0000"), "", "badge"),
    ],
)  # fmt: skip
def test_a_factor_whose_field_the_table_lacks_is_found_at_the_start_whatever_it_is_called(
    factor: Any, lacks: str, missing: str
) -> None:
    engine = open_engine("sqlite+aiosqlite://")
    expected = {"authenticators": factors("mine", factor), "allowed_factor2": ["mine"], "site_url": "http://localhost"}

    def start(table: sa.Table) -> None:
        users = SqlAlchemyUserStorage(engine, {"table": table, "normalize_email": False})
        make_server(users, InMemoryKeyStorage(), **expected)

    with pytest.raises(CrossauthError, match=rf"lacks the columns {missing}\b") as caught:
        start(customer(lacks=lacks))
    assert caught.value.code is ErrorCode.Configuration
    start(customer(text(missing), lacks=lacks))


def test_user_managers_need_a_column_for_addresses() -> None:
    users = SqlAlchemyUserStorage(
        open_engine("sqlite+aiosqlite://"),
        {"table": customer(lacks="email email_normalized"), "normalize_email": False},
    )
    session_server = make_server(users, InMemoryKeyStorage()).session_server
    assert session_server is not None
    with pytest.raises(CrossauthError, match="lacks the columns email"):
        CrossauthUserDatabase(session_server.session_manager)


@pytest.mark.parametrize("option", ["user_editable_fields", "admin_editable_fields"])
def test_a_field_that_may_be_edited_must_have_a_column(option: str) -> None:
    def start(table: sa.Table) -> None:
        users = SqlAlchemyUserStorage(open_engine("sqlite+aiosqlite://"), {"table": table, option: ["nickname"]})
        make_server(users, InMemoryKeyStorage())

    with pytest.raises(CrossauthError, match="lacks the columns nickname"):
        start(customer())
    start(customer(sa.Column("nickname", sa.JSON)))
    start(customer(sa.Column("nickname", TSVECTOR)))


async def test_names_must_be_unique_in_the_database_itself(engine: AsyncEngine) -> None:
    """Whatever the application's table says."""
    await create(engine, customer(unique=False))
    users = SqlAlchemyUserStorage(engine, {"table": customer()})
    with pytest.raises(CrossauthError, match=r"unique.*'username_normalized'.*unique.*'email_normalized'") as refused:
        await users.start()
    assert refused.value.code is ErrorCode.Configuration
    async with engine.begin() as connection:
        assert await connection.run_sync(lambda c: sa.inspect(c).get_table_names()) == ["customer"], "nothing was made"
        for column in ("username_normalized", "email_normalized"):
            await connection.exec_driver_sql(f"CREATE UNIQUE INDEX one_{column} ON customer ({column})")
    await users.start()
    await users.close()


async def test_an_own_table_must_be_there_before_the_application_starts(engine: AsyncEngine) -> None:
    """And the message says so: its own lifespan is too late. Nothing is made before that."""
    users = SqlAlchemyUserStorage(engine, {"table": customer()})
    with pytest.raises(CrossauthError, match=r"'customer' does not exist.*before the application starts.*lifespan"):
        await users.start()
    async with engine.begin() as connection:
        assert await connection.run_sync(lambda c: sa.inspect(c).get_table_names()) == []
    await users.close()


def test_ids_of_another_type_are_found_at_the_start(engine: AsyncEngine) -> None:
    """Not when the first user signs up."""
    table = customer(id_=sa.Column("id", sa.Uuid, primary_key=True, default=uuid.uuid4))
    users = SqlAlchemyUserStorage(engine, {"table": table})
    with pytest.raises(CrossauthError, match=r"ids of table 'customer' are Uuid\(\).*option 'userid_type'") as refused:
        make_server(users, SqlAlchemyKeyStorage(engine))
    assert refused.value.code is ErrorCode.Configuration
    with pytest.raises(CrossauthError, match="userid_type"):
        make_server(users, InMemoryKeyStorage(), email_token_storage=SqlAlchemyKeyStorage(engine))
    make_server(users, SqlAlchemyKeyStorage(engine, {"userid_type": sa.Uuid()}))


async def test_what_a_column_of_the_applications_refuses_is_no_user_that_exists(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the constraint; neither it nor the answer says a value."""
    table = customer(
        text("company", nullable=False), text("badge", unique=True), sa.Column("age", sa.Integer, sa.CheckConstraint("age > 17")),
    )  # fmt: skip
    await create(engine, table)
    users = SqlAlchemyUserStorage(engine, {"table": table})
    new = {"username": "alice", "state": "active", "factor1": "localpassword", "company": "Acme", "badge": "b-1"}
    await users.create_user(new)
    cases: list[tuple[dict[str, Any], ErrorCode, int, str]] = [
        ({"username": "bob", "company": None}, ErrorCode.ConstraintViolation, 400, "company"),
        ({"username": "bob"}, ErrorCode.ConstraintViolation, 409, "badge"),
        ({"username": "bob", "badge": "b-2", "age": 3}, ErrorCode.ConstraintViolation, 400, "CHECK"),
        ({"badge": "b-3"}, ErrorCode.UserExists, 400, "username"),
    ]
    for change, code, status, named in cases:
        caplog.clear()
        with caplog.at_level(logging.WARNING), pytest.raises(CrossauthError) as refused:
            await users.create_user(new | change)
        assert (refused.value.code, refused.value.http_status) == (code, status)
        assert named in f"{refused.value.detail}{caplog.text}"
        assert "b-1" not in f"{refused.value.message}{refused.value.detail}{caplog.text}"
        assert "alice" not in f"{refused.value.message}{refused.value.detail}{caplog.text}"
    bob = await users.create_user(new | {"username": "bob", "badge": "b-2"})
    for values, code in (
        ({"badge": "b-1"}, ErrorCode.ConstraintViolation),
        ({"username": "Alice"}, ErrorCode.UserExists),
    ):
        for change in (users.update_user({"id": bob.id, **values}), users.replace_user(bob.id, {}, values)):
            with pytest.raises(CrossauthError) as refused:
                await change
            assert refused.value.code is code
    await users.close()


async def forbid(engine: AsyncEngine, table: str, **operations: str) -> None:
    """Triggers of the application's that refuse: with each operation its condition."""
    async with engine.begin() as connection:
        for operation, condition in operations.items():
            name = f"{table}_no_{operation}".lower()
            on = f'BEFORE {operation.upper()} ON "{table}" FOR EACH ROW WHEN ({condition})'
            if engine.dialect.name == "sqlite":
                await connection.exec_driver_sql(
                    f"CREATE TRIGGER {name} {on} BEGIN SELECT RAISE(ABORT, 'not alice, secret-value'); END"
                )
                continue
            await connection.exec_driver_sql(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'not alice, secret-value'; END $$"
            )
            await connection.exec_driver_sql(f"CREATE TRIGGER {name} {on} EXECUTE FUNCTION {name}()")


def is_refused(refused: pytest.ExceptionInfo[CrossauthError], log: str) -> None:
    assert (refused.value.code, refused.value.http_status) == (ErrorCode.ConstraintViolation, 409)
    assert "secret-value" not in f"{refused.value.message}{refused.value.detail}{log}"


async def test_what_a_trigger_of_the_applications_refuses_is_a_conflict(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """In every write; it is neither a fault nor a user that exists, and nothing of its text is said."""
    await create(engine, customer())
    users = SqlAlchemyUserStorage(engine, {"table": customer()})
    new = {"username": "alice", "state": "active", "factor1": "localpassword"}
    alice = await users.create_user(new, {"password": "one"})
    await forbid(
        engine,
        "customer",
        insert="NEW.username = 'bob'",
        update="NEW.username = 'carol'",
        delete="OLD.username = 'alice'",
    )
    await forbid(engine, users.secrets.name, update="NEW.password = 'two'")
    for change in (
        users.create_user(new | {"username": "bob"}),
        users.update_user({"id": alice.id, "username": "carol"}),
        users.replace_user(alice.id, {}, {"username": "carol"}),
        users.update_user({"id": alice.id}, {"password": "two"}),
        users.rewrite_secret(alice.id, "password", "one", "two"),
        users.delete_user_by_id(alice.id),
    ):
        with pytest.raises(CrossauthError) as refused:
            await change
        is_refused(refused, caplog.text)
    found = await users.get_user_by_username("alice")
    assert found.secrets.password == "one"
    await users.close()


async def test_what_a_trigger_refuses_of_keys_and_events_is_a_conflict(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Not a key that exists."""
    keys, audit, now = SqlAlchemyKeyStorage(engine), SqlAlchemyAuditStorage(engine), utc_now()
    await keys.start()
    await audit.start()
    for name in ("s:1", "n:1"):
        await keys.save_key(1, name, now, now, "1")
    await forbid(engine, "Key", insert="NEW.value = 's:2'", update="true", delete="true")
    await forbid(engine, audit.table.name, insert="true")
    for change in (
        keys.save_key(1, "s:2", now),
        keys.update_key({"value": "s:1", "data": "{}"}),
        keys.swap_data("s:1", "1", "2"),
        keys.touch_keys({"s:1": now}),
        keys.count_up({"n:1": now}),
        keys.consume_key("s:1", now),
        keys.take_key("s:1"),
        keys.delete_key("s:1"),
        keys.purge_expired(now + timedelta(days=1)),
        audit.record([Event(name=EventName.login_failed, at=now, reason="1")]),
    ):
        with pytest.raises(CrossauthError) as refused:
            await change
        is_refused(refused, caplog.text)
    with pytest.raises(CrossauthError) as refused:
        await keys.save_key(1, "s:1", now)
    assert refused.value.code is ErrorCode.KeyExists
    await engine.dispose()


def test_a_sign_up_that_a_trigger_refuses_says_no_name_that_is_taken(engine: AsyncEngine) -> None:
    """Whether or not answers are neutral."""

    async def prepare() -> None:
        await create(engine, customer())
        await forbid(engine, "customer", insert="NEW.username = 'bob'")
        await engine.dispose()

    asyncio.run(prepare())
    users = SqlAlchemyUserStorage(engine, {"table": customer(), "user_editable_fields": ["email"]})
    world = World(users, InMemoryKeyStorage(), enable_email_verification=True, allowed_factor2=["none", "totp"])
    with world.open() as url, Browser(url) as browser:
        answer = browser.sign_up("bob", factor2="none", user_email="bob@example.com")
        assert (answer.status_code, name_of(answer)) == (409, "ConstraintViolation")
        assert browser.sign_up("carol", factor2="none", user_email="c@example.com").status_code == 200


def orders(engine: AsyncEngine) -> sa.Table:
    """A table of the application's whose rows refer to users."""
    found = sa.MetaData()
    SqlAlchemyUserStorage(engine).table.to_metadata(found)
    owner = sa.Column("owner", sa.Integer, sa.ForeignKey("User.id"))
    return sa.Table("order", found, sa.Column("id", sa.Integer, primary_key=True), owner)


@pytest.mark.parametrize("hook", ["none", "plain", "async", "raises"])
def test_an_account_that_rows_refer_to(engine: AsyncEngine, hook: str) -> None:
    """Is kept, and the answer says why; a hook can clear the rows away before, or refuse."""
    table, app = orders(engine), FastAPI()
    asked: list[str] = []

    async def clear(user: Any) -> None:
        asked.append(user.username)
        if hook == "raises":
            raise CrossauthError(ErrorCode.Forbidden, "There is an order on its way")
        async with engine.begin() as connection:
            await connection.execute(table.delete().where(table.c.owner == user.id))

    @app.post("/order")
    async def order() -> dict[str, Any]:
        async with engine.begin() as connection:
            await connection.run_sync(lambda c: table.create(c, checkfirst=True))
            await connection.execute(table.insert().values(owner=1))
        return {}

    hooks: dict[str, Any] = {
        "none": {}, "async": {"before_delete_user": clear}, "raises": {"before_delete_user": clear},
        "plain": {"before_delete_user": lambda user: clear(user)},
    }  # fmt: skip
    users = SqlAlchemyUserStorage(engine, {"user_editable_fields": ["email", "phone"]})
    world = World(users, SqlAlchemyKeyStorage(engine), app=app, **hooks[hook])
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email="a@example.com")
        assert browser.call("/order").status_code == 200
        answer = browser.call("/api/deleteuser")
        if hook == "none":
            assert (answer.status_code, name_of(answer)) == (409, "ConstraintViolation")
            assert "still belongs to it" in answer.text
            assert browser.who() == "alice"
        elif hook == "raises":
            assert (answer.status_code, name_of(answer)) == (403, "Forbidden")
            assert browser.who() == "alice"
        else:
            assert answer.status_code == 200, answer.text
            assert asked == ["alice"]
            assert browser.who() is None


async def test_an_extra_column_may_be_unique(engine: AsyncEngine) -> None:
    """Also on SQLite, and in a table that is there."""
    await SqlAlchemyUserStorage(engine).start()
    users = SqlAlchemyUserStorage(engine, {"extra_columns": [text("badge", unique=True), text("note")]})
    new = {"state": "active", "factor1": "localpassword"}
    for name, badge in (("alice", "b-1"), ("bob", None), ("carol", None)):
        await users.create_user({**new, "username": name, "badge": badge})
    with pytest.raises(CrossauthError, match="badge") as refused:
        await users.create_user({**new, "username": "dave", "badge": "b-1"})
    assert refused.value.http_status == 409
    await SqlAlchemyUserStorage(engine, {"extra_columns": [text("badge", unique=True)]}).start()
    await users.close()


async def test_an_extra_column_that_cannot_be_added_is_said(sqlite_url: str) -> None:
    """Not that the database cannot be reached."""
    engine = open_engine(sqlite_url)
    before = SqlAlchemyUserStorage(engine)
    await before.create_user({"username": "alice", "state": "active", "factor1": "localpassword"})
    for wrong in (text("badge", nullable=False), sa.Column("boss", sa.Integer, sa.ForeignKey("User.id"))):
        users = SqlAlchemyUserStorage(engine, {"extra_columns": [wrong]})
        with pytest.raises(CrossauthError, match=rf"extra_columns.*'{wrong.name}' cannot be added") as refused:
            await users.start()
        assert refused.value.code is ErrorCode.Configuration
    await engine.dispose()


@pytest.mark.parametrize("migrate", [True, False])
async def test_a_later_version_is_accepted_where_it_fits(
    url: str, migrate: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As a rolling upgrade or its taking back leaves it; otherwise the message says what to do."""
    engine = open_engine(url)
    await SqlAlchemyKeyStorage(engine).start()
    options: Any = {"migrate": migrate}

    async def become(version: str, *statements: str) -> None:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"UPDATE \"crossauth_Key_version\" SET version_num = '{version}'")
            for statement in statements:
                await connection.exec_driver_sql(statement)

    await become("0009", 'ALTER TABLE "Key" ADD COLUMN later INTEGER')
    with caplog.at_level(logging.WARNING):
        await SqlAlchemyKeyStorage(engine, options).start()
    assert "0009" in caplog.text
    await become("1000")
    with pytest.raises(CrossauthError, match=r"version 1000.*later version.*install the later") as refused:
        await SqlAlchemyKeyStorage(engine, options).start()
    assert refused.value.code is ErrorCode.Configuration
    await become("0009", 'ALTER TABLE "Key" DROP COLUMN stamp')
    with pytest.raises(CrossauthError, match=r"version 0009.*install the later version.*lacks the columns stamp"):
        await SqlAlchemyKeyStorage(engine, options).start()
    await engine.dispose()
