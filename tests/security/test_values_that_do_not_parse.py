"""Types of PostgreSQL with a language of their own: text that is none of it is bad data; a fault of the database is not."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

from crossauth_backend import CrossauthError, ErrorCode, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from tests.accounts import FIELDS, Browser, World

# Of types that it does not know, while it looks at the tables.
pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type")


class Named(UserDefinedType[str]):
    """A type of which SQLAlchemy knows nothing."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


# By column: type, what it takes, and what it does not.
ROWS: dict[str, tuple[Any, list[str], list[str]]] = {
    "words": (postgresql.TSVECTOR, ["a:1"], ["a:b:c", "x" * 3000]),
    "search": (postgresql.TSQUERY, ["a & b"], ["a &", "a b"]),
    "relation": (postgresql.REGCLASS, ["pg_class"], ["nosuch", "a.b.c.d", "nosuch.x"]),
    "kind": (Named("regtype"), ["integer"], ["nosuch"]),
    "space": (Named("regnamespace"), ["public"], ["nosuch"]),
    "path": (postgresql.JSONPATH, ["$.a"], ["$[", "x y"]),
    "document": (Named("xml"), [], ["<a"]),
    "Some point": (Named("point"), [], ["1,"]),
}


def storage(url: str, *columns: sa.Column[Any]) -> SqlAlchemyUserStorage:
    editable = [*FIELDS, *(column.name for column in columns)]
    return SqlAlchemyUserStorage(open_engine(url), {"extra_columns": columns, "user_editable_fields": editable})


def test_text_that_a_type_of_postgresql_does_not_parse_is_refused_by_name(postgres_url: str) -> None:
    """Such errors are of the classes of errors in statements; the one of a value says which parameter it read."""
    users = storage(postgres_url, *(sa.Column(name, row[0]) for name, row in ROWS.items()))
    with World(users, SqlAlchemyKeyStorage(users.engine)).open() as url, Browser(url) as alice:
        assert alice.sign_up().status_code == 200
        for name, (_, taken, refused) in ROWS.items():
            for value in taken:
                answer = alice.call("/api/updateuser", **{f"user_{name}": value})
                assert answer.status_code == 200, (name, value, answer.text)
            for value in refused:
                answer = alice.call("/api/updateuser", **{f"user_{name}": value})
                assert answer.status_code == 400, (name, value, answer.text)
                assert answer.json()["errorMessage"] == f"Field '{name}' has a value that its column does not take"
        assert alice.get("/api/userforsessionkey").json()["user"]


async def test_a_new_user_with_such_a_value_is_refused_by_name(postgres_url: str) -> None:
    """An insert numbers its values otherwise."""
    users = storage(postgres_url, *(sa.Column(name, row[0]) for name, row in ROWS.items()))
    for name, (_, _, refused) in ROWS.items():
        with pytest.raises(CrossauthError, match=f"Field '{name}'") as raised:
            await users.create_user({"username": "zoe", "state": "active", "factor1": "x", name: refused[0]})
        assert raised.value.code is ErrorCode.BadRequest
        assert refused[0] not in str(raised.value.detail)
    await users.close()


def test_a_value_too_large_for_an_index_is_refused_and_the_row_is_named(postgres_url: str) -> None:
    """PostgreSQL does not say which value it is."""
    users = storage(postgres_url, sa.Column("words", sa.ARRAY(sa.Integer), unique=True))
    with World(users, SqlAlchemyKeyStorage(users.engine)).open() as url, Browser(url) as alice:
        assert alice.sign_up().status_code == 200
        answer = alice.call("/api/updateuser", user_words=str([n * n * 7919 % 2**31 for n in range(5000)]))
        assert answer.status_code == 400, answer.text
        assert answer.json()["errorMessage"] == "A field has a value that its column does not take"


async def test_a_fault_of_the_database_is_not_taken_for_a_bad_value(postgres_url: str) -> None:
    """A column that has gone, a trigger that is broken: no value is to blame, and the operator must see it."""
    users = storage(postgres_url, sa.Column("search", postgresql.TSQUERY), sa.Column("note", sa.Text))
    made = await users.create_user({"username": "zoe", "state": "active", "factor1": "x"})
    table = f'"{users.table.name}"'
    broken = (
        [
            "CREATE FUNCTION h() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN EXECUTE 'SELECT CAST($1 AS regclass)' USING NEW.note; END$$",
            f"CREATE TRIGGER i BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION h()",
        ],
        [
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN EXECUTE 'SELECT gone FROM nowhere WHERE $1' USING NEW.note; END$$",
            f"CREATE TRIGGER g BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION f()",
        ],
        [
            f"DROP TRIGGER g ON {table}",
            f"DROP TRIGGER i ON {table}",
            f"ALTER TABLE {table} RENAME COLUMN note TO other",
        ],
    )
    for statements in broken:
        async with users.engine.begin() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)
        with pytest.raises(sa.exc.ProgrammingError):
            await users.update_user({"id": made.id, "note": "x"})
    await users.close()
