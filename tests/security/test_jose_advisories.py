"""Holes that were found in JOSE and OAuth libraries, tried on our tokens. Each test is named after its identifier."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from crossauth_backend import CrossauthError
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from crossauth_fastapi.fastapi_users.jwt import generate_jwt
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, open_site

KEY = rsa.generate_private_key(65537, 2048)
_PEM, _PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()
PRIVATE = KEY.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN).decode()
PUBLIC = KEY.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """One backend signs by HMAC, another by RSA."""
    by_rsa = AuthenticationBackend[Any, Any](
        "rsa",
        BearerTransport("auth/rsa/login"),
        lambda: JWTStrategy(PRIVATE, 600, algorithm="RS256", public_key=PUBLIC),
    )
    with open_site(tmp_path, more_backends=[by_rsa]) as api:
        api.register()
        yield api


def claims(api: Api, by: str = "jwt", **changed: Any) -> dict[str, Any]:
    """What the token of a login says; only the key tells ours from it."""
    body = api.bearer(by=by)["Authorization"].split(".")[1]
    issued = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return {
        "sub": issued["sub"],
        "pwd": issued["pwd"],
        "aud": ["fastapi-users:auth"],
        "exp": int(time.time()) + 100,
        **changed,
    }


def encoded(part: Any) -> bytes:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def by_hmac(header: dict[str, Any], body: Any, key: bytes) -> str:
    signed = encoded({"typ": "JWT", **header}) + b"." + encoded(body)
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[header["alg"]]
    return (signed + b"." + encoded(hmac.digest(key, signed, digest))).decode()


def by_rsa(header: dict[str, Any], body: Any, key: rsa.RSAPrivateKey = KEY) -> str:
    signed = encoded({"typ": "JWT", **header}) + b"." + encoded(body)
    return (signed + b"." + encoded(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


def status(api: Api, token: str) -> int:
    return api.get("/hello", headers={"Authorization": f"Bearer {token}"}).status_code


def test_tokens_made_by_hand_are_good_where_nothing_is_wrong(api: Api) -> None:
    """Or the other tests here would show nothing."""
    assert status(api, by_hmac({"alg": "HS256"}, claims(api), SECRET.encode())) == 200
    assert status(api, by_rsa({"alg": "RS256"}, claims(api, "rsa"))) == 200


def test_dsa_3293_and_cve_2024_33663_a_public_key_is_no_hmac_secret(api: Api) -> None:
    for key in (PUBLIC.encode(), PUBLIC.strip().encode(), encoded(PUBLIC.encode())):
        for algorithm in ("HS256", "HS384", "HS512"):
            assert status(api, by_hmac({"alg": algorithm}, claims(api), key)) == 401


def test_cve_2022_29217_only_the_algorithm_that_was_configured(api: Api) -> None:
    assert status(api, by_hmac({"alg": "HS512"}, claims(api), SECRET.encode())) == 401
    assert status(api, by_rsa({"alg": "PS256"}, claims(api, "rsa"))) == 401
    for algorithm in ("rs256", "RS256 ", "", None, ["RS256"], {"RS256": 1}):
        assert status(api, by_rsa({"alg": algorithm}, claims(api, "rsa"))) == 401


@pytest.mark.parametrize("name", ["exp", "b64", "unknown"])
def test_cve_2026_32597_cve_2025_59420_and_python_jose_413_nothing_unknown_may_be_critical(api: Api, name: str) -> None:
    for crit in ([name], [], name, [name, name]):
        assert status(api, by_hmac({"alg": "HS256", "crit": crit, name: True}, claims(api), SECRET.encode())) == 401


@pytest.mark.parametrize(
    "secret", [PUBLIC, PRIVATE, '{"kty": "oct", "k": "AAAA"}', "ssh-rsa AAAAB3NzaC1yc2E user@host", "  -----BEGIN X"]
)
def test_cve_2026_48526_and_cve_2024_37568_a_key_file_is_no_hmac_secret(secret: str) -> None:
    with pytest.raises(CrossauthError, match="text of its own"):
        JWTStrategy(secret, 60)


def test_ghsa_jq35_7prp_9v3f_a_key_of_another_kind_does_not_start() -> None:
    for algorithm in ("ES256", "none", "HS257", "dir"):
        with pytest.raises(CrossauthError):
            JWTStrategy(PRIVATE, 60, algorithm=algorithm, public_key=PUBLIC)


def test_cve_2026_101918_nothing_is_done_by_claims_that_are_not_signed(api: Api) -> None:
    header, body, signature = by_hmac({"alg": "HS256"}, claims(api), SECRET.encode()).split(".")
    other = encoded(claims(api, sub="00000000-0000-0000-0000-000000000000", exp=4_000_000_000)).decode()
    for token in (f"{header}.{other}.{signature}", f"{header}.{body}.", f"{header}.{body}", f"{header}..{signature}"):
        assert status(api, token) == 401


def test_cve_2024_33664_and_cve_2025_61920_a_token_as_large_as_a_book(tmp_path: Path) -> None:
    """Also one that we would have to decode first: it comes back before anything of it is read."""
    strategy = JWTStrategy[Any, Any](SECRET, 60)
    good = generate_jwt({"sub": "1", "aud": ["fastapi-users:auth"]}, SECRET, 60)
    assert strategy.read_claims(good) is not None
    large = generate_jwt({"sub": "1", "aud": ["fastapi-users:auth"], "x": "y" * 20_000}, SECRET, 60)
    for token in (large, "A" * 10_000_000, f"{'A' * 5_000_000}.{'A' * 5_000_000}.x", good + "." * 100_000):
        assert strategy.read_claims(token) is None


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_cve_2026_28802_no_signature_is_no_token(api: Api, algorithm: str) -> None:
    unsigned = (encoded({"alg": algorithm}) + b"." + encoded(claims(api)) + b".").decode()
    for token in (unsigned, unsigned + "AAAA", unsigned[:-1]):
        assert status(api, token) == 401
    for path in ("verify", "reset-password"):
        body = {"token": unsigned, "password": "merlin"}
        assert api.post(f"/auth/{path}", json=body).status_code == 400


def test_cve_2026_27962_a_key_that_the_token_brings_along_is_not_trusted(api: Api) -> None:
    own = rsa.generate_private_key(65537, 2048)
    numbers = own.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": encoded(numbers.n.to_bytes(256, "big")).decode(), "e": "AQAB"}
    for header in (
        {"jwk": jwk},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/cert"},
        {"kid": "../x"},
    ):
        assert status(api, by_rsa({"alg": "RS256", **header}, claims(api, "rsa"), own)) == 401


def test_1_7_0_notes_an_end_of_0_has_come(api: Api) -> None:
    for end in (0, -1, 1, 0.5):
        assert status(api, by_hmac({"alg": "HS256"}, claims(api, exp=end), SECRET.encode())) == 401
