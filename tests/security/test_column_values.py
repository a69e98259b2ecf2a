"""Columns of the application's own of any type: what does not fit is refused by name, what is stored is shown, and one row that
another program spoilt fails nobody else."""

import asyncio
import base64
import datetime
import enum
import logging
import re
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from crossauth_backend import CrossauthError, ErrorCode, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, User, open_engine
from crossauth_backend.core.jsonsafe import json_safe
from crossauth_fastapi.fastapi_users import schemas
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from tests.accounts import FIELDS, Browser, World

NEW: dict[str, Any] = {"username": "zoe", "state": "active", "factor1": "localpassword"}
UUID = "123e4567-e89b-12d3-a456-426614174000"


class Plan(enum.Enum):
    FREE = "free"
    PRO = "pro plan"
    LEVEL = 3


class Upper(sa.types.TypeDecorator[str]):
    impl = sa.String(5)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else value.upper()


class Celsius(sa.types.TypeDecorator[float]):
    """Of floats; what is no float raises whatever it raises."""

    impl = sa.Float
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else float.__add__(value, 273.0)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else value - 273.0


# By column: type, what is taken (as sent, as shown), what is refused, and a part of what the refusal says.
ROWS: dict[str, tuple[Any, list[tuple[Any, Any]], list[Any], str]] = {
    "plan": (sa.Enum(Plan, native_enum=False), [("free", "free"), ("PRO", "pro plan"), (3, 3), ("3", 3), ("", None)],
             ["gold", "FREE ", 1, True, 2.5], "must be one of free, pro plan, 3"),
    "size": (sa.Enum("s", "m", name="size", native_enum=False), [("s", "s"), (None, None), ("", None)],
             ["l", 1, True, "S"], "must be one of s, m"),
    "height": (sa.Numeric(5, 2), [("1.80", 1.8), (1.8, 1.8), (180, 180), ("-999.99", -999.99), ("", None), ("1e2", 100)],
               ["1000", "0.001", "1e999", "nan", "-inf", "1_0", "１", "much", True, 1e300, "9" * 5000],
               "must be a number"),
    "weight": (sa.Float, [("1.5", 1.5), (2, 2.0), ("", None)], ["nan", "inf", "1e999", "x", True, 10**400], "number"),
    "points": (sa.Integer, [("7", 7), (7, 7), (7.0, 7), (" 7 ", 7), ("", None), (None, None)],
               ["1.5", 1.5, True, "seven", "0x10", "１", 2**63, -(2**63) - 1, "9" * 5000], "must be a whole number"),
    "rank": (sa.SmallInteger, [(32767, 32767), ("-32768", -32768)], [32768, "-32769"], "between -32768 and 32767"),
    "news": (sa.Boolean, [("on", True), ("Yes", True), (True, True), ("no", False), ("0", False), (False, False)],
             [2, 1, 0, "2", "maybe", 1.0], "must be true or false"),
    "born": (sa.Date, [("1990-01-02", "1990-01-02"), ("", None)],
             ["1990-13-01", "2.1.1990", 1990, True, "99999-01-01", "1990-01-02T00:00:00"], "must be a date, such as"),
    "seen": (sa.DateTime(timezone=True), [("2026-01-02T03:04:05Z", None)],
             ["noon", 5, "2026-01-02T25:00:00", "0001-01-01T00:00:00+14:00"], "must be a date and time, such as"),
    "met": (sa.DateTime, [("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05")], ["noon", True], "must be a date and time"),
    "wakes": (sa.Time, [("07:30", "07:30:00")], ["25:00", "noon", 7, "07:30+01:00"], "must be a time, such as"),
    "break_": (sa.Interval, [("90", 90.0), (1.5, 1.5), ("P1DT2H", 93600.0), ("-PT5M", -300.0)],
               ["P", "PT", "soon", True, 1e18, "9" * 13, "P999999999D"], "must be a duration"),
    "ref": (sa.Uuid, [(UUID, UUID), (UUID.upper(), UUID), ("", None)], ["1", 1.5, 1, True, UUID + "0"], "must be a UUID"),
    "ref_text": (sa.Uuid(as_uuid=False), [(UUID.upper(), UUID)], ["1", 5], "must be a UUID"),
    "photo": (sa.LargeBinary(4), [("AP+A", "AP+A"), ("", None)], ["é", "AP", 5, "AAAAAAAA"], "must be"),
    "short": (sa.String(5), [("abcde", "abcde"), ("", "")], ["abcdef", 5, True, 1.5], "must be"),
    "prefs": (sa.JSON, [("dark", "dark"), ('{"a": [1.5, null]}', {"a": [1.5, None]}), (5, 5), ("[1", "[1"), ("", None)],
              ['[1e999]', '[NaN]', '["\\u0000"]', '["\\ud800"]', "[" * 70 + "]" * 70], "must be JSON"),
    "code": (Upper, [("abc", "ABC")], ["abcdef", 5], "Field 'code'"),
    "warm": (Celsius, [("20", 20.0), (20.5, 20.5)], ["x", "nan"], "must be a number"),
    "thing": (sa.PickleType, [("x", "x"), (5, 5)], [], ""),
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> AsyncEngine:
    return open_engine(request.getfixturevalue(f"{request.param}_url"))


def own_table(engine: AsyncEngine, *columns: sa.Column[Any]) -> SqlAlchemyUserStorage:
    text = [
        sa.Column(name, sa.String(200), unique=name.endswith("normalized"))
        for name in (
            "username",
            "username_normalized",
            "email",
            "email_normalized",
            "state",
            "factor1",
            "factor2",
            "phone",
        )
    ]
    table = sa.Table(
        "customer", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True), *text, sa.Column("admin", sa.Boolean),
        *columns,
    )  # fmt: skip
    apart(engine.url, lambda connection: connection.run_sync(table.metadata.create_all))
    editable = [*FIELDS, *(column.name for column in columns)]
    return SqlAlchemyUserStorage(engine, {"table": table, "id_column": "number", "user_editable_fields": editable})


