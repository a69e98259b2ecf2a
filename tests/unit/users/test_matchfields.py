"""By which fields somebody may be found."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from crossauth_backend import InMemoryUserStorage, SqlAlchemyUserStorage
from crossauth_backend.users.matchfields import match_field_problems


@pytest.mark.parametrize(
    "field", ["state", "factor1", "factor2", "admin", "security_stamp", "email_verified_at", "signup_expires", "extra"]
)
def test_what_users_have_in_common_names_nobody(field: str) -> None:
    (problem,) = match_field_problems(InMemoryUserStorage(), field)
    assert problem == f"{field!r} does not say which user is meant"


@pytest.mark.parametrize("field", ["id", "username", "email", "phone", "staff_number"])
def test_what_tells_users_apart(field: str) -> None:
    assert match_field_problems(InMemoryUserStorage(), field) == []


def test_a_column_has_to_be_there_and_an_address_verified() -> None:
    columns = [sa.Column(name, sa.String, unique=True) for name in ("username", "username_normalized")]
    more = [sa.Column(name, sa.String) for name in ("email", "email_normalized", "state", "factor1")]
    table = sa.Table("people", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns, *more)
    users = SqlAlchemyUserStorage(
        create_async_engine("sqlite+aiosqlite://"), {"table": table, "normalize_email": False}
    )
    assert match_field_problems(users, "username") == []
    for field, missing in (("staff_number", "staff_number"), ("email", "email_verified_at")):
        (problem,) = match_field_problems(users, field)
        assert missing in problem
