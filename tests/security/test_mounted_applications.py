"""One application of ours inside another: neither takes the other's users for its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryUserStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_fastapi import FastApiServer
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD, Client, make_server

OWN = {
    "secret": "the secret of the staff application, long enough",
    "session_cookie_options": {"cookie_name": "STAFF"},
    "double_submit_cookie_options": {"cookie_name": "STAFFCSRF"},
}


def shop_and_staff(**options: Any) -> tuple[FastApiServer, FastApiServer]:
    shop = make_server()
    staff = make_server(InMemoryUserStorage({"user_editable_fields": ["email"]}), **(OWN | options))

    @staff.app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        names = ("user", "auth_type", "session_id", "session_key", "csrf_token", "scope")
        return {n: repr(getattr(request.state, n)) for n in names if n != "csrf_token"}

    shop.app.mount("/staff", staff.app)
    return shop, staff


@pytest.fixture
def client() -> Iterator[Client]:
    with serve(shop_and_staff()[0].app) as url, Client(url) as client:
        yield client


def test_a_mounted_application_does_not_see_the_outer_ones_user(client: Client) -> None:
    client.sign_up("customer")
    assert client.get("/me").json() == {"username": "customer"}
    assert client.get("/staff/me").status_code == 401
    assert client.get("/staff/maybe").json() == {"username": None}
    assert set(client.get("/staff/state").json().values()) == {"None"}
    assert client.get("/staff/api/userforsessionkey").json()["user"] is None


def test_a_customer_changes_no_account_of_the_mounted_application(client: Client) -> None:
    with Client(str(client.base_url)) as boss:
        token = boss.get("/staff/api/getcsrftoken").json()["csrfToken"]
        made = boss.post(
            "/staff/api/signup",
            json={"username": "boss", "password": PASSWORD, "user_email": "boss@example.com"},
            headers={CSRF: token},
        )
        assert made.json()["user"]["id"] == 1
        client.sign_up("customer")
        # The customer's own token of the outer application, and one of the inner.
        for header in (client.token(), client.get("/staff/api/getcsrftoken").json()["csrfToken"]):
            for name, fields in (("updateuser", {"user_email": "thief@example.com"}), ("deleteuser", {})):
                answer = client.post(f"/staff/api/{name}", json=fields, headers={CSRF: header})
                assert answer.status_code in (401, 403), (name, answer.text)
        user = boss.get("/staff/api/userforsessionkey").json()["user"]
        assert (user["username"], user["email"]) == ("boss", "boss@example.com")


def test_the_outer_application_does_not_see_the_inner_ones_user() -> None:
    shop, _ = shop_and_staff()
    seen: list[Any] = []

    @shop.app.middleware("http")
    async def remember(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        seen.append(request.state.user)
        return answer

    with serve(shop.app) as url, Client(url) as client:
        token = client.get("/staff/api/getcsrftoken").json()["csrfToken"]
        fields = {"username": "boss", "password": PASSWORD}
        client.post("/staff/api/signup", json=fields, headers={CSRF: token})
        assert client.get("/staff/me").json() == {"username": "boss"}
        assert client.get("/me").status_code == 401
    assert seen == [None] * len(seen)


def test_state_of_the_application_goes_both_ways_also_through_a_mount() -> None:
    shop, staff = shop_and_staff()
    seen: list[Any] = []

    @shop.app.middleware("http")
    async def remember(request: Request, call_next: Any) -> Any:
        request.state.trace = "t1"
        answer = await call_next(request)
        seen.append(request.state.route)
        return answer

    @staff.app.get("/trace")
    async def trace(request: Request) -> str:
        request.state.route = "trace"
        return str(request.state.trace)

    with serve(shop.app) as url, Client(url) as client:
        assert client.get("/staff/trace").json() == "t1"
    assert seen == ["trace"]


@contextmanager
def closing(engine: Any) -> Iterator[None]:
    yield
    asyncio.run(engine.dispose())


def test_a_mounted_application_prepares_its_storages_though_nobody_starts_it(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    users = SqlAlchemyUserStorage(engine, {"user_editable_fields": ["email"]})
    started: list[str] = []
    keys = SqlAlchemyKeyStorage(engine)
    start = keys.start

    async def once() -> None:
        started.append("keys")
        await start()

    keys.start = once  # type: ignore[method-assign]
    inner, outer = make_server(users, keys).app, FastAPI()
    outer.mount("/app", inner)
    outer.add_api_route("/ping", lambda: PlainTextResponse("pong"))
    with closing(engine), serve(outer) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        client.get("/ping")
        assert started == []
        token = client.get("/app/api/getcsrftoken").json()["csrfToken"]
        fields = {"username": "alice", "password": PASSWORD, "csrfToken": token}
        assert client.post("/app/api/signup", json=fields).json()["ok"] is True
        assert client.get("/app/me").json() == {"username": "alice"}
        assert started == ["keys"]


def test_a_mounted_application_whose_storage_cannot_start_refuses_until_it_can() -> None:
    inner, outer = make_server().app, FastAPI()

    class Part:
        def __init__(self) -> None:
            self.broken = True

        async def start(self) -> None:
            if self.broken:
                raise CrossauthError(ErrorCode.Connection, detail="no database")

        async def close(self) -> None:
            pass

    part = Part()
    inner.state.crossauth_sources.lifecycle.add([part])
    inner.add_api_route("/ping", lambda: PlainTextResponse("pong"))
    outer.mount("/app", inner)
    with serve(outer) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        assert client.get("/app/ping").status_code == 503
        part.broken = False
        assert client.get("/app/ping").text == "pong"


def test_the_outer_lifespan_can_open_and_close_the_inner_one() -> None:
    inner, happened = make_server().app, list[str]()

    class Part:
        async def start(self) -> None:
            happened.append("open")

        async def close(self) -> None:
            happened.append("close")

    inner.state.crossauth_sources.lifecycle.add([Part()])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/app", inner)
    with serve(outer) as url, Client(url) as client:
        assert happened == ["open"]
        assert client.get("/app/me").status_code == 401
    assert happened == ["open", "close"]
