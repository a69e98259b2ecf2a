"""Logins by the routes: what ends with what, whatever the strategy and whichever face changes the password."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import Body, Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import sign_jwt
from crossauth_backend.keys.storage import SupportsLifecycle
from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    JWTStrategy,
    KeyStorageStrategy,
)
from crossauth_fastapi.fastapi_users.authentication.strategy import DatabaseStrategy
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase, SQLAlchemyUserDatabase
from crossauth_fastapi.fastapi_users.db.sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTable,
)
from crossauth_fastapi.fastapi_users.schemas import BaseUserUpdate
from tests.accounts import World, storages
from tests.fastapi_users.app import SECRET, AccessToken
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_core import EMAIL, Both, Manager, UserRead, add_routes, update
from tests.support import PASSWORD

ARTHUR = "arthur@camelot.bt"


@contextmanager
def site_of(folder: Path, keys: Any = None, grace: int = 60) -> Iterator[Api]:
    """The application with refresh tokens for a strategy of each kind."""
    keys, sessions = keys or InMemoryKeyStorage(), {}

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions["make"]() as session:
            yield session

    def get_database_strategy(session: Any = Depends(get_session)) -> DatabaseStrategy[Any, Any, Any]:  # noqa: B008
        return DatabaseStrategy(SQLAlchemyAccessTokenDatabase(session, AccessToken), 600)

    backends = [
        AuthenticationBackend[Any, Any](
            name, BearerTransport("x"), get_strategy, refresh_lifetime_seconds=3600, refresh_grace_seconds=grace
        )
        for name, get_strategy in (
            ("long", lambda: JWTStrategy[Any, Any](SECRET, 600)),
            ("stored", lambda: KeyStorageStrategy[Any, Any](keys, 600)),
            ("table", get_database_strategy),
        )
    ]
    with open_site(folder, more_backends=backends, key_storage=keys) as api:
        sessions["make"] = api.site.sessions

        @api.site.app.post("/own-route")
        async def own_route(
            password: str = Body(embed=True),
            user: Any = Depends(api.site.users.current_user(active=True)),  # noqa: B008
            manager: Any = Depends(api.site.get_user_manager),  # noqa: B008
        ) -> None:
            await manager.update(BaseUserUpdate(password=password), user)

        api.register()
        yield api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with site_of(tmp_path) as api:
        yield api


def enter(api: Api, by: str, password: str = "guinevere") -> tuple[dict[str, str], str]:
    answer = api.log_in(by=by, password=password).json()
    return {"Authorization": f"Bearer {answer['access_token']}"}, answer["refresh_token"]


def refresh(api: Api, token: str, by: str) -> Any:
    return api.post(f"/auth/{by}/refresh", data={"refresh_token": token})


def refresh_alone(api: Api, token: str, by: str) -> Any:
    with api.another() as client:
        return refresh(client, token, by)


BY = pytest.mark.parametrize("by", ["long", "stored", "table"])


@BY
def test_a_logout_ends_the_refresh_token_whatever_the_strategy(api: Api, by: str) -> None:
    header, token = enter(api, by)
    assert api.post(f"/auth/{by}/logout", headers=header).status_code == 200
    assert detail(refresh(api, token, by)) == "REFRESH_BAD_TOKEN"


@pytest.mark.parametrize("by", ["stored", "table"])
def test_a_login_that_is_ended_in_the_list_is_not_renewed(api: Api, by: str) -> None:
    own, my_token = enter(api, by)
    other, token = enter(api, by)
    handle = next(s["handle"] for s in api.get("/auth/sessions", headers=own).json() if not s["current"])
    assert api.delete(f"/auth/sessions/{handle}", headers=own).status_code == 204
    assert api.get("/hello", headers=other).status_code == 401
    assert refresh(api, token, by).status_code == 400
    assert refresh(api, my_token, by).status_code == 200


@BY
def test_a_password_changed_in_a_route_of_the_applications_own_ends_every_token(api: Api, by: str) -> None:
    header, token = enter(api, by)
    assert api.post("/own-route", headers=api.cookie_login(), json={"password": "merlin"}).status_code == 200
    assert api.get("/hello", headers=header).status_code == 401
    assert refresh(api, token, by).status_code == 400


@BY
def test_ending_the_other_logins_and_a_new_password_leave_the_one_that_asks(api: Api, by: str) -> None:
    own, my_token = enter(api, by)
    other, token = enter(api, by)
    assert api.patch("/users/me", headers=own, json={"password": "merlin"}).status_code == 200
    assert api.get("/hello", headers=other).status_code == 401
    assert refresh(api, token, by).status_code == 400
    renewed = refresh(api, my_token, by)
    assert renewed.status_code == 200
    if by != "long":
        assert api.get("/hello", headers=own).status_code == 200
        assert [s["current"] for s in api.get("/auth/sessions", headers=own).json()].count(True) == 1


@BY
def test_a_refresh_token_is_sent_again_because_the_answer_was_lost(api: Api, by: str) -> None:
    """Within the grace window there is the same successor, and later tokens go on."""
    _, token = enter(api, by)
    first, second = refresh(api, token, by).json(), refresh(api, token, by).json()
    assert first["refresh_token"] == second["refresh_token"]
    third = refresh(api, first["refresh_token"], by).json()
    assert api.get("/hello", headers={"Authorization": f"Bearer {third['access_token']}"}).status_code == 200


@BY
def test_a_refresh_token_from_long_ago_ends_its_login(tmp_path: Path, by: str) -> None:
    with site_of(tmp_path, grace=0) as api:
        _, token = enter(api, by)
        renewed = refresh(api, token, by).json()
        header = {"Authorization": f"Bearer {renewed['access_token']}"}
        assert detail(refresh(api, token, by)) == "REFRESH_BAD_TOKEN"
        assert refresh(api, renewed["refresh_token"], by).status_code == 400
        assert api.get("/hello", headers=header).status_code == (200 if by == "long" else 401)


@BY
def test_nobody_makes_a_refresh_token_of_another(api: Api, by: str) -> None:
    """Neither the next generation, nor one of another backend, nor garbage that names a login ends or renews it."""
    _, token = enter(api, by)
    sid, generation, secrets = token.split(".")
    for wrong in (
        f"{sid}.1.{secrets}", f"{sid}.0.{secrets[:-4]}AAAA", f"{sid}.0.{'A' * 65}", f"{sid}.9.{'A' * 65}", f"{sid}.0.",
    ):  # fmt: skip
        assert refresh(api, wrong, by).status_code == 400, wrong
    other = "stored" if by == "long" else "long"
    assert refresh(api, token, other).status_code == 400
    assert refresh(api, token, by).status_code == 200, "it is as good as it was"
    assert generation == "0"


@BY
def test_a_storage_that_fails_does_not_use_up_a_refresh_token(tmp_path: Path, by: str) -> None:
    """Wherever in the renewal it fails: before, in, or after the one write that uses the token up."""
    keys = InMemoryKeyStorage()
    with site_of(tmp_path, keys) as api:
        _, token = enter(api, by)
        for method in ("find_key", "swap_data", *(("save_key",) if by == "stored" else ())):
            real = getattr(keys, method)

            async def away(*args: Any, **kwargs: Any) -> Any:
                raise CrossauthError(ErrorCode.Connection, status=503)

            setattr(keys, method, away)
            assert refresh(api, token, by).status_code == 503
            setattr(keys, method, real)
        swap = keys.swap_data

        async def done_but_not_said(*args: Any) -> bool:
            assert await swap(*args)
            raise CrossauthError(ErrorCode.Connection, status=503)

        keys.swap_data = done_but_not_said  # type: ignore[method-assign]
        assert refresh(api, token, by).status_code == 503
        keys.swap_data = swap  # type: ignore[method-assign]
        assert refresh(api, token, by).status_code == 200


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "redis"])
@pytest.mark.parametrize("by", ["stored", "table"])
def test_no_access_token_survives_the_end_of_its_login(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, by: str
) -> None:
    """A thief's token comes back while the owner renews: in the worst order, and as it happens."""
    keys = keys_with_uuids(request, kind)
    with site_of(tmp_path, keys, grace=0) as api, ThreadPoolExecutor(3) as pool:
        real = KeyStorageStrategy.write_token_of if by == "stored" else DatabaseStrategy.write_token_of
        strategy: Any = KeyStorageStrategy if by == "stored" else DatabaseStrategy
        _, old = enter(api, by)
        newest = refresh(api, old, by).json()["refresh_token"]

        async def interrupted(self: Any, user: Any, sid: str) -> str:
            strategy.write_token_of = real
            # The reuse is noticed, and has ended everything, just before the new token is written.
            await asyncio.to_thread(refresh_alone, api, old, by)
            return str(await real(self, user, sid))

        strategy.write_token_of = interrupted
        try:
            late = refresh(api, newest, by)
        finally:
            strategy.write_token_of = real
        assert late.status_code == 400
        own = api.bearer(by=by)
        assert len(api.get("/auth/sessions", headers=own).json()) == 1, "nothing is left but this"
        for _ in range(5):
            _, token = enter(api, by)
            answers = list(pool.map(lambda t: refresh_alone(api, t, by), [token] * 3))
            for login in (a.json() for a in answers if a.status_code == 200):
                header = {"Authorization": f"Bearer {login['access_token']}"}
                assert api.get("/hello", headers=header).status_code == 401
                assert refresh(api, login["refresh_token"], by).status_code == 400


