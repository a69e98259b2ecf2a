"""Hashing under a flood: a bounded queue, trusted browsers first, nothing for clients that have gone, successes counted."""

import asyncio
import json
import socket
import threading
from typing import Any

import httpx2
import pytest

from crossauth_backend import (
    Argon2Parameters,
    CrossauthError,
    ErrorCode,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
)
from crossauth_backend.core.hash_pool import RETRY_AFTER_SECONDS, HashPool, hashing_for
from crossauth_backend.core.passwords import PasswordHasher
from crossauth_fastapi.fastapi_users import _passwords
from crossauth_fastapi.fastapi_users.password import PasswordHelper
from tests.accounts import Browser, World, name_of
from tests.fastapi_users.app import SECRET, Site, UserRead
from tests.security.test_routes_requests import OpenClient as Provider
from tests.services.uvicorn import serve
from tests.support import CHEAP, CSRF, PASSWORD


class Gate:
    """Work that stands in for hashes: the first waits until the gate opens, and each notes that it was begun."""

    def __init__(self, **options: Any) -> None:
        self.pool = HashPool(threads=1, **options)
        self.begun: list[str] = []
        self._open = threading.Event()

    def work(self, name: str) -> Any:
        def do() -> str:
            self.begun.append(name)
            assert self._open.wait(30)
            return name

        return do

    async def put(self, name: str, device: str | None = None, still_wanted: Any = None) -> "asyncio.Task[str]":
        async def run() -> str:
            with hashing_for(device, still_wanted):
                return await self.pool.run(self.work(name))

        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        return task

    async def open(self, *tasks: "asyncio.Task[str]") -> list[Any]:
        self._open.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_beyond_the_queue_the_answer_is_503_with_retry_after_and_nothing_is_hashed() -> None:
    gate = Gate(max_waiting=3)
    tasks = [await gate.put(f"{n}") for n in range(6)]
    for task in tasks[4:]:
        with pytest.raises(CrossauthError) as e:
            await task
        assert (e.value.http_status, e.value.retry_after) == (503, RETRY_AFTER_SECONDS)
    assert await gate.open(*tasks[:4]) == ["0", "1", "2", "3"]
    assert await (await gate.put("later")) == "later", "there is room again"
    assert gate.begun == ["0", "1", "2", "3", "later"]


async def test_a_trusted_browser_goes_before_every_stranger_that_waits() -> None:
    gate = Gate()
    strangers = [await gate.put(f"stranger{n}") for n in range(200)]
    known = await gate.put("known", device="a")
    await gate.open(*strangers, known)
    assert gate.begun.index("known") == 1, "only what is being hashed goes before it"
    assert gate.begun[2:] == [f"stranger{n}" for n in range(1, 200)], "the others in the order in which they came"


async def test_strangers_cannot_fill_the_queue_for_trusted_browsers() -> None:
    gate = Gate(max_waiting=2)
    strangers = [await gate.put(f"stranger{n}") for n in range(10)]
    known = await gate.put("known", device="a")
    assert "known" in await gate.open(*strangers, known)


async def test_of_one_trusted_browser_one_hash_at_a_time_goes_first() -> None:
    gate = Gate()
    stranger = [await gate.put("first"), await gate.put("stranger")]
    many = [await gate.put(f"greedy{n}", device="greedy") for n in range(5)]
    other = await gate.put("other", device="other")
    await gate.open(*stranger, *many, other)
    assert gate.begun == ["first", "greedy0", "other", "stranger", *(f"greedy{n}" for n in range(1, 5))]


async def test_what_was_cancelled_while_it_waited_is_not_begun_and_frees_its_place() -> None:
    gate = Gate(max_waiting=2)
    first, gone, stays = await gate.put("first"), await gate.put("gone"), await gate.put("stays")
    gone.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    instead = await gate.put("instead")
    await gate.open(first, gone, stays, instead)
    assert gate.begun == ["first", "stays", "instead"]