def standard_table(engine: AsyncEngine, *columns: sa.Column[Any]) -> SqlAlchemyUserStorage:
    editable = [*FIELDS, *(column.name for column in columns)]
    return SqlAlchemyUserStorage(engine, {"extra_columns": list(columns), "user_editable_fields": editable})


@contextmanager
def administered(users: SqlAlchemyUserStorage, **options: Any) -> Iterator[tuple[World, Browser, Browser]]:
    """A server, a browser in which alice is logged in, and one of an administrator."""
    world = World(users, SqlAlchemyKeyStorage(users.engine), attempt_limits={"signup_address": None}, **options)
    with world.open() as url, Browser(url) as alice, Browser(url) as root:
        root.sign_up("root", user_email="root@example.com")
        alice.sign_up("alice", user_email="alice@example.com")
        sql(users, f"UPDATE {quoted(users)} SET admin = {'1' if on_sqlite(users) else 'true'} WHERE username = 'root'")
        yield world, alice, root


def on_sqlite(users: SqlAlchemyUserStorage) -> bool:
    return users.engine.url.get_backend_name() == "sqlite"


def quoted(users: SqlAlchemyUserStorage) -> str:
    return f'"{users.table.name}"'


def sql(users: SqlAlchemyUserStorage, statement: str) -> None:
    """What another program writes."""
    apart(users.engine.url, lambda connection: connection.exec_driver_sql(statement))


def apart(url: sa.URL, run: Callable[[AsyncConnection], Awaitable[object]]) -> None:
    """Do something in the database by a connection and on an event loop of its own."""

    async def begin() -> None:
        engine = open_engine(url.render_as_string(hide_password=False))
        async with engine.begin() as connection:
            await run(connection)
        await engine.dispose()

    thread = threading.Thread(target=lambda: asyncio.run(begin()))
    thread.start()
    thread.join()


