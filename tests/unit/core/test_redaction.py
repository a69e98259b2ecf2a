"""Exceptions lose the values that they hold before they are logged."""

import traceback
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from redis.exceptions import ResponseError
from sqlalchemy.exc import DBAPIError, StatementError

from crossauth_backend.core.redaction import HIDDEN, HiddenValues, hide_values, loggable, refused_parameter, sqlstate_of

VALUE = "alice@example.com"


class DriverError(Exception):
    """As asyncpg's."""

    def __init__(self, text: str, sqlstate: str = "", **told: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.severity = "ERROR"
        for name, value in told.items():
            setattr(self, name, value)


def text_of(e: BaseException) -> str:
    return "".join(traceback.format_exception(e))


@pytest.mark.parametrize(
    ("text", "state", "left"),
    [
        (f'invalid input syntax for type integer: "{VALUE}"', "22P02", f"{HIDDEN} 22P02"),
        (f"Key (email)=({VALUE}) exists", "P0001", f"{HIDDEN} P0001"),
        (
            'duplicate key value violates unique constraint "User_email_key"',
            "23505",
            'duplicate key value violates unique constraint "User_email_key"',
        ),
        (
            f'duplicate key value violates unique constraint "{VALUE}"',
            "23505",
            "duplicate key value violates unique constraint \u2026",
        ),
        ("deadlock detected\nDETAIL: value", "40P01", "deadlock detected"),
    ],
)
def test_what_a_database_says_is_kept_where_it_names_no_value(text: str, state: str, left: str) -> None:
    e = DriverError(text, state, constraint_name="User_email_key", detail=f"Key (email)=({VALUE})", hint=VALUE)
    hide_values(e)
    assert e.args == (left,)
    assert VALUE not in text_of(e) + repr(vars(e))
    assert sqlstate_of(e) == state


def test_parameters_of_a_statement_are_hidden_wherever_they_are() -> None:
    orig = DriverError(f'null value in column "name" of "{VALUE}"', "23502", column_name="name")
    e = DBAPIError("INSERT INTO users VALUES ($1)", {"email": VALUE}, orig)
    outer = RuntimeError("it failed")
    outer.__cause__ = e
    assert VALUE in text_of(outer)
    assert loggable(outer) is outer
    displayed = text_of(outer)
    assert VALUE not in displayed
    assert "INSERT INTO users" in displayed


def test_an_exception_of_an_applications_type_is_any_text() -> None:
    e = StatementError("bad", "SELECT $1", {"a": VALUE}, ValueError(f"no such thing: {VALUE}"))
    hide_values(e)
    assert VALUE not in text_of(e)
    assert HIDDEN in str(e)


@pytest.mark.parametrize(
    ("text", "left"), [(f"WRONGTYPE {VALUE}", "WRONGTYPE"), (f"ERR unknown command with args {VALUE}", HIDDEN)]
)
def test_of_redis_only_the_code_is_kept(text: str, left: str) -> None:
    e = ResponseError(text)
    hide_values(e)
    assert e.args == (left,)


def test_an_error_of_validation_says_where_and_not_what() -> None:
    class Body(BaseModel):
        age: int

    with pytest.raises(ValidationError) as found:
        Body.model_validate({"age": VALUE})
    displayed = loggable(found.value)
    assert isinstance(displayed, HiddenValues)
    assert str(displayed) == "ValidationError: age (int_parsing)"
    outer = RuntimeError("x")
    outer.__context__ = found.value
    assert VALUE not in text_of(loggable(outer))


def test_a_circle_of_exceptions_ends() -> None:
    a, b = ValueError("a"), DriverError(f'"{VALUE}"', "22P02")
    a.__cause__, b.__context__ = b, a
    assert VALUE not in text_of(loggable(a))


def test_a_group_is_looked_into() -> None:
    group = ExceptionGroup("several", [DriverError(VALUE, "22000"), ValueError("plain")])
    hide_values(group)
    assert VALUE not in text_of(group)
    assert "plain" in text_of(group)


@pytest.mark.parametrize(
    ("e", "number"),
    [
        (DriverError("x", context="unnamed portal parameter $3 = '…'"), 3),
        (DriverError("x", context='column "$9": parameter $3'), None),
        (DriverError("x"), None),
        (ValueError("invalid input for query argument $12: 'x'"), 12),
        (ValueError("argument $1"), None),
        (ValueError(), None),
    ],
)
def test_the_parameter_that_was_refused_is_known(e: Any, number: int | None) -> None:
    assert refused_parameter(e) == number
