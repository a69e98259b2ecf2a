"""Whether a value fits the type of an option, and what messages call that."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pytest

from crossauth_backend.core.optiontypes import Bounds, Kind, WrongValue, type_name

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("hint", "fits", "not_fit"),
    [
        (int, [0, -1], [True, 1.0, "1", None]),
        (float, [1, 1.5], [True, "1.5", None]),
        (bool, [True, False], [1, "true", None]),
        (str | None, ["", None], [1, b"x"]),
        (list[str], [[], ["a"]], ["a", [1], None, {"a": 1}]),
        (list[Any], [[1]], ["a"]),
        (Mapping[str, Any], [{}], [[], "a"]),
        (Literal["a", "b"], ["a"], ["c", ["a"], None]),
        (Callable[..., Any], [len], ["len", None]),
        (type[Exception], [ValueError], [int, ValueError()]),
    ],
)
def test_values_fit_their_type_or_are_refused(hint: Any, fits: list[Any], not_fit: list[Any]) -> None:
    for value in fits:
        assert Kind(hint).read(value, "Option 'x'") == value
    for value in not_fit:
        with pytest.raises(WrongValue, match="Option 'x' must be"):
            Kind(hint).read(value, "Option 'x'")


def test_a_tuple_is_a_list() -> None:
    assert Kind(list[str]).read(("a",), "x") == ["a"]


@pytest.mark.parametrize("value", [0, 11, NAN, INFINITE, -INFINITE])
def test_numbers_out_of_bounds_are_refused(value: float) -> None:
    with pytest.raises(WrongValue, match=r"at (least|most)"):
        Kind(float, Bounds(at_least=1, at_most=10)).read(value, "x")


def test_what_must_not_be_empty_is_not() -> None:
    with pytest.raises(WrongValue, match="empty"):
        Kind(str, Bounds(not_empty=True)).read("", "x")


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (bool, "Yes", True), (bool, "0", False), (int, "7", 7), (float, "1.5", 1.5), (str, "7", "7"),
        (list[str], '["a"]', ["a"]), (str | None, "null", None), (Literal["a"], "a", "a"),
    ],
)  # fmt: skip
def test_text_of_the_environment_is_parsed(hint: Any, text: str, value: Any) -> None:
    assert Kind(hint).parse(text, "x") == value


@pytest.mark.parametrize(
    ("hint", "text"),
    [(bool, "maybe"), (int, "1.5"), (int, "x"), (list[str], "a"), (list[str], "[1]"), (list[str], "[" * 100_000)],
)
def test_text_that_says_no_such_value_is_refused_without_being_repeated(hint: Any, text: str) -> None:
    with pytest.raises(WrongValue) as refused:
        Kind(hint).parse(text, "Option 'x'")
    assert "[[[" not in str(refused.value)


def test_types_have_plain_names() -> None:
    names = [type_name(hint) for hint in (bool, int | None, list[str], Literal["a", "b"], Callable[..., Any], Any)]
    assert names == ["true or false", "whole number", "list of text", "'a' or 'b'", "function", "any value"]
