"""One engine for application and key storage: nobody holds a connection while waiting for another, for a hash, or for mail."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from fastapi import Depends
from sqlalchemy import Uuid, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crossauth_backend import SqlAlchemyKeyStorage, open_engine
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    JWTStrategy,
    KeyStorageStrategy,
)
from crossauth_fastapi.fastapi_users.authentication.strategy import DatabaseStrategy
from crossauth_fastapi.fastapi_users.db.sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase
from tests.fastapi_users.app import SECRET, AccessToken, Site
from tests.fastapi_users.conftest import Api
from tests.services.uvicorn import serve

AT_ONCE = 60


@contextmanager
def shared(url: str, **pool: Any) -> Iterator[Api]:
    """The application whose key storage is on its own engine, as `open_engine` makes it."""
    engine = open_engine(url, **pool)
    keys = SqlAlchemyKeyStorage(engine, {"userid_type": Uuid()})
    sessions = async_sessionmaker(engine)

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    def get_database_strategy(session: Any = Depends(get_session)) -> DatabaseStrategy[Any, Any, Any]:  # noqa: B008
        return DatabaseStrategy(SQLAlchemyAccessTokenDatabase(session, AccessToken), 600, max_per_user=0)

    backends = [
        AuthenticationBackend[Any, Any](name, BearerTransport("x"), get_strategy, refresh_lifetime_seconds=3600)
        for name, get_strategy in (
            ("database", get_database_strategy),
            ("long", lambda: JWTStrategy[Any, Any](SECRET, 60)),
            # All of them are one user's, who has more logins here than a user may have elsewhere.
            ("stored", lambda: KeyStorageStrategy[Any, Any](keys, 60, max_per_user=0)),
        )
    ]
    limits = {"login_account": None, "login_address": (40, 900), "signup_address": None}
    site = Site(
        url, engine=engine, key_storage=keys, more_backends=backends,
        attempt_limits=limits if url == "sqlite://" else dict.fromkeys(limits),
    )  # fmt: skip
    with serve(site.app) as address, Api(address, site, "") as api:
        yield api
    if url.startswith("sqlite"):
        asyncio.run(engine.dispose())


@pytest.fixture(params=["sqlite", "postgres"])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    # A pool that gives up soon: who waits for a second connection fails here at once, and not after half a minute.
    with shared(request.getfixturevalue(f"{request.param}_url"), pool_timeout=5) as api:
        yield api


def at_once(api: Api, requests: list[tuple[str, dict[str, Any]]]) -> list[httpx2.Response]:
    """All of them in flight together."""

    async def all_of_them() -> list[httpx2.Response]:
        limits = httpx2.Limits(max_connections=AT_ONCE)
        async with httpx2.AsyncClient(base_url=api.url, trust_env=False, timeout=60, limits=limits) as client:
            return await asyncio.gather(*(client.post(path, **more) for path, more in requests))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, all_of_them()).result()


def logins(api: Api, by: str, number: int = AT_ONCE) -> list[dict[str, Any]]:
    assert api.register().status_code in (201, 400)
    form = {"username": "arthur@camelot.bt", "password": "guinevere"}
    answers = at_once(api, [(f"/auth/{by}/login", {"data": form})] * number)
    assert {a.status_code for a in answers} == {200}, [a.text for a in answers if a.status_code != 200][:3]
    return [a.json() for a in answers]


@pytest.mark.parametrize("by", ["long", "stored", "database"])
def test_sixty_logins_refreshes_and_logouts_at_once_on_one_pool(api: Api, by: str) -> None:
    """A pool of 5 + 10, which the key storage has too."""
    first = logins(api, by)
    renewed = at_once(api, [(f"/auth/{by}/refresh", {"data": {"refresh_token": a["refresh_token"]}}) for a in first])
    assert {a.status_code for a in renewed} == {200}
    headers = [{"Authorization": f"Bearer {a.json()['access_token']}"} for a in renewed]
    gone = at_once(api, [(f"/auth/{by}/logout", {"headers": header}) for header in headers])
    assert {a.status_code for a in gone} == {200}
    again = at_once(
        api, [(f"/auth/{by}/refresh", {"data": {"refresh_token": a.json()["refresh_token"]}}) for a in renewed]
    )
    assert {a.status_code for a in again} == {400}, "each of them has ended"


def test_everything_on_a_pool_of_one() -> None:
    """`open_engine("sqlite://")` has one connection; limits are counted, and given back, on it too."""
    with shared("sqlite://", pool_timeout=5) as api:
        for by in ("long", "stored", "database", "cookie"):
            assert api.register().status_code in (201, 400)
            assert api.log_in(by=by).status_code in (200, 204)
        for by in ("long", "stored", "database"):
            login = api.log_in(by=by).json()
            renewed = api.post(f"/auth/{by}/refresh", data={"refresh_token": login["refresh_token"]})
            assert renewed.status_code == 200
            header = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
            assert api.patch("/users/me", headers=header, json={"password": "guinevere"}).status_code == 200
            assert api.post(f"/auth/{by}/logout", headers=api.bearer(by=by)).status_code == 200
        api.post("/auth/forgot-password", json={"email": "arthur@camelot.bt"})
        reset = api.post("/auth/reset-password", json={"token": api.token("forgot"), "password": "guinevere"})
        assert reset.status_code == 200
        cookie = api.cookie_login()
        assert api.delete("/auth/sessions", headers=cookie).status_code == 204
        assert api.get("/hello", headers=cookie).status_code == 200
        for _ in range(30):
            assert api.log_in(by="long").status_code == 200


class Held:
    """How many connections are out while something is under way."""

    def __init__(self, api: Api) -> None:
        self.out = 0
        engine = api.site.engine.sync_engine
        event.listen(engine, "checkout", lambda *_: self.add(1))
        event.listen(engine, "checkin", lambda *_: self.add(-1))
        self.seen: dict[str, int] = {}

    def add(self, number: int) -> None:
        self.out += number

    def note(self, what: str) -> None:
        self.seen[what] = max(self.out, self.seen.get(what, 0))


def test_no_connection_is_held_while_hashing_or_in_a_hook_that_mails(api: Api) -> None:
    """Whoever hashes or mails takes long, and a pool is small."""
    held, real = Held(api), api.site.manager.__init__

    class Noting:
        def __init__(self, helper: Any) -> None:
            self.helper = helper

        def hash(self, password: str) -> Any:
            held.note("hash")
            return self.helper.hash(password)

        def verify_and_update(self, *args: Any) -> Any:
            held.note("verify")
            return self.helper.verify_and_update(*args)

        def generate(self) -> Any:
            return self.helper.generate()

    api.site.manager.__init__ = lambda self, db, helper: real(self, db, Noting(helper))  # type: ignore[misc]
    for hook in ("on_after_register", "on_after_forgot_password", "on_after_request_verify", "on_after_login",
                 "on_after_update", "on_after_reset_password"):  # fmt: skip
        before = getattr(api.site.manager, hook)

        async def noting(self: Any, *args: Any, hook: str = hook, before: Any = before) -> None:
            held.note(hook)
            await before(self, *args)

        setattr(api.site.manager, hook, noting)
    api.register()
    api.log_in("nobody@camelot.bt")
    api.log_in(password="wrong")
    header = api.cookie_login()
    assert api.patch("/users/me", headers=header, json={"password": "merlin"}).status_code == 200
    api.post("/auth/request-verify-token", json={"email": "arthur@camelot.bt"})
    api.token("request_verify")
    api.post("/auth/forgot-password", json={"email": "arthur@camelot.bt"})
    body = {"token": api.token("forgot"), "password": "lancelot"}
    assert api.post("/auth/reset-password", json=body).status_code == 200
    assert held.seen == dict.fromkeys(
        ("hash", "on_after_register", "verify", "on_after_login", "on_after_update", "on_after_request_verify",
         "on_after_forgot_password", "on_after_reset_password"), 0,
    )  # fmt: skip
