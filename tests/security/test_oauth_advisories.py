"""Holes that were found in OAuth and JOSE libraries, tried on our resource server. Each test is named after its identifier."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from crossauth_backend import OAuthTokenConsumer
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
