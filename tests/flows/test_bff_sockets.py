"""WebSockets through the backend-for-frontend."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from crossauth_fastapi._oauth_client.bff import sockets, watch
from tests.bff import LEAVING, Api, Site, open_site, soon
from tests.support import Client

World = tuple[Client, Api, Site]


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with open_site() as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    client, api, site = shared
    api.forget()
    api.accepts = None
    return client, api, site


@contextmanager
def opened(
    client: Client, path: str = "/bff/ws", origin: str | None = "own", **more: Any
) -> Iterator[ClientConnection]:
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    base = str(client.base_url).rstrip("/")
    headers = {"Cookie": cookies} | ({"Origin": base if origin == "own" else origin} if origin else {})
    with connect(base.replace("http", "ws", 1) + path, additional_headers=headers, proxy=None, **more) as connection:
        yield connection


def refused(client: Client, **more: Any) -> tuple[int, str]:
    """Status and reason of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as e, opened(client, **more):
        pass
    response = e.value.response
    body = response.body or b""
    return response.status_code, body.decode()


def test_messages_pass_both_ways(world: World) -> None:
    client, api, _ = world
    with opened(client, "/bff/ws/room?x=1") as socket:
        for message in ("héllo", b"\x00\xff", "", "x" * 500_000, b"y" * 500_000):
            socket.send(message)
            assert socket.recv(timeout=10) == message
    (seen,) = api.seen
    assert (seen["path"], seen["query"]) == ("/v1/ws/room", "x=1")
    assert seen["headers"]["authorization"].startswith("Bearer token-")
    assert not {"cookie", "origin"} & seen["headers"].keys()


def test_the_api_chooses_the_subprotocol(world: World) -> None:
    client, _, _ = world
    with opened(client, subprotocols=["other", "chat"]) as socket:
        assert socket.subprotocol == "chat"
    with opened(client, subprotocols=["other"]) as socket:
        assert socket.subprotocol is None


def test_where_the_browser_closes_the_api_hears_it(world: World) -> None:
    client, api, _ = world
    with opened(client) as socket:
        socket.close(4002, "enough")
    assert soon(lambda: api.gone == ["socket 4002"], LEAVING)
    with opened(client) as socket:
        # The connection is lost, without a word.
        socket.socket.shutdown(2)
        assert soon(lambda: len(api.gone) == 2, LEAVING)


def test_where_the_api_closes_the_browser_hears_it(world: World) -> None:
    client, _, _ = world
    with opened(client) as socket:
        socket.send("close")
        with pytest.raises(ConnectionClosed) as e:
            socket.recv(timeout=20)
    assert e.value.rcvd is not None
    assert (e.value.rcvd.code, e.value.rcvd.reason) == (4001, "as you wish")


def test_where_the_api_is_lost_the_browser_hears_that_too(world: World) -> None:
    client, _, _ = world
    with opened(client) as socket:
        socket.send("die")
        with pytest.raises(ConnectionClosed) as e:
            socket.recv(timeout=20)
    assert e.value.rcvd is not None
    assert e.value.rcvd.code in (1011, 1014)


def test_messages_have_so_many_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, api, _ = world
    api.received = 0
    monkeypatch.setattr(sockets, "MAX_MESSAGE", 1000)
    with opened(client) as socket:
        socket.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as e:
            socket.recv(timeout=20)
    assert e.value.rcvd is not None
    assert (e.value.rcvd.code, api.received) == (1009, 0)
    with opened(client) as socket:
        socket.send("big 1001")
        with pytest.raises(ConnectionClosed) as e:
            socket.recv(timeout=20)
    assert e.value.rcvd is not None
    assert e.value.rcvd.code == 1009


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://127.0.0.1:1", None])
def test_pages_of_other_sites_open_none(world: World, origin: str | None) -> None:
    client, api, _ = world
    status, text = refused(client, origin=origin)
    assert status == 403
    assert "Forbidden" in text
    assert api.seen == [], "nothing was opened there"


def test_without_tokens_there_is_none(world: World) -> None:
    client, api, _ = world
    with Client(str(client.base_url)) as stranger:
        assert refused(stranger)[0] == 401
    assert api.seen == []


def test_a_token_that_the_api_refuses_is_renewed(world: World) -> None:
    client, api, site = world
    api.accepts = {f"token-{site.tokens.number + 1}"}
    with opened(client) as socket:
        socket.send("hello")
        assert socket.recv(timeout=10) == "hello"
    api.accepts = set()
    assert refused(client)[0] == 401
    refreshes = site.tokens.refreshes
    assert refused(client)[0] == 401
    assert site.tokens.refreshes == refreshes, "a page that tries again and again spends no refresh token each time"


def test_paths_of_sockets_are_checked_as_well(world: World) -> None:
    client, api, _ = world
    assert refused(client, path="/bff/ws/%2e%2e/secret")[0] == 400
    assert api.seen == []


def test_a_redirect_of_a_socket_is_not_followed(world: World) -> None:
    client, api, _ = world
    api.moved = "/v1/echo"
    try:
        assert refused(client)[0] == 502
    finally:
        api.moved = ""
    assert api.seen == [], "nobody was asked with the token there"


def test_an_api_that_knows_no_sockets(world: World) -> None:
    client, _, _ = world
    status, text = refused(client, path="/bff/echo")
    assert status == 403, "as it refuses sockets"
    assert "error_code_name" in text


def test_a_socket_ends_with_its_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, api, _ = world
    monkeypatch.setattr(watch, "RECHECK_SECONDS", 0.2)
    with Client(str(client.base_url)) as other:
        other.log_in()
        with opened(other) as socket:
            other.call("/api/logout")
            with pytest.raises(ConnectionClosed) as e:
                socket.recv(timeout=20)
    assert e.value.rcvd is not None
    assert (e.value.rcvd.code, e.value.rcvd.reason) == (1008, "InvalidSession")
    assert soon(lambda: len(api.gone) == 1)
