"""What a new password must be."""

from typing import Any

import pytest

from crossauth_backend.factors.password.rules import MAX_LENGTH, TOO_COMMON, default_password_validator


@pytest.mark.parametrize(
    "password", ["Correct1horse", "blue stapler lake", "密码很难猜的一句话", "x7$Kq!9z", "é" * 4 + "xyq7"]
)
def test_passwords_that_are_good(password: str) -> None:
    assert default_password_validator({"password": password}) == []


@pytest.mark.parametrize(
    "password",
    ["password", "PASSWORD", "Password1!", "123password", "12345678", "abcdefgh", "hgfedcba", "abcabcabcabc", "aaaaaaaa",
     "passwordpassword", "qwerty123"],
)  # fmt: skip
def test_passwords_that_are_tried_first(password: str) -> None:
    assert default_password_validator({"password": password}) == [TOO_COMMON]


@pytest.mark.parametrize(
    "params", [{}, {"password": None}, {"password": ""}, {"password": 12345678}, {"password": ["a"] * 8}]
)
def test_what_is_no_password(params: dict[str, Any]) -> None:
    assert default_password_validator(params) == ["Enter a password"]


def test_length_is_counted_in_composed_characters() -> None:
    assert "at least" in default_password_validator({"password": "e\u0301" * 7})[0]
    assert "at least" in default_password_validator({"password": "x7$Kq!9"})[0]
    assert "at most" in default_password_validator({"password": "x7" * MAX_LENGTH})[0]
