"""JSON Web Tokens: what is refused without a stumble, and keys that cannot work."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.claims_cache import ClaimsCache, size_of
from crossauth_backend.core.jose import JwtInvalidError, check_keys, sign_jwt, verify_jwt

SECRET = "a secret that is long enough to sign tokens with"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = int(NOW.timestamp()) + 100


def pair(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> tuple[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


RSA, OTHER_RSA = (pair(rsa.generate_private_key(65537, 2048)) for _ in range(2))
P256, P521 = pair(ec.generate_private_key(ec.SECP256R1())), pair(ec.generate_private_key(ec.SECP521R1()))


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize("moment", [10**400, -(10**400), True, "1", [1], {}])
def test_a_moment_that_is_none_is_no_token_of_ours(claim: str, moment: object) -> None:
    token = sign_jwt({"aud": "us", "exp": LATER, claim: moment}, SECRET)
    with pytest.raises(JwtInvalidError):
        verify_jwt(token, SECRET, audience=["us"], now=NOW)


@pytest.mark.parametrize(
    ("signs", "verifies", "algorithm"),
    [
        (SECRET, SECRET, "HS512"), (RSA[0], RSA[1], "RS256"), (RSA[0], RSA[0], "PS384"), (P256[0], P256[1], "ES256"),
        (P521[0], P521[1], "ES512"),
    ],
)  # fmt: skip
def test_keys_that_fit_pass(signs: str, verifies: str, algorithm: str) -> None:
    check_keys(signs, verifies, algorithm)


@pytest.mark.parametrize(
    ("signs", "verifies", "algorithm", "text"),
    [
        (RSA[1], RSA[1], "RS256", "cannot sign with RS256"),
        (P256[0], P256[1], "ES512", "cannot sign with ES512"),
        (RSA[0], OTHER_RSA[1], "RS256", "does not fit the key that signs"),
        (P521[0], P256[1], "ES512", "does not fit the key that signs"),
        (SECRET, f"another {SECRET}", "HS256", "does not fit the key that signs"),
        (RSA[0], RSA[1], "ES256", "does not fit the algorithm"),
        (RSA[0], RSA[1], "HS256", "text of its own"),
        (SECRET, SECRET, "none", "not offered"),
    ],
)
def test_keys_that_cannot_work_are_said_before_there_is_a_token(
    signs: str, verifies: str, algorithm: str, text: str
) -> None:
    with pytest.raises(CrossauthError, match=text) as refused:
        check_keys(signs, verifies, algorithm)
    assert refused.value.code is ErrorCode.Configuration
    assert "PRIVATE" not in repr(refused.value.detail)


def test_what_a_token_says_is_handed_out_as_a_copy_each_time() -> None:
    """Whoever changes it, however deep, changes it for nobody else."""
    token = sign_jwt({"aud": "a", "exp": LATER, "roles": ["user"], "in": {"a": [1]}}, SECRET)
    for _ in range(3):
        claims = verify_jwt(token, SECRET, audience=["a"], now=NOW)
        assert (claims["roles"], claims["in"]) == (["user"], {"a": [1]})
        claims["roles"].append("king")
        claims["in"]["a"].append(2)
        claims["sub"] = "mordred"


def test_what_is_remembered_of_tokens_is_bounded_in_bytes_and_holds_no_token() -> None:
    cache = ClaimsCache(20_000)
    for number in range(500):
        cache.put(ClaimsCache.name(f"token {number}", "key"), {"sub": str(number), "aud": ["a"] * 20})
    assert cache.get(ClaimsCache.name("token 0", "key")) is None, "the oldest is forgotten"
    assert cache.get(ClaimsCache.name("token 499", "key")) is not None
    assert cache.get(ClaimsCache.name("token 499", "other key")) is None
    assert sum(size_of(claims) for claims, _ in cache._kept.values()) < 20_000
    assert "token" not in repr(cache._kept)
    cache.put("huge", {"a": "x" * 30_000})
    assert cache.get("huge") is None
