"""Access tokens that were accepted a moment ago: expired, signed by a key that has gone, or changed by a route meanwhile"""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Request

from crossauth_backend import OAuthTokenConsumer
from crossauth_backend.core.clock import utc_now
from crossauth_backend.oauth.wire.errors import InvalidToken
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.resource import AUDIENCE, ask

_consumers: list[OAuthTokenConsumer] = []


class Time:
    """A clock that can be set."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> Any:
        return utc_now() + self.ahead


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(algorithms=("RS256",)) as issuer:
        yield issuer
        while _consumers:
            await _consumers.pop().aclose()


def served(*consumers: OAuthTokenConsumer) -> FastAPI:
    app = FastAPI()
    _consumers.extend(consumers)
    FastApiOAuthResourceServer(app, list(consumers), {"protected_endpoints": {"/orders": {"scope": ["read"]}}})

    @app.get("/orders")
    async def orders(request: Request) -> list[str]:
        claims = request.state.access_token_payload
        response = [claims["sub"], *claims["roles"]]
        claims["sub"], claims["roles"] = "somebody else", [*claims["roles"], "admin"]
        claims["roles"].append("admin")
        return response

    return app


async def status(app: FastAPI, token: str) -> int:
    return (await ask(app, "/orders", ("authorization", f"Bearer {token}".encode()))).status


async def said(app: FastAPI, token: str) -> Any:
    return json.loads((await ask(app, "/orders", ("authorization", f"Bearer {token}".encode()))).body)


async def test_one_that_has_expired_since_is_refused(issuer: FakeIssuer) -> None:
    time = Time()
    consumer = OAuthTokenConsumer(AUDIENCE, {"auth_server_base_url": issuer.url, "clock_tolerance": 0}, clock=time)
    app, token = served(consumer), issuer.issue_token(AUDIENCE, scope="read", roles=[])
    assert [await status(app, token) for _ in range(3)] == [200, 200, 200]
    time.ahead = timedelta(minutes=6)
    assert await status(app, token) == 401


async def test_one_whose_key_has_gone_is_refused(issuer: FakeIssuer) -> None:
    consumer = OAuthTokenConsumer(AUDIENCE, {"auth_server_base_url": issuer.url})
    app, token = served(consumer), issuer.issue_token(AUDIENCE, scope="read", roles=[])
    assert [await status(app, token) for _ in range(3)] == [200, 200, 200]
    issuer.rotate()
    await consumer.load_jwks()
    assert await status(app, token) == 401


async def test_keys_that_are_old_are_fetched_again_though_every_token_was_seen(issuer: FakeIssuer) -> None:
    time = Time()
    options: Any = {"auth_server_base_url": issuer.url, "jwks_max_age": 60, "jwks_cooldown": 1}
    consumer = OAuthTokenConsumer(AUDIENCE, options, clock=time)
    app, token = served(consumer), issuer.issue_token(AUDIENCE, scope="read", roles=[])
    assert [await status(app, token) for _ in range(3)] == [200, 200, 200]
    assert issuer.requests["jwks"] == 1
    time.ahead = timedelta(seconds=61)
    await status(app, token)
    await consumer.load_keys()
    assert issuer.requests["jwks"] == 2


async def test_what_a_route_changes_in_the_claims_is_not_what_the_next_request_is_told(issuer: FakeIssuer) -> None:
    consumer = OAuthTokenConsumer(AUDIENCE, {"auth_server_base_url": issuer.url})
    app, token = served(consumer), issuer.issue_token(AUDIENCE, scope="read", roles=["clerk"])
    assert [await said(app, token) for _ in range(3)] == [["1", "clerk"]] * 3


async def test_the_same_header_twice_is_refused_though_one_was_accepted(issuer: FakeIssuer) -> None:
    consumer = OAuthTokenConsumer(AUDIENCE, {"auth_server_base_url": issuer.url})
    app, token = served(consumer), issuer.issue_token(AUDIENCE, scope="read", roles=[])
    assert [await status(app, token) for _ in range(3)] == [200, 200, 200]
    header = ("authorization", f"Bearer {token}".encode())
    assert (await ask(app, "/orders", header, header)).status == 400


async def test_an_opaque_token_is_asked_about_again(issuer: FakeIssuer) -> None:
    options: Any = {
        "auth_server_base_url": issuer.url, "introspection": "opaque", "introspection_client_id": "rs",
        "introspection_client_secret": "the secret of the resource server", "introspection_cache_seconds": 0,
    }  # fmt: skip
    consumer = OAuthTokenConsumer(AUDIENCE, options)
    app, token = served(consumer), issuer.issue_opaque_token(aud=AUDIENCE, scope="read", roles=[])
    jwt = issuer.issue_token(AUDIENCE, scope="read", roles=[])
    assert [await status(app, jwt) for _ in range(2)] == [200, 200]
    assert [await status(app, token) for _ in range(3)] == [200, 200, 200]
    del issuer.tokens[token]
    assert await status(app, token) == 401


class Revoking(OAuthTokenConsumer):
    """What an application makes of ours: it has a list of tokens that are good no more."""

    revoked: set[str]

    async def authorize(self, token: str, kind: Any = "access") -> dict[str, Any]:
        claims = await super().authorize(token, kind)
        if claims["sub"] in self.revoked:
            raise InvalidToken(detail="revoked")
        return claims


async def test_an_application_that_judges_by_itself_is_asked_each_time(issuer: FakeIssuer) -> None:
    consumer = Revoking(AUDIENCE, {"auth_server_base_url": issuer.url})
    consumer.revoked = set()
    app, token = served(consumer), issuer.issue_token(AUDIENCE, scope="read", roles=[])
    assert [await status(app, token) for _ in range(3)] == [200, 200, 200]
    consumer.revoked.add("1")
    assert await status(app, token) == 401
