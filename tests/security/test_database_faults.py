"""Whatever a database says when it starts, stops, is full or hangs: a 503 within a bound, and no restart is needed afterwards."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi import Depends
from sqlalchemy import Uuid, event
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from crossauth_backend import CrossauthError, ErrorCode, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.core.clock import utc_now
from crossauth_backend.storages.sqlalchemy import drivers
from crossauth_backend.storages.sqlalchemy.engine import refusals
from tests.accounts import Browser, World
from tests.fastapi_users.app import Site
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD

ARTHUR = "arthur@camelot.bt"

# Seconds: few, for some of these tests wait for them, and enough for what a busy machine takes a while to do.
BOUND = 3
SHORT: dict[str, Any] = {"pool_timeout": BOUND, "connect_args": {"timeout": BOUND, "command_timeout": BOUND}}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of these tests' own, for it is stopped and held, and has few connections."""
    with postgres_server(max_connections=30) as server:
        yield server


@pytest.fixture(params=["session server", "routes"])
def browser(
    server: PostgresServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Browser]:
    """One that is logged in at an application with short bounds: of a session server, or of the routes of FastAPI Users."""
    monkeypatch.setattr(drivers, "_QUERY_SECONDS", BOUND)
    url = server.create_database()
    engine = open_engine(url, **SHORT)
    if request.param == "routes":
        with routes(url, engine) as browser:
            yield browser
        return
    world = World(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    with world.open() as url, Browser(url) as browser:
        browser.headers["x-token"] = browser.token()
        browser.headers["x-cookie"] = browser.cookies["CSRFTOKEN"]
        assert browser.sign_up().status_code == 200
        yield browser


@contextmanager
def routes(url: str, engine: Any) -> Iterator[Browser]:
    """The routes, key storage and tables on one engine; and a route of the application's own that uses the user manager."""
    keys = SqlAlchemyKeyStorage(engine, {"userid_type": Uuid()})
    limits = dict.fromkeys(("login_account", "login_address", "login_total_address", "signup_address"))
    site = Site(url, engine=engine, key_storage=keys, attempt_limits=limits)

    @site.app.get("/own")
    async def own(email: str, manager: Any = Depends(site.get_user_manager)) -> str:  # noqa: B008
        return str((await manager.get_by_email(email)).email)

    with serve(site.app) as address, Browser(address) as browser:
        browser.post("/auth/register", json={"email": ARTHUR, "password": PASSWORD})
        token = log_in_by_routes(browser).json()["access_token"]
        browser.headers["authorization"] = f"Bearer {token}"
        yield browser


def log_in_by_routes(browser: Browser) -> Any:
    return browser.post("/auth/jwt/login", data={"username": ARTHUR, "password": PASSWORD})


def is_of_routes(browser: Browser) -> bool:
    return "authorization" in browser.headers


def at_once(browser: Browser, count: int, call: Callable[[Browser], Any]) -> Counter[int]:
    """The statuses of `count` calls, each by a browser of its own with the same cookies."""

    headers = {
        name: browser.headers[name] for name in ("x-token", "x-cookie", "authorization") if name in browser.headers
    }

    def one(_: int) -> int:
        with Browser(str(browser.base_url), cookies=dict(browser.cookies), headers=headers) as other:
            answer = call(other)
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "5"
            assert "asyncpg" not in answer.text
        return int(answer.status_code)

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(one, range(count)))


def me(browser: Browser) -> Any:
    if is_of_routes(browser):
        return browser.get("/users/me")
    return browser.get("/api/userforsessionkey")


def register(browser: Browser) -> Any:
    return browser.post("/auth/register", json={"email": f"{secrets.token_hex(8)}@camelot.bt", "password": PASSWORD})


def change(browser: Browser) -> Any:
    """The same mailbox, spelled otherwise."""
    spelled = "".join(secrets.choice((c.lower(), c.upper())) for c in "arthur")
    return browser.patch("/users/me", json={"email": f"{spelled}@camelot.bt"})