def keys_with_uuids(request: pytest.FixtureRequest, kind: str) -> Any:
    from crossauth_backend import RedisKeyStorage, SqlAlchemyKeyStorage, open_engine, open_redis

    if kind == "memory":
        return InMemoryKeyStorage()
    if kind == "redis":
        return RedisKeyStorage(open_redis(request.getfixturevalue("redis_url")))
    engine = open_engine(request.getfixturevalue(f"{kind}_url"))
    return SqlAlchemyKeyStorage(engine, {"userid_type": sa.Uuid()})


class Custom:
    """A strategy of an application's own that knows nothing of logins and marks."""

    def __init__(self) -> None:
        self.tokens: dict[str, Any] = {}

    async def read_token(self, token: str | None, user_manager: Any) -> Any:
        return await user_manager.get(self.tokens[token]) if token in self.tokens else None

    async def write_token(self, user: Any) -> str:
        self.tokens["t"] = user.id
        return "t"

    async def destroy_token(self, token: str, user: Any) -> None:
        self.tokens.pop(token, None)


def test_a_strategy_that_cannot_end_with_its_login_has_no_refresh_tokens(tmp_path: Path) -> None:
    async def manager() -> Any: ...

    async def late(x: Any = Depends(manager)) -> Custom:  # noqa: B008
        return Custom()

    for get_strategy in (Custom, lambda: Custom(), late):
        backend: Any = AuthenticationBackend("own", BearerTransport("x"), get_strategy, refresh_lifetime_seconds=60)
        if get_strategy is Custom:
            continue
        with pytest.raises(CrossauthError, match="SupportsLoginIds"):
            FastAPIUsers(manager, [backend], key_storage=InMemoryKeyStorage())


