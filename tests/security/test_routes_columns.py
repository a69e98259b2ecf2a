"""Columns of any type behind the routes of FastAPI Users: what does not fit is refused, and a row that is spoilt is nobody's."""

import enum
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, schemas
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from crossauth_fastapi.fastapi_users.db import SQLAlchemyBaseUserTable, SQLAlchemyUserDatabase
from tests.fastapi_users.app import CHEAP, SECRET
from tests.services.uvicorn import serve
from tests.support import Client

FORM = {"username": "arthur@camelot.bt", "password": "guinevere"}


class Base(DeclarativeBase):
    pass


class Plan(enum.Enum):
    FREE = "free"
    PRO = "pro"


class Knight(SQLAlchemyBaseUserTable[int], Base):
    __tablename__ = "knight"
    id: Mapped[int] = mapped_column(primary_key=True)
    plan: Mapped[Any] = mapped_column(sa.Enum(Plan, native_enum=False), nullable=True)
    size: Mapped[Any] = mapped_column(sa.Enum("s", "m", native_enum=False, length=20), nullable=True)
    height: Mapped[Any] = mapped_column(sa.Numeric(5, 2), nullable=True)
    born: Mapped[Any] = mapped_column(sa.Date, nullable=True)


class Read(schemas.BaseUser[int]):
    plan: Any = None
    size: str | None = None


class Create(schemas.BaseUserCreate):
    size: Any = None


class Update(schemas.BaseUserUpdate):
    # As loose as an application's own may be.
    is_verified: Any = None  # type: ignore[assignment]
    plan: Any = None
    size: Any = None
    height: Any = None
    born: Any = None


class Manager(IntegerIDMixin, BaseUserManager[Knight, int]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")


@contextmanager
def served(url: str) -> Iterator[Client]:
    engine = create_async_engine(url)
    sessions = async_sessionmaker(engine)

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def get_manager(session: Annotated[AsyncSession, Depends(get_session)]) -> AsyncIterator[Manager]:
        yield Manager(SQLAlchemyUserDatabase(session, Knight), CHEAP)

    backend: AuthenticationBackend[Any, Any] = AuthenticationBackend(
        name="jwt", transport=BearerTransport("auth/login"), get_strategy=lambda: JWTStrategy(SECRET, 600)
    )
    users: FastAPIUsers[Knight, int] = FastAPIUsers(get_manager, [backend])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(users.get_auth_router(backend), prefix="/auth")
    app.include_router(users.get_register_router(Read, Create), prefix="/auth")
    app.include_router(users.get_reset_password_router(), prefix="/auth")
    app.include_router(users.get_users_router(Read, Update), prefix="/users")

    @app.post("/sql")
    async def run(statement: str) -> None:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(statement)

    with serve(app) as at, Client(at) as client:
        yield client


def register(client: Client, email: str = FORM["username"], **fields: Any) -> httpx2.Response:
    return client.post("/auth/register", json={"email": email, "password": FORM["password"], **fields})


def bearer(client: Client, email: str = FORM["username"]) -> dict[str, str]:
    answer = client.post("/auth/login", data={**FORM, "username": email})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_value_that_its_column_does_not_take_is_refused_by_name(url: str) -> None:
    """Whatever the application's schema lets through; a registration stores no row."""
    with served(url) as client:
        refused = register(client, size="huge")
        assert (refused.status_code, refused.json()["detail"]) == (400, "Field 'size' must be one of s, m")
        assert register(client, size="s").status_code == 201
        own = bearer(client)
        for name, value, says in (
            ("plan", "gold", "must be one of free, pro"), ("size", 5, "must be one of s, m"), ("height", "x", "must be a number"),
            ("height", 1e9, "at most 3 digits"), ("born", "soon", "must be a date"),
        ):  # fmt: skip
            answer = client.patch("/users/me", json={name: value}, headers=own)
            assert answer.status_code == 400, (name, value, answer.text)
            assert answer.json()["detail"].startswith(f"Field '{name}' {says}") or says in answer.json()["detail"]
        for name, value in (("plan", "pro"), ("height", "1.80"), ("born", "1990-01-02")):
            answer = client.patch("/users/me", json={name: value}, headers=own)
            assert answer.status_code == 200, answer.text
        assert client.get("/users/me", headers=own).json()["plan"] == "pro"


@pytest.mark.parametrize("value", [2, 1, "2", "true", 1.0])
def test_a_superuser_cannot_set_a_flag_to_what_is_no_bool(url: str, value: Any) -> None:
    """Not even where the application's schema would take it."""
    with served(url) as client:
        register(client)
        client.post("/sql", params={"statement": "UPDATE knight SET is_superuser = (1 = 1)"})
        own, id = bearer(client), client.get("/users/me", headers=bearer(client)).json()["id"]
        answer = client.patch(f"/users/{id}", json={"is_verified": value}, headers=own)
        assert (answer.status_code, answer.json()["detail"]) == (400, "Field 'is_verified' must be true or false")
        assert client.patch(f"/users/{id}", json={"is_superuser": value}, headers=own).status_code == 422
        assert client.get("/users/me", headers=own).json()["is_verified"] is False
        assert client.patch(f"/users/{id}", json={"is_verified": True}, headers=own).json()["is_verified"] is True


def test_a_row_that_cannot_be_read_is_nobodys(url: str) -> None:
    """Its user is refused as whoever is not there, and nobody else notices."""
    with served(url) as client:
        register(client)
        register(client, "lancelot@camelot.bt")
        own, other = bearer(client), bearer(client, "lancelot@camelot.bt")
        client.post("/sql", params={"statement": "UPDATE knight SET plan = 'gold' WHERE email LIKE 'arthur%'"})
        assert client.get("/users/me", headers=own).status_code == 401
        answer = client.post("/auth/login", data=FORM)
        assert (answer.status_code, answer.json()["detail"]) == (400, "LOGIN_BAD_CREDENTIALS")
        assert client.post("/auth/forgot-password", json={"email": FORM["username"]}).status_code == 202
        assert register(client).status_code == 409
        assert client.get("/users/me", headers=other).status_code == 200
        assert bearer(client, "lancelot@camelot.bt")
