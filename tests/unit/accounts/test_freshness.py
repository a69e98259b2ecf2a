"""When and how a user logged in, as a session remembers it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import ErrorCode, Key, User
from crossauth_backend.accounts.authentication import Authentication, auth_facts, auth_in, auth_of, bypasses_factor2
from crossauth_backend.accounts.freshness import is_fresh, is_two_factor, lacks_factor2, met_acr

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def session(data: Any) -> Key:
    return Key(value="s:x", created=NOW, data=json.dumps(data))


def test_what_is_remembered_is_read_again() -> None:
    facts = auth_facts(NOW, ("pwd", "otp", "otp"), "2")
    assert facts == Authentication(int(NOW.timestamp()), ("pwd", "otp"), "2", facts.sid)
    assert auth_of(session({"crossauth": {"auth": facts.to_data()}})) == facts


def test_every_login_has_a_sid_of_its_own_that_no_log_shows() -> None:
    facts, other = auth_facts(NOW, ()), auth_facts(NOW, ())
    assert facts.sid is not None
    assert len(facts.sid) >= 22, "128 bits"
    assert facts.sid != other.sid
    assert facts.sid not in repr(facts)
    assert auth_facts(NOW, (), sid=facts.sid).sid == facts.sid


def test_a_session_of_an_older_version_is_read() -> None:
    stored = {"crossauth": {"auth": {"at": 1767323045, "amr": ["pwd", "otp"]}, "agent": "x"}}
    assert auth_of(session(stored)) == Authentication(1767323045, ("pwd", "otp"))


def test_a_session_of_which_only_the_sid_is_known_has_no_time() -> None:
    auth = auth_of(session({"crossauth": {"auth": Authentication(None, sid="s").to_data()}}))
    assert auth == Authentication(None, sid="s")
    assert not is_fresh(auth.auth_time, NOW, timedelta.max)


@pytest.mark.parametrize(
    "facts",
    [
        {"auth_time": 10**400}, {"auth_time": float("inf")}, {"auth_time": float("nan")}, {"auth_time": True},
        {"auth_time": "1"}, {"amr": "mfa"}, {"amr": {"mfa": 1}}, {"amr": [None, 1, ["mfa"]]}, {"acr": ["2"]}, {"acr": 2},
        {"sid": 7}, {"sid": ""}, {"sid": ["x"]}, {"at": 1}, {},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_not_known(facts: dict[str, Any]) -> None:
    assert auth_in(facts) == Authentication(None)


@pytest.mark.parametrize(
    "data", [{}, {"crossauth": None}, {"crossauth": []}, {"crossauth": {}}, {"crossauth": {"auth": "x"}},
             {"crossauth": {"auth": {}}}, {"crossauth": {"auth": {"at": "1"}}}, {"auth": {"at": 1}}],
)  # fmt: skip
def test_a_session_that_does_not_say_so_knows_nothing(data: Any) -> None:
    assert auth_of(session(data)) is None
    assert auth_of(None) is None


def test_a_login_is_fresh_for_so_long() -> None:
    within, at = timedelta(minutes=5), int(NOW.timestamp())
    assert is_fresh(at, NOW, within)
    assert is_fresh(at, NOW + within - timedelta(seconds=1), within)
    assert not is_fresh(at, NOW + within, within)
    assert not is_fresh(at, NOW, timedelta(0)), "as prompt=login"
    assert not is_fresh(None, NOW, timedelta.max), "nothing is known of it"


def test_a_clock_may_be_a_minute_ahead_and_no_more() -> None:
    at = int(NOW.timestamp())
    assert is_fresh(at + 60, NOW, timedelta(minutes=5))
    assert not is_fresh(at + 61, NOW, timedelta(minutes=5))


@pytest.mark.parametrize(
    ("acr_values", "methods", "acr"),
    [
        (("1", "2"), ("pwd",), "1"), (("2", "1"), ("pwd",), "1"), (("2", "1"), ("pwd", "otp"), "2"),
        (("1", "2"), ("pwd", "otp"), "1"), (("2",), ("pwd",), None), (("silver",), ("pwd", "otp"), None), ((), ("pwd",), None),
        (("gold", "2"), ("mfa",), "2"),
        (("http://schemas.openid.net/pape/policies/2007/06/multi-factor",), ("pwd", "sms"),
         "http://schemas.openid.net/pape/policies/2007/06/multi-factor"),
    ],
)  # fmt: skip
def test_the_first_context_class_that_is_met_counts(
    acr_values: tuple[str, ...], methods: tuple[str, ...], acr: str | None
) -> None:
    """OpenID Connect Core §3.1.2.1: they are in order of preference."""
    assert met_acr(acr_values, methods) == acr


@pytest.mark.parametrize(
    ("methods", "two"),
    [
        (["pwd", "otp"], True), (["mfa"], True), (["pwd", "sms"], True), (["fpt", "hwk"], True),
        (["pwd"], False), (["pwd", "pin"], False), (["otp", "sms"], False), (["otp", "hwk"], False), ([], False),
        (["PWD", "OTP"], False), (["pwd", "anything"], False),
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
