"""Routes that dependencies guard: bad credentials beside good ones, other sites, clients in the place of users"""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.testclient import TestClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from crossauth_backend import OAuthTokenConsumer, User
from crossauth_fastapi import CurrentUser, FastApiOAuthResourceServer, OptionalUser, require
from crossauth_fastapi.testing import issue_token, login_as
from tests.resource import bearer
from tests.services.uvicorn import serve
from tests.shop import ISSUER, Shop, add_routes
from tests.support import CSRF, Client, make_server

GUARDED = ("/user", "/scope", "/session", "/current", "/principal")
GARBAGE = (
    b"", b" ", b"Bearer", b"Bearer ", b"Bearer  ", b"Bearer \x00", b"Bearer \xff\xfe", b"Bearer a b", b"Bearer " + b"a" * 40_000,
    b"Bearer a.b.c", b"Bearer ..", b"ApiKey", b"ApiKey \xff", b"ApiKey xa_", b"ApiKey " + b"x" * 40_000, b"Basic YTpi",
    b"bearer\tx", b"Bearer=x", b",", b"Bearer x, ApiKey y",
)  # fmt: skip


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def client(shop: Shop) -> Iterator[Client]:
    with serve(shop.app) as url, Client(url) as client:
        yield client


def logged_in(shop: Shop, client: Client, user: User) -> dict[str, str]:
    return login_as(client, user, app=shop.app)


def test_the_key_of_one_user_beside_the_cookie_of_another_is_the_key_s(shop: Shop, client: Client) -> None:
    csrf = logged_in(shop, client, shop.alice)
    key = shop.key(shop.bob, scope=["orders"])
    for headers in (key, {**key, **csrf}):
        assert client.get("/scope", headers=headers).json() == "b 2"
        assert client.post("/scope", headers=headers).json() == "b 2"
        # A route for sessions alone serves neither of the two.
        for answer in (client.get("/session", headers=headers), client.post("/session", headers=headers)):
            assert answer.status_code == 401


def test_a_bad_token_or_key_beside_a_good_cookie_opens_nothing(shop: Shop, client: Client) -> None:
    csrf = logged_in(shop, client, shop.root)
    bad = (bearer(issue_token(shop.app, shop.root, aud="another")), bearer("x"), {"Authorization": "ApiKey xa_nothing"})
    for headers in bad:
        for path in (*GUARDED, "/admin", "/administrator"):
            assert client.get(path, headers=headers).status_code == 401, path
        assert client.post("/user", headers={**headers, **csrf}).status_code == 401
        assert client.get("/optional", headers=headers).json() is None


def test_scopes_of_a_cookie_are_not_lent_to_a_token_without_them(shop: Shop, client: Client) -> None:
    logged_in(shop, client, shop.alice)
    for headers in (bearer(issue_token(shop.app, shop.alice)), shop.key(shop.alice), shop.key(shop.alice, scope=[])):
        assert client.get("/scope", headers=headers).status_code == 403
        assert client.get("/principal", headers=headers).status_code == 403
    assert client.get("/scope").json() == "a 1"


def test_a_recent_login_of_the_cookie_is_not_lent_to_a_token_or_key(shop: Shop, client: Client) -> None:
    login_as(client, shop.alice, factor2=True, app=shop.app)
    assert (client.get("/fresh").json(), client.get("/second").json()) == ("a 1", "a 1")
    for headers, status in ((bearer(issue_token(shop.app, shop.alice)), 401), (shop.key(shop.alice), 403)):
        for path in ("/fresh", "/second"):
            assert client.get(path, headers=headers).status_code == status, path


def test_an_anonymous_session_hides_no_good_token(shop: Shop, client: Client) -> None:
    server = shop.server.session_server
    assert server is not None
    sessions = server.session_manager.session
    cookie = sessions.make_cookie(asyncio.run(sessions.create_session_key(None)))
    client.cookies.set(cookie.name, cookie.value)
    assert client.get("/user").status_code == 401
    token = bearer(issue_token(shop.app, shop.alice, scope="orders"))
    assert client.get("/user", headers=token).json() == "a 1"
    assert client.post("/scope", headers=token).json() == "a 1"


