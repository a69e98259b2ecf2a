"""Keys: loading them, which algorithm fits which, and what is published."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from joserfc.jwk import OctKey

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.jose import (
    ASYMMETRIC_ALGORITHMS,
    SigningKey,
    SigningKeys,
    TokenType,
    UnknownKeyError,
    VerificationKey,
    VerificationKeys,
    VerificationPolicy,
    generate_signing_key,
    load_keys,
    load_signing_key,
    read_jwks,
    sign,
    verify,
)
from crossauth_backend.core.secrets import to_base64url

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = "a secret that is long enough to sign tokens with"
CLAIMS = {"exp": int(NOW.timestamp()) + 100}
ANY = VerificationPolicy(algorithms=(*ASYMMETRIC_ALGORITHMS, "HS256"), issuers=None, audiences=None, types=None)


def opens(keys: VerificationKeys, key: SigningKey) -> bool:
    try:
        return verify(sign(CLAIMS, key, TokenType.JWT), keys, ANY, NOW) == CLAIMS
    except ValueError:
        return False


def pem(key: Any, private: bool = False) -> str:
    encoding = serialization.Encoding.PEM
    if private:
        raw = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    else:
        raw = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    return str(raw.decode())


@pytest.mark.parametrize("algorithm", ASYMMETRIC_ALGORITHMS)
def test_every_algorithm_signs_and_is_published(algorithm: str) -> None:
    key = generate_signing_key(algorithm)
    jwks = SigningKeys((key,)).jwks()
    assert opens(read_jwks(json.loads(json.dumps(jwks))), key)
    assert opens(load_keys(json.dumps(jwks)), key)
    assert opens(load_keys(jwks["keys"][0]), key)
    assert [(k["alg"], k["use"], k["kid"]) for k in jwks["keys"]] == [(algorithm, "sig", key.kid)]


def test_the_kid_is_the_rfc_7638_thumbprint() -> None:
    jwk = generate_signing_key("ES256").public_jwk()
    assert jwk is not None
    members = json.dumps({k: jwk[k] for k in ("crv", "kty", "x", "y")}, separators=(",", ":"))

    assert jwk["kid"] == to_base64url(hashlib.sha256(members.encode()).digest())


def test_keys_are_loaded_from_pem_jwk_and_text() -> None:
    made = ed25519.Ed25519PrivateKey.generate()
    key = load_signing_key(pem(made, private=True), "EdDSA")
    assert opens(load_keys(pem(made)), key)
    assert opens(load_keys(pem(made), "Ed25519"), load_signing_key(pem(made, private=True), "Ed25519"))
    private = {**key.key.as_dict(private=True), "kid": "mine"}
    assert load_signing_key(private, "EdDSA").kid == load_signing_key(json.dumps(private), "EdDSA").kid == "mine"
    assert opens(load_keys(SECRET, "HS256"), load_signing_key(SECRET, "HS256"))


@pytest.mark.parametrize(
    ("source", "algorithm"),
    [
        (SECRET, None), ("", "HS256"), (SECRET, "RS256"), (SECRET, "none"), ("{", None), ("{}", None), ({}, None),
        ({"keys": []}, None), ({"keys": {}}, None), ({"keys": [1]}, None), ({"kty": "oct", "k": "AAAA"}, None),
        (pem(rsa.generate_private_key(65537, 2048)), "HS256"), (pem(rsa.generate_private_key(65537, 2048)), "ES256"),
        (pem(rsa.generate_private_key(65537, 1024)), None), (pem(ed448.Ed448PrivateKey.generate()), None),
        (pem(ec.generate_private_key(ec.SECP256K1())), None), (pem(ec.generate_private_key(ec.SECP256R1())), "ES512"),
        ("{" * 100_000, None),
    ],
)  # fmt: skip
def test_a_key_that_cannot_verify_stops_the_start(source: Any, algorithm: str | None) -> None:
    with pytest.raises(CrossauthError, match="JWT: ") as refused:
        load_keys(source, algorithm)
    assert SECRET not in f"{refused.value} {refused.value.detail}"


@pytest.mark.parametrize("algorithm", ["RS256", "ES512", "HS256", "none"])
def test_a_key_that_cannot_sign_stops_the_start(algorithm: str) -> None:
    public = pem(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(CrossauthError):
        load_signing_key(public, algorithm)
    with pytest.raises(CrossauthError, match="private key"):
        load_signing_key(public, "ES256")


def test_nothing_private_is_published() -> None:
    keys = [generate_signing_key(a) for a in ("RS256", "ES256", "EdDSA")] + [load_signing_key(SECRET, "HS256")]
    published = SigningKeys(tuple(keys)).jwks()
    assert len(published["keys"]) == 3
    assert {name for key in published["keys"] for name in key} == {
        "kty",
        "n",
        "e",
        "crv",
        "x",
        "y",
        "kid",
        "alg",
        "use",
    }
    assert not any(
        text in repr((keys, keys[0].public()))
        for text in (SECRET, "RSAKey", str(keys[1].key.as_dict(private=True)["d"]))
    )


def test_a_secret_has_no_name_in_tokens() -> None:
    """Its thumbprint would let a weak one be guessed from any token, before one has to guess signatures."""
    assert load_signing_key(SECRET, "HS256", kid="x").kid is None


def test_keys_of_others_are_taken_as_far_as_they_are_understood() -> None:
    good = generate_signing_key("ES256")
    jwk = good.public_jwk()
    small = generate_signing_key("RS256").key.as_dict(private=False) | {"n": "AQAB"}
    entries: list[Any] = [
        None, 1, "x", [], {}, {"kty": "oct", "k": "AAAA"}, OctKey.import_key(SECRET).as_dict(), {"kty": "RSA"}, {"kty": ["RSA"]},
        {"kty": "LMS"}, small, {**jwk, "use": "enc"}, {**jwk, "use": 1}, {**jwk, "key_ops": ["encrypt"]}, {**jwk, "key_ops": 1},
        {**jwk, "x": 1}, {**jwk, "x": "A" * 10_000}, {**jwk, "x": "\ud800"}, {**jwk, "crv": "P-384"}, {**jwk, "kid": 1},
        {**jwk, "alg": "ES384"}, {**jwk, "alg": ["ES256"]}, {**jwk, "alg": "none"}, {**jwk, "crv": "X25519", "kty": "OKP"},
        {"kty": "RSA", "n": "A" * 2048, "e": "A" * 2048},
    ]  # fmt: skip
    assert not read_jwks({"keys": entries})
    assert opens(read_jwks({"keys": [*entries, jwk]}), good)
    for document in (None, [], "x", 1, {}, {"keys": {}}, {"keys": None}):
        with pytest.raises(ValueError):
            read_jwks(document)
    assert len(read_jwks({"keys": [generate_signing_key("ES256").public_jwk()] * 500}).keys) == 64


def test_a_private_key_that_somebody_publishes_is_used_as_a_public_one() -> None:
    key = generate_signing_key("ES256")
    found = read_jwks({"keys": [{**key.key.as_dict(private=True)}]})
    assert opens(found, key)
    assert not found.keys[0].key.is_private


def test_a_token_without_a_kid_is_tried_with_every_key_that_fits() -> None:
    first, second = generate_signing_key("ES256"), generate_signing_key("ES256")
    nameless = SigningKey(second.key, "ES256", None)
    assert opens(read_jwks({"keys": [first.public_jwk(), second.public_jwk()]}), nameless)
    with pytest.raises(UnknownKeyError):
        verify(sign(CLAIMS, nameless, TokenType.JWT), read_jwks({"keys": [first.public_jwk()]}), ANY, NOW)


def test_keys_are_published_before_they_sign_and_after_they_did() -> None:
    old, new, next_ = (generate_signing_key("ES256") for _ in range(3))
    other = generate_signing_key("EdDSA")
    before = SigningKeys((old, other), upcoming=(new,))
    after = before.rotated([next_])
    assert before.signer() is old
    assert after.signer("ES256") is new
    assert after.signer("EdDSA") is other
    assert {k["kid"] for k in after.jwks()["keys"]} == {old.kid, new.kid, next_.kid, other.kid}
    for key in (old, new, next_, other):
        assert opens(after.verification_keys(), key)
    assert [key.kid for key in after.retired] == [old.kid]
    with pytest.raises(CrossauthError, match="no current key signs with RS256"):
        after.signer("RS256")
    for current in ((), (old, new)):
        with pytest.raises(CrossauthError, match="one for each algorithm"):
            SigningKeys(current)


def test_a_key_is_not_taken_with_an_algorithm_that_it_does_not_fit() -> None:
    key = generate_signing_key("ES256").public().key
    with pytest.raises(CrossauthError, match="the key does not fit RS256") as e:
        VerificationKey(key, frozenset({"RS256"}))
    assert e.value.code is ErrorCode.Configuration
