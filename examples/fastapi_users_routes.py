"""The routes of FastAPI Users, with one OAuth provider. Run it: python examples/fastapi_users_routes.py"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Request
from httpx_oauth.clients.github import GitHubOAuth2
from sqlalchemy import Uuid
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, relationship

from crossauth_backend import SqlAlchemyKeyStorage, open_engine
from crossauth_fastapi.development import local_secret
from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, authentication, db, schemas
from crossauth_fastapi.fastapi_users.authentication import JWTStrategy, KeyStorageStrategy

PORT = int(os.environ.get("PORT", "8000"))
SITE = os.environ.get("CROSSAUTH_SITE_URL", f"http://localhost:{PORT}")
DATABASE = os.environ.get("CROSSAUTH_DATABASE_URL", "sqlite:///users.db")
SECRET = local_secret(DATABASE, SITE)
engine = open_engine(DATABASE)
keys = SqlAlchemyKeyStorage(engine, {"userid_type": Uuid()})


class Base(DeclarativeBase): ...


class OAuthAccount(db.SQLAlchemyBaseOAuthAccountTableUUID, Base): ...


class User(db.SQLAlchemyBaseUserTableUUID, Base):
    oauth_accounts: Mapped[list[OAuthAccount]] = relationship(OAuthAccount, lazy="joined")


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = verification_token_secret = SECRET

    async def on_after_forgot_password(self, user: User, token: str, request: Request | None = None) -> None:
        print(f"To {user.email}: choose a new password with the token {token}")  # an application sends mail here

    async def on_after_request_verify(self, user: User, token: str, request: Request | None = None) -> None:
        print(f"To {user.email}: verify your address with the token {token}")


async def get_user_manager() -> AsyncIterator[UserManager]:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield UserManager(db.SQLAlchemyUserDatabase[User, uuid.UUID](session, User, OAuthAccount))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield


cookies = authentication.CookieTransport(cookie_max_age=3600, cookie_secure=SITE.startswith("https"))
bearer = authentication.BearerTransport("auth/jwt/login")
cookie = authentication.AuthenticationBackend(
    "cookie", cookies, lambda: KeyStorageStrategy[User, uuid.UUID](keys, 3600)
)
jwt = authentication.AuthenticationBackend("jwt", bearer, lambda: JWTStrategy[User, uuid.UUID](SECRET, 3600))
users = FastAPIUsers[User, uuid.UUID](get_user_manager, [jwt, cookie], key_storage=keys, site_url=SITE)
github = GitHubOAuth2(os.environ.get("GITHUB_CLIENT_ID", "set it"), os.environ.get("GITHUB_CLIENT_SECRET", "set it"))
UserRead = schemas.BaseUser[uuid.UUID]
app = FastAPI(title="The routes of FastAPI Users", lifespan=lifespan, docs_url="/")
for backend in (jwt, cookie):
    app.include_router(users.get_auth_router(backend), prefix=f"/auth/{backend.name}", tags=["auth"])
for router in (users.get_register_router(UserRead, schemas.BaseUserCreate), users.get_reset_password_router(),
               users.get_verify_router(UserRead), users.get_sessions_router()):  # fmt: skip
    app.include_router(router, prefix="/auth", tags=["auth"])
app.include_router(users.get_users_router(UserRead, schemas.BaseUserUpdate), prefix="/users", tags=["users"])
app.include_router(users.get_oauth_router(github, cookie, SECRET), prefix="/auth/github", tags=["auth"])


@app.get("/hello", responses={401: {"description": "Nobody is logged in."}})
async def hello(user: Annotated[User, Depends(users.current_user(active=True))]) -> str:
    return f"Hello {user.email}!"


if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)
