"""The factors an application uses, by name."""

from typing import Any

import pytest

from crossauth_backend import (
    CrossauthError,
    DummyFactor2Authenticator,
    DummySmsAuthenticator,
    ErrorCode,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    TotpAuthenticator,
)
from crossauth_backend.factors.registry import NO_FACTOR2, Factors


@pytest.fixture
def factors() -> Factors:
    return Factors(
        {
            "pw": LocalPasswordAuthenticator(InMemoryUserStorage()),
            "totp": TotpAuthenticator("Test"),
            "sms": DummySmsAuthenticator(),
            "dummy": DummyFactor2Authenticator("123456"),
        }
    )


def test_each_learns_its_name(factors: Factors) -> None:
    assert [factors[name].factor_name for name in ("pw", "totp")] == ["pw", "totp"]
    assert [factor.factor_name for factor in factors.password_factors()] == ["pw"]
    assert factors.user_fields() == {"phone", "email"}
    assert set(factors.test_only()) == {"sms", "dummy"}


@pytest.mark.parametrize("name", ["", "PW", "localpassword", NO_FACTOR2])
def test_a_name_that_nobody_registered(factors: Factors, name: str) -> None:
    assert factors.get(name) is None
    with pytest.raises(CrossauthError) as refused:
        factors[name]
    assert refused.value.code is ErrorCode.Configuration
    assert f"{name!r}" in str(refused.value.detail)


def test_an_option_may_name_what_is_registered_or_none(factors: Factors) -> None:
    factors.require(["totp", NO_FACTOR2], "allowed_factor2")
    with pytest.raises(CrossauthError, match=r"allowed_factor2 names 'email', 'x'.*dummy, pw, sms, totp"):
        factors.require(["totp", "email", "x"], "allowed_factor2")
    with pytest.raises(CrossauthError, match="are: none"):
        Factors({}).require(["totp"], "allowed_factor2")


@pytest.mark.parametrize("wrong", [None, "totp", TotpAuthenticator])
def test_what_is_no_authenticator_stops_the_start(wrong: Any) -> None:
    with pytest.raises(CrossauthError, match="'totp' must be an Authenticator"):
        Factors({"totp": wrong})


@pytest.mark.parametrize("amr", ["hwk", ["hwk"], ("hwk", 1), None])
def test_names_that_are_no_tuple_of_texts_stop_the_start(monkeypatch: pytest.MonkeyPatch, amr: Any) -> None:
    """A text would be as many names as it has letters."""
    monkeypatch.setattr(TotpAuthenticator, "amr", amr)
    with pytest.raises(CrossauthError, match=r"'amr' of 'totp' must be a tuple of names, such as \('hwk',\)"):
        Factors({"totp": TotpAuthenticator("Test")})
