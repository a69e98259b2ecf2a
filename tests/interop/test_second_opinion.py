"""What the resource server says to a token, beside what Authlib says to the same one (RFC 6750 §3, RFC 9068 §4)."""

import re
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from crossauth_backend.core.jose import TokenType, generate_signing_key
from crossauth_backend.testing import FakeIssuer
from tests.resource import AUDIENCE, an_api, bearer

ATTRIBUTE = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
Said = tuple[int, str | None]


def authlib_says(issuer: FakeIssuer, headers: dict[str, str]) -> Said:
    """The status and the `error` of its challenge; 200 where it lets the request pass."""

    class Validator(JWTBearerTokenValidator):  # type: ignore[misc]
        def get_jwks(self) -> Any:
            return KeySet.import_key_set(issuer.keys.jwks())  # type: ignore[arg-type]

    protector = ResourceProtector()
    protector.register_token_validator(Validator(issuer.url, AUDIENCE))
    try:
        protector.validate_request(["orders:read"], SimpleNamespace(headers=headers))
    except OAuth2Error as e:
        challenge = dict(e.get_headers()).get("WWW-Authenticate")
        return e.status_code, e.error if challenge is None else attributes(challenge).get("error")
    return 200, None


def attributes(challenge: str) -> dict[str, str]:
    found = ATTRIBUTE.findall(challenge)
    assert len(found) == len(dict(found)), "an attribute comes twice"
    return dict(found)


TOKENS: dict[str, Callable[[FakeIssuer], str]] = {
    "good": lambda i: i.issue_token(AUDIENCE, scope="orders:read"),
    "good, of several audiences": lambda i: i.issue_token(["other", AUDIENCE], scope="orders:read"),
    "without the scope": lambda i: i.issue_token(AUDIENCE, scope="orders:write"),
    "without any scope": lambda i: i.issue_token(AUDIENCE),
    "for another audience": lambda i: i.issue_token("other", scope="orders:read"),
    "of another issuer": lambda i: i.issue_token(AUDIENCE, iss="https://elsewhere.example.com", scope="orders:read"),
    "expired": lambda i: i.issue_token(AUDIENCE, lifetime=timedelta(hours=-1), scope="orders:read"),
    "without expiry": lambda i: i.issue_token(AUDIENCE, exp=None, scope="orders:read"),
    "signed by a stranger": lambda i: i.issue_token(AUDIENCE, key=generate_signing_key("ES256"), scope="orders:read"),
    "an ID token": lambda i: i.issue_token(AUDIENCE, kind=TokenType.JWT, scope="orders:read"),
    "a logout token": lambda i: i.issue_token(AUDIENCE, kind=TokenType.LOGOUT, scope="orders:read"),
    "unsigned": lambda i: i.unsigned_token(audience=AUDIENCE, scope="orders:read"),
    "no token at all": lambda i: "x",
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_is_answered_as_authlib_answers_it(name: str) -> None:
    async with FakeIssuer() as issuer, an_api(issuer, {"/orders": {"scope": ["orders:read"]}}) as client:
        headers = bearer(TOKENS[name](issuer))
        answer = await client.get("/orders", headers=headers)
        challenge = attributes(answer.headers.get("www-authenticate", ""))
        assert (answer.status_code, challenge.get("error")) == authlib_says(issuer, headers)
        if answer.status_code == 403:
            assert challenge["scope"] == "orders:read"


@pytest.mark.parametrize("claim", ["sub", "client_id", "jti"])
async def test_what_an_issuer_has_to_say_and_a_resource_server_need_not_check(claim: str) -> None:
    """RFC 9068 §2.2 asks issuers for these claims; §4 does not have them checked, and issuers leave them out."""
    async with FakeIssuer() as issuer, an_api(issuer, {"/orders": {"scope": ["orders:read"]}}) as client:
        headers = bearer(issuer.issue_token(AUDIENCE, scope="orders:read", **{claim: None}))
        assert (await client.get("/orders", headers=headers)).status_code == 200
        assert authlib_says(issuer, headers) == (401, "invalid_token")


async def test_no_credential_is_answered_as_authlib_answers_it() -> None:
    async with FakeIssuer() as issuer, an_api(issuer, {"/orders": {"scope": ["orders:read"]}}) as client:
        answer = await client.get("/orders")
        status, _ = authlib_says(issuer, {})
        assert answer.status_code == status
        # Authlib names an error here; RFC 6750 §3.1 wants none where there was no credential.
        assert "error" not in attributes(answer.headers["www-authenticate"])
