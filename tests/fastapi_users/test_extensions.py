"""What goes beyond the documented routes: refresh tokens, logins that can be listed, WebSockets, tests, other stores."""

import asyncio
import base64
import hmac
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from redis.asyncio import Redis
from starlette.websockets import WebSocketDisconnect

from crossauth_backend import CrossauthError, InMemoryKeyStorage, open_redis
from crossauth_fastapi.fastapi_users import FastAPIUsers, models
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    CookieTransport,
    JWTStrategy,
    KeyStorageStrategy,
    RedisStrategy,
)
from crossauth_fastapi.fastapi_users.authentication.authenticator import DuplicateBackendNamesError
from tests.accounts import RecordingListener
from tests.fastapi_users.app import SECRET, Site
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.services.redis import RedisServer, redis_server

EMAIL = "arthur@camelot.bt"


def refreshable(seconds: int = 3600) -> Any:
    return AuthenticationBackend(
        "long", BearerTransport("auth/long/login"), lambda: JWTStrategy(SECRET, 60), refresh_lifetime_seconds=seconds
    )


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """With refresh tokens."""
    with open_site(tmp_path, more_backends=[refreshable()], key_storage=InMemoryKeyStorage()) as api:
        api.register()
        yield api


def refresh(api: Api, token: str) -> Any:
    return api.post("/auth/long/refresh", data={"refresh_token": token})


def test_a_refresh_token_renews_a_login(api: Api) -> None:
    first = api.log_in(by="long").json()
    assert set(first) == {"access_token", "token_type", "refresh_token"}
    second = refresh(api, first["refresh_token"])
    assert second.status_code == 200, second.text
    assert second.headers["cache-control"] == "no-store"
    header = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert api.get("/hello", headers=header).status_code == 200
    third = refresh(api, second.json()["refresh_token"])
    assert third.status_code == 200
    assert "refresh_token" not in api.log_in(by="jwt").json()


def test_a_refresh_token_that_comes_back_ends_its_family(api: Api) -> None:
    first, other = (api.log_in(by="long").json()["refresh_token"] for _ in range(2))
    second = refresh(api, first).json()["refresh_token"]
    third = refresh(api, second).json()["refresh_token"]
    assert detail(refresh(api, first)) == "REFRESH_BAD_TOKEN", "from two generations back"
    assert detail(refresh(api, third)) == "REFRESH_BAD_TOKEN"
    assert refresh(api, other).status_code == 200, "another login goes on"


def test_a_refresh_token_in_many_requests_at_once(api: Api) -> None:
    token = api.log_in(by="long").json()["refresh_token"]
    clients = [api.another() for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda c: refresh(c, token), clients))
    for client in clients:
        client.close()
    assert [a.status_code for a in answers] == [200] * 10
    assert len({a.json()["refresh_token"] for a in answers}) == 1, "each gets the same successor"


@pytest.mark.parametrize("how", ["logout", "password", "inactive", "deleted", "expired"])
def test_a_refresh_token_ends(tmp_path: Path, how: str) -> None:
    keys = InMemoryKeyStorage()
    with open_site(tmp_path, more_backends=[refreshable(1 if how == "expired" else 3600)], key_storage=keys) as api:
        me = api.register().json()
        login = api.log_in(by="long").json()
        header = {"Authorization": f"Bearer {login['access_token']}"}
        if how == "logout":
            assert api.post("/auth/long/logout", headers=header).status_code == 200
        elif how == "password":
            other = api.cookie_login()
            assert api.patch("/users/me", headers=other, json={"password": "merlin"}).status_code == 200
        elif how == "inactive":
            api.set(is_active=0)
        elif how == "deleted":
            assert api.delete(f"/users/{me['id']}", headers=api.superuser()).status_code == 204
        else:
            import time

            time.sleep(1.1)
        assert detail(refresh(api, login["refresh_token"])) == "REFRESH_BAD_TOKEN"


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 60_000, "\x00", "a.0.b", "a.0." + "b" * 65, "a.x.y", "..."])
def test_garbage_for_a_refresh_token(api: Api, token: str) -> None:
    assert refresh(api, token).status_code in (400, 422)