@pytest.mark.parametrize("make", [standard_table, own_table])
def test_a_value_of_any_type_is_stored_and_shown_or_refused_by_name(engine: AsyncEngine, make: Any) -> None:
    """From forms and from JSON, in an own table and in ours; whatever was sent, answers, lists and pages work."""
    users = make(engine, *(sa.Column(name, row[0]) for name, row in ROWS.items()))
    with administered(users) as (_, alice, root):

        def send(name: str, value: Any, as_form: bool) -> Any:
            return (alice.submit if as_form else alice.call)("/api/updateuser", **{f"user_{name}": value})

        for name, (_, taken, refused, says) in ROWS.items():
            for value, displayed in taken:
                for as_form in (False, True)[: 2 if isinstance(value, str) else 1]:
                    answer = send(name, value, as_form)
                    assert answer.status_code == 200, (name, value, answer.text)
                    user = alice.get("/api/userforsessionkey").json()["user"]
                    if displayed is not None or value in (None, ""):
                        assert user[name] == displayed, (name, value)
                        assert type(user[name]) is type(displayed) or isinstance(displayed, float), (name, value)
            before = alice.get("/api/userforsessionkey").json()["user"]
            for value in refused:
                for as_form in (False, True)[: 2 if isinstance(value, str) else 1]:
                    answer = send(name, value, as_form)
                    # The body itself is refused for some, before any column is asked.
                    assert answer.status_code == 400, (name, value, answer.text)
                    assert says in answer.json()["errorMessage"] or "number" in answer.json()["errorMessage"], (
                        answer.text
                    )
            assert alice.get("/api/userforsessionkey").json()["user"] == before
        # What a page shows can be sent back.
        page = alice.get("/updateuser")
        assert page.status_code == 200
        assert 'value="1990-01-02"' not in page.text
        displayed = alice.get("/api/userforsessionkey").json()["user"]
        assert displayed["prefs"] is None
        assert alice.submit("/updateuser", user_prefs='{"a": [1]}').status_code == 200
        assert "{&#34;a&#34;: [1]}" in alice.get("/updateuser").text
        assert root.get("/admin/api/selectuser").status_code == 200
        assert root.get("/admin/selectuser").status_code == 200
        assert root.get("/admin/updateuser/2").status_code == 200


@pytest.mark.parametrize("make", [standard_table, own_table])
@pytest.mark.parametrize("name", ["plan", "size", "height", "ref", "news"])
def test_an_anonymous_sign_up_with_a_value_that_does_not_fit_stores_no_row(
    engine: AsyncEngine, make: Any, name: str
) -> None:
    users = make(engine, sa.Column(name, ROWS[name][0]))
    with administered(users) as (_, alice, root), Browser(str(alice.base_url)) as eve:
        answer = eve.sign_up("eve", user_email="eve@example.com", **{f"user_{name}": "zzz"})
        assert answer.status_code == 400
        assert name in answer.json()["errorMessage"]
        found = root.get("/admin/api/selectuser").json()["users"]
        assert [user["username"] for user in found] == ["root", "alice"]


async def test_what_a_hook_brings_is_fitted_as_well(engine: AsyncEngine) -> None:
    """Python's own values, and none that only JSON could say."""
    types = {name: row[0] for name, row in ROWS.items()}
    users = standard_table(engine, *(sa.Column(name, kind) for name, kind in types.items()))
    made = await users.create_user(
        {
            **NEW, "plan": Plan.PRO, "height": Decimal("1.80"), "born": datetime.datetime(2000, 1, 2),
            "met": datetime.datetime(2000, 1, 2, tzinfo=datetime.UTC), "wakes": datetime.time(7), "ref": uuid.UUID(UUID),
            "break_": datetime.timedelta(1), "photo": b"\x00\xff", "prefs": {"a": [1]}, "points": Decimal(5),
        }
    )  # fmt: skip
    assert (made["plan"], made["born"], made["points"]) == (Plan.PRO, datetime.date(2000, 1, 2), 5)
    for name, value in {
        "plan": "x", "prefs": {"a": float("nan")}, "photo": "x", "ref": b"", "short": uuid.uuid4(), "height": Decimal("nan"),
        "born": [], "points": [1], "wakes": datetime.time(7, tzinfo=datetime.UTC), "news": "perhaps", "admin": 2,
    }.items():  # fmt: skip
        with pytest.raises(CrossauthError, match=f"Field '{name}'") as refused:
            await users.update_user({"id": made.id, name: value})
        assert refused.value.code is ErrorCode.BadRequest
    await users.update_user({"id": made.id, "short": sa.func.lower("ABC")})
    assert (await users.get_user_by_id(made.id)).user["short"] == "abc"
    await users.close()


