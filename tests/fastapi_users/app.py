"""An application written against the documented Python API, as its users write it."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request, Response, WebSocket
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, relationship

from crossauth_backend import Argon2Parameters
from crossauth_backend.core.passwords import PasswordHasher
from crossauth_fastapi.fastapi_users import (
    BaseUserManager,
    FastAPIUsers,
    InvalidPasswordException,
    UUIDIDMixin,
    schemas,
)
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    CookieTransport,
    JWTStrategy,
)
from crossauth_fastapi.fastapi_users.authentication.strategy import DatabaseStrategy
from crossauth_fastapi.fastapi_users.db import (
    SQLAlchemyBaseOAuthAccountTableUUID,
    SQLAlchemyBaseUserTableUUID,
    SQLAlchemyUserDatabase,
)
from crossauth_fastapi.fastapi_users.db.sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from crossauth_fastapi.fastapi_users.password import PasswordHelper

SECRET = "a secret for tests, long enough to sign with"
CHEAP = PasswordHelper(PasswordHasher(Argon2Parameters(memory_cost=8, time_cost=1, parallelism=1)))


class Base(DeclarativeBase):
    pass


class OAuthAccount(SQLAlchemyBaseOAuthAccountTableUUID, Base):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    oauth_accounts: Mapped[list[OAuthAccount]] = relationship("OAuthAccount", lazy="joined")


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


class UserRead(schemas.BaseUser[uuid.UUID], schemas.BaseOAuthAccountMixin):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserUpdate(schemas.BaseUserUpdate):
    pass


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET
    calls: list[tuple[Any, ...]]

    async def validate_password(self, password: str, user: Any) -> None:
        if len(password) < 3:
            raise InvalidPasswordException(reason="Password should be at least 3 characters")

    async def on_after_register(self, user: User, request: Request | None = None) -> None:
        self.calls.append(("register", user.email))

    async def on_after_update(self, user: User, update_dict: dict[str, Any], request: Request | None = None) -> None:
        self.calls.append(("update", user.email, sorted(update_dict)))

    async def on_after_request_verify(self, user: User, token: str, request: Request | None = None) -> None:
        self.calls.append(("request_verify", user.email, token))

    async def on_after_verify(self, user: User, request: Request | None = None) -> None:
        self.calls.append(("verify", user.email))

    async def on_after_forgot_password(self, user: User, token: str, request: Request | None = None) -> None:
        self.calls.append(("forgot", user.email, token))

    async def on_after_reset_password(self, user: User, request: Request | None = None) -> None:
        self.calls.append(("reset", user.email))

    async def on_after_login(
        self, user: User, request: Request | None = None, response: Response | None = None
    ) -> None:
        assert response is not None
        self.calls.append(("login", user.email))

    async def on_before_delete(self, user: User, request: Request | None = None) -> None:
        self.calls.append(("before_delete", user.email))

    async def on_after_delete(self, user: User, request: Request | None = None) -> None:
        self.calls.append(("delete", user.email))


class Site:
    """The application, its database and what its hooks were told."""

    def __init__(
        self,
        url: str,
        *,
        more_backends: Any = (),
        closing: Any = (),
        require_old_password: bool | None = None,
        # One that the key storage has too, with sessions as SQLAlchemy makes them when nothing is said.
        engine: Any = None,
        **options: Any,
    ) -> None:
        driver = url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
        self.engine = engine or create_async_engine(driver)
        if driver.startswith("sqlite") and engine is None:
            event.listen(self.engine.sync_engine, "connect", lambda c, _: c.execute("PRAGMA busy_timeout=5000"))
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=engine is not None)
        self.calls: list[tuple[Any, ...]] = []
        self.closing = closing
        self.manager = type("Manager", (UserManager,), {})

        async def get_session() -> AsyncIterator[AsyncSession]:
            async with self.sessions() as session:
                yield session

        async def get_user_db(session: AsyncSession = Depends(get_session)) -> Any:
            yield SQLAlchemyUserDatabase(session, User, OAuthAccount)

        async def get_token_db(session: AsyncSession = Depends(get_session)) -> Any:
            yield SQLAlchemyAccessTokenDatabase(session, AccessToken)

        async def get_user_manager(user_db: Any = Depends(get_user_db)) -> AsyncIterator[UserManager]:
            yield self._manager(user_db)

        def get_jwt_strategy() -> JWTStrategy[User, uuid.UUID]:
            return JWTStrategy(SECRET, lifetime_seconds=3600)

        def get_database_strategy(database: Any = Depends(get_token_db)) -> Any:
            return DatabaseStrategy(database, lifetime_seconds=3600)

        self.jwt: Any = AuthenticationBackend("jwt", BearerTransport("auth/jwt/login"), get_jwt_strategy)
        self.cookie: Any = AuthenticationBackend("cookie", CookieTransport(cookie_max_age=3600), get_database_strategy)
        self.get_session, self.get_user_db, self.get_user_manager = get_session, get_user_db, get_user_manager
        backends = [self.jwt, self.cookie, *more_backends]
        self.users = FastAPIUsers[User, uuid.UUID](get_user_manager, backends, **options)
        self.app = FastAPI(lifespan=self._lifespan)
        for backend in backends:
            self.app.include_router(self.users.get_auth_router(backend), prefix=f"/auth/{backend.name}", tags=["auth"])
        self.app.include_router(self.users.get_register_router(UserRead, UserCreate), prefix="/auth", tags=["auth"])
        self.app.include_router(self.users.get_reset_password_router(), prefix="/auth", tags=["auth"])
        self.app.include_router(self.users.get_verify_router(UserRead), prefix="/auth", tags=["auth"])
        self.app.include_router(self.users.get_sessions_router(), prefix="/auth", tags=["auth"])
        users_router = self.users.get_users_router(UserRead, UserUpdate, require_old_password=require_old_password)
        self.app.include_router(users_router, prefix="/users", tags=["users"])

        @self.app.get("/hello")
        async def hello(user: User = Depends(self.users.current_user(active=True))) -> dict[str, str]:
            return {"email": user.email}

        @self.app.get("/maybe")
        async def maybe(user: User | None = Depends(self.users.current_user(optional=True))) -> dict[str, Any]:
            return {"email": user.email if user else None}

        @self.app.websocket("/ws")
        async def ws(websocket: WebSocket, user: User = Depends(self.users.current_user(active=True))) -> None:
            await websocket.accept()
            await websocket.send_text(user.email)
            await websocket.close()

    def _manager(self, user_db: Any) -> UserManager:
        manager: UserManager = self.manager(user_db, CHEAP)
        manager.calls = self.calls
        return manager

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        try:
            async with self.engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            yield
        finally:
            # A start that is refused, too: what is left open is reported in the middle of another test.
            await self.engine.dispose()
            for client in self.closing:
                await client.aclose()
