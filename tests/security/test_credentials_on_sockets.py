"""WebSockets that stay open: what a user may do there ends with what the credential says of the user by now"""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import AdminUser
from crossauth_fastapi._middleware import sockets
from crossauth_fastapi.testing import issue_token
from tests.flows.test_dependencies_sockets import closed as how_closed
from tests.flows.test_dependencies_sockets import opened, said
from tests.flows.test_resource_sessions import a_server, browsing
from tests.resource import AUDIENCE, close_consumers
from tests.services.uvicorn import serve
from tests.shop import Shop


class AdminShop(Shop):
    def __init__(self) -> None:
        super().__init__()

        @self.app.websocket("/ws/administrator")
        async def socket(socket: WebSocket, user: AdminUser) -> None:
            await socket.accept()
            async for text in socket.iter_text():
                await socket.send_text(f"{user.username} {text}")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "RECHECK_SECONDS", 0.0)


async def _say(socket: ClientConnection, text: str) -> None:
    """Sends and hears; the socket may be closed before anything goes through it."""
    await socket.send(text)
    await socket.recv()


@pytest.fixture
def shop() -> Iterator[tuple[AdminShop, str]]:
    shop = AdminShop()
    with serve(shop.app) as url:
        yield shop, url


@pytest.mark.parametrize("kind", ["api_key", "bearer"])
def test_an_administrator_who_is_none_any_more(shop: tuple[AdminShop, str], kind: str) -> None:
    """A WebSocket that needs an administrator closes when its user is none, whatever program's credential opened it."""
    world, url = shop
    headers = (
        world.key(world.root)
        if kind == "api_key"
        else {"Authorization": f"Bearer {issue_token(world.app, world.root)}"}
    )
    with opened(url, "/ws/administrator", headers) as socket:
        assert said(socket) == "root hello"
        world.change(world.root, admin=False)
        found = how_closed(socket)
        assert found is not None
        assert found[0] == 1008


@pytest.mark.parametrize("locations", [["session"], ["header", "session"]])
@pytest.mark.parametrize("kept", ["nonsense", "scopeless", None])
async def test_a_token_that_the_session_holds_no_more(locations: list[str], kept: Any) -> None:
    """A WebSocket that a token in the session opened is closed when the session holds another one that is refused, or none."""
    async with FakeIssuer() as issuer:
        server = a_server(issuer, {"/ws/echo": {"scope": ["read"]}}, token_locations=locations)
        session = server.session_server
        assert session is not None

        @server.app.websocket("/ws/echo")
        async def echo(socket: WebSocket) -> None:
            await socket.accept()
            async for text in socket.iter_text():
                await socket.send_text(text)

        async with browsing(server) as browser:
            await browser.sign_up()
            await browser.keep(issuer.issue_token(AUDIENCE, scope="read"))
            url = str(browser.base_url).replace("http", "ws").rstrip("/") + "/ws/echo"
            cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
            async with connect(url, additional_headers=cookies, proxy=None) as socket:
                for _ in range(2):
                    await socket.send("hello")
                    assert await socket.recv() == "hello"
                    await browser.keep(issuer.issue_token(AUDIENCE, scope="read"))
                await browser.keep(issuer.issue_token(AUDIENCE) if kept == "scopeless" else kept or "")
                with pytest.raises(ConnectionClosed) as closed:
                    await _say(socket, "hello")
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008
        await close_consumers()
