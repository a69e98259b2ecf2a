"""The storages that the routes keep tokens and marks in are opened, purged and closed, however the application is run."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage
from crossauth_backend.core.clock import utc_now
from crossauth_backend.keys.purge import Purger
from crossauth_fastapi.fastapi_users import FastAPIUsers, _storages
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    Authenticator,
    BearerTransport,
    KeyStorageStrategy,
)
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from crossauth_fastapi.fastapi_users.router import get_auth_router, get_register_router
from tests.accounts import World
from tests.fastapi_users.app import Site, UserCreate, UserRead
from tests.fastapi_users.conftest import Api
from tests.fastapi_users.test_core import Manager
from tests.services.uvicorn import serve

FORM = {"username": "arthur@camelot.bt", "password": "guinevere"}


class Noted(InMemoryKeyStorage):
    """One that notes what was done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    async def start(self) -> None:
        self.done.append("start")

    async def close(self) -> None:
        self.done.append("close")

    async def purge_expired(self, before: datetime, prefix: str = "") -> int:
        self.done.append("purge")
        return await super().purge_expired(before, prefix)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_storages, "Purger", partial(Purger, every=0.02))


def backend_of(get_strategy: Any) -> Any:
    return AuthenticationBackend[Any, Any]("stored", BearerTransport("x"), get_strategy)


@contextmanager
def run(site: Site, *, mounted: bool) -> Iterator[Api]:
    """The application, itself or mounted in another one; its tables are made either way."""
    app, path = site.app, ""
    if mounted:
        app, path = FastAPI(lifespan=site._lifespan), "/inner"
        app.mount(path, site.app)
    with serve(app) as url, Api(url + path, site, "") as api:
        yield api


@pytest.mark.parametrize("mounted", [False, True])
@pytest.mark.parametrize("known", ["at the start", "at the first request"])
def test_a_strategys_own_storage_is_opened_once_purged_and_closed(tmp_path: Path, mounted: bool, known: str) -> None:
    """Mounted, or of a dependency that needs a request, from the first request on. A mounted one is never told of the end."""
    own, shared = Noted(), Noted()

    def plain() -> Any:
        return KeyStorageStrategy[Any, Any](own, 600)

    def of_request(request: Request) -> Any:
        return KeyStorageStrategy[Any, Any](own, 600)

    get_strategy = plain if known == "at the start" else of_request
    backend = backend_of(get_strategy)
    site = Site(f"sqlite:///{tmp_path}/u.db", key_storage=shared, more_backends=[backend])
    with run(site, mounted=mounted) as api:
        api.register()
        if known == "at the start":
            assert own.done[:1] == ["start"]
        header = api.bearer(by="stored")
        assert api.get("/hello", headers=header).status_code == 200
        deadline = time.monotonic() + 5
        while not {"start", "purge"} <= set(own.done) & set(shared.done):
            assert time.monotonic() < deadline, (own.done, shared.done)
            time.sleep(0.02)
        assert own.done.count("start") == shared.done.count("start") == 1
    for storage in (own, shared):
        assert ("close" in storage.done) is not mounted


async def test_current_user_opens_what_nothing_else_has(tmp_path: Path) -> None:
    """An application with no router of ours that asks who is there."""
    own, asked = Noted(), []

    class Strategy(KeyStorageStrategy[Any, Any]):
        async def read_token(self, token: Any, user_manager: Any) -> Any:
            asked.append(list(own.done))

    async def manager() -> Any: ...

    users = FastAPIUsers[Any, Any](manager, [backend_of(lambda: Strategy(own))], key_storage=InMemoryKeyStorage())
    app = FastAPI()

    @app.get("/maybe")
    async def maybe(user: Any = Depends(users.current_user(optional=True))) -> Any:  # noqa: B008
        return user

    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://a") as client:
        await client.get("/maybe", headers={"Authorization": "Bearer x"})
    assert asked == [["start"]]


def test_routers_made_by_functions_open_it_too(tmp_path: Path) -> None:
    own = Noted()
    site = Site(f"sqlite:///{tmp_path}/u.db")
    backend = backend_of(lambda: KeyStorageStrategy[Any, Any](own, 600))
    authenticator: Any = Authenticator([backend], site.get_user_manager)
    app = FastAPI(lifespan=site._lifespan)
    app.include_router(get_auth_router(backend, site.get_user_manager, authenticator))
    app.include_router(get_register_router(site.get_user_manager, UserRead, UserCreate))
    with serve(app) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        assert own.done[:1] == ["start"]
        client.post("/register", json={"email": FORM["username"], "password": FORM["password"]})
        assert client.post("/login", data=FORM).status_code == 200


async def test_routers_made_by_functions_open_none_of_another_application(tmp_path: Path) -> None:
    """Whose storage may be away, and whose ids may be of another type."""

    class Away(Noted):
        async def start(self) -> None:
            raise CrossauthError(ErrorCode.Connection, status=503)

        def takes_userid(self, kind: type) -> bool:
            return kind is int

    own = Noted()
    for keys, kind in ((Away(), int), (own, uuid.UUID)):
        backend = backend_of(_strategy_on(keys))
        site = Site(f"sqlite:///{tmp_path}/u.db")
        authenticator: Any = Authenticator[Any, kind]([backend], site.get_user_manager)  # type: ignore[valid-type]
        app = FastAPI()
        app.include_router(get_auth_router(backend, site.get_user_manager, authenticator))
    async with app.router.lifespan_context(app):
        assert own.done == ["start"]


def _strategy_on(keys: Any) -> Any:
    return lambda: KeyStorageStrategy[Any, Any](keys, 600)


async def test_beside_a_session_server_what_is_its_own_is_left_to_it() -> None:
    own, its = Noted(), Noted()
    world = World(keys=its)

    async def manager() -> AsyncIterator[Any]:
        yield Manager(CrossauthUserDatabase(world.manager))

    strategies = {
        "own": lambda: KeyStorageStrategy[Any, Any](own, 60),
        "its": lambda: KeyStorageStrategy[Any, Any](its, 60),
    }
    backends = [AuthenticationBackend[Any, Any](name, BearerTransport("x"), made) for name, made in strategies.items()]
    users = FastAPIUsers[Any, Any](manager, backends, session_manager=world.manager)
    app = FastAPI()
    app.include_router(users.get_auth_router(backends[0]))
    before = list(its.done)
    async with app.router.lifespan_context(app):
        assert (own.done, its.done) == (["start"], before)
    assert ([step for step in own.done if step != "purge"], its.done) == (["start", "close"], before)


async def test_a_strategy_that_makes_a_storage_for_every_request_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """And does not fill the memory."""
    storages = _storages.Storages()
    for _ in range(100):
        await storages.open(KeyStorageStrategy[Any, Any](InMemoryKeyStorage(), 60))
    assert len(storages.all) < 20
    assert caplog.text.count("make it once") == 1


@asynccontextmanager
async def lifespan_of(storages: Any) -> AsyncIterator[None]:
    async with storages.lifespan(None):
        yield


async def test_what_expired_is_deleted_from_a_strategys_own_storage() -> None:
    own, now = Noted(), utc_now()
    storages = _storages.Storages()
    storages.add(own)
    await own.save_key(1, "access:x", now - timedelta(days=20), now - timedelta(days=10))
    async with lifespan_of(storages):
        for _ in range(100):
            if not await own.get_all_for_user(1):
                break
            await asyncio.sleep(0.02)
    assert await own.find_key("access:x") is None