def test_a_strategy_without_marks_is_not_for_the_users_of_a_session_server() -> None:
    async def manager() -> Any: ...

    backend: Any = AuthenticationBackend("own", BearerTransport("x"), lambda: Custom())
    with pytest.raises(CrossauthError, match="checks_login_mark"):
        FastAPIUsers(manager, [backend], session_manager=World().manager)
    FastAPIUsers(manager, [backend], key_storage=InMemoryKeyStorage())


class Base(DeclarativeBase):
    pass


class Token(SQLAlchemyBaseAccessTokenTable[int], Base):
    user_id: Mapped[int] = mapped_column(sa.Integer)


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, Both]]:
    """A session server, and the routes with tokens in a table of the application's own."""
    world = World(**storages(request, request.param))
    # Without a pool, or connections would outlive the server's event loop.
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/tokens.db", poolclass=NullPool)

    async def get_user_manager() -> Manager:
        manager = Manager(CrossauthUserDatabase(world.manager))
        manager.sent = []
        return manager

    async def get_strategy() -> AsyncIterator[DatabaseStrategy[Any, Any, Any]]:
        async with AsyncSession(engine) as session:
            yield DatabaseStrategy(SQLAlchemyAccessTokenDatabase(session, Token), 600)

    backend: Any = AuthenticationBackend("db", BearerTransport("x"), get_strategy, refresh_lifetime_seconds=3600)
    users = FastAPIUsers[Any, int](get_user_manager, [backend], session_manager=world.manager)
    app: FastAPI = world.server.app
    app.include_router(users.get_auth_router(backend), prefix="/rest")
    app.include_router(users.get_users_router(UserRead, BaseUserUpdate), prefix="/rest")

    async def create() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    asyncio.run(create())
    with world.open() as url, Both(url) as client:
        yield world, client


