"""When and how a user logged in, as a session remembers it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import ErrorCode, Key, User
from crossauth_backend.accounts.freshness import (
    auth_facts,
    auth_of,
    bypasses_factor2,
    is_recent,
    is_two_factor,
    lacks_factor2,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def session(data: Any) -> Key:
    return Key(value="s:x", created=NOW, data=json.dumps(data))


def test_what_is_remembered_is_read_again() -> None:
    facts = auth_facts(NOW, ("pwd", "otp"))
    assert facts == {"at": int(NOW.timestamp()), "amr": ["pwd", "otp"]}
    assert auth_of(session({"crossauth": {"auth": facts}})) == facts


@pytest.mark.parametrize(
    "data", [{}, {"crossauth": None}, {"crossauth": []}, {"crossauth": {}}, {"crossauth": {"auth": "x"}},
             {"crossauth": {"auth": {}}}, {"crossauth": {"auth": {"at": "1"}}}, {"auth": {"at": 1}}],
)  # fmt: skip
def test_a_session_that_does_not_say_so_knows_nothing(data: Any) -> None:
    assert auth_of(session(data)) is None
    assert auth_of(None) is None


def test_a_login_is_recent_for_so_long() -> None:
    within, facts = timedelta(minutes=5), auth_facts(NOW, ["pwd"])
    assert is_recent(facts, NOW, within)
    assert is_recent(facts, NOW + within - timedelta(seconds=1), within)
    assert not is_recent(facts, NOW + within, within)
    assert not is_recent(None, NOW, timedelta.max), "nothing is known of it"


@pytest.mark.parametrize(
    ("methods", "two"),
    [
        (["pwd", "otp"], True), (["mfa"], True), (["pwd", "sms"], True), (["fpt", "hwk"], True),
        (["pwd"], False), (["pwd", "pin"], False), (["otp", "sms"], False), (["otp", "hwk"], False), ([], False),
        (["PWD", "OTP"], False), ([None, 1, ["pwd"], "otp"], False), (["pwd", "anything"], False),
    ],
)  # fmt: skip
def test_two_methods_of_one_kind_are_one_factor(methods: list[Any], two: bool) -> None:
    """RFC 8176 §2."""
    assert is_two_factor(methods) is two


def test_only_the_application_lets_a_session_do_without_a_second_factor() -> None:
    none, has = User(id=1, username="a"), User(id=1, username="a", factor2="totp")
    bypassed = {"crossauth": {"factor2_bypassed": True}}
    assert lacks_factor2(session({}), none) is ErrorCode.Factor2ResetNeeded
    assert lacks_factor2(session({}), has) is None
    assert lacks_factor2(session(bypassed), none) is None
    for data in ({}, {"crossauth": {"factor2_bypassed": 1}}, {"factor2_bypassed": True}, {"crossauth": "x"}):
        assert not bypasses_factor2(data)
