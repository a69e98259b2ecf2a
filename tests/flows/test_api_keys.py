"""API keys on an application: who is asking, and what a refused key is worth."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from crossauth_backend import (
    ApiKeyManager,
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
)
from crossauth_fastapi import CurrentUser, FastApiApiKeyServer, FastApiServer, OptionalUser
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
    for header in ("ApiKey", "ApiKey ", "Basic YTpi", "Bearer x"):
        assert client.get("/me", headers={"Authorization": header}).json() == "alice", header


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
