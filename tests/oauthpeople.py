"""What the tests of the users of an OAuth client share: a site that knows them, and browsers that log in at the provider."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import pyotp
from fastapi import FastAPI, Request

from crossauth_backend import (
    InMemoryIdentityStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    Outbox,
    TotpAuthenticator,
    User,
    UserStorage,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import CurrentUser
from tests.accounts import RecordingListener
from tests.oauthclient import HTML, IN_SESSION, ClientSite, Visitor
from tests.support import CHEAP

SCOPE = "openid email profile"
LOCAL: Mapping[str, Any] = {**IN_SESSION, "local_login": True}


class PeopleSite(ClientSite):
    """A site with a session server, second factors, mail and linked accounts, that is a client of `provider`.

    Parameters:
        provider: the provider.
        client: options of the client.
        users: where users are.
        options: of the server.
    """

    def __init__(
        self,
        provider: FakeProvider,
        client: Mapping[str, Any] | None = None,
        users: UserStorage | None = None,
        **options: Any,
    ) -> None:
        self.identities, self.heard, self.outbox = InMemoryIdentityStorage(), RecordingListener(), Outbox()
        users = users or InMemoryUserStorage({"user_editable_fields": ["email"]})
        provided = {
            "authenticators": {
                "localpassword": LocalPasswordAuthenticator(users, CHEAP),
                "totp": TotpAuthenticator("Test"),
            },
            "allowed_factor2": ["none", "totp"],
            "enable_password_reset": True,
            "mailer": self.outbox,
            "event_listeners": [self.heard],
        }
        super().__init__(
            provider, {"identity_storage": self.identities, **(client or {})}, users=users, **(provided | options)
        )
        add_routes(self.server.app)

    @property
    def issuer(self) -> str:
        """The provider."""
        return self.provider.url

    async def user(self, username: str = "alice", **fields: Any) -> User:
        """Make an account."""
        new = {"username": username, "state": "active", "factor1": "localpassword", **fields}
        return await self.users.create_user(new)

    async def linked(self, username: str = "alice", sub: str = "alice", **fields: Any) -> User:
        """Make an account that is linked to somebody at the provider."""
        user = await self.user(username, **fields)
        await self.identities.link(self.issuer, sub, user.id)
        return user

    async def with_totp(self, browser: Visitor, sub: str = "alice") -> str:
        """Make an account with a password and a second factor that is linked; its secret."""
        await browser.sign_up()
        displayed = (await browser.call("/api/changefactor2", factor2="totp")).json()
        done = await browser.call("/api/configurefactor2", otp=self.code(displayed["totpsecret"]))
        assert done.status_code == 200, done.text
        user = (await self.users.get_user_by_username("alice")).user
        await self.identities.link(self.issuer, sub, user.id)
        await browser.call("/api/logout")
        return cast(str, displayed["totpsecret"])

    def code(self, secret: str) -> str:
        """The next code of an authenticator application; each call moves to the next step, for each counts once."""
        self.later(seconds=30)
        return pyotp.TOTP(secret).at(self.now())


def add_routes(app: FastAPI) -> None:
    """Routes that say who is asking."""

    @app.get("/me")
    async def me(user: CurrentUser) -> dict[str, Any]:
        return {"username": user.username}

    @app.post("/change")
    async def change(user: CurrentUser) -> dict[str, Any]:
        return {"username": user.username}

    @app.get("/asking")
    async def asking(request: Request) -> dict[str, Any]:
        state = request.state
        user: User | None = state.user
        return {
            "user": None if user is None else user.username,
            "id": None if user is None else user.id,
            "kind": type(user).__name__,
            "name": None if user is None else user.get("name"),
            "id_token": None if user is None else user.get("id_token"),
            "auth_type": state.auth_type,
            "sub": (state.id_payload or {}).get("sub"),
            "same": state.id_payload == state.id_token_payload,
        }


async def start(browser: Visitor, **query: str) -> str:
    """Begin a login; the URL at the provider."""
    begun = await browser.get("/authzcodeflow", params={"scope": SCOPE, **query}, headers=HTML)
    assert begun.status_code == 302, begun.text
    return str(begun.headers["location"])


async def finish(browser: Visitor, provider: FakeProvider, url: str, user: str) -> httpx2.Response:
    """Log in at the provider, and come back."""
    back = urlsplit(provider.sign_in(url, user))
    return await browser.get(f"{back.path}?{back.query}", headers=HTML)


async def come(browser: Visitor, provider: FakeProvider, user: str = "alice", **query: str) -> httpx2.Response:
    """Log in by the provider, as a browser does."""
    return await finish(browser, provider, await start(browser, **query), user)


async def asking(browser: Visitor) -> dict[str, Any]:
    """Who the site says is asking."""
    found: dict[str, Any] = (await browser.get("/asking")).json()
    return found


async def who(browser: Visitor) -> str | None:
    """Who is logged in at the session server."""
    user = (await browser.get("/api/userforsessionkey")).json()["user"]
    return user["username"] if user else None


def refused(answer: httpx2.Response) -> tuple[int, str]:
    """How a request was refused."""
    told = answer.json()
    return answer.status_code, str(told.get("error_code_name") or told.get("errorCodeName"))


def verified() -> datetime:
    """When an address was verified."""
    return utc_now()