@pytest.mark.parametrize("how", ["password", "factor"])
def test_a_change_on_the_session_server_ends_tokens_in_a_table(both: tuple[World, Both], how: str) -> None:
    world, client = both
    client.sign_up("alice", user_email=EMAIL)
    login = client.rest_login().json()
    header = {"Authorization": f"Bearer {login['access_token']}"}
    assert client.get("/rest/me", headers=header).status_code == 200
    if how == "password":
        new = {"old_password": PASSWORD, "new_password": "Another1one", "repeat_password": "Another1one"}
        assert client.call("/api/changepassword", **new).status_code == 200
    else:
        client.add_totp(world)
    assert client.get("/rest/me", headers=header).status_code == 401
    assert client.post("/rest/refresh", data={"refresh_token": login["refresh_token"]}).status_code == 400


def test_a_jwt_without_a_mark_is_refused_unless_the_application_says_so(api: Api) -> None:
    me = api.get("/users/me", headers=api.bearer()).json()["id"]
    claims = {"sub": me, "aud": ["fastapi-users:auth"], "exp": int((utc_now() + timedelta(hours=1)).timestamp())}
    assert api.get("/hello", headers={"Authorization": f"Bearer {sign_jwt(claims, SECRET)}"}).status_code == 401
    with pytest.raises(CrossauthError, match="accept_unmarked_tokens"):
        JWTStrategy(SECRET, None, accept_unmarked_tokens=True)


@pytest.mark.parametrize("typed", [f"{ARTHUR} ", f"  {ARTHUR}", " Arthur@CAMELOT.bt"])
def test_blanks_around_an_address_are_as_nothing_wherever_it_is_typed(tmp_path: Path, typed: str) -> None:
    """Phones add them. It is the same account to log in, to register, to ask for mail, and to be counted."""
    with open_site(tmp_path, attempt_limits={"login_account": (3, 900)}) as api:
        assert api.register(typed).status_code == 201
        assert detail(api.register()) == "REGISTER_USER_ALREADY_EXISTS"
        assert api.log_in(typed).status_code == 200
        assert api.log_in(typed, by="cookie").status_code == 204
        for path, hook in (("forgot-password", "forgot"), ("request-verify-token", "request_verify")):
            assert api.post(f"/auth/{path}", json={"email": typed}).status_code == 202
            assert api.token(hook)
        assert detail(api.log_in(typed, "guinevere ")) == "LOGIN_BAD_CREDENTIALS", "a password is taken as it is"
        assert [api.log_in(typed, "wrong").status_code for _ in range(4)][-1] == 429
        assert api.log_in().status_code == 429


