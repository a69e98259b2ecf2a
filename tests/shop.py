"""What the tests of typed dependencies share: an application with sessions, API keys and access tokens, and users of its own."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, WebSocket

from crossauth_backend import (
    ApiKeyManager,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    OAuthTokenConsumer,
    TotpAuthenticator,
    User,
)
from crossauth_fastapi import (
    AdminUser,
    CurrentUser,
    FastApiOAuthResourceServer,
    FastApiServer,
    OptionalUser,
    Principal,
    require,
)
from tests.support import CHEAP, SECRET

ISSUER = "https://issuer.example"
API = "https://api.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper(User):
    """A user of the shop."""

    id: int
    nickname: str | None = None


class Shop:
    """The application.

    Parameters:
        app: an application with routes of its own, instead of those below.
        record: the class of its users.
        tokens: options of the resource server besides.
    """

    def __init__(self, *, app: FastAPI | None = None, record: type[User] = Shopper, **tokens: Any) -> None:
        self.app = app or FastAPI()
        self.users = InMemoryUserStorage({"record": record, "user_editable_fields": ["email", "nickname"]})
        self.keys = InMemoryKeyStorage()
        self.manager = ApiKeyManager(self.keys, {"secret": SECRET, "user_storage": self.users})
        self.server = FastApiServer(
            {"session": {"key_storage": self.keys}, "api_key": {"key_storage": self.keys}},
            {
                "app": self.app, "secret": SECRET, "user_storage": self.users,
                "allowed_factor2": ["none", "totp"],
                "authenticators": {
                    "localpassword": LocalPasswordAuthenticator(self.users, CHEAP), "totp": TotpAuthenticator("Shop"),
                },
            },
        )  # fmt: skip
        consumer = OAuthTokenConsumer(API, {"auth_server_base_url": ISSUER})
        found: dict[str, Any] = {"user_storage": self.users, "oauth_issuer": ISSUER, **tokens}
        FastApiOAuthResourceServer(self.app, [consumer], found)
        if app is None:
            add_routes(self.app)
        self.alice, self.bob, self.root = (
            self.user(name, email=f"{name}@example.com", nickname=name[0], admin=name == "root")
            for name in ("alice", "bob", "root")
        )

    def user(self, username: str, **fields: Any) -> Any:
        """A new user."""
        provided: Any = {"username": username, "state": "active", "factor1": "localpassword", **fields}
        return asyncio.run(self.users.create_user(provided))

    def change(self, user: User, **fields: Any) -> None:
        """Change a user."""
        asyncio.run(self.users.update_user({"id": user.id, **fields}))

    def key(self, user: User | None, **fields: Any) -> dict[str, str]:
        """The header with a new API key."""
        token = asyncio.run(self.manager.create_key("script", None if user is None else user.id, **fields)).token
        return {"Authorization": f"ApiKey {token}"}


def add_routes(app: FastAPI, programs: bool = True) -> None:
    """Routes that ask for one thing each; without `programs` none for these alone."""
    for name, asked in {
        "user": require(Shopper),
        "scope": require(Shopper, scope="orders"),
        "admin": require(Shopper, admin=True),
        "verified": require(Shopper, verified=True),
        "second": require(Shopper, factor2=True),
        "fresh": require(Shopper, fresh=10),
        "session": require(Shopper, credentials=["session"]),
    }.items():
        _add(app, name, asked)
    if programs:
        _add(app, "program", require(Shopper, scope="orders", credentials=["bearer", "api_key"]))

    @app.get("/principal")
    @app.post("/principal")
    async def principal(
        found: Annotated[Principal[Shopper], Depends(require(Principal[Shopper], scope="orders"))],
    ) -> Any:
        return {
            "user": found.user.nickname if found.user else None, "auth_type": found.auth_type, "sub": found.sub,
            "credential": found.credential, "scopes": found.scopes, "client": found.client_id,
            "key": found.key_id is not None, "claims": found.claims is not None,
        }  # fmt: skip

    @app.get("/current")
    async def current(user: CurrentUser) -> str:
        return user.username

    @app.post("/optional")
    @app.get("/optional")
    async def optional(user: OptionalUser) -> str | None:
        return user.username if user else None

    @app.get("/administrator")
    async def administrator(user: AdminUser) -> str:
        return user.username

    @app.websocket("/ws")
    async def ws(socket: WebSocket, user: Annotated[Shopper, Depends(require(Shopper, scope="orders"))]) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"{user.nickname} {text}")


def _add(app: FastAPI, name: str, asked: Any) -> None:
    @app.get(f"/{name}", name=name)
    @app.post(f"/{name}", name=name)
    async def route(user: Annotated[Shopper, Depends(asked)]) -> str:
        return f"{user.nickname} {user.id + 0}"
