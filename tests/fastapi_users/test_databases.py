"""What databases refuse: values that do not fit, names that are taken, and answers that do not come."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI
from pydantic import Field
from sqlalchemy import JSON, ForeignKey, String, Uuid
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from crossauth_backend import SqlAlchemyKeyStorage, open_engine
from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, schemas
from crossauth_fastapi.fastapi_users._addresses import spellings
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from crossauth_fastapi.fastapi_users.db import SQLAlchemyUserDatabase
from crossauth_fastapi.fastapi_users.db.sqlalchemy import SQLAlchemyBaseOAuthAccountTable, SQLAlchemyBaseUserTable
from tests.fastapi_users.app import CHEAP, SECRET
from tests.fastapi_users.conftest import detail, open_site
from tests.fastapi_users.test_providers import Says
from tests.services.postgres import postgres_server
from tests.services.uvicorn import serve

EMAIL, OTHER = "arthur@camelot.bt", "lancelot@camelot.bt"


class Base(DeclarativeBase):
    pass


class Account(SQLAlchemyBaseOAuthAccountTable[int], Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="cascade"))


class Knight(SQLAlchemyBaseUserTable[int], Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(20), unique=True)
    deeds: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    oauth_accounts: Mapped[list[Account]] = relationship(lazy="joined")


class Read(schemas.BaseUser[int]):
    username: str
    deeds: dict[str, Any]


class Create(schemas.BaseUserCreate):
    username: str
    deeds: dict[str, Any] = Field(default_factory=dict)


class Update(schemas.BaseUserUpdate):
    username: str | None = None
    deeds: dict[str, Any] | None = None


class Manager(IntegerIDMixin, BaseUserManager[Knight, int]):
    reset_password_token_secret = verification_token_secret = SECRET
    login_fields = ("username", "email")


def make_app(url: str, says: Any = None) -> FastAPI:
    """An application with whole numbers as ids, that logs in by username or address."""
    engine = create_async_engine(
        url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    )

    async def get_user_manager() -> AsyncIterator[Manager]:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield Manager(SQLAlchemyUserDatabase(session, Knight, Account), CHEAP)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    backend: Any = AuthenticationBackend("jwt", BearerTransport("login"), lambda: JWTStrategy(SECRET, 600))
    users = FastAPIUsers[Knight, int](get_user_manager, [backend], site_url="http://localhost")
    app = FastAPI(lifespan=lifespan)
    for router in (users.get_auth_router(backend), users.get_register_router(Read, Create),
                   users.get_reset_password_router(), users.get_verify_router(Read)):  # fmt: skip
        app.include_router(router)
    app.include_router(users.get_users_router(Read, Update), prefix="/users")
    app.include_router(users.get_oauth_router(says or Says(), backend, SECRET), prefix="/oauth")

    @app.get("/hello")
    async def hello(user: Annotated[Knight, Depends(users.current_user(active=True))]) -> str:
        return user.username

    return app


class Knights(httpx2.Client):
    """A client of it."""

    says: Says

    def register(self, username: str = "arthur", email: str = EMAIL, **more: Any) -> httpx2.Response:
        return self.post("/register", json={"username": username, "email": email, "password": "guinevere", **more})

    def log_in(self, name: str, password: str = "guinevere") -> dict[str, str]:
        answer = self.post("/login", data={"username": name, "password": password})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"} if answer.status_code == 200 else {}

    def by_provider(self) -> httpx2.Response:
        begun = self.get("/oauth/authorize")
        state = begun.json()["authorization_url"].partition("state=")[2]
        cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
        return self.get("/oauth/callback", params={"code": "c", "state": state}, headers=cookie)


@pytest.fixture(params=["sqlite", "postgres"])
def knights(request: pytest.FixtureRequest) -> Iterator[Knights]:
    says = Says()
    with (
        serve(make_app(request.getfixturevalue(f"{request.param}_url"), says)) as url,
        Knights(base_url=url, trust_env=False, timeout=20) as client,
    ):
        client.says = says
        yield client


def test_a_login_by_username_or_address(knights: Knights) -> None:
    assert knights.register().status_code == 201
    for name in ("arthur", "ARTHUR", EMAIL, "Arthur@camelot.bt"):
        assert knights.get("/hello", headers=knights.log_in(name)).json() == "arthur"
    assert knights.log_in("lancelot") == {}


def test_a_name_that_somebody_could_be_meant_by(knights: Knights) -> None:
    knights.register()
    for username, email in (("arthur", OTHER), ("ARTHUR", OTHER), (EMAIL, OTHER), ("galahad", EMAIL.upper())):
        answer = knights.register(username, email)
        assert (answer.status_code, detail(answer)) == (400, "REGISTER_USER_ALREADY_EXISTS"), username
    assert knights.register("lancelot", OTHER).status_code == 201
    header = knights.log_in("lancelot")
    for change in ({"username": "arthur"}, {"username": EMAIL}, {"email": EMAIL}):
        answer = knights.patch("/users/me", headers=header, json=change)
        assert (answer.status_code, detail(answer)) == (400, "UPDATE_USER_EMAIL_ALREADY_EXISTS"), change
    same = knights.patch("/users/me", headers=header, json={"username": "Lancelot"})
    assert same.json()["username"] == "Lancelot"


def test_null_for_what_cannot_be_null(knights: Knights) -> None:
    knights.register(deeds={"sword": "drawn"})
    answer = knights.patch("/users/me", headers=knights.log_in("arthur"), json={"username": None, "deeds": None})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["username"], answer.json()["deeds"]) == ("arthur", {"sword": "drawn"})


def test_values_that_do_not_fit(knights: Knights) -> None:
    """A column's length holds on SQLite as well, which itself would not keep to it."""
    knights.register()
    header = knights.log_in("arthur")
    long = knights.register("x" * 21, OTHER)
    assert (long.status_code, detail(long)) == (400, "Field 'username' must be at most 20 characters")
    assert knights.patch("/users/me", headers=header, json={"username": "y" * 21}).status_code == 400
    for deeds in ({"a\u0000": 1}, {"a": ["\u0000"]}, {"a": {"b": ["\ud800"]}}):
        body = json.dumps({"deeds": deeds})
        headers = {**header, "Content-Type": "application/json"}
        assert knights.patch("/users/me", headers=headers, content=body).status_code == 422, deeds
    assert knights.get("/users/me", headers=header).status_code == 200


