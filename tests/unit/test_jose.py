"""JSON Web Tokens: what is refused without a stumble, and keys that cannot work."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.jose import (
    JwtExpiredError,
    JwtInvalidError,
    SigningKey,
    TokenType,
    UnknownKeyError,
    VerificationKeys,
    VerificationPolicy,
    check_keys,
    generate_signing_key,
    load_signing_key,
    read_unverified,
    sign,
    sign_jwt,
    verify,
    verify_jwt,
)
from crossauth_backend.core.jose.cache import ClaimsCache, size_of

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


ISSUER = "https://issuer.example.com"
KEY = generate_signing_key("ES256")
HMAC_KEY = load_signing_key(SECRET, "HS256")
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": "api", "sub": "1", "exp": LATER}
POLICY = VerificationPolicy(
    algorithms=("ES256", "HS256"), issuers=(ISSUER,), audiences=("api", "other"), types=("at+jwt",),
    leeway=timedelta(seconds=10), required=("exp", "sub"),
)  # fmt: skip


def keys(*signing: SigningKey) -> VerificationKeys:
    return VerificationKeys(key.public() for key in signing)


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: object, claims: object = CLAIMS, secret: str = SECRET) -> str:
    """A token with a good signature, whatever is in it."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


def check(token: str, policy: VerificationPolicy = POLICY, now: datetime = NOW) -> dict[str, Any]:
    return verify(token, keys(KEY, HMAC_KEY), policy, now)


def test_a_token_that_fits_the_policy_gives_its_claims_every_time() -> None:
    token = sign(CLAIMS, KEY, TokenType.ACCESS)
    assert check(token) == check(token) == CLAIMS
    assert read_unverified(token) == ({"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid}, CLAIMS)
    assert check(by_hand({"alg": "HS256", "typ": "application/AT+JWT"})) == CLAIMS


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": ISSUER + "/"}, "iss"), ({"iss": ISSUER.upper()}, "iss"), ({"iss": ISSUER[:-1]}, "iss"), ({"iss": None}, "iss"),
        ({"iss": [ISSUER]}, "iss"), ({"iss": {ISSUER: 1}}, "iss"), ({"iss": ""}, "iss"), ({"iss": 10**400}, "iss"),
        ({"aud": "apis"}, "aud"), ({"aud": []}, "aud"), ({"aud": None}, "aud"), ({"aud": {"api": 1}}, "aud"),
        ({"aud": ["api", 1]}, "aud"), ({"aud": [["api"]]}, "aud"), ({"aud": True}, "aud"), ({"aud": 1e308}, "aud"),
        ({"sub": None}, "sub"), ({"sub": 1}, "sub"), ({"sub": ""}, "sub"), ({"sub": ["1"]}, "sub"), ({"jti": 1}, "jti"),
        ({"exp": None}, "exp"), ({"exp": 10**400}, "exp"), ({"exp": True}, "exp"), ({"exp": str(LATER)}, "exp"),
        ({"exp": 0}, "exp"), ({"exp": LATER - 110}, "exp"), ({"exp": -(10**400)}, "exp"), ({"exp": 2**53}, "exp"),
        ({"nbf": LATER}, "nbf"), ({"nbf": 10**400}, "nbf"), ({"nbf": {}}, "nbf"), ({"iat": LATER}, "iat"),
        ({"iat": "now"}, "iat"),
    ],
)  # fmt: skip
def test_a_claim_that_does_not_fit_is_named(changed: dict[str, Any], reason: str) -> None:
    token = sign({**CLAIMS, **changed}, KEY, TokenType.ACCESS)
    for _ in range(2):
        with pytest.raises(JwtInvalidError, match=f"^{reason}$"):
            check(token)


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp"])
def test_a_claim_that_is_missing_is_named(name: str) -> None:
    token = sign({k: v for k, v in CLAIMS.items() if k != name}, KEY, TokenType.ACCESS)
    with pytest.raises(JwtInvalidError, match=name):
        check(token)


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "jti", "extra"]),
        st.sampled_from([ISSUER, "api", "other", "nobody", "", None, 1, True, ["api"], ["nobody"], [], {}, {"api": 1}]),
    )
)
def test_claims_that_are_plainly_good_are_good_to_joserfc_as_well(said: dict[str, Any]) -> None:
    claims = {**said, "exp": LATER}
    try:
        POLICY.check_claims(claims, NOW.timestamp())
        accepted = True
    except JwtInvalidError:
        accepted = False
    registry = JWTClaimsRegistry(
        0, iss={"essential": True, "values": [ISSUER]}, aud={"essential": True, "values": ["api", "other"]},
        sub={"essential": True},
    )  # fmt: skip
    try:
        registry.validate(said)
        assert accepted
    except JoseError:
        assert not accepted


