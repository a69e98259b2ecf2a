"""What the tests of the resource server share: an issuer, and an application that accepts its tokens over a real socket."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from fastapi import FastAPI, Request, WebSocket

from crossauth_backend import OAuthTokenConsumer
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import CurrentUser, FastApiOAuthResourceServer, OptionalUser
from tests.services.uvicorn import serve

AUDIENCE = "https://api.example.com"


def consumer_of(issuer: FakeIssuer, audience: Any = AUDIENCE, **options: Any) -> OAuthTokenConsumer:
    return OAuthTokenConsumer(audience, {"auth_server_base_url": issuer.url, "fetch_timeout": 1, **options})


def add_routes(app: FastAPI) -> None:
    """Routes that say who is asking."""

    @app.api_route("/orders", methods=["GET", "POST", "OPTIONS"])
    async def orders(request: Request) -> dict[str, Any]:
        state = request.state
        return {
            "user": state.user.username if state.user else None,
            "auth_type": state.auth_type,
            "scope": state.scope,
            "sub": state.access_token_payload.get("sub") if state.access_token_payload else None,
        }

    @app.get("/orders/{id}")
    async def order(id: str) -> str:
        return id

    @app.get("/ordersold")
    async def old() -> str:
        return "old"

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.username

    @app.post("/change")
    async def change(user: CurrentUser) -> str:
        return user.username

    @app.get("/maybe")
    async def maybe(request: Request, user: OptionalUser) -> dict[str, Any]:
        return {"user": user.username if user else None, "auth_error": request.state.auth_error}

    @app.websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.state.auth_type)
        await socket.close()


@asynccontextmanager
async def serving(app: FastAPI, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of `app` under uvicorn."""
    with serve(app, **settings) as url:
        async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            yield client


@asynccontextmanager
async def an_api(
    issuer: FakeIssuer,
    protected: Mapping[str, Any] | None = None,
    audience: Any = AUDIENCE,
    consumer: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application whose routes need tokens of `issuer`."""
    app = FastAPI()
    tokens = consumer_of(issuer, audience, **(consumer or {}))
    server = FastApiOAuthResourceServer(app, [tokens], {"protected_endpoints": protected or {}, **options})
    add_routes(app)

    @app.get("/authorized")
    async def authorized(request: Request) -> Any:
        found = await server.authorized(request)
        if found and found.get("user"):
            return {**found, "user": found["user"].username}
        return found

    async with serving(app) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
