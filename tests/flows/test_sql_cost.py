"""On a database, a request with a session is one statement of the driver, and none of SQLAlchemy's."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

import httpx2
import pytest
import sqlalchemy as sa

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.storages.sqlalchemy import drivers
from tests.support import CSRF, PASSWORD, make_server


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
        app = make_server(self.users, self.keys).app
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
    kinds = [statement.split()[0] for statement in counted.by_sqlalchemy]
    expected = ["INSERT", "INSERT", "SELECT"]
    assert sorted(k for k in kinds if k in ("SELECT", "INSERT", "UPDATE", "DELETE")) == expected, (
        "attempts, user, session"
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