async def test_what_is_cancelled_while_it_is_hashed_keeps_its_thread_until_the_end() -> None:
    gate = Gate()
    running = await gate.put("running")
    await asyncio.sleep(0.01)
    waits = await gate.put("waits")
    running.cancel()
    await asyncio.sleep(0.01)
    assert gate.begun == ["running"], "there is one thread, and it is busy"
    await gate.open(running, waits)
    assert gate.begun == ["running", "waits"]
    assert await (await gate.put("later")) == "later"


async def test_a_hash_that_nobody_waits_for_is_not_begun() -> None:
    async def gone() -> bool:
        return False

    gate = Gate()
    first, second, third = await gate.put("first"), await gate.put("gone", still_wanted=gone), await gate.put("third")
    results = await gate.open(first, second, third)
    assert gate.begun == ["first", "third"]
    assert isinstance(results[1], CrossauthError)
    assert results[1].http_status == 503


async def test_places_are_never_lost() -> None:
    """A thousand hashes, cancelled at any moment, by any event loop: the pool goes on with all its threads."""
    pool = HashPool(threads=2, max_waiting=10_000)

    async def hash_and_go(number: int) -> None:
        with hashing_for(f"{number % 7}" if number % 3 == 0 else None):
            task = asyncio.ensure_future(pool.run(lambda: sum(range(1000))))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        if number % 2:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def many() -> None:
        await asyncio.gather(*(hash_and_go(number) for number in range(250)))

    threads = [threading.Thread(target=lambda: asyncio.run(many())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, 60)
    together = threading.Barrier(2)
    await asyncio.wait_for(asyncio.gather(*(pool.run(lambda: together.wait(20)) for _ in range(2))), 30)


def slow_world(**options: Any) -> tuple[World, "Held"]:
    """A world with one hashing thread, whose work can be held up."""
    users = InMemoryUserStorage({"user_editable_fields": ["email"]})
    factor = LocalPasswordAuthenticator(users, {**CHEAP, "hashing_threads": 1, **options})
    world = World(users, authenticators={"localpassword": factor}, allowed_factor2=[])
    return world, Held(factor)


class Held:
    """Holds a hasher up, and counts what it checked."""

    def __init__(self, factor: LocalPasswordAuthenticator) -> None:
        self.go = threading.Event()
        self.go.set()
        self.checked: list[str] = []
        check = factor.hasher.check_now

        def held(password: str, encoded: str | None) -> Any:
            self.checked.append(password)
            assert self.go.wait(30)
            return check(password, encoded)

        factor.hasher.check_now = held  # type: ignore[method-assign]

    def waits(self, count: int) -> None:
        """Return when so many were begun."""
        for _ in range(600):
            if len(self.checked) >= count:
                return
            threading.Event().wait(0.05)
        raise AssertionError(self.checked)


def in_threads(*calls: Any) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def test_a_known_browsers_login_goes_before_a_flood_of_wrong_ones() -> None:
    world, held = slow_world()
    pool = _pool(world)
    with world.open() as url, Browser(url) as known:
        known.sign_up()
        known.call("/api/logout")
        held.checked.clear()
        held.go.clear()
        flood = [lambda n=n: _log_in(url, f"nobody{n}", f"wrong{n}") for n in range(12)]
        threads = in_threads(*flood)
        _until(lambda: pool._waiting == [0, 11])
        answers: list[int] = []
        threads += in_threads(lambda: answers.append(known.log_in().status_code))
        _until(lambda: pool._waiting == [1, 11])
        held.go.set()
        for thread in threads:
            thread.join()
    assert answers == [200]
    assert held.checked.index(PASSWORD) == 1, "only what was being hashed went before it"


def test_a_full_queue_answers_503_on_both_faces_and_is_no_failed_login() -> None:
    world, held = slow_world(hashing_queue=1)
    pool = _pool(world)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up()
        browser.call("/api/logout")
        held.go.clear()
        held.checked.clear()
        threads = in_threads(*(lambda n=n: _log_in(url, f"nobody{n}", "wrong") for n in range(2)))
        _until(lambda: pool._waiting == [0, 1])
        before = len(world.heard.events)
        with Browser(url) as other:
            answer = other.log_in()
            page = other.submit("/login", username="alice", password=PASSWORD)
        assert (answer.status_code, name_of(answer)) == (503, "Connection")
        assert answer.headers["retry-after"] == str(RETRY_AFTER_SECONDS)
        assert (page.status_code, page.headers["retry-after"]) == (503, str(RETRY_AFTER_SECONDS))
        assert len(world.heard.events) == before
        held.go.set()
        for thread in threads:
            thread.join()
        assert browser.log_in().status_code == 200


def test_a_login_whose_client_has_hung_up_is_not_hashed() -> None:
    world, held = slow_world()
    pool = _pool(world)
    with world.open() as url, Browser(url) as browser:
        token = browser.token()
        held.go.clear()
        threads = in_threads(lambda: _log_in(url, "nobody", "holds the thread"))
        held.waits(1)
        host, port = url.removeprefix("http://").split(":")
        body = b'{"username": "alice", "password": "of one who has gone"}'
        cookies = "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar)
        head = (
            f"POST /api/login HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n{CSRF}: {token}\r\n"
            f"Cookie: {cookies}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + body)
            _until(lambda: pool._waiting == [0, 1])
        threading.Event().wait(0.2)
        held.go.set()
        for thread in threads:
            thread.join()
        assert _log_in(url, "somebody", "comes later") == 401
    assert held.checked == ["holds the thread", "comes later"]


def test_the_routes_answer_503_where_the_queue_is_full_and_serve_nobody_who_has_gone(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = PasswordHasher(CHEAP["argon2"], threads=1, max_waiting=1)
    monkeypatch.setattr(_passwords, "shared_hasher", lambda: hasher)
    go, begun = threading.Event(), []

    class Slow(PasswordHelper):
        def hash(self, password: str) -> str:
            begun.append(password)
            assert go.wait(30)
            return super().hash(password)

    site = Site(sqlite_url)
    site._manager = lambda user_db: site.manager(user_db, Slow(hasher))  # type: ignore[method-assign]

    def log_in(url: str, name: str) -> httpx2.Response:
        form = {"username": f"{name}@example.com", "password": name}
        return httpx2.post(f"{url}/auth/jwt/login", data=form, trust_env=False, timeout=30)

    with serve(site.app) as url:
        threads = in_threads(lambda: log_in(url, "first"))
        _until(lambda: begun == ["first"])
        host, port = url.removeprefix("http://").split(":")
        body = b"username=gone%40example.com&password=gone"
        head = f"POST /auth/jwt/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode() + body)
            _until(lambda: hasher._pool._waiting == [0, 1])
            answer = log_in(url, "refused")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, str(RETRY_AFTER_SECONDS))
        threading.Event().wait(0.2)
        go.set()
        for thread in threads:
            thread.join()
        assert log_in(url, "last").status_code == 400
    assert begun == ["first", "last"]


@pytest.mark.parametrize("route", ["register", "patch", "own password", "link"])
def test_no_route_hashes_for_a_client_that_has_hung_up(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    hasher = PasswordHasher(CHEAP["argon2"], threads=1)
    monkeypatch.setattr(_passwords, "shared_hasher", lambda: hasher)
    go, begun = threading.Event(), []
    go.set()

    class Slow(PasswordHelper):
        def hash(self, password: str) -> str:
            return self._slowly(password, lambda: super(Slow, self).hash(password))

        def verify_and_update(self, plain_password: str, hashed_password: str) -> Any:
            return self._slowly(
                plain_password, lambda: super(Slow, self).verify_and_update(plain_password, hashed_password)
            )

        def _slowly(self, password: str, work: Any) -> Any:
            begun.append(password)
            assert go.wait(30)
            return work()

    asks = route in ("own password", "link")
    site = Site(sqlite_url, require_old_password=asks)
    site._manager = lambda user_db: site.manager(user_db, Slow(hasher))  # type: ignore[method-assign]
    site.manager.calls = site.calls
    linking = site.users.get_oauth_associate_router(Provider("a"), UserRead, SECRET, "https://example.com/back")
    site.app.include_router(linking, prefix="/link")
    method, path, sent = {
        "register": ("POST", "/auth/register", {"email": "gone@example.com", "password": "gone"}),
        "patch": ("PATCH", "/users/me", {"password": "gone"}),
        "own password": ("PATCH", "/users/me", {"password": "new", "old_password": "gone"}),
        "link": ("POST", "/link/authorize", {"old_password": "gone"}),
    }[route]
    user = {"email": "here@example.com", "password": "right"}
    with serve(site.app) as url, httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
        assert client.post("/auth/register", json=user).status_code == 201
        form = {"username": user["email"], "password": user["password"]}
        token = client.post("/auth/jwt/login", data=form).json()["access_token"]
        begun.clear()
        go.clear()
        first = {"username": "nobody@example.com", "password": "first"}
        threads = in_threads(lambda: httpx2.post(f"{url}/auth/jwt/login", data=first, trust_env=False, timeout=30))
        _until(lambda: begun == ["first"])
        host, port = url.removeprefix("http://").split(":")
        body = json.dumps(sent).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\r\n"
        )
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + body)
            _until(lambda: hasher._pool._waiting == [0, 1])
        threading.Event().wait(0.2)
        go.set()
        for thread in threads:
            thread.join()
        assert client.post("/auth/jwt/login", data={**form, "password": "last"}).status_code == 400
    assert begun == ["first", "last"]


async def test_an_old_hash_is_left_for_the_next_login_where_the_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    users = InMemoryUserStorage()
    factor = LocalPasswordAuthenticator(users, CHEAP)
    dear = await PasswordHasher(Argon2Parameters(memory_cost=16, time_cost=1)).hash(PASSWORD)
    user = await users.create_user({"username": "alice", "state": "active"}, {"password": dear})

    async def full(password: str) -> str:
        raise CrossauthError(ErrorCode.Connection, status=503)

    with monkeypatch.context() as m:
        m.setattr(factor.hasher, "hash", full)
        await factor.authenticate_user(user, {"password": dear}, {"password": PASSWORD})
    assert (await users.get_user_by_id(user.id)).secrets.password == dear
    await factor.authenticate_user(user, {"password": dear}, {"password": PASSWORD})
    assert (await users.get_user_by_id(user.id)).secrets.password != dear


def test_right_passwords_of_one_address_are_counted_too() -> None:
    world = World(attempt_limits={"login_total_address": (4, 900)})
    with world.open() as url, Browser(url) as browser:
        browser.sign_up()
        answers = []
        for _ in range(6):
            with Browser(url) as other:
                answers.append(other.log_in().status_code)
        assert answers == [200] * 4 + [429] * 2
        world.later(minutes=16)
        with Browser(url) as other:
            assert other.log_in().status_code == 200


def test_the_first_hash_of_a_browser_that_proves_nothing_has_no_priority() -> None:
    async def check() -> None:
        gate = Gate()
        first, stranger = await gate.put("first"), await gate.put("stranger")
        empty = await gate.put("empty", device="")
        await gate.open(first, stranger, empty)
        assert gate.begun == ["first", "stranger", "empty"]

    asyncio.run(check())


def _pool(world: World) -> HashPool:
    factor = world.manager.authenticators["localpassword"]
    assert isinstance(factor, LocalPasswordAuthenticator)
    return factor.hasher._pool


def _log_in(url: str, username: str, password: str) -> int:
    with Browser(url) as browser:
        answer = browser.log_in(username, password)
        return int(answer.status_code)


def _until(holds: Any) -> None:
    for _ in range(600):
        if holds():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not come to that")