def test_a_token_that_nobody_remembers_is_verified_each_time() -> None:
    token, policy = sign({**CLAIMS, "jti": "not remembered"}, KEY, TokenType.ACCESS), POLICY
    for _ in range(2):
        assert verify(token, keys(KEY), policy, NOW, remember=False)["jti"] == "not remembered"
    with pytest.raises(JwtExpiredError):
        verify(token, keys(KEY), policy, NOW + timedelta(days=1), remember=False)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_has_one_text(part: int) -> None:
    """What decodes to the same bytes is another token all the same, and none of ours."""
    parts = by_hand({"alg": "HS256", "typ": "at+jwt", "x": "1"}, {**CLAIMS, "x": "12"}).split(".")
    text = parts[part]
    spellings = [text + "=" * (-len(text) % 4), text + "=", text.replace("-", "+").replace("_", "/")]
    if len(text) % 4:
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        spellings.append(text[:-1] + last[last.index(text[-1]) + 1])
    for spelling in spellings:
        if spelling != text:
            with pytest.raises(JwtInvalidError):
                check(".".join([*parts[:part], spelling, *parts[part + 1 :]]))


def test_clocks_may_differ_by_the_leeway_and_no_more() -> None:
    token = sign({**CLAIMS, "nbf": LATER - 90, "iat": LATER - 90}, KEY, TokenType.ACCESS)
    assert check(token) == check(token, now=NOW + timedelta(seconds=109))
    with pytest.raises(JwtExpiredError):
        check(token, now=NOW + timedelta(seconds=110))
    with pytest.raises(JwtInvalidError, match="nbf"):
        check(token, now=NOW - timedelta(seconds=1))
    with pytest.raises(JwtExpiredError):
        check(sign({**CLAIMS, "exp": LATER - 110}, KEY, TokenType.ACCESS))


def test_a_token_that_one_policy_accepted_is_not_accepted_by_another() -> None:
    token = sign(CLAIMS, KEY, TokenType.ACCESS)
    assert check(token)
    for changed in (
        {"audiences": ("third",)}, {"audiences": ()}, {"issuers": ()}, {"issuers": (f"{ISSUER}/",)}, {"types": ("jwt",)},
        {"algorithms": ("HS256",)}, {"algorithms": ()}, {"required": ("jti",)}, {"types": ()},
    ):  # fmt: skip
        fields = ("algorithms", "issuers", "audiences", "types")
        other = VerificationPolicy(**{**{name: getattr(POLICY, name) for name in fields}, **changed})
        with pytest.raises(JwtInvalidError):
            check(token, other)
    with pytest.raises(UnknownKeyError):
        verify(token, keys(generate_signing_key("ES256")), POLICY, NOW)


def test_a_token_is_of_one_kind() -> None:
    for kind in TokenType:
        policy = VerificationPolicy(algorithms=("ES256",), issuers=None, audiences=None, types=(kind.value,))
        for other in TokenType:
            token = sign(CLAIMS, KEY, other)
            if kind is other:
                assert check(token, policy) == CLAIMS
            else:
                with pytest.raises(JwtInvalidError, match="typ"):
                    check(token, policy)
    untyped = by_hand({"alg": "HS256"})
    with pytest.raises(JwtInvalidError, match="typ"):
        check(untyped)
    fits = VerificationPolicy(algorithms=("HS256",), issuers=None, audiences=None, types=("JWT", ""))
    assert check(untyped, fits) == check(by_hand({"alg": "HS256", "typ": "jwt"}), fits) == CLAIMS


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"}, {"alg": "None"}, {"alg": ""}, {"alg": None}, {"alg": ["HS256"]}, {"alg": {"HS256": 1}}, {}, [], "x", 1,
        {"alg": "HS384"}, {"alg": "ES256"}, {"alg": "hs256"}, {"alg": "HS256", "crit": ["exp"], "exp": 1},
        {"alg": "HS256", "crit": []}, {"alg": "HS256", "b64": False}, {"alg": "HS256", "b64": True},
        {"alg": "HS256", "zip": "DEF"}, {"alg": "HS256", "enc": "A128GCM"}, {"alg": "HS256", "p2c": 10**9},
        {"alg": "PBES2-HS256+A128KW", "p2c": 10**9, "p2s": "AAAA", "enc": "A128GCM"}, {"alg": "HS256", "typ": 1},
        {"alg": "HS256", "kid": 1}, {"alg": "HS256", "kid": ["a"]}, {"alg": "HS256", "x": "y" * 5000},
    ],
)  # fmt: skip
def test_a_header_that_is_not_ours_is_refused(header: Any) -> None:
    typed = {"typ": "at+jwt", **header} if isinstance(header, dict) else header
    with pytest.raises(JwtInvalidError):
        check(by_hand(typed))


