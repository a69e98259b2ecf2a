"""API keys on an application: who is asking, and what a refused key is worth."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from crossauth_backend import (
    ApiKeyManager,
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    User,
)
from crossauth_fastapi import CurrentUser, FastApiApiKeyServer, FastApiServer, OptionalUser, require
from tests.services.uvicorn import serve
from tests.support import CHEAP, PASSWORD, SECRET, Client


class Shop:
    """An application whose users come by cookie or by key."""

    def __init__(self) -> None:
        self.users, self.keys = InMemoryUserStorage(), InMemoryKeyStorage()
        self.manager = ApiKeyManager(self.keys, {"secret": SECRET, "user_storage": self.users})
        self.server = FastApiServer(
            {"session": {"key_storage": self.keys}, "api_key": {"key_storage": self.keys}},
            {
                "authenticators": {"localpassword": LocalPasswordAuthenticator(self.users, CHEAP)},
                "secret": SECRET,
                "user_storage": self.users,
            },
        )
        add_routes(self.server.app)

    def key(self, userid: int = 1, **fields: Any) -> str:
        """A new key of a user."""
        return asyncio.run(self.manager.create_key("script", userid, **fields)).token


def add_routes(app: FastAPI) -> None:
    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.username

    @app.get("/maybe")
    async def maybe(user: OptionalUser) -> str:
        return user.username if user else "nobody"

    @app.get("/orders")
    async def orders(user: Annotated[User, Depends(require(scope=["orders", "read"]))]) -> str:
        return user.username

    @app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        state, key = request.state, request.state.apiKey
        response = {"auth_type": state.auth_type, "scope": state.scope, "error": state.auth_error}
        return response | ({"name": key["name"], "customer": key.get("customer")} if key else {})

    @app.websocket("/talk")
    async def talk(socket: WebSocket, user: Annotated[User, Depends(require(scope="read"))]) -> None:
        await socket.accept()
        await socket.send_text(user.username)
        await socket.close()

    @app.post("/change")
    async def change(user: CurrentUser) -> str:
        return user.username


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def client(shop: Shop) -> Iterator[Client]:
    with serve(shop.server.app) as url, Client(url) as client:
        client.sign_up("alice")
        client.cookies.clear()
        yield client


def with_key(token: str) -> dict[str, str]:
    return {"Authorization": f"ApiKey {token}"}


def test_a_key_acts_for_its_user_and_needs_no_csrf_token(shop: Shop, client: Client) -> None:
    headers = with_key(shop.key())
    assert client.get("/me", headers=headers).json() == "alice"
    assert client.post("/change", headers=headers).json() == "alice"
    assert client.get("/me", headers={"Authorization": headers["Authorization"].replace("ApiKey", "apikey")}).is_success


@pytest.mark.parametrize("token", ["x", "xa_" + "a" * 49, "a" * 8000, "e30.AAAA", "\xff\xfe"])
def test_a_refused_key_is_nobodys_whatever_cookie_comes_with_it(client: Client, token: str) -> None:
    client.call("/api/login", username="alice", password=PASSWORD)
    assert client.get("/me").json() == "alice"
    headers = {"Authorization": b"ApiKey " + token.encode("latin-1")}
    refused = client.get("/me", headers=headers)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'ApiKey realm="api"')
    assert client.get("/maybe", headers=headers).json() == "nobody"


def test_another_scheme_is_no_key(client: Client) -> None:
    client.call("/api/login", username="alice", password=PASSWORD)
    for header in ("Basic YTpi", "Bearer x", "ApiKeys x", "x"):
        assert client.get("/me", headers={"Authorization": header}).json() == "alice", header


@pytest.mark.parametrize("header", ["ApiKey", "apikey"])
def test_a_scheme_without_a_key_is_a_key_that_is_refused(client: Client, header: str) -> None:
    client.call("/api/login", username="alice", password=PASSWORD)
    assert client.get("/me", headers={"Authorization": header}).status_code == 401


def test_a_key_counts_before_the_cookie_of_somebody_else(shop: Shop, client: Client) -> None:
    client.sign_up("bob")
    assert client.get("/me").json() == "bob"
    assert client.get("/me", headers=with_key(shop.key(1))).json() == "alice"


def test_a_key_does_not_do_what_only_a_login_may(shop: Shop, client: Client) -> None:
    headers = with_key(shop.key(scope=["edit"]))
    for path, body in (
        ("/api/updateuser", {"user_email": "x@example.com"}),
        ("/api/deleteuser", {}),
        ("/api/logout", {}),
    ):
        answer = client.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 401), path
    assert client.get("/me", headers=headers).json() == "alice"


def test_a_key_of_somebody_disabled_is_refused(shop: Shop, client: Client) -> None:
    headers = with_key(shop.key())
    asyncio.run(shop.users.update_user({"id": 1, "state": "disabled"}))
    assert client.get("/me", headers=headers).status_code == 401
    asyncio.run(shop.users.update_user({"id": 1, "state": "active"}))
    assert client.get("/me", headers=headers).json() == "alice"


def test_a_key_beyond_its_limit_says_when_to_come_again(shop: Shop, client: Client) -> None:
    headers = with_key(shop.key(limit=(2, 600)))
    answers = [client.get("/me", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 600


def test_keys_need_users_and_a_storage_that_can_compare_and_set() -> None:
    with pytest.raises(CrossauthError, match="user_storage") as caught:
        FastApiApiKeyServer(FastAPI(), InMemoryKeyStorage(), {"secret": SECRET})
    assert caught.value.code is ErrorCode.Configuration
    with pytest.raises(CrossauthError, match="'key_storage' is required"):
        FastApiServer({"api_key": {}}, {"secret": SECRET, "user_storage": InMemoryUserStorage()})  # type: ignore[typeddict-item]


def test_keys_work_without_a_session_server() -> None:
    users, keys = InMemoryUserStorage(), InMemoryKeyStorage()
    server = FastApiServer({"api_key": {"key_storage": keys}}, {"secret": SECRET, "user_storage": users})
    add_routes(server.app)
    user = asyncio.run(users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"}))
    token = asyncio.run(ApiKeyManager(keys, {"secret": SECRET, "user_storage": users}).create_key("k", user.id)).token
    with serve(server.app) as url, Client(url) as client:
        assert client.get("/me", headers=with_key(token)).json() == "alice"
        assert client.get("/me").status_code == 401


def test_the_state_of_a_request_says_what_the_key_is(shop: Shop, client: Client) -> None:
    token = shop.key(data={"customer": "acme", "scope": ["read"]})
    response = client.get("/state", headers=with_key(token)).json()
    assert response == {"auth_type": "apiKey", "scope": ["read"], "error": None, "name": "script", "customer": "acme"}
    assert client.get("/state", headers=with_key(shop.key())).json()["scope"] is None
    refused = client.get("/state", headers=with_key("xa_bad")).json()
    assert refused == {"auth_type": None, "scope": None, "error": "InvalidKey"}
    assert client.get("/state").json() == {"auth_type": None, "scope": None, "error": None}


def test_a_route_says_which_scopes_a_key_needs(shop: Shop, client: Client) -> None:
    good, half, none = (shop.key(scope=scope) for scope in (["read", "orders"], ["read"], None))
    assert client.get("/orders", headers=with_key(good)).json() == "alice"
    for token in (half, none):
        refused = client.get("/orders", headers=with_key(token))
        assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "InsufficientScope")
        challenge = 'ApiKey realm="api", error="insufficient_scope", scope="orders read"'
        assert refused.headers["www-authenticate"] == challenge
    client.log_in()
    assert client.get("/orders").json() == "alice", "scopes limit keys, and nobody who is logged in"
    assert client.get("/orders", headers=with_key(half)).status_code == 403
    for scopes in ((), ("a b",), ("",)):
        with pytest.raises(CrossauthError, match="require: 'scope'"):
            require(scope=scopes)


def test_a_websocket_is_opened_by_key(shop: Shop, client: Client) -> None:
    url = str(client.base_url).replace("http", "ws", 1).rstrip("/") + "/talk"
    with connect(url, additional_headers=with_key(shop.key(scope=["read"])), proxy=None) as socket:
        assert socket.recv(timeout=10) == "alice"
    for token in (shop.key(), "xa_bad"):
        with pytest.raises(InvalidStatus), connect(url, additional_headers=with_key(token), proxy=None):
            pass


def test_the_last_use_is_written_when_the_application_ends(shop: Shop) -> None:
    with serve(shop.server.app) as url, Client(url) as client:
        client.sign_up("alice")
        assert client.get("/me", headers=with_key(shop.key())).is_success
    assert asyncio.run(shop.manager.list_keys(1))[0].lastactive is not None


def test_openapi_says_which_routes_take_a_key(shop: Shop) -> None:
    described = shop.server.app.openapi()
    assert described is shop.server.app.openapi()
    scheme = described["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    paths = described["paths"]
    assert paths["/me"]["get"]["security"] == [{"Session": []}, {"ApiKey": []}]
    assert paths["/orders"]["get"]["security"] == [{"Session": []}, {"ApiKey": ["orders", "read"]}]
    for path in ("/api/sessions", "/api/apikeys"):
        for call in paths[path].values():
            assert {"ApiKey": []} not in call["security"], path


def test_caches_are_told_that_the_answer_depends_on_the_key(shop: Shop, client: Client) -> None:
    answer = client.get("/me", headers=with_key(shop.key()))
    assert answer.headers["cache-control"] == "no-store"
    assert {"cookie", "authorization"} <= set(answer.headers["vary"].lower().replace(" ", "").split(","))


def test_every_kind_of_refusal_says_how_to_send_a_key(shop: Shop, client: Client) -> None:
    for path, headers in (
        ("/me", {}), ("/me", {"Accept": "text/html"}), ("/api/apikeys", {}), ("/api/apikeys", {"Accept": "text/html"}),
    ):  # fmt: skip
        refused = client.get(path, headers={**with_key("xa_bad"), **headers})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'ApiKey realm="api"'), path
        assert "InvalidKey" in refused.text or "is invalid" in refused.text
    sent = client.get("/me", headers={"Accept": "text/html"})
    assert sent.headers["location"].startswith("/login")
    assert "www-authenticate" not in sent.headers
    client.log_in()
    assert "www-authenticate" not in client.call("/api/login", username="alice", password="Wrong1one").headers


def test_a_mounted_application_has_its_pages_where_it_is(shop: Shop) -> None:
    outer = FastAPI()
    outer.mount("/shop", shop.server.app)
    with serve(outer) as url, Client(f"{url}/shop") as alice:
        alice.sign_up("alice")
        page = alice.get("/apikeys").text
        assert 'action="/shop/apikeys"' in page
        token = alice.call("/api/apikeys", name="k").json()["token"]
        assert alice.get("/me", headers=with_key(token)).json() == "alice"


def test_an_option_that_cannot_take_effect_is_refused() -> None:
    options = {"secret": SECRET, "user_storage": InMemoryUserStorage(), "prefix": "/accounts/"}
    with pytest.raises(CrossauthError, match="'prefix' has no effect"):
        FastApiServer({"api_key": {"key_storage": InMemoryKeyStorage()}}, options)