def test_refresh_tokens_that_could_not_work_do_not_start() -> None:
    async def manager() -> Any: ...

    with pytest.raises(CrossauthError, match="key_storage"):
        FastAPIUsers(manager, [refreshable()])
    with pytest.raises(CrossauthError, match="only a BearerTransport"):
        AuthenticationBackend("c", CookieTransport(), lambda: None, refresh_lifetime_seconds=5)  # type: ignore[arg-type, return-value]
    with pytest.raises(CrossauthError, match="above 0"):
        refreshable(0)


def test_a_strategy_that_cannot_work_does_not_start() -> None:
    async def manager() -> Any: ...

    def broken() -> Any:
        return JWTStrategy("no key", 60, algorithm="RS256")

    with pytest.raises(CrossauthError, match="does not fit the algorithm"):
        FastAPIUsers(manager, [AuthenticationBackend("jwt", BearerTransport("x"), broken)])
    with pytest.raises(CrossauthError, match="not offered"):
        JWTStrategy(SECRET, 60, algorithm="none")
    with pytest.raises(CrossauthError, match="text of its own"):
        JWTStrategy("-----BEGIN PUBLIC KEY-----", 60)


def test_where_a_user_is_logged_in(api: Api) -> None:
    here, there = api.cookie_login(), api.cookie_login()
    displayed = api.get("/auth/sessions", headers=here).json()
    assert [s["current"] for s in displayed].count(True) == 1
    assert len(displayed) == 2
    other = next(s["handle"] for s in displayed if not s["current"])
    assert api.get("/hello", headers={"Cookie": f"fastapiusersauth={other}"}).status_code == 401
    assert api.delete(f"/auth/sessions/{other}", headers=here).status_code == 204
    assert detail(api.delete(f"/auth/sessions/{other}", headers=here)) == "SESSION_NOT_FOUND"
    assert api.get("/hello", headers=there).status_code == 401
    more = api.cookie_login()
    api.register("b@camelot.bt")
    stranger = api.cookie_login("b@camelot.bt")
    own = api.get("/auth/sessions", headers=here).json()[0]["handle"]
    assert api.delete(f"/auth/sessions/{own}", headers=stranger).status_code == 404
    assert api.delete("/auth/sessions", headers=here).status_code == 204
    assert [api.get("/hello", headers=h).status_code for h in (here, more, stranger)] == [200, 401, 200]
    by_jwt = api.get("/auth/sessions", headers=api.bearer()).json()
    assert [(s["current"], "sid" in s) for s in by_jwt] == [(False, False)], "the cookie's; JWTs are not kept"
    assert api.delete("/auth/sessions/x", headers=api.bearer()).status_code == 404
    assert api.get("/auth/sessions").status_code == 401


