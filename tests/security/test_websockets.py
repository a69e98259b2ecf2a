"""Who opens a WebSocket: the user of the session cookie, where a page of this site opens it."""

from collections.abc import Iterator

import pytest
from fastapi import Request, WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from crossauth_backend import Key, User
from crossauth_fastapi import AdminUser, CurrentUser, FastApiServer, OptionalUser
from tests.services.uvicorn import serve
from tests.support import Client, make_server


def with_sockets(**options: object) -> FastApiServer:
    server = make_server(**options)
    session = server.session_server
    assert session is not None

    @server.app.websocket("/ws")
    async def ws(socket: WebSocket, user: CurrentUser) -> None:
        await socket.accept()
        await socket.send_text(f"{user.username} {await session.get_session_data(socket, 'seen')}")
        await socket.close()

    @server.app.websocket("/ws/maybe")
    async def maybe(socket: WebSocket, user: OptionalUser) -> None:
        await socket.accept()
        await socket.send_text(user.username if user else str(socket.state.user))
        await socket.close()

    @server.app.websocket("/ws/admin")
    async def admin(socket: WebSocket, user: AdminUser) -> None:
        await socket.accept()
        await socket.send_text(user.username)
        await socket.close()

    return server


@pytest.fixture
def client() -> Iterator[Client]:
    with serve(with_sockets(is_admin_fn=lambda user: user.username == "root").app) as url, Client(url) as client:
        yield client


def said(client: Client, path: str, **headers: str) -> str:
    """What the socket says; the status of the refused handshake where there is one."""
    url = str(client.base_url).replace("http", "ws", 1)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    sent = {"Cookie": cookies, **headers} if cookies else headers
    try:
        with connect(url.rstrip("/") + path, additional_headers=sent, proxy=None) as socket:
            return str(socket.recv(timeout=10))
    except InvalidStatus as e:
        return str(e.response.status_code)


def test_the_dependencies_work_on_websockets(client: Client) -> None:
    assert [said(client, path) for path in ("/ws", "/ws/maybe", "/ws/admin")] == ["403", "None", "403"]
    client.sign_up()
    assert [said(client, path) for path in ("/ws", "/ws/maybe", "/ws/admin")] == ["alice None", "alice", "403"]
    with Client(str(client.base_url)) as root:
        root.sign_up("root")
        assert said(root, "/ws/admin") == "root"


def test_a_page_of_another_site_opens_a_websocket_as_nobody(client: Client) -> None:
    client.sign_up()
    host = client.base_url.netloc.decode()
    neighbour = f"http://{client.base_url.host}:1"
    for origin in (
        "https://evil.example",
        neighbour,
        "null",
        f"http://evil.{host}",
        f"http://{host}.evil.example",
        "http://[",
    ):
        assert said(client, "/ws", Origin=origin) == "403", origin
        # Neither does the state of the request know the user, for who reads it without a dependency.
        assert said(client, "/ws/maybe", Origin=origin) == "None", origin
    assert said(client, "/ws", Origin=f"http://{host}") == "alice None"


def test_a_plain_page_opens_no_websocket_of_an_https_site() -> None:
    with (
        serve(with_sockets(site_url="https://shop.example").app) as url,
        Client(url, headers={"Host": "shop.example"}) as client,
    ):
        client.cookies.clear()
        signed = client.get("/api/getcsrftoken")
        token, cookie = signed.json()["csrfToken"], signed.headers["set-cookie"].split(";")[0]
        fields = {"username": "alice", "password": "Correct1horse", "csrfToken": token}
        done = client.post("/api/signup", json=fields, headers={"Cookie": cookie})
        session = next(c.split(";")[0] for c in done.headers.get_list("set-cookie") if "SESSIONID" in c)
        client.cookies.clear()
        assert said(client, "/ws", Cookie=session, Origin="https://shop.example") == "alice None"
        assert said(client, "/ws", Cookie=session, Origin="http://shop.example") == "403"


def test_validate_session_is_asked_for_a_websocket_too() -> None:
    asked: list[str] = []

    def validate(key: Key, user: User | None, request: Request) -> None:
        asked.append(request.headers["host"])

    with serve(with_sockets(validate_session=validate).app) as url, Client(url) as client:
        client.sign_up()
        asked.clear()
        assert said(client, "/ws") == "alice None"
        assert asked == [client.base_url.netloc.decode()]