def test_guesses_from_elsewhere_do_not_lock_out_a_browser_that_is_known(api: Api) -> None:
    """The owner's browser has its own count; the cookie logs nobody in, and is of no use for another account."""
    browser = next(c for c in api.log_in().headers.get_list("set-cookie") if c.startswith("fastapiusersbrowser="))
    cookie = {"Cookie": browser.partition(";")[0]}
    with api.another() as thief:
        statuses = [thief.log_in(password="wrong").status_code for _ in range(21)]
        assert statuses[-1] == 429
        assert thief.log_in().status_code == 429

    def owner(password: str, name: str = ARTHUR, header: Any = cookie) -> int:
        form = {"username": name, "password": password}
        return int(api.post("/auth/jwt/login", data=form, headers=header).status_code)

    assert owner("guinevere") == 200
    assert owner("guinevere", " ARTHUR@camelot.bt ") == 200
    forged = {"Cookie": browser.partition(";")[0][:-4] + "AAAA"}
    assert owner("guinevere", header=forged) == 429
    assert [owner("wrong") for _ in range(21)][-1] == 429, "and has a limit too"
    api.register("mordred@camelot.bt", "mordred")
    for _ in range(20):
        owner("wrong", "mordred@camelot.bt", {})
    assert owner("mordred", "mordred@camelot.bt") == 429, "known for one account only"


def browser_cookie(answer: Any) -> dict[str, str]:
    """The header of a browser that is known by a login."""
    found = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("fastapiusersbrowser="))
    return {"Cookie": found.partition(";")[0]}


def test_known_browsers_do_not_outlive_the_password(api: Api) -> None:
    """Cookies of six logins with the old password give no guess at the new one beyond those that a stranger has."""
    cookies = []
    for _ in range(6):
        with api.another() as client:
            cookies.append(browser_cookie(client.log_in()))
    assert len({c["Cookie"].partition(".")[0] for c in cookies}) == 6
    api.post("/own-route", headers=api.cookie_login(), json={"password": "merlin"})
    form, guesses = {"username": ARTHUR, "password": "wrong"}, 0
    with api.another() as thief:
        for cookie in cookies:
            for _ in range(21):
                guesses += thief.post("/auth/jwt/login", data=form, headers=cookie).status_code == 400
        assert 0 < guesses <= 20
        assert thief.log_in(password="merlin").status_code == 429


@pytest.mark.parametrize("how", ["password", "factor2", "state"])
def test_known_browsers_do_not_outlive_what_the_session_server_changes(how: str) -> None:
    world = World()
    add_routes(world)
    with world.open() as url, Both(url) as both:
        both.sign_up("alice", user_email=EMAIL)
        cookie = browser_cookie(both.rest_login())
        if how == "password":
            new = {"old_password": PASSWORD, "new_password": "Another1one", "repeat_password": "Another1one"}
            assert both.call("/api/changepassword", **new).status_code == 200
        elif how == "factor2":
            both.add_totp(world)
        else:
            for state in ("disabled", "active"):
                update(world, {"id": 1, "state": state})
        with Both(url) as thief:
            form = {"username": EMAIL, "password": "wrong"}
            for _ in range(20):
                thief.post("/rest/login", data=form, headers=cookie)
            assert thief.rest_login(password="wrong").status_code == 429, "they were counted for the account"


