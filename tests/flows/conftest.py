"""One application for the flows, served over a socket."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Request, Response

from crossauth_fastapi import CurrentUser, FastApiServer
from tests.services.uvicorn import serve
from tests.support import Client, make_server


@pytest.fixture
def server() -> FastApiServer:
    """A server whose application also keeps something in the session."""
    server = make_server()

    @server.app.get("/basket")
    async def basket(request: Request) -> dict[str, Any]:
        return {"value": await server.get_session_data(request, "basket")}

    @server.app.post("/basket")
    async def fill(request: Request, user: CurrentUser) -> dict[str, Any]:
        await server.update_session_data(request, "basket", (await request.json())["value"])
        return {"ok": True}

    @server.app.post("/anonymous")
    async def anonymous(request: Request, response: Response) -> dict[str, Any]:
        value = await server.create_anonymous_session(request, response, {"seen": 1})
        return {"cookie": value, "seen": await server.get_session_data(request, "seen")}

    return server


@pytest.fixture
def base_url(server: FastApiServer) -> Iterator[str]:
    """Where the application is served."""
    with serve(server.app) as url:
        yield url


@pytest.fixture
def client(base_url: str) -> Iterator[Client]:
    """One browser."""
    with Client(base_url) as client:
        yield client


@pytest.fixture
def other(base_url: str) -> Iterator[Client]:
    """Another browser."""
    with Client(base_url) as client:
        yield client