def test_websockets(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/ws.db")
    with TestClient(site.app, base_url="https://castle.test") as client:
        client.post("/auth/register", json={"email": EMAIL, "password": "guinevere"})
        form = {"username": EMAIL, "password": "guinevere"}
        token = client.post("/auth/jwt/login", data=form).json()["access_token"]
        with client.websocket_connect("/ws", headers={"Authorization": f"Bearer {token}"}) as ws:
            assert ws.receive_text() == EMAIL
        with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/ws"):
            pass
        assert refused.value.code == 1008
        client.post("/auth/cookie/login", data=form)
        for origin in (None, "https://castle.test"):
            with client.websocket_connect("wss://castle.test/ws", headers={"Origin": origin} if origin else {}) as ws:
                assert ws.receive_text() == EMAIL
        for origin in ("https://evil.test", "null", "http://[", "https://castle.test.evil"):
            with (
                pytest.raises(WebSocketDisconnect),
                client.websocket_connect("wss://castle.test/ws", headers={"Origin": origin}),
            ):
                pass


def test_the_current_user_can_be_overridden(tmp_path: Path) -> None:
    """In a test of the application: the same question is the same object, wherever it is asked."""
    site = Site(f"sqlite:///{tmp_path}/o.db")
    users = site.users
    assert users.current_user(active=True) is users.current_user(active=True)
    assert users.current_user(active=True) is not users.current_user(active=True, verified=True)

    class Somebody:
        email = "somebody@camelot.bt"

    site.app.dependency_overrides[users.current_user(active=True)] = Somebody
    with TestClient(site.app) as client:
        assert client.get("/hello").json() == {"email": "somebody@camelot.bt"}


@pytest.mark.parametrize("names", [("a", "a"), ("a-b", "ab"), ("", "-")])
def test_names_of_backends_that_collide(names: tuple[str, str]) -> None:
    async def manager() -> Any: ...

    made = [AuthenticationBackend(n, BearerTransport("x"), lambda: JWTStrategy(SECRET, 60)) for n in names]
    with pytest.raises(DuplicateBackendNamesError):
        FastAPIUsers(manager, made)


def test_backends_that_count_for_a_request(tmp_path: Path) -> None:
    from fastapi import Depends

    site = Site(f"sqlite:///{tmp_path}/b.db")

    async def only_jwt() -> Any:
        return [site.jwt]

    @site.app.get("/only-jwt")
    async def route(user: Any = Depends(site.users.current_user(get_enabled_backends=only_jwt))) -> str:  # noqa: B008
        return str(user.email)

    with TestClient(site.app, base_url="https://castle.test") as client:
        form = {"username": EMAIL, "password": "guinevere"}
        client.post("/auth/register", json={"email": EMAIL, "password": "guinevere"})
        token = client.post("/auth/jwt/login", data=form).json()["access_token"]
        client.post("/auth/cookie/login", data=form)
        assert client.get("/only-jwt").status_code == 401
        assert client.get("/only-jwt", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_events(tmp_path: Path) -> None:
    heard = RecordingListener()
    with open_site(tmp_path, event_listeners=[heard]) as api:
        api.register()
        api.log_in(password="x")
        header = api.bearer()
        api.patch("/users/me", headers=header, json={"password": "merlin"})
        api.post("/auth/cookie/logout", headers=api.cookie_login(password="merlin"))
        assert heard.names == [
            "signed_up", "login_failed", "login_succeeded", "user_updated", "password_changed", "login_succeeded",
            "logged_out",
        ]  # fmt: skip
        assert {event.username for event in heard.events} == {EMAIL, None}
        assert not any("guinevere" in repr(event) or "merlin" in repr(event) for event in heard.events)


def stored_backend(strategy: Any) -> Any:
    return AuthenticationBackend("stored", BearerTransport("auth/stored/login"), lambda: strategy)


@pytest.mark.parametrize("kind", ["memory", "redis", "redis that decodes"])
def test_tokens_in_a_key_storage(tmp_path: Path, kind: str, redis_url: str) -> None:
    clients = {"redis": open_redis, "redis that decodes": lambda url: Redis.from_url(url, decode_responses=True)}
    redis = clients[kind](redis_url) if kind in clients else None
    strategy: Any = RedisStrategy(redis, 3600) if redis else KeyStorageStrategy(InMemoryKeyStorage(), 3600)
    closing = [redis] if redis else []
    with open_site(tmp_path, more_backends=[stored_backend(strategy)], closing=closing) as api:
        api.register()
        here, there = api.bearer(by="stored"), api.bearer(by="stored")
        assert len(api.get("/auth/sessions", headers=here).json()) == 2
        assert api.post("/auth/stored/logout", headers=there).status_code == 200
        assert [api.get("/hello", headers=h).status_code for h in (here, there)] == [200, 401]
        third = api.bearer(by="stored")
        assert api.patch("/users/me", headers=here, json={"password": "merlin"}).status_code == 200
        assert [api.get("/hello", headers=h).status_code for h in (here, third)] == [200, 401]
        api.sql('DELETE FROM "user"')
        assert api.get("/hello", headers=here).status_code == 401


def test_any_other_name_in_redis_is_no_token(tmp_path: Path, redis_url: str, redis_instance: RedisServer) -> None:
    """Issue 1043 of the routes' origin: what else is kept in the same Redis."""
    strategy: Any = RedisStrategy(open_redis(redis_url), 3600)
    backends = [stored_backend(strategy)]
    with (
        open_site(tmp_path, more_backends=backends, closing=[strategy.redis]) as api,
        redis_instance.client() as redis,
    ):
        me = api.register().json()
        token = api.bearer(by="stored")["Authorization"].removeprefix("Bearer ")
        redis.set("session", me["id"])
        redis.set("fastapi_users_token:plain", me["id"])
        names = [name.decode() for name in redis.keys("*")]
        assert not any(token in name for name in names)
        for guess in ["session", "plain", *names, *(name.removeprefix("fastapi_users_token:") for name in names)]:
            assert api.get("/hello", headers={"Authorization": f"Bearer {guess}"}).status_code == 401
        assert 3_500 < redis.ttl(next(n for n in names if ":k:" in n)) <= 3_600


def test_redis_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as redis:
        strategy: Any = RedisStrategy(open_redis(redis.url), 3600)
        with open_site(tmp_path, more_backends=[stored_backend(strategy)], closing=[strategy.redis]) as api:
            api.register()
            header = api.bearer(by="stored")
            redis.kill()
            assert api.get("/hello", headers=header).status_code == 503
            assert api.get("/users/me", headers=header).status_code == 503
            assert api.log_in(by="stored").status_code == 503
            assert api.post("/auth/stored/logout", headers=header).status_code == 503
            assert api.get("/hello", headers=api.bearer()).status_code == 200
            redis.start()
            assert api.get("/hello", headers=header).status_code == 200
            assert api.log_in(by="stored").status_code == 200


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "RS256", "ES256", "PS256"])
async def test_algorithms(algorithm: str) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key: Any = ec.generate_private_key(ec.SECP256R1()) if algorithm[0] == "E" else rsa.generate_private_key(65537, 2048)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    secret, verifier = (SECRET, None) if algorithm[0] == "H" else (private, public)
    strategy: Any = JWTStrategy(secret, 60, algorithm=algorithm, public_key=verifier)

    class One:
        id, hashed_password = uuid.UUID(int=1), "h"

    class Manager:
        async def get(self, id: Any) -> Any:
            return One

        def parse_id(self, value: Any) -> Any:
            return uuid.UUID(value)

    token = await strategy.write_token(One)
    assert await strategy.read_token(token, Manager()) is One
    if algorithm == "RS256":
        # DSA-3293: a token signed by HMAC with the public key.

        for text in (public.encode(), public.strip().encode(), private.encode()):
            assert await strategy.read_token(signed_by_hand(text, str(One.id)), Manager()) is None


