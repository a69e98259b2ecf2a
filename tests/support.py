"""What the tests of the face share: an application, and a client that behaves as a browser does."""

from collections.abc import Mapping
from typing import Any

import httpx2
from fastapi import FastAPI, Request

from crossauth_backend import (
    Argon2Parameters,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    LocalPasswordAuthenticator,
    UserStorage,
)
from crossauth_fastapi import AdminUser, CurrentUser, FastApiServer, OptionalUser

SECRET = "a secret for tests, long enough to sign with"
PASSWORD = "Correct1horse"
CHEAP = {"argon2": Argon2Parameters(memory_cost=8, time_cost=1, parallelism=1)}
CSRF = "X-CROSSAUTH-CSRF"


def make_server(
    users: UserStorage | None = None,
    keys: KeyStorage | None = None,
    app: FastAPI | None = None,
    api_key: Mapping[str, Any] | None = None,
    **options: Any,
) -> FastApiServer:
    """A server on `app`, by default on storages in memory, with a few routes of the application's own.

    Parameters:
        users: where users are.
        keys: where sessions and API keys are.
        app: the application.
        api_key: options of a server for API keys; without them there is none.
        options: options of the server.
    """
    users = users or InMemoryUserStorage({"user_editable_fields": ["email", "nickname"]})
    keys = keys or InMemoryKeyStorage()
    params: dict[str, Any] = {"session": {"key_storage": keys}}
    if api_key is not None:
        params["api_key"] = {"key_storage": keys, "options": api_key}
    server = FastApiServer(
        params,
        {
            "app": app or FastAPI(),
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)},
            "secret": SECRET,
            "user_storage": users,
            **options,
        },
    )

    @server.app.get("/me")
    async def me(user: CurrentUser) -> dict[str, Any]:
        return {"username": user.username}

    @server.app.get("/maybe")
    async def maybe(user: OptionalUser) -> dict[str, Any]:
        return {"username": user.username if user else None}

    @server.app.get("/admin-only")
    async def admin_only(user: AdminUser) -> dict[str, Any]:
        return {"username": user.username}

    @server.app.post("/change")
    async def change(user: CurrentUser, request: Request) -> dict[str, Any]:
        return {"username": user.username, "body": (await request.body()).decode("latin-1")}

    return server


class Client(httpx2.Client):
    """Keeps cookies, and sends a CSRF token with everything that changes something."""

    def __init__(self, base_url: str, **kwargs: Any) -> None:
        super().__init__(base_url=base_url, trust_env=False, timeout=20, **kwargs)

    def token(self) -> str:
        """A fresh CSRF token."""
        token: str = self.get("/api/getcsrftoken").json()["csrfToken"]
        return token

    def call(self, path: str, **fields: Any) -> httpx2.Response:
        """POST JSON with a CSRF token."""
        return self.post(path, json=fields, headers={CSRF: self.token()})

    def submit(self, path: str, **fields: Any) -> httpx2.Response:
        """POST a form with a CSRF token in it."""
        return self.post(path, data={"csrfToken": self.token(), **fields})

    def sign_up(self, username: str = "alice", password: str = PASSWORD, **fields: Any) -> httpx2.Response:
        """Create an account and be logged in."""
        return self.call("/api/signup", username=username, password=password, repeat_password=password, **fields)

    def log_in(self, username: str = "alice", password: str = PASSWORD, **fields: Any) -> httpx2.Response:
        """Log in."""
        return self.call("/api/login", username=username, password=password, **fields)

    def who(self) -> str | None:
        """The name of whoever is logged in."""
        user = self.get("/api/userforsessionkey").json()["user"]
        return user["username"] if user else None
