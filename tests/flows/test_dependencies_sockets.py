"""WebSockets that a dependency let in: they end with what they were opened by."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from crossauth_backend import CrossauthError, ErrorCode, KeyPrefix, User
from crossauth_fastapi import (
    AdminUser,
    CurrentUser,
    FastApiServer,
    FastApiSessionAdapter,
    OptionalUser,
    require,
)
from crossauth_fastapi._middleware import sockets
from crossauth_fastapi.testing import issue_token, login_as
from tests.resource import bearer
from tests.services.uvicorn import serve
from tests.shop import Shop
from tests.support import Client


class SocketShop(Shop):
    """The shop, with sockets of further kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[object] = []

        @self.app.websocket("/push")
        async def push(socket: WebSocket, user: Annotated[Any, Depends(require())]) -> None:
            await socket.accept()
            try:
                while True:
                    await socket.send_text(user.username)
                    await asyncio.sleep(0.01)
            except WebSocketDisconnect as e:
                self.ended.append(e.code)
                # As many handlers do at their end.
                await socket.close()

        @self.app.websocket("/administrator")
        async def administrator(socket: WebSocket, user: AdminUser) -> None:
            await echo(socket)

        @self.app.websocket("/maybe")
        async def maybe(socket: WebSocket, user: OptionalUser) -> None:
            await echo(socket)

        @self.app.websocket("/open")
        async def anybody(socket: WebSocket) -> None:
            await echo(socket)

        async def echo(socket: WebSocket) -> None:
            await socket.accept()
            async for text in socket.iter_text():
                await socket.send_text(text)


@pytest.fixture
def shop() -> SocketShop:
    return SocketShop()


@pytest.fixture
def url(shop: SocketShop) -> Iterator[str]:
    with serve(shop.app) as url:
        yield url


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "RECHECK_SECONDS", 0.02)


@contextmanager
def opened(url: str, path: str, headers: dict[str, str]) -> Iterator[ClientConnection]:
    with connect(url.replace("http", "ws", 1) + path, additional_headers=headers, proxy=None) as socket:
        yield socket


def cookie_of(shop: Shop, url: str, user: Any) -> dict[str, str]:
    """The header with the cookie of a new session."""
    with Client(url) as client:
        login_as(client, user, app=shop.app)
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


def end_sessions(shop: Shop, user: Any) -> None:
    asyncio.run(shop.keys.delete_all_for_user(user.id, KeyPrefix.session))


def said(socket: ClientConnection, text: str = "hello") -> str:
    socket.send(text)
    return str(socket.recv(timeout=10))


def closed(socket: ClientConnection, *, sends: bool = True) -> tuple[int, str] | None:
    """The code and the reason with which the server closes a socket through which something goes; `None` where it does not."""
    for _ in range(500):
        try:
            if sends:
                socket.send("hello")
            socket.recv(timeout=10)
        except ConnectionClosed as e:
            return None if e.rcvd is None else (e.rcvd.code, e.rcvd.reason)
        time.sleep(0.01)
    return None


@pytest.mark.usefixtures("often")
def test_a_socket_closes_when_its_session_is_revoked(shop: SocketShop, url: str) -> None:
    with opened(url, "/ws", cookie_of(shop, url, shop.alice)) as socket:
        assert said(socket) == "a hello"
        end_sessions(shop, shop.alice)
        assert closed(socket) == (1008, "InvalidSession")


@pytest.mark.usefixtures("often")
def test_a_socket_that_only_sends_closes_too(shop: SocketShop, url: str) -> None:
    with opened(url, "/push", cookie_of(shop, url, shop.alice)) as socket:
        assert socket.recv(timeout=10) == "alice"
        shop.change(shop.alice, state="disabled")
        assert closed(socket, sends=False) == (1008, "InvalidSession")
    assert len(shop.ended) == 1, "the application sees a closed connection, and nothing else"


@pytest.mark.usefixtures("often")
def test_a_socket_closes_when_its_key_is_revoked_or_its_token_expires(shop: SocketShop, url: str) -> None:
    with opened(url, "/ws", shop.key(shop.alice, scope=["orders"])) as socket:
        assert said(socket) == "a hello"
        asyncio.run(shop.manager.revoke_all(shop.alice.id))
        assert closed(socket) == (1008, "InvalidKey")
    # Accepted for as long as clocks may differ: ten seconds.
    late = issue_token(shop.app, shop.alice, scope="orders", lifetime=timedelta(seconds=-8))
    with opened(url, "/ws", bearer(late)) as socket:
        assert said(socket) == "a hello"
        assert closed(socket) == (1008, "InvalidToken")


