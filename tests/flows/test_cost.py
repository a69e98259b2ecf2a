"""Cost rules of the design: how often a request goes to the storages."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends
from fastapi.testclient import TestClient

from crossauth_backend import (
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    LocalPasswordAuthenticator,
    TotpAuthenticator,
    UserStorage,
)
from crossauth_fastapi import Principal, require
from crossauth_fastapi._middleware import authentication
from tests.support import CHEAP, CSRF, PASSWORD, make_server


@pytest.fixture(autouse=True)
def in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No body is late, however busy the machine: a late one has the session looked at again, see `test_held_requests`."""
    monkeypatch.setattr(authentication, "_LATE", 60)


def counting(base: type[Any], calls: Counter[str]) -> type[Any]:
    """A storage that counts what is asked of it."""

    class Counting(base):  # type: ignore[misc]
        def key_with_user_reader(self, users: Any) -> Any:
            read = super().key_with_user_reader(users)

            async def counted(value: str) -> Any:
                calls["key_with_user"] += 1
                return await read(value)

            return counted

    def wrap(name: str) -> None:
        inner = getattr(base, name)

        async def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return await inner(self, *args, **kwargs)

        setattr(Counting, name, counted)

    for name in (
        "get_user_by", "create_user", "update_user", "delete_user_by_id", "get_users", "replace_secret", "get_key",
        "save_key", "update_key", "delete_key", "delete_all_for_user", "delete_matching", "get_all_for_user",
        "update_many_data", "take_key", "touch_key", "touch_keys", "count_up", "count_within",
        "find_key", "consume_key", "swap_data",
    ):  # fmt: skip
        if hasattr(base, name):
            wrap(name)
    return Counting


class Counted:
    """A server on counting storages, and a browser."""

    def __init__(self, **options: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.users: UserStorage = counting(InMemoryUserStorage, self.calls)()
        self.keys: KeyStorage = counting(InMemoryKeyStorage, self.calls)()
        factors = {"localpassword": LocalPasswordAuthenticator(self.users, CHEAP), "totp": TotpAuthenticator("Test")}
        self.server = make_server(self.users, self.keys, **({"authenticators": factors} | options))
        self.client = TestClient(self.server.app, base_url="https://testserver")

    def of(self, method: str, path: str, **kwargs: Any) -> dict[str, int]:
        """What one request costs."""
        self.calls.clear()
        assert self.client.request(method, path, **kwargs).status_code < 400
        return dict(self.calls)

    def token(self) -> dict[str, str]:
        return {CSRF: self.client.get("/api/getcsrftoken").json()["csrfToken"]}


def test_an_anonymous_request_costs_nothing_and_gets_no_cookie() -> None:
    counted = Counted()
    assert counted.of("GET", "/maybe") == {}
    answer = counted.client.get("/maybe")
    assert "set-cookie" not in answer.headers
    assert CSRF not in answer.headers
    counted.token()
    assert counted.of("GET", "/maybe") == {}, "a CSRF cookie alone is no credential"


def test_a_forged_session_cookie_costs_nothing() -> None:
    counted = Counted()
    counted.client.cookies.set("__Host-SESSIONID", f"{'A' * 43}.{'B' * 43}", domain="testserver.local", path="/")
    assert counted.of("GET", "/maybe") == {}


def test_a_session_costs_one_query() -> None:
    counted = Counted()
    counted.client.post("/api/signup", json={"username": "alice", "password": PASSWORD}, headers=counted.token())
    for _ in range(3):
        assert counted.of("GET", "/me") == {"key_with_user": 1}
    assert counted.of("GET", "/maybe") == {"key_with_user": 1}


def test_what_a_route_requires_costs_no_further_query() -> None:
    counted = Counted(is_admin_fn=lambda user: True)

    @counted.server.app.get("/all")
    async def all_of_it(
        who: Annotated[Principal, Depends(require(Principal, scope="a", admin=True, fresh=10))],
    ) -> None: ...

    counted.client.post("/api/signup", json={"username": "alice", "password": PASSWORD}, headers=counted.token())
    for _ in range(3):
        assert counted.of("GET", "/all") == {"key_with_user": 1}
    counted.client.cookies.clear()
    counted.calls.clear()
    assert counted.client.get("/all").status_code == 401
    assert counted.calls == {}


def test_the_time_of_use_is_written_at_most_once_a_minute() -> None:
    counted = Counted()
    counted.client.post("/api/signup", json={"username": "alice", "password": PASSWORD}, headers=counted.token())
    now = datetime.now(UTC)
    manager = counted.server.session_server.session_manager  # type: ignore[union-attr]
    writes = []
    for seconds in range(0, 300, 10):
        manager.session.clock = lambda seconds=seconds: now + timedelta(seconds=seconds)
        assert counted.of("GET", "/me") == {"key_with_user": 1}, "the request itself writes nothing"
        counted.calls.clear()
        asyncio.run(manager.session.last_use.flush())
        writes.append(counted.calls == {"touch_keys": 1})
        assert counted.calls in ({}, {"touch_keys": 1})
    assert sum(writes) in (4, 5)


def test_a_login_costs_one_read_and_at_most_two_writes() -> None:
    counted = Counted()
    counted.client.post("/api/signup", json={"username": "alice", "password": PASSWORD}, headers=counted.token())
    counted.client.post("/api/logout", headers=counted.token())
    cost = counted.of("POST", "/api/login", json={"username": "alice", "password": PASSWORD}, headers=counted.token())
    assert cost == {"count_within": 1, "get_user_by": 1, "save_key": 1}


def test_an_unprotected_path_costs_nothing_for_the_gate() -> None:
    gated = Counted(allowed_factor2=["none", "totp"], factor2_protected_page_endpoints=["/updateuser"])
    plain = Counted()
    costs = []
    for counted in (plain, gated):
        body = {"username": "alice", "password": PASSWORD, "factor2": "none"}
        assert counted.client.post("/api/signup", json=body, headers=counted.token()).status_code == 200
        costs.append([counted.of("GET", "/me"), counted.of("POST", "/change", headers=counted.token())])
        counted.client.cookies.clear()
        assert counted.of("GET", "/maybe") == {}
    assert costs[0] == costs[1]
