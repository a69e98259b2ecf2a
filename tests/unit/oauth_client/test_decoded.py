"""Tokens that are shown decoded, and texts that say yes."""

import json
from typing import Any

import pytest

from crossauth_backend.core.secrets import to_base64url
from crossauth_fastapi._oauth_client.decoded import decode_payload, string_is_true


def jwt(claims: Any) -> str:
    return f"e30.{to_base64url(json.dumps(claims).encode())}.sig"


def test_the_claims_are_what_the_token_says() -> None:
    assert decode_payload(jwt({"sub": "ä", "exp": 5, "ok": True})) == {"sub": "ä", "exp": 5, "ok": True}


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "a",
        "a.b",
        jwt([]),
        jwt({}),
        jwt("x"),
        jwt({"a": "\ud800"}),
        jwt({"\ud800": 1}),
        "e30.!!!.x",
        "e30.e30.x.y",
        "x" * 70_000,
    ],
)
def test_what_is_no_token_has_none(token: str | None) -> None:
    assert decode_payload(token) is None


def test_what_is_too_deep_is_not_shown() -> None:
    deep: Any = {}
    for _ in range(50):
        deep = {"a": deep}
    assert decode_payload(jwt(deep)) is None


def test_a_text_says_yes() -> None:
    assert all(map(string_is_true, ("true", "T", " on", "1", "YES", "y")))
    assert not any(map(string_is_true, ("", "false", "0", "no", "off", "2", "truely")))