def signed_by_hand(secret: bytes, sub: str) -> str:
    """A token whose HMAC is made with a text that no library would take for a secret."""
    claims = {"sub": sub, "aud": ["fastapi-users:auth"], "exp": 4_000_000_000}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    return (signed + b"." + mac).decode()


def test_protocols_are_bases_of_dataclasses() -> None:
    from dataclasses import dataclass, field

    @dataclass
    class Model(models.UserProtocol[uuid.UUID]):
        email: str
        hashed_password: str
        id: uuid.UUID = field(default_factory=uuid.uuid4)
        is_active: bool = True
        is_superuser: bool = False
        is_verified: bool = False

    assert Model("a@b.co", "x").is_active


async def test_redis_strategy_by_hand(redis_url: str) -> None:
    """As an application's own test would."""
    redis = open_redis(redis_url)
    strategy: Any = RedisStrategy(redis, key_prefix="mine:")

    class One:
        id = 7
        hashed_password = "x"

    class Manager:
        async def get(self, id: Any) -> Any:
            return One if id == 7 else None

        def parse_id(self, value: Any) -> Any:
            return int(value)

    token = await strategy.write_token(One)
    assert len(token) == 43
    assert await strategy.read_token(token, Manager()) is One
    assert await asyncio.gather(*(strategy.read_token(t, Manager()) for t in (None, "", "x"))) == [None] * 3
    await strategy.destroy_token(token, One)
    assert await strategy.read_token(token, Manager()) is None
    await redis.aclose()
