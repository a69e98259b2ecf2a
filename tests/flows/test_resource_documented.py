"""What the page about the resource server shows, run as written."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.http_client import HttpClient
from crossauth_backend.testing import FakeIssuer
from crossauth_backend.testing.wire import Received
from crossauth_fastapi import ProtectedEndpoint, ProtectedResource
from crossauth_fastapi._oauth_resource.options import FastApiResourceServerSettings
from tests.resource import bearer, serving

PAGE = (Path(__file__).parents[2] / "docs" / "resource_server.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> FakeIssuer:
    """The authorization server of the page."""
    issuer = FakeIssuer()
    issuer.origin = "https://auth.example.com"

    async def fetch(self: HttpClient, request: FetchRequest) -> FetchResponse:
        path = request.url.removeprefix(issuer.origin)
        reply = await issuer._answer(Received(endpoint=issuer._name(path), path=path))
        return FetchResponse(status=reply.status, headers={"content-type": reply.kind}, body=reply.body())

    monkeypatch.setattr(HttpClient, "fetch", fetch)
    return issuer


async def test_the_first_example_does_what_the_page_says(issuer: FakeIssuer) -> None:
    scope: dict[str, Any] = {}
    exec(BLOCKS[0], scope)
    ask = next(block for block in BLOCKS if "/anybody" in block)
    exec(ask, scope)
    async with serving(scope["app"]) as client:

        def token(**claims: Any) -> dict[str, str]:
            return bearer(issuer.issue_token("https://api.example.com", sub="alice", **claims))

        reader = token(scope="orders:read")
        assert (await client.get("/orders", headers=reader)).json() == ["orders of alice"]
        assert (await client.post("/orders", headers=reader)).status_code == 403
        assert (await client.post("/orders", headers=token(scope="orders:write"))).json() == "client"
        assert (await client.get("/orders")).headers["www-authenticate"] == 'Bearer scope="orders:read"'
        seen = [(await client.get("/anybody", headers=h)).json() for h in ({}, reader, bearer("x"))]
        assert seen == ["no token", "token for alice", "invalid_token"]


async def test_every_example_runs_as_it_stands(issuer: FakeIssuer) -> None:
    scope: dict[str, Any] = {}
    for block in BLOCKS:
        if "server = FastApiServer" in block:
            # Another server on the application of the first example.
            scope["app"] = FastAPI()
            scope["app"].get("/orders")(lambda: "x")
        exec(block, scope)
        app = scope["app"]
        async with app.router.lifespan_context(app):
            pass
    assert len(BLOCKS) >= 11


async def test_the_metadata_is_where_the_page_says(issuer: FakeIssuer) -> None:
    scope: dict[str, Any] = {}
    exec(BLOCKS[0], scope)
    exec(next(block for block in BLOCKS if '"/mail", FastAPI()' in block), scope)
    path = re.search(r"`(/\.well-known/[a-z/-]+)`", PAGE)
    assert path is not None
    scope["app"].router.routes[-2].app.get("/x")(lambda: "x")
    scope["app"].router.routes[-1].app.get("/x")(lambda: "x")
    async with serving(scope["app"]) as client:
        document = (await client.get(path[1])).json()
        assert document["resource"] == "https://api.example.com/files"
        assert document["scopes_supported"] == ["files:read"]
        assert "oauth-protected-resource/mail" in (await client.get("/mail/x")).headers["www-authenticate"]


async def test_the_test_of_the_page_passes() -> None:
    scope: dict[str, Any] = {}
    exec(BLOCKS[0], scope)
    exec(BLOCKS[-1], scope)
    await scope["test_orders"]()


def test_the_tables_name_every_key() -> None:
    for name in (*ProtectedEndpoint.__annotations__, *ProtectedResource.__annotations__):
        assert f"`{name}`" in PAGE or f'"{name}"' in PAGE or name.startswith("resource_"), name
    for name in FastApiResourceServerSettings.__dataclass_fields__:
        assert name in PAGE, name
