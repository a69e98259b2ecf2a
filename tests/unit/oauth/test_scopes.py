"""Scopes of tokens: how they are read, and whether they are enough."""

from typing import Any

import pytest

from crossauth_backend.oauth.resource.scopes import require_scopes, scopes_of
from crossauth_backend.oauth.wire.errors import InsufficientScope


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "a b"}, ("a", "b")), ({"scope": ["a", "b", "a"]}, ("a", "b")), ({"scp": "a"}, ("a",)),
        ({"scp": ["a"]}, ("a",)),
        ({"scope": "a", "scp": "b"}, ("a",)), ({"scope": "", "scp": "b"}, ()), ({"scope": [], "scp": "b"}, ()), ({}, ()),
        ({"scope": None}, ()), ({"scope": 1}, ()), ({"scope": {"a": 1}}, ()),
        ({"scope": ["a b", 1, None, ["c"], "é", "d"]}, ("d",)),
        ({"scope": True, "scp": "a"}, ()), ({"scope": "a\x00b \ud800 c"}, ("c",)),
    ],
)  # fmt: skip
def test_scopes_are_read_whatever_the_claim_is(claims: dict[str, Any], scopes: tuple[str, ...]) -> None:
    assert scopes_of(claims) == scopes


def test_a_claim_of_many_scopes_is_bounded() -> None:
    assert len(scopes_of({"scope": [f"s{n}" for n in range(10_000)]})) == 256


def test_all_that_is_needed_must_be_there_and_all_of_it_is_named() -> None:
    require_scopes(["a", "b"], [])
    require_scopes(["a", "b"], ["b"])
    for granted in ([], ["a"], ["b"], ["A", "b"]):
        with pytest.raises(InsufficientScope) as refused:
            require_scopes(granted, ["a", "b"])
        assert refused.value.scopes == ("a", "b")


def test_a_scope_includes_others_to_any_depth_and_in_circles() -> None:
    implied = {"admin": ["write"], "write": ["read", "admin"]}
    require_scopes(["admin"], ["read"], implied)
    with pytest.raises(InsufficientScope):
        require_scopes(["read"], ["write"], implied)
