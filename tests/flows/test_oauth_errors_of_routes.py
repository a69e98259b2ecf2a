"""OAuth errors that an application's own route raises are answered as the RFCs have them, and not as faults."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.responses import PlainTextResponse
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from crossauth_backend.oauth.wire import errors
from crossauth_backend.oauth.wire.errors import OAuthError
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.resource import AUDIENCE, bearer, consumer_of, serving

RAISED: dict[str, tuple[OAuthError, int, bool]] = {
    "token": (errors.InvalidToken(), 401, True),
    "scope": (errors.InsufficientScope(scopes=("a", "b")), 403, True),
    "login": (errors.InsufficientUserAuthentication(), 401, True),
    "request": (errors.InvalidRequest("no"), 400, False),
    "grant": (errors.InvalidGrant(), 400, False),
    "away": (errors.TemporarilyUnavailable(detail="secret"), 503, False),
    "fault": (errors.ServerError(detail="secret"), 500, False),
}


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


def an_app(issuer: FakeIssuer) -> FastAPI:
    app = FastAPI()
    server = FastApiOAuthResourceServer(app, [consumer_of(issuer)])

    @app.get("/raise/{name}")
    async def route(name: str) -> None:
        raise RAISED[name][0]

    @app.get("/own")
    async def own(request: Request) -> Any:
        found = await server.token_from_header(request)
        server.require_scopes(found or {}, ["read", "write"])
        return found

    @app.websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        raise errors.InvalidToken

    inner = FastAPI()

    @inner.get("/raise")
    async def mounted() -> None:
        raise errors.InvalidToken

    app.mount("/inner", inner)
    return app


async def test_a_route_may_raise_an_oauth_error(issuer: FakeIssuer) -> None:
    async with serving(an_app(issuer)) as client:
        for name, (error, status, challenged) in RAISED.items():
            answer = await client.get(f"/raise/{name}")
            assert (answer.status_code, answer.json()) == (status, error.body()), name
            assert answer.headers["cache-control"] == "no-store"
            response = answer.headers.get("www-authenticate", "")
            assert response.startswith(f'Bearer realm="api", error="{error.name}"') is challenged, response
            assert bool(response) is challenged
            assert "secret" not in answer.text + response
        answer = await client.get("/own", headers=bearer(issuer.issue_token(AUDIENCE, scope="read")))
        assert answer.status_code == 403
        assert 'scope="read write"' in answer.headers["www-authenticate"]
        answer = await client.get("/inner/raise")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        with pytest.raises(InvalidStatus) as refused:
            async with connect(str(client.base_url).replace("http", "ws") + "/ws"):
                pass
        assert refused.value.response.status_code == 403


async def test_an_application_answers_them_by_itself_where_it_likes(issuer: FakeIssuer) -> None:
    app = an_app(issuer)

    @app.exception_handler(OAuthError)
    async def own(request: Request, e: OAuthError) -> PlainTextResponse:
        return PlainTextResponse(f"own {e.name}", 418)

    async with serving(app) as client:
        answer = await client.get("/raise/token")
        assert (answer.status_code, answer.text) == (418, "own invalid_token")