async def test_the_items_of_an_array_are_fitted(postgres_url: str) -> None:
    users = standard_table(
        open_engine(postgres_url), sa.Column("tags", ARRAY(sa.String(3))), sa.Column("odds", ARRAY(sa.Integer))
    )
    made = await users.create_user({**NEW, "tags": ["a", None], "odds": "[1, 3]"})
    assert (made["tags"], made["odds"]) == (["a", None], [1, 3])
    for name, value in {"tags": ["long"], "odds": "[1.5]", "missing": 0}.items():
        if name != "missing":
            with pytest.raises(CrossauthError, match=f"Field '{name}'"):
                await users.update_user({"id": made.id, name: value})
    with pytest.raises(CrossauthError, match="must be a list"):
        await users.update_user({"id": made.id, "tags": "abc"})
    await users.close()


def test_whatever_python_has_is_said_as_json() -> None:
    """As FastAPI's encoder says it; bytes as base64, and a decimal without losing a digit."""
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    for value, displayed in (
        (Plan.PRO, "pro plan"), (Decimal("1.80"), 1.8), (Decimal("2"), 2),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal("1e1000000"), "1E+1000000"), (Decimal("nan"), None), (float("inf"), None), (uuid.UUID(UUID), UUID),
        (datetime.date(2000, 1, 2), "2000-01-02"), (datetime.timedelta(minutes=1), 60.0),
        (b"\x00\xff", base64.b64encode(b"\x00\xff").decode()), ({"a": {Plan.FREE}, 5: (1,)}, {"a": ["free"], "5": [1]}),
    ):  # fmt: skip
        assert json_safe(value) == displayed
        assert type(json_safe(value)) is type(displayed)
    assert json_safe(deep) is not None
    assert isinstance(json_safe(object()), str)


# What another program writes, by the database that keeps it.
SPOILT = [
    ("sqlite", "plan", "'gold'"), ("sqlite", "ref", "'no uuid'"), ("sqlite", "born", "'someday'"), ("sqlite", "seen", "'soon'"),
    ("sqlite", "prefs", "'{'"), ("sqlite", "note", "CAST(x'ff' AS TEXT)"), ("postgres", "plan", "'gold'"),
    ("postgres", "born", "'99999-01-01'"), ("postgres", "seen", "'99999-01-01'"),
]  # fmt: skip


