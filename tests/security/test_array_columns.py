"""Arrays in columns that say how deep they are: nothing is stored that could not be read again."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crossauth_backend import CrossauthError, ErrorCode, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from tests.accounts import FIELDS, Browser, World
from tests.support import PASSWORD


class Upper(sa.types.TypeDecorator[str]):
    impl = sa.String(5)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else value.upper()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else value.lower()


FLAT, DEEP = "a list without lists in it", "lists in lists, 2 levels deep"
# By column: type, what is taken (and shown), what is refused, and what the refusal says.
ROWS: dict[str, tuple[Any, list[str], list[str], str]] = {
    "odds": (ARRAY(sa.Numeric(asdecimal=False), dimensions=1), ["[1.5, null]", "[]"], ["[[1]]", "[1, [2]]", "[[]]"], FLAT),
    "tags": (ARRAY(Upper, dimensions=1), ['["a"]'], ['[["a"]]'], FLAT),
    "whole": (ARRAY(sa.Integer, dimensions=1), ["[1]"], ["[[1]]"], FLAT),
    "grid": (ARRAY(sa.Numeric(asdecimal=False), dimensions=2), ["[[1.5], [2.0]]", "[]"], ["[1]", "[null]", "[[[1]]]"], DEEP),
    "notes": (ARRAY(JSONB, dimensions=1), ['[{"a": 1}, "b"]'], [], ""),
    "any": (ARRAY(sa.Integer), ["[1]", "[[1, 2], [3, 4]]"], [], ""),
}  # fmt: skip


@pytest.fixture
def users(postgres_url: str) -> SqlAlchemyUserStorage:
    columns = [sa.Column(name, row[0]) for name, row in ROWS.items()]
    return SqlAlchemyUserStorage(
        open_engine(postgres_url), {"extra_columns": columns, "user_editable_fields": [*FIELDS, *ROWS]}
    )


def test_an_array_of_another_depth_than_its_column_says_is_refused_and_locks_nobody_out(
    users: SqlAlchemyUserStorage,
) -> None:
    """PostgreSQL would store it, and then neither the user nor a login could be read."""
    with World(users, SqlAlchemyKeyStorage(users.engine)).open() as url, Browser(url) as alice:
        assert alice.sign_up().status_code == 200
        for name, (_, taken, refused, says) in ROWS.items():
            for value in taken:
                answer = alice.call("/api/updateuser", **{f"user_{name}": value})
                assert answer.status_code == 200, (name, value, answer.text)
            for value in refused:
                answer = alice.call("/api/updateuser", **{f"user_{name}": value})
                assert (answer.status_code, answer.json()["errorMessage"]) == (400, f"Field '{name}' must be {says}")
            assert alice.get("/api/userforsessionkey").json()["user"], name
        with Browser(url) as other:
            assert other.log_in("alice", PASSWORD).status_code == 200


async def test_a_hook_cannot_store_an_array_of_another_depth_either(users: SqlAlchemyUserStorage) -> None:
    """Python has tuples for lists."""
    new = {"username": "zoe", "state": "active", "factor1": "localpassword"}
    for value in ([(1.5,)], ((),), [1.5, [1.5]]):
        with pytest.raises(CrossauthError, match=FLAT) as refused:
            await users.create_user({**new, "odds": value})
        assert refused.value.code is ErrorCode.BadRequest
    assert (await users.create_user({**new, "odds": (1.5, None), "notes": [[1], None]}))["notes"] == [[1], None]
    await users.close()
