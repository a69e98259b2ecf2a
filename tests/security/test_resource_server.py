"""Access tokens over a real socket: forged, foreign, malformed and revoked ones at a protected route."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request

from crossauth_backend.core.jose import TokenType, generate_signing_key
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.resource import AUDIENCE, an_api, bearer, consumer_of, serving

PROTECTED: dict[str, Any] = {"/orders": {}}
ASKS = {
    "introspection": "opaque",
    "introspection_client_id": "rs",
    "introspection_client_secret": "the secret of the resource server",
    "introspection_cache_seconds": 0,
}


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(algorithms=("RS256",)) as issuer:
        yield issuer


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def resigned(issuer: FakeIssuer, **header: Any) -> str:
    """A good token under another header, signed by a secret that everybody knows."""
    jwk = issuer.keys.signer().public_jwk() or {}
    signed = encoded({"alg": "HS256", "typ": "at+jwt", "kid": jwk["kid"], **header})
    signed += "." + issuer.issue_token(AUDIENCE).split(".")[1]
    return f"{signed}.{encoded(hmac.digest(json.dumps(jwk).encode(), signed.encode(), 'sha256'))}"


def of_another_key(issuer: FakeIssuer, **header: Any) -> str:
    return issuer.issue_token(AUDIENCE, key=generate_signing_key("RS256"), **header)


FORGED: dict[str, Callable[[FakeIssuer], str]] = {
    "public key as a secret (DSA-3293)": resigned,
    "none (CVE-2026-28802)": lambda i: resigned(i, alg="none").rpartition(".")[0] + ".",
    "unknown algorithm": lambda i: resigned(i, alg="HS1"),
    "critical header (CVE-2026-32597)": lambda i: resigned(i, crit=["x"], x=1),
    "key in the header (CVE-2026-27962)": lambda i: resigned(i, jwk={"kty": "oct", "k": "AAAA"}),
    "key at a URL": lambda i: resigned(i, jku="https://evil.example.com/jwks"),
    "another key": of_another_key,
    "another audience": lambda i: i.issue_token("another"),
    "no audience": lambda i: i.issue_token(AUDIENCE, aud=None),
    "audience that contains ours": lambda i: i.issue_token(AUDIENCE + ".evil.example"),
    "another issuer": lambda i: i.issue_token(AUDIENCE, iss=i.url + "/"),
    "expired": lambda i: i.issue_token(AUDIENCE, exp=1_000_000_000),
    "not yet": lambda i: i.issue_token(AUDIENCE, nbf=9_999_999_999),
    "without an end": lambda i: i.issue_token(AUDIENCE, exp=None),
    "ID token": lambda i: i.issue_token(AUDIENCE, kind=TokenType.JWT),
    "ID token that says so": lambda i: i.issue_token(AUDIENCE, kind=TokenType.JWT, type="id", nonce="n"),
    "refresh token": lambda i: i.issue_token(AUDIENCE, type="refresh"),
    "logout token": lambda i: i.issue_token(
        AUDIENCE, events={"http://schemas.openid.net/event/backchannel-logout": {}}
    ),
    "bound to a key of its client": lambda i: i.issue_token(AUDIENCE, cnf={"jkt": "x"}),
}


@pytest.mark.parametrize("forged", list(FORGED))
async def test_a_forged_or_foreign_token_opens_nothing(issuer: FakeIssuer, forged: str) -> None:
    async with an_api(issuer, PROTECTED) as client:
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE)))).is_success
        refused = await client.get("/orders", headers=bearer(FORGED[forged](issuer)))
        assert (refused.status_code, refused.content) == (401, b"{}")
        challenge = refused.headers["www-authenticate"]
        assert challenge.startswith('Bearer error="invalid_token", error_description="')
        assert challenge.count("error=") == challenge.count("error_description=") == 1


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer", b"Bearer a b", b"Bearer \xff\xfe", b'Bearer "', b"Bearer a,b", b"Bearer ...",
        b"Bearer " + b"a" * 30_000, b"Bearer " + b"." * 5000, b"bearer\ta", b"Bearer e30.e30.", b"Bearer =", b"Bearer a\tb",
        b"Bearer " + encoded(b"[" * 5000).encode() + b".e30.AAAA",
        b"Bearer " + encoded(b'{"alg":"RS256","kid":"\\ud800"}').encode() + b".e30.AAAA",
        b"Bearer " + encoded(b'{"alg":"RS256","kid":1e999}').encode() + b"." + encoded(b'{"exp":Infinity}').encode() + b".AAAA",
        b"Bearer " + encoded(b'{"alg":"RS256","alg":"none"}').encode() + b".e30.AAAA",
    ],
)  # fmt: skip
async def test_garbage_is_refused_and_is_no_fault_of_ours(issuer: FakeIssuer, value: bytes) -> None:
    consumer = {**ASKS, "introspection": "opaque"}
    for options in ({}, consumer):
        async with an_api(issuer, PROTECTED, consumer=options) as client:
            for path in ("/orders", "/me"):
                refused = await client.get(path, headers=[(b"Authorization", value)])
                assert refused.status_code == 401
                assert refused.headers["www-authenticate"].isascii()


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": 5}, {"scope": {"read": 1}}, {"scope": ["read", 5, None, "a b", '"']}, {"scope": "\x00 read\n"},
        {"scope": "x " * 5000}, {"scp": ["read"]}, {"sub": "\x00"}, {"sub": "x" * 10_000},
        {"userid": [1]}, {"userid": True}, {"userid": 1e308}, {"state": 5}, {"factor1": {}}, {"client_id": []},
        {"azp": "\r\nX: y"}, {"sub": ""}, {"sub": "\u202e"},
    ],
)  # fmt: skip
async def test_claims_of_the_wrong_kind_are_no_fault_of_ours(issuer: FakeIssuer, claims: dict[str, Any]) -> None:
    async with an_api(issuer, {"/orders/{id}": {"scope": ["needed"]}, "/maybe": {}}) as client:
        headers = bearer(issuer.issue_token(AUDIENCE, **claims))
        assert (await client.get("/orders/1", headers=headers)).status_code in (401, 403)
        assert (await client.get("/maybe", headers=headers)).status_code in (200, 401)


@pytest.mark.parametrize(
    "said",
    [
        {"sub": "\ud800"}, {"sub": "\x00"}, {"client_id": "\ud800"}, {"scope": "\ud800"}, {"exp": "soon"},
        {"iss": 5}, {"aud": [5, None]}, {"username": "\ud800"}, {"userid": "\ud800"}, {"state": "\ud800"},
    ],
)  # fmt: skip
async def test_what_introspection_says_wrongly_is_no_fault_of_ours(issuer: FakeIssuer, said: dict[str, Any]) -> None:
    issuer.tokens["opaque"] = {"aud": AUDIENCE, "sub": "7", **said}
    async with an_api(issuer, PROTECTED, consumer=ASKS) as client:
        assert (await client.get("/orders", headers=bearer("opaque"))).status_code in (200, 401)


async def test_cve_2026_48524_random_key_names_make_one_fetch_whatever_the_route(issuer: FakeIssuer) -> None:
    async with an_api(issuer, PROTECTED) as client:
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE)))).is_success
        for number in range(200):
            token = bearer(resigned(issuer, alg="RS256", kid=f"random-{number}"))
            assert (await client.get(("/orders", "/me")[number % 2], headers=token)).status_code == 401
        assert issuer.requests["jwks"] <= 2
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE)))).is_success


async def test_a_token_that_is_revoked_while_the_body_is_sent_is_refused(issuer: FakeIssuer) -> None:
    issuer.tokens["opaque"] = {"aud": AUDIENCE, "sub": "7", "client_id": "c"}
    app, bodies = FastAPI(), []
    FastApiOAuthResourceServer(app, [consumer_of(issuer, **ASKS)], {"protected_endpoints": {"/read": {}}})

    @app.post("/read")
    async def read(request: Request) -> None:
        bodies.append(await request.body())

    async def posted(client: Any, revoke: bool) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = "POST /read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer opaque\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        asked = issuer.requests["introspect"]
        writer.write(head.encode())
        while issuer.requests["introspect"] == asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        if revoke:
            issuer.tokens.clear()
        writer.write(b"{}")
        answer = await reader.read()
        writer.close()
        return answer

    async with serving(app) as client:
        assert b" 200 " in (await posted(client, False)).partition(b"\r\n")[0]
        refused = await posted(client, True)
        assert b" 401 " in refused.partition(b"\r\n")[0]
        assert b"www-authenticate: Bearer" in refused
    assert bodies == [b"{}"]


@pytest.mark.parametrize("subject", ["\x00", "a\nb", "\u202eecila", "a\u200bb", "x" * 256])
async def test_what_nobody_is_called_is_nobody(issuer: FakeIssuer, subject: str) -> None:
    async with an_api(issuer, PROTECTED) as client:
        assert (
            await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, sub=subject)))
        ).status_code == 401


async def test_a_client_is_not_the_user_of_the_same_name(issuer: FakeIssuer) -> None:
    """A client that may choose its own name calls itself as a user is called (RFC 9700 §4.15)."""
    async with an_api(issuer) as client:
        for claims in ({"sub": "alice", "client_id": "alice"}, {"sub": "alice", "client_id": None, "azp": "alice"}):
            token = bearer(issuer.issue_token(AUDIENCE, **claims))
            assert (await client.get("/me", headers=token)).status_code == 403