def test_a_cookie_alone_changes_nothing(shop: Shop, client: Client) -> None:
    csrf = logged_in(shop, client, shop.root)
    for path in ("/user", "/scope", "/admin", "/session", "/principal", "/optional"):
        for headers in ({}, {CSRF: "x"}, {"Origin": "https://evil.example"}):
            refused = client.post(path, headers=headers)
            assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "InvalidCsrf"), path
        assert client.post(path, headers=csrf).is_success, path


def test_a_token_of_another_session_is_no_csrf_token(shop: Shop, client: Client) -> None:
    csrf = logged_in(shop, client, shop.alice)
    logged_in(shop, client, shop.bob)
    assert client.post("/user", headers=csrf).status_code == 403


def test_a_page_of_another_site_opens_no_socket_by_cookie(shop: Shop, client: Client) -> None:
    logged_in(shop, client, shop.alice)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    key, url = shop.key(shop.alice, scope=["orders"]), str(client.base_url).replace("http", "ws", 1).rstrip("/")
    evil = {"Origin": "https://evil.example"}
    # What a browser does not send by itself says who it is from anywhere.
    for headers, opens in (
        (cookies, True), (cookies | evil, False), (key | evil, True), (cookies | evil | {"Origin": "null"}, False),
        (cookies | shop.key(shop.alice), False), (bearer("x") | cookies, False),
    ):  # fmt: skip
        assert _said(f"{url}/ws", headers) == ("a x" if opens else 403), headers


def _said(url: str, headers: dict[str, str]) -> str | int:
    """What a socket says to `x`; the status of the refused handshake where there is one."""
    try:
        with connect(url, additional_headers=headers, proxy=None) as socket:
            socket.send("x")
            return str(socket.recv(timeout=10))
    except InvalidStatus as e:
        return e.response.status_code