@pytest.mark.usefixtures("often")
def test_a_socket_closes_when_its_user_may_no_longer_use_it(shop: SocketShop, url: str) -> None:
    with opened(url, "/administrator", cookie_of(shop, url, shop.root)) as socket:
        assert said(socket) == "hello"
        shop.change(shop.root, admin=False)
        assert closed(socket) == (1008, "InsufficientPriviledges")


@pytest.mark.usefixtures("often")
def test_a_socket_of_nobody_and_one_without_a_dependency_stay_open(shop: SocketShop, url: str) -> None:
    with opened(url, "/maybe", {}) as nobody, opened(url, "/open", cookie_of(shop, url, shop.alice)) as unasked:
        end_sessions(shop, shop.alice)
        assert [said(nobody), said(nobody), said(unasked), said(unasked)] == ["hello"] * 4
    with opened(url, "/maybe", cookie_of(shop, url, shop.bob)) as socket:
        assert said(socket) == "hello"
        end_sessions(shop, shop.bob)
        assert closed(socket) == (1008, "InvalidSession")


@pytest.mark.usefixtures("often")
def test_a_storage_that_is_away_closes_a_socket_for_now(
    shop: SocketShop, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(url, "/ws", cookie_of(shop, url, shop.alice)) as socket:
        assert said(socket) == "a hello"

        async def away(*_: Any) -> None:
            raise CrossauthError(ErrorCode.Connection, detail="the database")

        server = shop.server.session_server
        assert server is not None
        monkeypatch.setattr(server.session_manager.session, "read_stored", away)
        assert closed(socket) == (1013, "Connection")


@pytest.mark.usefixtures("often")
def test_a_socket_through_which_nothing_goes_closes_too(shop: SocketShop, url: str) -> None:
    with opened(url, "/ws", cookie_of(shop, url, shop.alice)) as socket:
        assert said(socket) == "a hello"
        end_sessions(shop, shop.alice)
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=10)
    assert ended.value.rcvd is not None
    assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "InvalidSession")


class OwnSessions(FastApiSessionAdapter):
    """Sessions of another framework, whose cookie names an entry of `users`."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}

    def get_user(self, request: Any) -> User | None:
        return self.users.get(request.cookies.get("own", ""))

    def get_csrf_token(self, request: Any) -> str | None:
        return None

    def csrf_protection_enabled(self) -> bool:
        return False

    async def get_session_data(self, request: Any, name: str) -> Any:
        return None

    async def update_session_data(self, request: Any, name: str, value: Any) -> None: ...

    async def update_many_session_data(self, request: Any, data_array: Any) -> None: ...

    async def delete_session_data(self, request: Any, name: str) -> None: ...


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (None, "InvalidSession"),
        (User(id=2, username="bob"), "InvalidSession"),
        (User(id=1, username="alice", state="disabled"), "UserNotActive"),
    ],
)
def test_a_socket_of_another_framework_s_session_closes_with_it(then: User | None, reason: str) -> None:
    app, sessions = FastAPI(), OwnSessions()
    FastApiServer({"session_adapter": sessions}, {"app": app})

    @app.websocket("/ws")
    async def ws(socket: WebSocket, user: CurrentUser) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"{user.username} {text}")

    sessions.users["a"] = User(id=1, username="alice")
    with serve(app) as url, opened(url, "/ws", {"Cookie": "own=a"}) as socket:
        assert [said(socket) for _ in range(3)] == ["alice hello"] * 3
        if then is None:
            sessions.users.clear()
        else:
            sessions.users["a"] = then
        assert closed(socket) == (1008, reason)


def test_a_socket_is_checked_again_at_most_so_often(
    shop: SocketShop, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "RECHECK_SECONDS", 3600.0)
    with opened(url, "/ws", cookie_of(shop, url, shop.alice)) as socket:
        end_sessions(shop, shop.alice)
        assert [said(socket) for _ in range(5)] == ["a hello"] * 5
