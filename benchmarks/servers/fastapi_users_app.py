"""FastAPI Users, as its documentation's full example has it. BENCH_STRATEGY is `database`, `jwt` (by RS256) or `redis`."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase, SQLAlchemyBaseAccessTokenTableUUID
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

SECRET = "a secret of the benchmark, long enough"
url = os.environ["BENCH_DATABASE"].replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
engine = create_async_engine(url)
make_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


class UserRead(schemas.BaseUser[uuid.UUID]):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def get_session() -> AsyncIterator[AsyncSession]:
    async with make_session() as session:
        yield session


async def get_user_db(session: AsyncSession = Depends(get_session)) -> AsyncIterator[Any]:
    yield SQLAlchemyUserDatabase(session, User)


async def get_token_db(session: AsyncSession = Depends(get_session)) -> AsyncIterator[Any]:
    yield SQLAlchemyAccessTokenDatabase(session, AccessToken)


async def get_user_manager(user_db: Any = Depends(get_user_db)) -> AsyncIterator[UserManager]:
    yield UserManager(user_db)


def database_strategy(tokens: Any = Depends(get_token_db)) -> DatabaseStrategy:
    return DatabaseStrategy(tokens, lifetime_seconds=3600)


def jwt_strategy() -> JWTStrategy:
    return JWTStrategy(PRIVATE_KEY, lifetime_seconds=3600, algorithm="RS256", public_key=PUBLIC_KEY)


def redis_strategy() -> Any:
    return RedisStrategy(redis, lifetime_seconds=3600)


if os.environ["BENCH_STRATEGY"] == "jwt":
    PRIVATE_KEY, PUBLIC_KEY = (Path(os.environ[f"BENCH_{kind}_KEY"]).read_text() for kind in ("PRIVATE", "PUBLIC"))
elif os.environ["BENCH_STRATEGY"] == "redis":
    from fastapi_users.authentication import RedisStrategy
    from redis.asyncio import Redis

    redis = Redis.from_url(os.environ["BENCH_REDIS"], decode_responses=True)
strategy = {"database": database_strategy, "jwt": jwt_strategy, "redis": redis_strategy}[os.environ["BENCH_STRATEGY"]]
backend = AuthenticationBackend(name="bench", transport=BearerTransport(tokenUrl="auth/login"), get_strategy=strategy)
fastapi_users = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(fastapi_users.get_auth_router(backend), prefix="/auth")
app.include_router(fastapi_users.get_register_router(UserRead, UserCreate), prefix="/auth")


@app.get("/me")
async def me(user: User = Depends(fastapi_users.current_user(active=True))) -> dict[str, str]:
    return {"username": user.email}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
