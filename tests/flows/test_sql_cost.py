"""On a database, a request with a session is one statement of the driver, and none of SQLAlchemy's."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pyotp
import pytest
import sqlalchemy as sa

from crossauth_backend import (
    LocalPasswordAuthenticator,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    TotpAuthenticator,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.storages.sqlalchemy import drivers
from tests.support import CHEAP, CSRF, PASSWORD, make_server


class Counted:
    """A server on a database, asked without a socket, so that storages and test share one event loop."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.by_sqlalchemy: list[str] = []
        self.by_driver: list[str] = []
        engine = open_engine(url)

        @sa.event.listens_for(engine.sync_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
            self.by_sqlalchemy.append(statement)

        for driver in (drivers.AsyncpgDriver, drivers.AiosqliteDriver):
            self._count(driver, monkeypatch)
        self.users, self.keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
        factors = {"localpassword": LocalPasswordAuthenticator(self.users, CHEAP), "totp": TotpAuthenticator("Test")}
        server = make_server(self.users, self.keys, authenticators=factors, allowed_factor2=["none", "totp"])
        assert server.session_server is not None
        self.manager, app = server.session_server.session_manager, server.app
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://testserver")

    def _count(self, driver: type, monkeypatch: pytest.MonkeyPatch) -> None:
        inner = driver.fetch

        async def fetch(this: object, value: str) -> object:
            self.by_driver.append(value)
            return await inner(this, value)

        monkeypatch.setattr(driver, "fetch", fetch)

    async def call(self, method: str, path: str, **fields: str) -> httpx2.Response:
        """One request; the counters say afterwards what it cost."""
        headers = {}
        if method == "POST":
            headers[CSRF] = (await self.client.get("/api/getcsrftoken")).json()["csrfToken"]
        self.by_sqlalchemy.clear()
        self.by_driver.clear()
        answer = await self.client.request(method, path, json=fields or None, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    def kinds(self) -> Counter[str]:
        """How many statements of each kind there were, without those around transactions."""
        found = Counter(statement.split()[0] for statement in self.by_sqlalchemy)
        return Counter({kind: found[kind] for kind in ("SELECT", "INSERT", "UPDATE", "DELETE") if found[kind]})

    def reads_of_users(self) -> int:
        """How many statements read users."""
        return sum(s.startswith("SELECT") and "security_stamp" in s for s in self.by_sqlalchemy)


@pytest.fixture(params=["sqlite_url", "postgres_url"])
async def counted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counted]:
    counted = Counted(request.getfixturevalue(request.param), monkeypatch)
    await counted.call("POST", "/api/signup", username="alice", password=PASSWORD)
    yield counted
    await counted.keys.close()
    await counted.users.close()


async def test_a_session_is_one_statement(counted: Counted) -> None:
    for path in ("/me", "/maybe", "/api/userforsessionkey"):
        await counted.call("GET", path)
        assert (len(counted.by_driver), counted.by_sqlalchemy) == (1, [])


async def test_nobody_is_no_statement(counted: Counted) -> None:
    counted.client.cookies.clear()
    await counted.call("GET", "/maybe")
    assert (counted.by_driver, counted.by_sqlalchemy) == ([], [])


async def test_a_login_is_one_read_and_two_writes(counted: Counted) -> None:
    await counted.call("POST", "/api/logout")
    await counted.call("POST", "/api/login", username="alice", password=PASSWORD)
    assert counted.by_driver == []
    assert counted.kinds() == {"SELECT": 1, "INSERT": 2}, "attempts, user, session"


async def test_a_login_with_a_second_factor_is_one_read_of_the_user_in_each_step(
    counted: Counted,
) -> None:
    """Each step counts the attempt; the second marks the code and the challenge as used, and ends the session that waited."""
    ahead = timedelta(0)
    clock = counted.manager.session.clock
    counted.manager.session.clock = lambda: clock() + ahead
    displayed = (await counted.call("POST", "/api/changefactor2", factor2="totp")).json()
    code = pyotp.TOTP(displayed["totpsecret"])
    await counted.call("POST", "/api/configurefactor2", otp=code.at(utc_now()))
    await counted.call("POST", "/api/logout")
    ahead = timedelta(seconds=60)
    await counted.call("POST", "/api/login", username="alice", password=PASSWORD)
    assert (counted.by_driver, counted.kinds()) == ([], {"SELECT": 1, "INSERT": 2}), (
        "attempts, user, the session that waits"
    )
    await counted.call("POST", "/api/loginfactor2", otp=code.at(utc_now() + ahead))
    assert len(counted.by_driver) == 1, "the session that waited"
    assert counted.reads_of_users() == 1
    assert counted.kinds() == {"SELECT": 1, "INSERT": 4, "DELETE": 1}, (
        "attempts, code, challenge, session; and the old one"
    )


async def test_every_read_is_by_an_index(counted: Counted, sqlite_url: str) -> None:
    if counted.keys.engine.dialect.name != "sqlite":
        return
    statements: list[str] = []

    def plans() -> list[str]:
        with sqlite3.connect(str(counted.keys.engine.url.database)) as connection:
            found = []
            for statement in statements:
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", ["x"] * statement.count("?")).fetchall()
                found += [row[3] for row in rows if row[3].startswith("SCAN")]
        connection.close()
        return found

    for method, path, fields in (
        ("POST", "/api/logout", {}),
        ("POST", "/api/login", {"username": "alice", "password": PASSWORD}),
        ("POST", "/api/changepassword", {"old_password": PASSWORD, "new_password": "Another1one"}),
        ("POST", "/api/deleteuser", {}),
    ):
        await counted.call(method, path, **fields)
        statements += [s for s in counted.by_sqlalchemy if s.split()[0] in ("SELECT", "UPDATE", "DELETE")]
    assert len(statements) > 5
    assert await asyncio.to_thread(plans) == []
