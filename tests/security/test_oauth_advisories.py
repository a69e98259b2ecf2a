"""Holes that were found in OAuth and JOSE libraries, tried on our resource server. Each test is named after its identifier."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from crossauth_backend import CrossauthError, OAuthResourceServer, OAuthTokenConsumer
from crossauth_backend.core.jose import TokenType, generate_signing_key
from crossauth_backend.oauth.wire.bearer import read_bearer
from crossauth_backend.oauth.wire.errors import InvalidToken
from crossauth_backend.testing import FakeClock, FakeIssuer, Fault


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def issuer(clock: FakeClock) -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(algorithms=("RS256",), clock=clock) as issuer:
        yield issuer


@pytest.fixture
async def consumer(issuer: FakeIssuer, clock: FakeClock) -> AsyncIterator[OAuthTokenConsumer]:
    consumer = OAuthTokenConsumer("api", {"auth_server_base_url": issuer.url}, clock=clock)
    assert await consumer.authorize(issuer.issue_token())
    yield consumer
    await consumer.aclose()


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def is_refused(consumer: OAuthTokenConsumer, token: str) -> bool:
    return await consumer.token_authorized(token, "access") is None


async def test_dsa_3293_and_cve_2024_33663_a_published_key_signs_nothing(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer
) -> None:
    jwk = issuer.keys.signer().public_jwk() or {}
    body = issuer.issue_token().split(".")[1]
    for secret in (json.dumps(jwk), jwk["n"], json.dumps(issuer.keys.jwks())):
        signed = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': jwk['kid']})}.{body}"
        assert await is_refused(
            consumer, f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"
        )


async def test_cve_2024_53861_an_issuer_is_compared_whole(issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    for iss in (
        issuer.url[:-1],
        issuer.url[1:],
        f"{issuer.url}/",
        f" {issuer.url}",
        issuer.url.upper(),
        [issuer.url],
        "",
    ):
        assert await is_refused(consumer, issuer.issue_token(iss=iss))


async def test_cve_2026_48524_random_key_names_fetch_once_and_a_failed_fetch_takes_no_key_away(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer, clock: FakeClock
) -> None:
    _, body, signature = issuer.issue_token(key=generate_signing_key("RS256")).split(".")
    clock.advance(seconds=31)
    issuer.fault = Fault.UNAVAILABLE
    for number in range(500):
        header = encoded({"alg": "RS256", "typ": "at+jwt", "kid": f"random {number}"})
        assert await is_refused(consumer, f"{header}.{body}.{signature}")
    assert issuer.requests["jwks"] == 2
    assert not await is_refused(consumer, issuer.issue_token())


async def test_cve_2026_28802_no_signature_is_no_token(issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    for token in (
        issuer.unsigned_token(),
        issuer.unsigned_token() + "AAAA",
        issuer.issue_token().rpartition(".")[0] + ".",
    ):
        assert await is_refused(consumer, token)


async def test_cve_2026_27962_a_key_that_the_token_brings_along_is_not_trusted(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer
) -> None:
    own = generate_signing_key("RS256")
    signer, body = own.key.private_key, issuer.issue_token().split(".")[1]
    for brought in ({"jwk": own.public_jwk()}, {"jku": f"{issuer.origin}/own"}, {"x5u": f"{issuer.origin}/own"}):
        signed = f"{encoded({'alg': 'RS256', 'typ': 'at+jwt', **brought})}.{body}"
        signature = signer.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert await is_refused(consumer, f"{signed}.{encoded(signature)}")
    assert issuer.requests["/own"] == 0


async def test_0_58_0_a_token_for_another_application_is_refused(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer
) -> None:
    for audience in ("another", ["another"], "api2", "ap", []):
        assert await is_refused(consumer, issuer.issue_token(audience))


async def test_cve_2025_61920_a_token_as_large_as_a_book_fetches_nothing(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer, clock: FakeClock
) -> None:
    clock.advance(seconds=31)
    for token in ("A" * 10_000_000, f"{'A' * 5_000_000}.{'A' * 5_000_000}.x", issuer.issue_token(x="y" * 20_000)):
        assert await is_refused(consumer, token)
    assert issuer.requests["jwks"] == 1


def test_ghsa_xmf8_cvqr_rfgj_a_malformed_authorization_header_is_an_invalid_token() -> None:
    for header in (
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer \x00",
        "bearer =",
        "Bearer \ud800",
        "Bearer " + "A" * 100_000,
    ):
        with pytest.raises(InvalidToken):
            read_bearer(header)


async def test_a_token_of_another_kind_is_no_access_token(issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    for kind in TokenType:
        assert await is_refused(consumer, issuer.issue_token(kind=kind)) is (kind is not TokenType.ACCESS)


def by_hand(issuer: FakeIssuer, header: dict[str, Any], body: Any = None, *, pss: bool = False) -> str:
    """A token with a good signature by the issuer's key, whatever its header says."""
    key = issuer.keys.signer()
    head = encoded({"alg": "RS256", "typ": "at+jwt", "kid": key.kid, **header})
    text = f"{head}.{issuer.issue_token().split('.')[1] if body is None else encoded(body)}"
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else padding.PKCS1v15()
    private: Any = key.key.private_key
    return f"{text}.{encoded(private.sign(text.encode(), scheme, hashes.SHA256()))}"