def look(browser: Browser) -> Any:
    return browser.get("/own", params={"email": ARTHUR})


def log_in(browser: Browser) -> Any:
    """Without a session, so that the login itself is what meets the database."""
    if is_of_routes(browser):
        return log_in_by_routes(browser)
    browser.cookies.clear()
    browser.cookies.set("CSRFTOKEN", browser.headers["x-cookie"])
    fields = {"username": "alice", "password": PASSWORD}
    return browser.post("/api/login", json=fields, headers={CSRF: browser.headers["x-token"]})


def test_a_database_that_hangs_is_a_503_and_then_serves_again(server: PostgresServer, browser: Browser) -> None:
    """Reads of sessions and everything else, more at once than there are connections."""
    at_once(browser, 24, me)
    with server.held():
        assert at_once(browser, 24, me) == {503: 24}
        assert at_once(browser, 24, log_in) == {503: 24}
        if is_of_routes(browser):
            for write in (register, change, look):
                assert at_once(browser, 20, write) == {503: 20}
    assert at_once(browser, 8, me) == {200: 8}
    assert at_once(browser, 1, log_in) == {200: 1}


def test_an_application_can_be_stopped_while_its_database_hangs(server: PostgresServer) -> None:
    """Closing waits for nobody."""

    async def run() -> None:
        engine = open_engine(server.create_database())
        users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
        await keys.save_key(None, "s:1", utc_now())
        reader = keys.key_with_user_reader(users)
        assert reader is not None
        await reader("s:1")
        await asyncio.gather(*(keys.get_key("s:1") for _ in range(12)))
        with server.held():
            closing = asyncio.create_task(close(keys, users))
            await asyncio.wait([closing], timeout=9)
            closed = closing.done()
        await closing
        assert closed, "it waited for the database"

    async def close(*storages: Any) -> None:
        for storage in storages:
            await storage.close()

    asyncio.run(run())


def test_a_restart_under_load_is_503_and_no_500(server: PostgresServer, browser: Browser) -> None:
    """Stopping, starting, and back again."""

    def again(count: int, *calls: Callable[[Browser], Any]) -> Callable[[Browser], Any]:
        def loop(other: Browser) -> Any:
            for _ in range(count):
                for call in calls:
                    last = call(other)
                    seen[last.status_code] += 1
            return last

        return loop

    seen: Counter[int] = Counter()
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(at_once, browser, 4, again(60, me)), pool.submit(at_once, browser, 2, again(20, log_in))]
        if is_of_routes(browser):
            running.append(pool.submit(at_once, browser, 2, again(20, register, change, look)))
        for _ in range(3):
            server.stop()
            server.start()
        for done in running:
            done.result()
    # Two changes of one address at once are a conflict.
    assert set(seen) <= ({200, 201, 503, 409} if is_of_routes(browser) else {200, 503, 429}), seen
    assert seen[503]
    assert me(browser).status_code == 200


def test_a_server_without_connections_left_is_a_503(server: PostgresServer, browser: Browser) -> None:
    """For they are taken by others; afterwards it goes on."""

    async def run() -> None:
        others = []
        server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")
        with suppress(asyncpg.TooManyConnectionsError):
            while len(others) < 40:
                others.append(await asyncpg.connect(server.url()))
        assert len(others) < 40
        statuses = await asyncio.to_thread(at_once, browser, 8, me)
        statuses += await asyncio.to_thread(at_once, browser, 8, log_in)
        for write in (register, change, look) if is_of_routes(browser) else ():
            statuses += await asyncio.to_thread(at_once, browser, 8, write)
        assert set(statuses) == {503}, statuses
        for other in others:
            await other.close()

    asyncio.run(run())
    assert me(browser).status_code == 200
    assert at_once(browser, 1, log_in) == {200: 1}


