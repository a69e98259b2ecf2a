"""Values of fields: what is refused, what is the same, and what JSON can say of them."""

import base64
import enum
import json
import math
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.clock import as_utc, from_now, utc_now
from crossauth_backend.core.jsonsafe import json_safe
from crossauth_backend.core.records import bad_field, refuse_unstorable
from crossauth_backend.core.values import differs, is_sound

NOT_FINITE = [math.inf, -math.inf, math.nan, Decimal("Infinity"), Decimal("NaN")]


class Kind(enum.Enum):
    SMALL = 1
    PAIR = (1, "x")


@pytest.mark.parametrize("value", ["\x00", "\ud800", *NOT_FINITE])
def test_a_value_that_cannot_be_stored_is_named_and_not_repeated(value: Any) -> None:
    with pytest.raises(CrossauthError, match="'agent'") as refused:
        refuse_unstorable({"fine": 1, "agent": value})
    assert refused.value.code is ErrorCode.BadRequest
    assert repr(value) not in refused.value.message
    refuse_unstorable({"a": "x", "b": 1.5, "c": None, "d": Decimal("1.5"), "e": 10**400})


def test_a_name_that_is_long_is_cut() -> None:
    assert len(bad_field("x" * 10_000, "is wrong").message) < 100


@pytest.mark.parametrize(
    ("a", "b", "differ"),
    [
        (1, True, True),
        (0, False, True),
        (1, 1.0, False),
        ("a", "a", False),
        (None, "", True),
        (True, True, False),
        ([1], [1], False),
    ],
)
def test_a_truth_value_is_no_number(a: object, b: object, differ: bool) -> None:
    assert differs(a, b) is differs(b, a) is differ


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_is_sound_to_a_depth() -> None:
    assert is_sound(nested(5), 5)
    assert not is_sound(nested(6), 5)
    assert not is_sound({"a": {"b": ["\ud800"]}}, 9)
    assert not is_sound({"a": [math.nan]}, 9)
    assert not is_sound({1: "a"}, 9)
    assert not is_sound({"\x00": "a"}, 9)
    assert is_sound({"a": (None, True, 1.5, "x", {})}, 3)


def test_what_json_does_not_have_is_sound_only_where_that_is_no_matter() -> None:
    for value in (Decimal(1), datetime(2026, 1, 1, tzinfo=UTC), uuid.UUID(int=1), b"x"):
        assert not is_sound(value, 3)
        assert is_sound({"a": [value]}, 3, json=False)
    assert not is_sound(Decimal("NaN"), 3, json=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Kind.SMALL, 1),
        (Kind.PAIR, [1, "x"]),
        (math.inf, None),
        (math.nan, None),
        (1.5, 1.5),
        (Decimal("1.50"), 1.5),
        (Decimal(3), 3),
        (Decimal("0.1"), 0.1),
        (Decimal("NaN"), None),
        (Decimal("1e400"), "1E+400"),
        (Decimal("1.2345678901234567890"), "1.2345678901234567890"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(minutes=1), 60.0),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\xff", base64.b64encode(b"\xff").decode()),
        (bytearray(b"x"), "eA=="),
        (memoryview(b"x"), "eA=="),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        (frozenset(["a"]), ["a"]),
        ([None, True, "é"], [None, True, "é"]),
    ],
)
def test_a_value_of_any_column_as_json_says_it(value: Any, said: Any) -> None:
    assert json_safe(value) == said
    json.dumps(json_safe(value), allow_nan=False)


def test_what_is_nested_too_deep_is_left_out() -> None:
    assert "1" not in json.dumps(json_safe(nested(100)))
    assert json.dumps(json_safe(nested(60))) == "[" * 60 + "1" + "]" * 60


class Shouting(str):
    def __str__(self) -> str:
        return "another"


def test_a_subclass_of_text_or_number_is_what_it_holds() -> None:
    class Odd(int):
        def __repr__(self) -> str:
            return "odd"

    assert json_safe(Shouting("a")) == "a"
    assert json_safe(Odd(7)) == "7"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary() | st.dates(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=10,
    )
)
def test_whatever_it_is_json_can_say_it(value: Any) -> None:
    json.dumps(json_safe(value), allow_nan=False)


def test_every_moment_is_in_utc() -> None:
    east = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=5)))
    assert as_utc(east) == east
    assert as_utc(east).utcoffset() == timedelta(0)
    assert as_utc(datetime(2026, 1, 2)) == datetime(2026, 1, 2, tzinfo=UTC)
    assert from_now(-1.5, east) == east - timedelta(seconds=1.5)
    assert utc_now().tzinfo is UTC