@pytest.mark.parametrize("state", ["disabled", "passwordchangeneeded", "deleted", ""])
def test_a_user_who_may_not_log_in_is_let_in_by_nothing(shop: Shop, client: Client, state: str) -> None:
    ways = [shop.key(shop.alice, scope=["orders"]), bearer(issue_token(shop.app, shop.alice, scope="orders"))]
    logged_in(shop, client, shop.alice)
    ways.append({"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())})
    client.cookies.clear()
    for headers in ways:
        assert client.get("/scope", headers=headers).json() == "a 1"
    shop.change(shop.alice, state=state)
    for headers in ways:
        for path in GUARDED:
            assert client.get(path, headers=headers).status_code in (401, 403), path
        assert client.get("/optional", headers=headers).json() is None


def test_a_token_that_says_itself_that_its_user_is_disabled_opens_nothing() -> None:
    shop = Shop(user_storage=None, oauth_issuer=None)
    with TestClient(shop.app) as client:
        assert client.get("/current", headers=bearer(issue_token(client, shop.alice))).json() == "alice"
        for state in ("disabled", "anything"):
            token = bearer(issue_token(client, shop.alice, state=state))
            assert client.get("/current", headers=token).status_code == 403


def test_a_client_called_like_a_user_is_no_user(shop: Shop, client: Client) -> None:
    for sub in ("1", "alice"):
        token = bearer(issue_token(shop.app, sub=sub, client_id=sub, scope="orders"))
        for path in ("/user", "/scope", "/admin", "/current", "/verified", "/fresh", "/second", "/administrator"):
            assert client.get(path, headers=token).status_code == 403, path
        assert client.get("/principal", headers=token).json()["user"] is None


@pytest.mark.parametrize("header", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_in_the_header_opens_nothing_and_is_no_fault_of_ours(shop: Shop, header: bytes) -> None:
    # So that keys are there.
    issue_token(shop.app)
    for path in ("/user", "/scope", "/program", "/principal", "/fresh"):
        answer = _ask(shop, path, [(b"authorization", header)])
        assert answer == 401, path
    assert _ask(shop, "/optional", [(b"authorization", header)]) == 200


def _ask(shop: Shop, path: str, headers: list[tuple[bytes, bytes]]) -> int:
    """The status of an answer, past any server that would refuse the header itself."""
    sent: list[Any] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "server": ("t", 80), "client": ("t", 1), "headers": [(b"host", b"t"), *headers],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(shop.app(scope, receive, send))
    return int(sent[0]["status"])


def test_two_authorization_headers_are_none(shop: Shop) -> None:
    key, token = shop.key(shop.alice, scope=["orders"]), bearer(issue_token(shop.app, shop.bob, scope="orders"))
    one, other = (h["Authorization"].encode() for h in (key, token))
    for pair in ((one, other), (other, one), (one, one), (other, other), (other, b""), (b"", other)):
        assert _ask(shop, "/scope", [(b"authorization", value) for value in pair]) in (400, 401), pair


def test_a_token_for_one_resource_opens_no_route_of_another_by_a_dependency() -> None:
    app = FastAPI()
    names = ["https://api.example/files", "https://api.example/mail"]
    consumer = OAuthTokenConsumer(names, {"auth_server_base_url": ISSUER})
    FastApiOAuthResourceServer(app, [consumer], {"resources": [{"resource": name} for name in names]})

    @app.get("/files/{id}")
    async def files(user: CurrentUser) -> str:
        return user.username

    @app.get("/mail/{id}")
    async def mail(user: Annotated[User, Depends(require(scope="read"))]) -> str:
        return user.username

    @app.get("/mail")
    async def maybe(request: Request, user: OptionalUser) -> list[Any]:
        return [user, request.state.access_token_payload, request.state.scope]

    with TestClient(app) as client:
        for name, other in (names, names[::-1]):
            token = bearer(issue_token(client, sub="alice", aud=name, scope="read"))
            own, foreign = (url.removeprefix("https://api.example") for url in (name, other))
            assert client.get(f"{own}/1", headers=token).json() == "alice"
            refused = client.get(f"{foreign}/1", headers=token)
            assert refused.status_code == 401
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]
            assert f"oauth-protected-resource{foreign}" in refused.headers["www-authenticate"]
        for_files = bearer(issue_token(client, sub="alice", aud=names[0], scope="read"))
        assert client.get("/mail", headers=for_files).json() == [None, None, None]


def test_a_page_that_nobody_may_see_is_in_no_cache(shop: Shop, client: Client) -> None:
    for path in GUARDED:
        for headers in ({}, bearer(issue_token(shop.app, shop.alice, scope="orders")), bearer("x")):
            answer = client.get(path, headers=headers)
            assert answer.headers["cache-control"] == "no-store"
            if answer.is_success:
                assert {"cookie", "authorization"} <= set(answer.headers["vary"].lower().replace(" ", "").split(","))


def test_sending_somebody_to_log_in_again_leads_to_no_other_site() -> None:
    server = make_server()
    add_routes(server.app, programs=False)
    with serve(server.app) as url, Client(url) as client:
        client.sign_up()
        for target in ("//evil.example/x", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
            form = client.get("/login", params={"prompt": "login", "next": target}, headers={"Accept": "text/html"})
            assert form.status_code == 200
            assert "evil.example" not in form.text
            assert "javascript:alert" not in form.text
        # Nothing is changed by the page, and nobody is logged out.
        assert client.who() == "alice"


def test_a_refusal_tells_nothing_of_the_account(shop: Shop, client: Client) -> None:
    logged_in(shop, client, shop.alice)
    for path in ("/admin", "/verified", "/second"):
        text = client.get(path).text
        assert "alice" not in text
        assert "example.com" not in text


def test_many_requests_at_once_do_not_mix_users_up(shop: Shop, client: Client) -> None:
    keys = {name: shop.key(user) for name, user in (("a 1", shop.alice), ("b 2", shop.bob), ("r 3", shop.root))}

    async def all_at_once() -> list[tuple[str, str]]:
        async with httpx2.AsyncClient(base_url=str(client.base_url), trust_env=False, timeout=30) as many:
            names = [*keys] * 40
            answers = await asyncio.gather(*(many.get("/user", headers=keys[name]) for name in names))
            return [(name, answer.json()) for name, answer in zip(names, answers, strict=True)]

    assert all(name == response for name, response in asyncio.run(all_at_once()))


def test_a_login_that_leaves_the_second_factor_out_has_none() -> None:
    shop = Shop()
    session = shop.server.session_server
    assert session is not None

    @shop.app.post("/enter")
    async def enter(request: Request) -> Response:
        return await session.login_with_user(carol, True, request, Response(), lambda response, user: response)

    carol = shop.user("carol", factor2="totp", nickname="c")
    with serve(shop.app) as url, Client(url) as client:
        assert client.post("/enter").status_code == 200
        assert client.get("/fresh").json() == "c 4"
        assert client.get("/second").json()["errorCodeName"] == "MfaRequired"
