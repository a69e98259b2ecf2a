import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossauth_backend.core.fetch import FetchResponse
from crossauth_backend.oauth.client.answers import (
    MAX_AUTHENTICATORS,
    Nonsense,
    decrypt,
    foreign_error,
    read_answer,
    read_authenticators,
    read_device_response,
    read_token_response,
)

GOOD = {"access_token": "a", "token_type": "Bearer"}
DEVICE = {
    "device_code": "d",
    "user_code": "AB-CD",
    "verification_uri": "https://as.example.com/device",
    "expires_in": 600,
}
TEXT = st.text('a1 \x00"\n\u00e9\ud800', max_size=8)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def an_answer(body: Any, status: int = 200, kind: str = "application/json") -> FetchResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return FetchResponse(status=status, headers={"content-type": kind}, body=raw)


def test_a_token_response_is_read_and_nothing_else_of_it_is_kept() -> None:
    full = {**GOOD, "refresh_token": "r", "id_token": "i", "expires_in": 60, "scope": "a b"}
    assert read_token_response({**full, "more": 1, "token_type": "bEARER"}) == full
    assert read_token_response({**GOOD, "refresh_token": None, "id_token": "", "scope": None}) == GOOD


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(60, 60), (60.9, 60), ("60", 60), (0, 0), ("0", 0), (3_153_600_000, 3_153_600_000), (None, None)],
)
def test_seconds(value: Any, seconds: int | None) -> None:
    assert read_token_response({**GOOD, "expires_in": value}).get("expires_in") == seconds


@pytest.mark.parametrize("value", ["a b", ["a", "b"], "a  b", "a b a"])
def test_scopes(value: Any) -> None:
    assert read_token_response({**GOOD, "scope": value})["scope"] == "a b"


@given(
    st.dictionaries(
        st.sampled_from(["access_token", "token_type", "expires_in", "refresh_token", "id_token", "scope"]), ANY
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_token_response_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        found = read_token_response({**GOOD, **changes})
    except Nonsense:
        return
    assert found["access_token"].isascii()
    assert 0 <= found.get("expires_in", 0) <= 3_153_600_000


@given(ANY, st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]), st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_answer_is_an_object_an_error_or_nonsense(body: Any, status: int, may_be_list: bool) -> None:
    try:
        found = read_answer(an_answer(json.dumps(body).encode(), status), may_be_list=may_be_list)
    except Nonsense:
        return
    assert isinstance(found, dict)


def test_errors_have_the_names_of_the_standard() -> None:
    github = an_answer({"error": "bad_verification_code", "error_description": "The code passed is incorrect"})
    assert read_answer(github) == {"error": "invalid_grant", "error_description": "The code passed is incorrect"}
    mfa = an_answer({"error": "mfa_required", "error_description": "x", "mfa_token": "t"}, 403)
    assert read_answer(mfa)["mfa_token"] == "t"
    assert "mfa_token" not in read_answer(an_answer({"error": "invalid_grant", "mfa_token": "t"}, 400))
    assert read_answer(an_answer({"error": "slow_down"}, 429))["error"] == "slow_down"
    assert read_answer(an_answer({"error": "invalid_grant"}, 429))["error"] == "temporarily_unavailable"
    assert foreign_error(None, "x")["error"] == "server_error"


def test_an_error_that_is_null_is_none_and_hides_nothing() -> None:
    assert read_answer(an_answer({**GOOD, "error": None})) == GOOD


def test_a_device_response() -> None:
    assert read_device_response(DEVICE) == {**DEVICE, "interval": 5}
    google = {**DEVICE, "verification_uri": None, "verification_url": DEVICE["verification_uri"], "interval": "7"}
    assert read_device_response(google) == {**DEVICE, "interval": 7}
    assert read_device_response({**DEVICE, "interval": 10**6})["interval"] == 3600
    complete = {"verification_uri_complete": "https://as.example.com/device?user_code=AB-CD"}
    assert read_device_response({**DEVICE, **complete}).items() >= complete.items()
    for name in DEVICE:
        with pytest.raises(Nonsense):
            read_device_response({**DEVICE, name: None})


def test_a_challenge() -> None:
    assert decrypt({"challenge_type": "otp", "more": 1}) == {"challenge_type": "otp"}
    oob = {"challenge_type": "oob", "oob_code": "c", "binding_method": "prompt", "oob_channel": "sms", "name": "+1 ···"}
    assert decrypt(oob) == oob
    for wrong in (
        {},
        {"challenge_type": "sms"},
        {"challenge_type": ["otp"]},
        {"challenge_type": "oob"},
        {**oob, "oob_code": 1},
    ):
        with pytest.raises(Nonsense):
            decrypt(wrong)


def test_authenticators_that_are_none_are_left_out() -> None:
    one = {"id": "a", "authenticator_type": "oob", "active": True, "oob_channel": "email", "name": "a***@example.com"}
    entries = [
        one,
        {"id": "b"},
        {"id": 1, "authenticator_type": "otp"},
        "x",
        None,
        {"id": "c", "authenticator_type": "otp"},
    ]
    found = read_authenticators(entries)["authenticators"]
    assert found == [one, {"id": "c", "authenticator_type": "otp", "active": True}]
    for wrong in ({}, None, "x", [one] * (MAX_AUTHENTICATORS + 1)):
        with pytest.raises(Nonsense):
            read_authenticators(wrong)