@pytest.mark.parametrize(("opens", "closes"), [('{"a":', "}"), ("[", "]")])
def test_values_nested_too_deep(knights: Knights, opens: str, closes: str) -> None:
    """Neither a 500, nor stored so that no answer can show it again."""
    knights.register()
    headers = {**knights.log_in("arthur"), "Content-Type": "application/json"}
    # How deep Python's own parser goes depends on its version; beyond that it is 400.
    deep = {400, 422}
    for depth, expected in (
        (40, {200, 201}),
        (60, {422}),
        (300, {422}),
        (480, {422}),
        (900, {422}),
        (2000, deep),
        (9_000, deep),
    ):
        deeds = f'{{"deeds": {{"x": {opens * depth}1{closes * depth}}}}}'
        assert knights.patch("/users/me", headers=headers, content=deeds).status_code in expected, depth
        new = f'{{"username": "n{depth}", "email": "n{depth}@b.co", "password": "guinevere", {deeds[1:]}'
        assert knights.post("/register", headers=headers, content=new).status_code in expected, depth
    assert knights.get("/users/me", headers=headers).status_code == 200


def test_ids_beyond_every_column(knights: Knights) -> None:
    knights.register()
    for id in (2**31, 2**63 - 1, 2**63, 10**40, "1.5", "-1", "٣"):
        token = JWTStrategy[Any, Any](SECRET, 60)
        user = type("One", (), {"id": id, "hashed_password": "x"})
        header = {"Authorization": f"Bearer {asyncio.run(token.write_token(user))}"}
        assert knights.get("/hello", headers=header).status_code == 401, id


@pytest.mark.parametrize("token", [{"access_token": "t" * 2000}, {"access_token": "t", "refresh_token": "r" * 2000}])
def test_a_token_longer_than_its_column(knights: Knights, request: pytest.FixtureRequest, token: Any) -> None:
    knights.says.token, knights.says.account = token, ("7", EMAIL)
    knights.register()
    knights.says.proves(EMAIL)
    header = knights.log_in("arthur")
    assert knights.by_provider().status_code == 400, "not proven here"
    assert knights.get("/hello", headers=header).status_code == 200


def test_a_database_that_goes_away() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server())
        with (
            serve(make_app(server.create_database())) as url,
            Knights(base_url=url, trust_env=False, timeout=20) as client,
        ):
            client.register()
            header = client.log_in("arthur")
            assert client.get("/hello", headers=header).status_code == 200
            stack.close()
            form = {"username": "arthur", "password": "guinevere"}
            for answer in (
                client.get("/hello", headers=header), client.get("/users/me", headers=header),
                client.post("/login", data=form), client.register("b", OTHER),
            ):  # fmt: skip
                assert answer.status_code == 503, answer.text
                assert "postgres" not in answer.text.lower()


def test_the_spellings_of_a_name_are_few() -> None:
    assert sorted(spellings("Éa")) == ["Éa", "éa"]
    for name in ("ǅ" * 8 + "a" * 300, "é" * 300, "ß" * 20, "İ" * 20):
        assert len(spellings(name)) <= 33
    with_dots = "e\u0301"
    assert {"é", "É", with_dots} <= set(spellings(with_dots))


def test_a_name_as_long_as_a_book(tmp_path: Path) -> None:
    with open_site(tmp_path) as api:
        for name in ("ǅ" * 8 + "a" * 60_000, "é" * 321, "a" * 60_000):
            answer = api.log_in(name)
            assert (answer.status_code, detail(answer)) == (400, "LOGIN_BAD_CREDENTIALS")


def test_keys_of_the_application_are_made_and_thrown_away(tmp_path: Path) -> None:
    """A key storage of the application's own needs nothing but to be given."""
    keys = SqlAlchemyKeyStorage(open_engine(f"sqlite:///{tmp_path}/keys.db"), {"userid_type": Uuid})
    with open_site(tmp_path, key_storage=keys) as api:
        api.register()
        assert api.log_in(password="x").status_code == 400
        assert api.log_in().status_code == 200
    assert (tmp_path / "keys.db").exists()


def test_a_user_of_an_address_that_could_not_be_registered_today(tmp_path: Path) -> None:
    with open_site(tmp_path) as api:
        api.register(EMAIL)
        api.sql('UPDATE "user" SET email = ?', "root@localhost")
        header = api.bearer("root@localhost", "guinevere")
        assert api.get("/users/me", headers=header).json()["email"] == "root@localhost"
