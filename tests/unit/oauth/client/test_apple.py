"""Apple's client secret."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.core.jose import VerificationPolicy, generate_signing_key, read_unverified, verify
from crossauth_backend.core.jose.keys import VerificationKeys
from crossauth_backend.oauth.client.apple import AppleSecret, apple_client_secret

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEY = generate_signing_key("ES256")
PEM = KEY.key.as_pem(private=True).decode()
WHO = {"team_id": "TEAM567890", "key_id": "KEY4567890", "private_key": PEM}


def test_a_secret_is_as_apple_wants_it() -> None:
    """Source: Apple, "Creating a client secret"."""
    secret = apple_client_secret("com.example.login", **WHO, clock=lambda: NOW)
    header, claims = read_unverified(secret)
    assert (header["alg"], header["kid"]) == ("ES256", "KEY4567890")
    issued = int(NOW.timestamp())
    assert claims == {
        "iss": "TEAM567890", "sub": "com.example.login", "aud": "https://appleid.apple.com", "iat": issued, "exp": issued + 3600,
    }  # fmt: skip
    policy = VerificationPolicy(
        algorithms=("ES256",), issuers=("TEAM567890",), audiences=("https://appleid.apple.com",), types=("jwt",)
    )
    assert verify(secret, VerificationKeys([replace(KEY.public(), kid="KEY4567890")]), policy, NOW) == claims


def test_a_secret_is_made_anew_before_it_runs_out() -> None:
    time = [NOW]
    secret = AppleSecret("com.example.login", **WHO, clock=lambda: time[0])
    first = secret()
    assert secret() == first
    time[0] += timedelta(minutes=29)
    assert secret() == first
    time[0] += timedelta(minutes=2)
    second = secret()
    assert read_unverified(second)[1]["exp"] == int(time[0].timestamp()) + 3600
    time[0] -= timedelta(days=400)
    assert read_unverified(secret())[1]["iat"] == int(time[0].timestamp()), "a clock that was set back"
    assert first not in repr(secret)
    assert "PRIVATE" not in repr(secret)


RSA = generate_signing_key("RS256").key.as_pem(private=True).decode()
PUBLIC = KEY.key.as_pem(private=False).decode()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"team_id": "short"}, "team_id"), ({"key_id": "lowercase1"}, "key_id"), ({"private_key": "AuthKey_X.p8"}, "private_key"),
        ({"private_key": RSA}, "private_key"), ({"private_key": PUBLIC}, "private_key"), ({"team_id": None}, "team_id"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\ngarbage\n-----END PRIVATE KEY-----"}, "private_key"),
        ({"private_key": None}, "private_key"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(changed: dict[str, str], named: str) -> None:
    with pytest.raises(CrossauthError, match=f"provider 'apple': '{named}'") as wrong:
        AppleSecret("com.example.login", **{**WHO, **changed})
    assert "garbage" not in wrong.value.message