def test_a_known_browser_costs_no_read_more(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its cookie is still good is decided by the user that the login reads anyway."""
    cookie, reads = browser_cookie(api.log_in()), []
    real = SQLAlchemyUserDatabase.get_by_email

    async def counted(self: Any, email: str) -> Any:
        reads.append(email)
        return await real(self, email)

    monkeypatch.setattr(SQLAlchemyUserDatabase, "get_by_email", counted)
    for name, password in ((ARTHUR, "guinevere"), (ARTHUR, "wrong"), ("nobody@camelot.bt", "wrong")):
        counts = []
        for header in ({}, cookie):
            reads.clear()
            api.post("/auth/jwt/login", data={"username": name, "password": password}, headers=header)
            counts.append(len(reads))
        assert counts[0] == counts[1] > 0, (name, password)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "redis"])
async def test_a_user_has_no_more_than_so_many_stored_tokens(request: pytest.FixtureRequest, kind: str) -> None:
    """The oldest end with one more, and nobody else's; 0 is for any number."""
    keys = keys_with_uuids(request, kind)
    strategy = KeyStorageStrategy[Any, Any](keys, 600, max_per_user=4)
    arthur, mordred = Someone(), Someone()
    other = await strategy.write_token(mordred)
    tokens = [await strategy.write_token(arthur) for _ in range(7)]
    listed = await strategy.list_tokens(arthur, tokens[-1])
    assert (len(listed), listed[0].current) == (4, True)
    assert [(await strategy._key(token)) is not None for token in tokens] == [False] * 3 + [True] * 4
    assert (await strategy._key(other)) is not None
    unbounded = KeyStorageStrategy[Any, Any](keys, 600, max_per_user=0)
    for _ in range(5):
        await unbounded.write_token(arthur)
    assert len(await unbounded.list_tokens(arthur)) == 9
    if isinstance(keys, SupportsLifecycle):
        await keys.close()
    with pytest.raises(CrossauthError, match="max_per_user"):
        KeyStorageStrategy[Any, Any](keys, 600, max_per_user=-1)


class Someone:
    """A user."""

    def __init__(self) -> None:
        self.id, self.hashed_password = uuid.uuid4(), "x"


async def test_a_user_has_no_more_than_so_many_rows_of_tokens(tmp_path: Path) -> None:
    """Of any age, expired ones too. The one that is written stays, also where all rows are of one moment."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/tokens.db")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    now = utc_now()
    async with AsyncSession(engine) as session:
        session.add_all(Token(token=f"old{number}", user_id=1, created_at=now) for number in range(130))
        session.add(Token(token="other", user_id=2, created_at=now - timedelta(days=9)))
        await session.commit()
        strategy = DatabaseStrategy[Any, Any, Any](SQLAlchemyAccessTokenDatabase(session, Token), 600, max_per_user=4)
        user: Any = Someone()
        user.id = 1
        counts = []
        for _ in range(3):
            token = await strategy.write_token(user)
            rows = (await session.execute(sa.select(Token.token).where(Token.user_id == 1))).scalars().all()
            counts.append(len(rows))
            assert await strategy._row(token, user) is not None
        assert counts == [31, 4, 4], "a hundred at a time"
        assert await session.get(Token, "other") is not None
    await engine.dispose()
    with pytest.raises(CrossauthError, match="max_per_user"):
        DatabaseStrategy(strategy.database, 600, max_per_user=-1)


@pytest.mark.parametrize("by", ["long", "stored"])
def test_a_logout_ends_where_redis_is_full(tmp_path: Path, redis_url: str, redis_instance: Any, by: str) -> None:
    """Ending writes nothing: it deletes, which a Redis that takes no more can still do."""
    from crossauth_backend import RedisKeyStorage, open_redis

    with site_of(tmp_path, RedisKeyStorage(open_redis(redis_url))) as api, redis_instance.client() as redis:
        header, token = enter(api, by)
        before = redis.config_get("maxmemory")["maxmemory"]
        redis.config_set("maxmemory", 1)
        try:
            assert api.log_in(by=by).status_code == 503
            assert api.post(f"/auth/{by}/logout", headers=header).status_code == 200
        finally:
            redis.config_set("maxmemory", before)
        assert api.get("/hello", headers=header).status_code == (200 if by == "long" else 401)
        assert refresh(api, token, by).status_code == 400
