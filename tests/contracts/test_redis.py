"""What is particular to Redis: expiry, the index of a user's keys, other clients, and a server that goes away."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from crossauth_backend import CrossauthError, ErrorCode, KeyStorage, RedisKeyStorage, open_redis
from crossauth_backend.core.clock import utc_now
from tests.accounts import Browser, World
from tests.services.redis import RedisServer, redis_server

NOW = utc_now()


def soon() -> datetime:
    """In an hour from when it is asked, which may be long after this file was read."""
    return utc_now() + timedelta(hours=1)


@pytest.fixture
async def keys(redis_url: str) -> AsyncIterator[RedisKeyStorage]:
    storage = RedisKeyStorage(open_redis(redis_url))
    yield storage
    await storage.close()


async def test_redis_forgets_what_has_expired(keys: RedisKeyStorage, redis_instance: RedisServer) -> None:
    await keys.save_key(1, "s:soon", NOW, soon())
    await keys.save_key(1, "s:ever", NOW)
    await keys.count_up({"n:1": soon()})
    with redis_instance.client() as client:
        assert 3_500_000 < client.pttl("crossauth:k:s:soon") <= 3_600_000
        assert client.pttl("crossauth:k:s:ever") == -1
        assert 3_500_000 < client.pttl("crossauth:k:n:1") <= 3_600_000
        await keys.update_key({"value": "s:soon", "expires": None})
        assert client.pttl("crossauth:k:s:soon") == -1
        await keys.update_key({"value": "s:ever", "expires": utc_now() + timedelta(minutes=1)})
        assert 50_000 < client.pttl("crossauth:k:s:ever") <= 60_000
        await keys.update_key({"value": "s:soon", "expires": utc_now() - timedelta(minutes=1)})
    time.sleep(0.05)
    with pytest.raises(CrossauthError) as refused:
        await keys.get_key("s:soon")
    assert refused.value.code is ErrorCode.InvalidKey


async def test_a_tombstone_lives_as_long_as_its_key_would_have(
    keys: RedisKeyStorage, redis_instance: RedisServer
) -> None:
    """A swap does not make a key live for ever, either."""
    await keys.save_key(1, "p:1", NOW, soon(), "0")
    await keys.swap_data("p:1", "0", "")
    await keys.swap_data("p:1", "", "1")
    await keys.consume_key("p:1", NOW)
    await keys.consume_key("p:1", NOW)
    with redis_instance.client() as client:
        assert 3_500_000 < client.pttl("crossauth:k:p:1") <= 3_600_000
    await keys.save_key(1, "p:2", NOW, utc_now() + timedelta(milliseconds=300))
    await keys.consume_key("p:2", NOW)
    time.sleep(0.4)
    assert await keys.find_key("p:2") is None
    assert await keys.consume_key("p:2", NOW) is None, "nothing is made of what is gone"


async def test_the_index_of_a_user_does_not_grow(keys: RedisKeyStorage, redis_instance: RedisServer) -> None:
    await keys.save_key(1, "s:old", NOW - timedelta(days=2), NOW - timedelta(days=1))
    for number in range(5):
        await keys.save_key(1, f"s:{number}", NOW, soon())
    await keys.delete_key("s:1")
    await keys.take_key("s:2")
    assert {k.value for k in await keys.get_all_for_user(1)} == {"s:0", "s:3", "s:4"}
    with redis_instance.client() as client:
        assert client.zrange("crossauth:u:i1", 0, -1) == [b"s:0", b"s:3", b"s:4"]
        assert 3_500_000 < client.pttl("crossauth:u:i1") <= 3_600_000
        await keys.save_key(1, "s:ever", NOW)
        assert client.pttl("crossauth:u:i1") == -1
        await keys.delete_all_for_user(1, "")
        assert client.keys("*") == []


@pytest.mark.parametrize("hours", [-25, 25])
async def test_the_index_goes_by_the_clock_that_the_keys_go_by(
    keys: RedisKeyStorage, redis_instance: RedisServer, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    await keys.save_key(1, "s:right", NOW, soon())
    monkeypatch.setattr("crossauth_backend.storages.redis.keys.utc_now", lambda: utc_now() + timedelta(hours=hours))
    wrong = utc_now() + timedelta(hours=hours)
    await keys.save_key(1, "s:wrong", wrong, wrong + timedelta(hours=2))
    with redis_instance.client() as client:
        assert client.pttl("crossauth:u:i1") >= client.pttl("crossauth:k:s:wrong") > 3_600_000
    await keys.save_key(1, "s:ages", wrong, datetime.max.replace(tzinfo=UTC))
    assert {key.value for key in await keys.get_all_for_user(1)} == {"s:right", "s:wrong", "s:ages"}
    await keys.delete_all_for_user(1, "s:")
    with redis_instance.client() as client:
        assert client.keys("*") == []


async def test_a_key_that_changes_hands_ends_with_its_new_owner(keys: RedisKeyStorage) -> None:
    await keys.save_key(1, "s:1", NOW, soon())
    await keys.update_key({"value": "s:1", "userid": 2})
    assert await keys.get_all_for_user(1) == []
    assert [k.userid for k in await keys.get_all_for_user(2)] == [2]
    await keys.update_key({"value": "s:1", "userid": None})
    assert await keys.get_all_for_user(2) == []
    await keys.delete_matching({"data": "", "created": NOW})
    assert await keys.get_all_for_user(None) == []


@pytest.mark.parametrize("userid", [1, "1", "text", uuid.UUID(int=7), -5])
async def test_an_id_keeps_its_type(keys: RedisKeyStorage, userid: Any) -> None:
    extra = {"agent": "a", "seen": NOW, "list": [1, None], "no": None}
    await keys.save_key(userid, "s:1", NOW, extra_fields=extra)
    found = (await keys.get_all_for_user(userid))[0]
    assert (found.userid, type(found.userid)) == (userid, type(userid))
    assert found.extra == {"agent": "a", "seen": NOW, "list": [1, None]}


@pytest.mark.parametrize(
    ("field", "value"), [("agent", object()), ("agent", "\ud800"), ("a\x00", 1), ("created", NOW), ("value", "s:2")]
)
async def test_what_cannot_be_stored_is_refused(keys: RedisKeyStorage, field: str, value: object) -> None:
    with pytest.raises(CrossauthError) as refused:
        await keys.save_key(None, "s:1", NOW, extra_fields={field: value})
    assert refused.value.code is ErrorCode.BadRequest
    for wrong in (True, 1.5, None):
        if wrong is not None:
            with pytest.raises(CrossauthError):
                await keys.save_key(wrong, "s:1", NOW)  # type: ignore[arg-type]


async def test_a_client_that_decodes_and_a_name_with_stars(redis_url: str) -> None:
    storage: KeyStorage = RedisKeyStorage(Redis.from_url(redis_url, decode_responses=True), {"prefix": "a*[b]?:"})
    other = RedisKeyStorage(open_redis(redis_url), {"prefix": "axb?:"})
    await storage.save_key(None, "s:1", NOW, data='{"a":"é"}')
    await other.save_key(None, "s:2", NOW)
    await storage.update_data("s:1", "b", 2)
    assert [k.data for k in await storage.get_all_for_user(None)] == ['{"a":"\\u00e9","b":2}']
    assert [k.value for k in await other.get_all_for_user(None)] == ["s:2"]
    await storage.close()  # type: ignore[attr-defined]
    await other.close()


def test_an_url_that_cannot_be_read_is_said_at_once() -> None:
    with pytest.raises(CrossauthError, match="Redis URL") as refused:
        open_redis("nonsense://x")
    assert refused.value.code is ErrorCode.Configuration


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


def test_a_server_that_is_killed_gives_clean_refusals_and_comes_back(own_server: RedisServer) -> None:
    world = World(keys=RedisKeyStorage(open_redis(own_server.url)))
    with world.open() as url, Browser(url) as browser:
        assert browser.sign_up("alice", email="alice@example.com").status_code == 200
        assert browser.who() == "alice"
        token = browser.token()
        own_server.kill()
        began = datetime.now()
        for answer in (
            browser.get("/me"), browser.get("/api/userforsessionkey"),
            browser.post("/api/login", json={"username": "a", "password": "b"}, headers={"X-CROSSAUTH-CSRF": token}),
        ):  # fmt: skip
            assert answer.status_code == 503, answer.text
            assert "redis" not in answer.text.lower()
            assert str(own_server.port) not in answer.text
        assert datetime.now() - began < timedelta(seconds=20)
        own_server.start()
        assert browser.who() == "alice"
        assert browser.log_in().status_code == 200


async def test_a_server_that_is_not_there_is_said_at_start_up(own_server: RedisServer) -> None:
    own_server.kill()
    storage = RedisKeyStorage(open_redis(own_server.url))
    with pytest.raises(CrossauthError) as refused:
        await storage.start()
    assert (refused.value.code, refused.value.http_status) == (ErrorCode.Connection, 503)
    await storage.close()