async def test_cve_2022_29217_only_algorithms_that_are_allowed(issuer: FakeIssuer, clock: FakeClock) -> None:
    """The list of algorithms is explicit, and the default one has no HMAC and no `none` (RFC 8725 §3.1)."""
    keys = issuer.keys.signer().key.as_pem(private=False).decode()
    for allowed, accepted in ((["PS256"], "PS256"), (["RS256"], "RS256"), (["ES256"], "")):
        options: Any = {"auth_server_base_url": issuer.url, "algorithms": allowed}
        consumer = OAuthTokenConsumer("api", options, clock=clock)
        consumer.keys = keys
        for algorithm in ("RS256", "PS256", "HS256", "none"):
            token = by_hand(issuer, {"alg": algorithm}, pss=algorithm == "PS256")
            assert await is_refused(consumer, token) is (algorithm != accepted), (allowed, algorithm)
    for name in ("HS256", "none", "RS1"):
        wrong: Any = {"auth_server_base_url": issuer.url, "algorithms": ["RS256", name]}
        with pytest.raises(CrossauthError, match="algorithms"):
            OAuthTokenConsumer("api", wrong)


async def test_cve_2026_32597_cve_2025_59420_and_python_jose_413_nothing_unknown_may_be_critical(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer
) -> None:
    """Extensions that must be understood are refused, for there are none here (RFC 7515 §4.1.11)."""
    assert not await is_refused(consumer, by_hand(issuer, {"unknown": True}))
    for crit in (["unknown"], [], "unknown", ["exp"], ["b64"], None, [{}]):
        assert await is_refused(consumer, by_hand(issuer, {"unknown": True, "crit": crit})), crit


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PUBLIC KEY-----\nMIIB", '{"kty": "RSA"}', ' {"keys": []}', "ssh-rsa AAAAB3NzaC1yc2E u@h",
        "ecdsa-sha2-nistp256 AAAA",
    ],
)  # fmt: skip
def test_cve_2026_48526_and_cve_2024_37568_a_key_file_is_no_secret(secret: str, tmp_path: Path) -> None:
    """The text of a public key is no HMAC secret, as an option or in a file."""
    (tmp_path / "key").write_text(secret)
    for provided in ({"jwt_secret_key": secret}, {"jwt_secret_key_file": str(tmp_path / "key")}):
        options: Any = {"auth_server_base_url": "https://issuer.example.com", "jwt_key_type": "HS256", **provided}
        with pytest.raises(CrossauthError, match="text of its own"):
            OAuthTokenConsumer("api", options)


async def test_ghsa_jq35_7prp_9v3f_the_algorithm_of_a_key_must_be_allowed_too(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    """A key that is published for one algorithm verifies no other, and not its own where that is not allowed."""
    published = issuer.keys.signer().public_jwk() or {}
    assert published["alg"] == "RS256"
    for allowed, accepted in ((["RS256", "PS256"], ["RS256"]), (["PS256"], [])):
        options: Any = {"auth_server_base_url": issuer.url, "algorithms": allowed}
        consumer = OAuthTokenConsumer("api", options, clock=clock)
        consumer.keys = {"keys": [published]}
        for algorithm in ("RS256", "PS256"):
            token = by_hand(issuer, {"alg": algorithm}, pss=algorithm == "PS256")
            assert await is_refused(consumer, token) is (algorithm not in accepted)


async def test_cve_2026_101918_claims_without_a_signature_choose_and_fetch_nothing(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    """What a token says of its issuer chooses among those that are known, and leads to no other server."""
    async with FakeIssuer(clock=clock) as evil:
        consumers = [
            OAuthTokenConsumer(name, {"auth_server_base_url": issuer.url}, clock=clock) for name in ("api", "other")
        ]
        server = OAuthResourceServer(consumers)
        assert await server.access_token_authorized(issuer.issue_token())
        header, body, signature = issuer.issue_token().split(".")
        changed = encoded({**json.loads(base64.urlsafe_b64decode(body + "==")), "sub": "2"})
        for token in (
            evil.issue_token(), evil.issue_token(iss=issuer.url), f"{header}.{changed}.{signature}",
            by_hand(issuer, {"jku": f"{evil.origin}/jwks"}, {"iss": evil.url, "aud": "api", "exp": 4e9}),
        ):  # fmt: skip
            assert await server.access_token_authorized(token) is None
        assert not evil.requests
        await server.aclose()


async def test_cve_2024_33664_nothing_is_unpacked(issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    """A token is bounded before it is parsed, and neither a compressed nor an encrypted one is opened."""
    assert not await is_refused(consumer, issuer.issue_token(x="y" * 11_000))
    assert await is_refused(consumer, issuer.issue_token(x="y" * 13_000))
    for header in ({"zip": "DEF"}, {"enc": "A128GCM"}, {"zip": "DEF", "enc": "A128GCM", "alg": "dir"}, {"p2c": 10**9}):
        assert await is_refused(consumer, by_hand(issuer, header)), header


async def test_cve_2026_28498_an_unknown_algorithm_makes_no_id_token(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer
) -> None:
    """An ID token whose algorithm is not known is refused before any hash in it could be compared."""
    body = {
        **json.loads(base64.urlsafe_b64decode(issuer.issue_token().split(".")[1] + "==")),
        "at_hash": "x",
        "nonce": "n",
    }
    assert await consumer.token_authorized(by_hand(issuer, {"typ": "JWT"}, body), "id")
    for algorithm in ("RS257", "none", "", "HS256", "MD5"):
        assert await consumer.token_authorized(by_hand(issuer, {"typ": "JWT", "alg": algorithm}, body), "id") is None