@pytest.mark.parametrize("make", [standard_table, own_table])
@pytest.mark.parametrize(("kind", "name", "value"), SPOILT)
def test_one_row_that_cannot_be_read_fails_no_list_and_can_be_deleted(
    request: pytest.FixtureRequest, kind: str, make: Any, name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is shown as unreadable; its user is refused clearly, and nobody else notices."""
    columns = {
        "plan": sa.Enum("free", "pro", name="plan", native_enum=False, create_constraint=False), "ref": sa.Uuid, "born": sa.Date,
        "seen": sa.DateTime(timezone=True), "prefs": sa.JSON, "note": sa.Text,
    }  # fmt: skip
    users = make(open_engine(request.getfixturevalue(f"{kind}_url")), sa.Column(name, columns[name]))
    caplog.set_level(logging.ERROR)
    with administered(users) as (_, alice, root), Browser(str(alice.base_url)) as again:
        assert alice.who() == "alice"
        sql(users, f"UPDATE {quoted(users)} SET {name} = {value} WHERE username = 'alice'")
        # The user
        assert alice.get("/api/userforsessionkey").json()["user"] is None
        assert alice.get("/me").status_code == 401
        answer = again.log_in("alice")
        assert answer.status_code == 403
        assert "can't be read" in answer.json()["errorMessage"]
        assert again.log_in("alice", password="Wrong1wrong").status_code == 401
        # Everybody else
        assert root.who() == "root"
        found = {user["username"]: user for user in root.get("/admin/api/selectuser").json()["users"]}
        assert (found["root"]["state"], found["alice"]["state"], found["alice"][name]) == ("active", "unreadable", None)
        assert "be read" in root.get("/admin/selectuser").text
        searched = root.get("/admin/api/selectuser?search=alice").json()["users"]
        assert [user["state"] for user in searched] == ["unreadable"]
        id = found["alice"]["id"]
        assert "t be read" in root.get(f"/admin/updateuser/{id}").text
        for path, fields in (
            ("updateuser", {"state": "disabled"}), ("changepassword", {"new_password": "Another1one"}),
        ):  # fmt: skip
            refused = root.call(f"/admin/api/{path}/{id}", **fields)
            assert refused.status_code == 409
            assert "t be read" in refused.json()["errorMessage"]
        told = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
        assert len([text for text in told if f"column '{name}'" in text]) == 1
        assert not any("gold" in text or "someday" in text for text in told)
        assert root.call(f"/admin/api/deleteuser/{id}").status_code == 200
        assert [user["username"] for user in root.get("/admin/api/selectuser").json()["users"]] == ["root"]


async def test_of_many_rows_only_the_spoilt_are_unreadable(sqlite_url: str) -> None:
    users = standard_table(open_engine(sqlite_url), sa.Column("born", sa.Date), sa.Column("ref", sa.Uuid))
    for number in range(20):
        await users.create_user({**NEW, "username": f"user{number}", "born": "2000-01-02"})
    sql(users, "UPDATE \"User\" SET born = 'x' WHERE id IN (3, 17)")
    sql(users, "UPDATE \"User\" SET ref = 'x' WHERE id = 17")
    found = await users.get_users()
    assert [user.id for user in found if user.state == "unreadable"] == [3, 17]
    assert [user.id for user in found] == list(range(1, 21))
    assert [user.id for user in await users.get_users(16, 2)] == [17, 18]
    reader = users.user_reader()
    read = await reader(3)
    assert read is not None
    assert (read.state, read.username, read.get("born")) == ("unreadable", "user2", None)
    database = World(users).manager
    seen = await CrossauthUserDatabase(database).get_by_field("username", "user2")
    assert seen is None or not seen.is_active
    await users.close()


@pytest.mark.parametrize("value", [2, 1, 0, "2", "yes", 1.0, []])
async def test_a_flag_is_true_or_false_and_nothing_else(value: Any, sqlite_url: str) -> None:
    """Not in JSON, and not from a program."""
    for flag in ("is_verified", "is_active", "is_superuser"):
        for schema in (schemas.BaseUserUpdate, schemas.BaseUserCreate):
            with pytest.raises(ValueError, match=flag):
                schema.model_validate({"email": "a@example.com", "password": "x", flag: value})
    users = standard_table(open_engine(sqlite_url))
    database = CrossauthUserDatabase(World(users).manager)
    user = await database.create({"email": "a@example.com", "hashed_password": "x"})
    for flag in ("is_verified", "is_active", "is_superuser"):
        with pytest.raises(CrossauthError, match=f"Field '{flag}' must be true or false"):
            await database.update(user, {flag: value})
        with pytest.raises(CrossauthError, match=f"Field '{flag}' must be true or false"):
            await database.create({"email": "b@example.com", "hashed_password": "x", flag: value})
    assert isinstance((await users.get_users())[0], User)
    await users.close()


async def test_a_type_that_postgresql_lacks_is_said_at_the_start_with_the_sql_that_makes_it(postgres_url: str) -> None:
    """And so is a value that such a type lacks, in a column that is there already."""
    for values, lacks in ((("free", "it's"), r"CREATE TYPE \"Plan\" AS ENUM \('free', 'it''s'\)"),
                          (("free", "it's", "gold"), "ALTER TYPE \"Plan\" ADD VALUE 'gold'")):  # fmt: skip
        users = standard_table(open_engine(postgres_url), sa.Column("plan", sa.Enum(*values, name="Plan")))
        with pytest.raises(CrossauthError, match=lacks) as refused:
            await users.start()
        assert refused.value.code is ErrorCode.Configuration
        assert "column 'plan'" in refused.value.message.lower()
        assert "migration" in refused.value.message
        assert "foreign key" not in refused.value.message
        # What it says is right.
        found = re.search(r"(CREATE|ALTER) TYPE [^.]*(?=\.)", refused.value.message)
        assert found is not None
        sql(users, found.group())
        await users.start()
        made = await users.create_user({**NEW, "username": f"user{len(values)}", "plan": values[-1]})
        assert made["plan"] == values[-1]
        await users.close()