def test_connections_that_the_server_ended_are_made_anew(server: PostgresServer, browser: Browser) -> None:
    """At the cost of a few 503."""
    at_once(browser, 8, me)
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")
    assert set(at_once(browser, 16, me) + at_once(browser, 16, log_in)) <= {200, 503}
    assert set(at_once(browser, 4, me)) == {200}


@pytest.mark.parametrize(
    "fault",
    [
        PoolTimeoutError("no connection"), TimeoutError(), asyncpg.CannotConnectNowError("starts"),
        asyncpg.TooManyConnectionsError("full"), asyncpg.AdminShutdownError("stops"), asyncpg.DiskFullError("full"),
        asyncpg.OutOfMemoryError("full"), asyncpg.QueryCanceledError("late"), asyncpg.SerializationError("again"),
        asyncpg.DeadlockDetectedError("again"), asyncpg.ReadOnlySQLTransactionError("standby"),
        asyncpg.ConnectionDoesNotExistError("gone"), asyncpg.InvalidPasswordError("changed"),
        PendingRollbackError("Can't reconnect until invalid transaction is rolled back.", code="8s2b"),
    ],
)  # fmt: skip
def test_what_a_database_says_that_cannot_now_is_a_503(fault: Exception) -> None:
    """Also while a connection is made, where SQLAlchemy passes it on as it is."""
    with pytest.raises(CrossauthError) as refused, refusals(ErrorCode.BadRequest):
        raise fault
    assert (refused.value.code, refused.value.http_status) == (ErrorCode.Connection, 503)
    assert refused.value.retry_after


def test_nothing_waits_for_ever_by_default(postgres_url: str) -> None:
    """And an application can say otherwise."""

    def bounds(**options: Any) -> tuple[Any, ...]:
        provided: dict[str, Any] = {}
        engine = open_engine(postgres_url, **options)
        event.listen(engine.sync_engine, "do_connect", lambda *a: provided.update(a[3]))

        async def run() -> None:
            async with engine.connect():
                pass
            await engine.dispose()

        asyncio.run(run())
        return engine.pool.timeout(), provided["timeout"], provided["command_timeout"]  # type: ignore[attr-defined]

    assert bounds() == (5, 5, 10)
    assert bounds(pool_timeout=7, connect_args={"command_timeout": None}) == (7, 5, None)


async def test_a_full_disk_is_a_503_and_reading_goes_on(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    keys = SqlAlchemyKeyStorage(engine)
    await keys.save_key(None, "s:1", utc_now())

    @event.listens_for(engine.sync_engine, "checkout")
    def full(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1")

    for number in range(3):
        with pytest.raises(CrossauthError) as refused:
            await keys.save_key(None, f"s:more{number}", utc_now(), data="x" * 100_000)
        assert (refused.value.code, refused.value.http_status) == (ErrorCode.Connection, 503)
    assert (await keys.get_key("s:1")).value == "s:1"
    event.remove(engine.sync_engine, "checkout", full)
    await engine.dispose()
    await keys.save_key(None, "s:2", utc_now(), data="x" * 100_000)
    await keys.close()


@pytest.mark.parametrize("content", [b"no database at all " * 100, b"SQLite format 3\x00" + b"\xff" * 8000])
async def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """Saying which, and what to do."""
    (tmp_path / "a.db").write_bytes(content)
    for storage in (SqlAlchemyKeyStorage, SqlAlchemyUserStorage):
        made = storage(open_engine(f"sqlite:///{tmp_path}/a.db"))
        with pytest.raises(CrossauthError, match=r"a\.db is no SQLite database, or is damaged; restore") as refused:
            await made.start()
        assert refused.value.code is ErrorCode.Configuration
        await made.close()


async def test_a_database_that_lets_nobody_in_stops_the_start(postgres_url: str) -> None:
    keys = SqlAlchemyKeyStorage(open_engine(postgres_url + "_not"))
    with pytest.raises(CrossauthError, match="does not let the application in") as refused:
        await keys.start()
    assert refused.value.code is ErrorCode.Configuration
    await keys.close()