def test_a_key_that_a_token_brings_along_is_ignored() -> None:
    own = generate_signing_key("ES256")
    header = {
        "typ": "at+jwt",
        "alg": "HS256",
        "jku": "https://evil.example.com/jwks",
        "x5u": "nonsense",
        "x5c": [1],
        "new": 1,
    }
    assert check(by_hand({**header, "jwk": own.public_jwk()})) == CLAIMS
    token = sign(CLAIMS, own, TokenType.ACCESS).split(".")
    signed = {"alg": "ES256", "typ": "at+jwt", "jwk": own.public_jwk()}
    with pytest.raises(JwtInvalidError):
        check(".".join((encoded(signed), *token[1:])))


@pytest.mark.parametrize(
    "header",
    [b'{"alg":"none","typ":"at+jwt","alg":"HS256"}', b'{"alg":"HS256","typ":"JWT","typ":"at+jwt"}', b"\xff", b"{}}"],
)
def test_a_name_that_comes_twice_in_a_header_is_refused(header: bytes) -> None:
    with pytest.raises(JwtInvalidError):
        check(by_hand(header))


@pytest.mark.parametrize(
    "extra",
    [
        b'"exp":1', b'"x":NaN', b'"x":Infinity', b'"x":-Infinity', b'"x":1e400', b'"x":"\\ud800"', b'"\\udfff":1', b'"x":"\xff"',
        b'"x":"\xed\xa0\x80"', b'"x":' + b"[" * 5000 + b"]" * 5000, b'"x":' + b'{"a":' * 70 + b"1" + b"}" * 70,
        b'"x":' + b"1" * 5000, b'"x":1}garbage',
    ],
)  # fmt: skip
def test_claims_that_are_no_json_are_refused(extra: bytes) -> None:
    whole = json.dumps(CLAIMS).encode()[:-1] + b"," + extra + b"}"
    for text in (whole, whole.decode("utf-8", "surrogateescape").encode("utf-16", "surrogatepass")):
        with pytest.raises(JwtInvalidError):
            check(by_hand({"alg": "HS256", "typ": "at+jwt"}, text))


@pytest.mark.parametrize("claims", [[], "x", 1, None, [CLAIMS]])
def test_claims_that_are_no_object_are_refused(claims: object) -> None:
    with pytest.raises(JwtInvalidError):
        check(by_hand({"alg": "HS256", "typ": "at+jwt"}, claims))


def test_text_that_is_no_token_is_refused() -> None:
    good = sign(CLAIMS, KEY, TokenType.ACCESS)
    head, body, signature = good.split(".")
    bad = [
        "", ".", "..", "...", "a.b.c", good + ".", "." + good, good + "=", good + "\n", " " + good, good + "\x00", "\ud800",
        f"{head}.{body}", f"{head}.{body}.", f"{head}..{signature}", f".{body}.{signature}", "." * 100_000, "A" * 10_000_000,
        f"{head}.{body}.{signature[:-4]}", f"{head}.{body}.{signature}\u00e9", f"{head}.{body}.{signature}!", f"{good}.x.y",
        f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{body}.", f"{encoded(b'[' * 3000)}.{body}.{signature}",
    ]  # fmt: skip
    for token in bad:
        with pytest.raises(JwtInvalidError):
            check(token)
    for token in bad[:12]:
        with pytest.raises(JwtInvalidError):
            read_unverified(token)


def test_a_public_key_is_no_hmac_secret() -> None:
    by_public = load_signing_key(RSA[0], "RS256")
    policy = VerificationPolicy(algorithms=("RS256", "HS256"), issuers=None, audiences=None, types=None)
    assert verify(sign(CLAIMS, by_public, TokenType.JWT), keys(by_public), policy, NOW)
    for secret in (RSA[1], RSA[1].strip(), json.dumps(by_public.public_jwk())):
        with pytest.raises(JwtInvalidError):
            verify(by_hand({"alg": "HS256", "kid": by_public.kid}, secret=secret), keys(by_public), policy, NOW)


def test_claims_that_json_cannot_say_are_not_signed() -> None:
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(ValueError):
            sign({"x": value}, KEY, TokenType.JWT)


def test_what_is_remembered_is_bound_to_keys() -> None:
    """A key that is withdrawn verifies nothing any more, however often it did."""
    token = sign(CLAIMS, KEY, TokenType.ACCESS)
    both, one = keys(KEY, HMAC_KEY), keys(HMAC_KEY)
    assert verify(token, both, POLICY, NOW) == verify(token, both, POLICY, NOW)
    with pytest.raises(UnknownKeyError):
        verify(token, one, POLICY, NOW)
