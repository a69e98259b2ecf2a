"""A Redis that runs out of memory: it must not forget, and logins can be ended all the same."""

import logging
from pathlib import Path
from typing import Any

import pytest
import redis
from fastapi import FastAPI, Request

from crossauth_backend import CrossauthError, ErrorCode, RedisKeyStorage, open_redis
from crossauth_backend.core.clock import utc_now
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    KeyStorageStrategy,
    RedisStrategy,
)
from tests.accounts import Browser, World, name_of
from tests.fastapi_users.app import Site
from tests.fastapi_users.conftest import Api
from tests.services.redis import RedisServer, redis_server
from tests.services.uvicorn import serve


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"])
async def test_a_redis_that_evicts_stops_the_start(tmp_path: Path, policy: str) -> None:
    """Saying what to set. Without a limit of memory nothing is evicted, and it may start."""
    with redis_server(tmp_path, "--maxmemory", "50mb", "--maxmemory-policy", policy) as server:
        keys = RedisKeyStorage(open_redis(server.url))
        with pytest.raises(CrossauthError, match=f"maxmemory-policy is '{policy}'.*noeviction") as refused:
            await keys.start()
        assert refused.value.code is ErrorCode.Configuration
        with server.client() as client:
            client.config_set("maxmemory", 0)
        await keys.start()
        with server.client() as client:
            client.config_set("maxmemory", 50_000_000)
            client.config_set("maxmemory-policy", "noeviction")
        await keys.start()
        await keys.close()


async def test_every_node_of_a_cluster_is_asked(redis_cluster_instance: RedisServer) -> None:
    keys = RedisKeyStorage(open_redis(redis_cluster_instance.url, cluster=True))
    with redis_cluster_instance.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 50_000_000)
        try:
            with pytest.raises(CrossauthError, match="noeviction"):
                await keys.start()
        finally:
            client.config_set("maxmemory", 0)
    await keys.start()
    await keys.close()


async def test_a_redis_that_does_not_say_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Managed servers forbid commands."""
    with redis_server(tmp_path) as server:
        with server.client() as client:
            client.execute_command("ACL SETUSER app on >secret ~* +@all -info -config")
        keys = RedisKeyStorage(open_redis(server.url.replace("//", "//app:secret@")))
        with caplog.at_level(logging.WARNING):
            await keys.start()
        assert "noeviction" in caplog.text
        await keys.close()


def test_logins_can_be_ended_on_a_full_redis(tmp_path: Path) -> None:
    """Nothing new is kept, and that is a 503; what is there can be used and ended."""
    with redis_server(tmp_path, "--maxmemory-policy", "noeviction") as server:
        world = World(keys=RedisKeyStorage(open_redis(server.url)))
        with world.open() as url, Browser(url) as browser, Browser(url) as other, Browser(url) as third:
            browser.sign_up(factor2="none")
            for more in (other, third):
                assert more.log_in().status_code == 200
            with server.client() as client:
                fill(client)
            with Browser(url) as fourth:
                refused = fourth.log_in()
                assert (refused.status_code, name_of(refused)) == (503, "Connection")
                assert refused.headers["retry-after"]
            assert browser.who() == "alice"
            assert other.call("/api/logout").status_code == 200
            assert other.who() is None
            (handle,) = [s["session"] for s in browser.get("/api/sessions").json()["sessions"] if not s["current"]]
            assert browser.call("/api/sessions", session=handle).status_code == 200
            assert third.who() is None
            assert browser.who() == "alice"


def fill(client: "redis.Redis") -> None:
    """Let the server take nothing more."""
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.OutOfMemoryError):
        client.set("more", "x" * 1000)


async def test_keys_can_be_deleted_and_taken_on_a_full_redis(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        keys, now = RedisKeyStorage(open_redis(server.url)), utc_now()
        for number in range(6):
            await keys.save_key(1, f"s:{number}", now, data="x" * 100)
        with server.client() as client:
            fill(client)
        assert (await keys.take_key("s:0")).value == "s:0"
        await keys.delete_key("s:1")
        await keys.delete_matching({"value": "s:2"})
        assert {key.value for key in await keys.get_all_for_user(1)} == {"s:3", "s:4", "s:5"}
        await keys.delete_all_for_user(1, "s:", "s:5")
        assert {key.value for key in await keys.get_all_for_user(1)} == {"s:5"}
        with pytest.raises(CrossauthError) as refused:
            await keys.save_key(1, "s:6", now)
        assert refused.value.http_status == 503
        await keys.close()


def site_on(server: RedisServer, folder: Path, where: str) -> Site:
    """The routes, with tokens or marks in this Redis."""
    client = open_redis(server.url)
    if where == "key_storage":
        return Site(f"sqlite:///{folder}/u.db", key_storage=RedisKeyStorage(client), closing=[client])
    strategies: dict[str, Any] = {
        "RedisStrategy": lambda: RedisStrategy[Any, Any](client, 600),
        "KeyStorageStrategy": lambda: KeyStorageStrategy[Any, Any](RedisKeyStorage(client), 600),
    }
    keys = RedisKeyStorage(client)

    def of_request(request: Request) -> Any:
        return KeyStorageStrategy[Any, Any](keys, 600)

    backend: Any = AuthenticationBackend("redis", BearerTransport("x"), strategies.get(where, of_request))
    return Site(f"sqlite:///{folder}/u.db", more_backends=[backend], closing=[client])


@pytest.mark.parametrize("where", ["RedisStrategy", "KeyStorageStrategy", "key_storage"])
async def test_routes_do_not_start_on_a_redis_that_evicts(tmp_path: Path, where: str) -> None:
    """Whatever is kept there: an index that was evicted would let a login go on that was ended with all others."""
    with redis_server(tmp_path, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        app = site_on(server, tmp_path, where).app
        with pytest.raises(CrossauthError, match="noeviction"):
            async with app.router.lifespan_context(app):
                pass


@pytest.mark.parametrize(
    ("where", "mounted"),
    [
        ("RedisStrategy", True),
        ("KeyStorageStrategy", True),
        ("key_storage", True),
        ("of a request", True),
        ("of a request", False),
    ],
)
def test_routes_whose_start_is_not_noticed_do_not_serve_on_a_redis_that_evicts(
    tmp_path: Path, where: str, mounted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Mounted in another application, or with a strategy that only a request brings. Once it is mended they serve."""
    by = "jwt" if where == "key_storage" else "redis"
    with redis_server(tmp_path, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        site = site_on(server, tmp_path, where)
        app: Any = site.app
        if mounted:
            app = FastAPI(lifespan=site._lifespan)
            app.mount("/inner", site.app)
        with serve(app) as url, Api(url + ("/inner" if mounted else ""), site, "") as api:
            if where == "of a request":
                api.register()
            refused = (
                api.log_in(by=by), api.delete("/auth/sessions", headers={"Authorization": "Bearer x"}),
                api.get("/hello", headers={"Authorization": "Bearer x"}),
            )  # fmt: skip
            assert [answer.status_code for answer in refused] == [500, 500, 500]
            assert caplog.text.count("noeviction") == 1
            assert "noeviction" not in "".join(answer.text for answer in refused)
            with server.client() as client:
                client.config_set("maxmemory", 0)
            if where != "of a request":
                assert api.register().status_code == 201
            header = api.bearer(by=by)
            assert api.get("/hello", headers=header).status_code == 200
            assert api.delete("/auth/sessions", headers=header).status_code == 204
