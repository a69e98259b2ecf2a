"""What the tests of the OAuth client share: an application that is a client of a provider, and browsers that use it."""

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx2
from fastapi import FastAPI

from crossauth_backend import (
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    LocalPasswordAuthenticator,
    UserStorage,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import FastApiServer
from tests.patience import PATIENCE
from tests.services.uvicorn import serve_beside
from tests.support import CHEAP, CSRF, PASSWORD, SECRET

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
TOKENS: Mapping[str, Any] = {
    "token_endpoints": [
        "access_token", "refresh_token", "id_token", "have_access_token", "have_refresh_token", "have_id_token",
    ],
    "delete_tokens_get_url": "deletetokens",
    "delete_tokens_post_url": "deletetokens",
    "api_delete_tokens_post_url": "api/deletetokens",
}  # fmt: skip
IN_SESSION: Mapping[str, Any] = {"token_response_type": "save_in_session_and_redirect", "authorized_url": "/welcome"}

ON_PAGE: Mapping[str, Any] = {"token_response_type": "save_in_session_and_load"}


class ClientSite:
    """An application with a session server that is a client of `provider`. Limits are the defaults; it has a clock.

    Parameters:
        provider: the provider.
        client: options of the client, besides those that name it.
        users: where users are.
        keys: where sessions are.
        sessions: whether there is a session server.
        accounts: whether it has users.
        clients: several clients, instead of one.
        options: of the server.
    """

    def __init__(
        self, provider: FakeProvider, client: Mapping[str, Any] | None = None, *, users: UserStorage | None = None,
        keys: KeyStorage | None = None, sessions: bool = True, accounts: bool = True,
        clients: list[dict[str, Any]] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        self.provider = provider
        self.users = users or InMemoryUserStorage({"user_editable_fields": ["email"]})
        self.keys = keys or InMemoryKeyStorage()
        # The clock begins at a full hour, so that no window of a limit ends while a test counts.
        self.ahead = timedelta(seconds=3600 - utc_now().timestamp() % 3600) if sessions else timedelta()
        # What is issued at a time is good for a time: both go by one clock.
        provider._clock = lambda: utc_now() + self.ahead
        provided = {**provider.client_options, "valid_flows": ["all"], "fetch_timeout": PATIENCE, **(client or {})}
        params: dict[str, Any] = {"oauth_client": {"auth_server_base_url": provider.url, "options": provided}}
        shared: dict[str, Any] = {"app": FastAPI(), "secret": SECRET, "site_url": "http://localhost:8000"}
        if clients is not None:
            params = {"oauth_clients": clients}
        if sessions:
            params["session"] = {"key_storage": self.keys}
        if sessions and accounts:
            local = LocalPasswordAuthenticator(self.users, CHEAP)
            shared |= {"authenticators": {"localpassword": local}, "user_storage": self.users}
        self.server = FastApiServer(params, {**shared, **options})
        if self.server.session_server is not None:
            self.server.session_server.session_manager.session.clock = self.now
            # One time for both sides: the client judges what the provider issues.
            provider._clock = self.now

        @self.server.app.get("/welcome")
        async def welcome() -> dict[str, str]:
            return {"page": "welcome"}

    def now(self) -> datetime:
        """The time at the site, and at the provider."""
        return utc_now() + self.ahead

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(**time)

    @asynccontextmanager
    async def open(self, *browsers: str) -> AsyncIterator["Visitor"]:
        """Serve it; yields one browser."""
        async with serve_beside(self.server.app) as url, Visitor(url) as visitor:
            yield visitor


class Visitor(httpx2.AsyncClient):
    """A browser: keeps cookies, and sends a CSRF token with everything that changes something."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, trust_env=False, timeout=20)

    def another(self) -> "Visitor":
        """Another browser at the same site."""
        return Visitor(str(self.base_url))

    async def token(self) -> str:
        """A CSRF token."""
        found: str = (await self.get("/api/getcsrftoken")).json()["csrfToken"]
        return found

    async def call(self, path: str, **fields: Any) -> httpx2.Response:
        """POST JSON, as a script does."""
        return await self.post(path, json=fields, headers={CSRF: await self.token(), **JSON})

    async def submit(self, path: str, **fields: Any) -> httpx2.Response:
        """POST a form, as a page does."""
        return await self.post(path, data={"csrfToken": await self.token(), **fields}, headers=HTML)

    async def press(self, page: httpx2.Response, button: str, **fields: str) -> httpx2.Response:
        """Send the form of a page that has this button, its hidden fields included."""
        forms = re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL)
        action, inside = next((a, i) for a, i in forms if f">{button}</button>" in i)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', inside))
        names = set(re.findall(r'<input[^>]*? name="([^"]*)"', inside))
        assert set(fields) <= names, names
        return await self.post(
            html.unescape(action), data={n: html.unescape(v) for n, v in hidden.items()} | fields, headers=HTML
        )

    async def sign_up(self, username: str = "alice") -> httpx2.Response:
        """Make an account, and be logged in."""
        fields = {"username": username, "password": PASSWORD, "repeat_password": PASSWORD}
        return await self.call("/api/signup", **fields)

    async def log_in_by_password(self, scope: str = "openid", user: str = "alice") -> httpx2.Response:
        """Get tokens of a user of the provider's by the password flow."""
        return await self.submit("/passwordflow", username=user, password=f"password of {user}", scope=scope)


def hidden_field(page: httpx2.Response, name: str) -> str:
    """The value of a hidden field of a page."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', page.text)
    assert found is not None, page.text
    return html.unescape(found.group(1))
