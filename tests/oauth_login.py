"""A login by the authorization code flow, with the client of the backend and a provider on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crossauth_backend.oauth.client import OAuthClient, OAuthTokenResponse
from crossauth_backend.testing import FakeClock, FakeProvider
from tests.patience import PATIENCE

BACK = "http://localhost:8000/authzcode"


class Login:
    """A provider and its client, and the steps of a login with them."""

    def __init__(self, provider: FakeProvider, clock: FakeClock) -> None:
        self.provider, self.clock = provider, clock
        self._clients: list[OAuthClient] = []
        self.client = self.another()

    def another(self, **options: Any) -> OAuthClient:
        provided: Any = {"redirect_uri": BACK, "fetch_timeout": PATIENCE, **self.provider.client_options, **options}
        client = OAuthClient(self.provider.url, {n: v for n, v in provided.items() if v is not None}, clock=self.clock)
        self._clients.append(client)
        return client

    async def begin(
        self, client: OAuthClient | None = None, scope: str = "openid email", **more: Any
    ) -> dict[str, str]:
        """What the browser brings back."""
        client = client or self.client
        self.challenge, self.verifier = client.code_challenge_and_verifier()
        started = await client.start_authorization_code_flow(
            "the state", scope, self.challenge, True, nonce="the nonce", **more
        )
        assert "url" in started, started
        sent = parse_qs(urlsplit(self.provider.sign_in(started["url"])).query)
        return {name: values[0] for name, values in sent.items()}

    async def finish(self, back: dict[str, str], client: OAuthClient | None = None, **more: Any) -> OAuthTokenResponse:
        """What the client makes of it."""
        provided = {"code_verifier": self.verifier, "nonce": "the nonce", **back, **more}
        return await (client or self.client).redirect_endpoint(**provided)

    async def walk(
        self, client: OAuthClient | None = None, scope: str = "openid email", **more: Any
    ) -> OAuthTokenResponse:
        return await self.finish(await self.begin(client, scope), client, **more)

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def login_at_provider(algorithms: tuple[str, ...] = ("RS256",), path: str = "") -> AsyncIterator[Login]:
    clock = FakeClock()
    async with FakeProvider(path, algorithms, clock) as provider:
        login = Login(provider, clock)
        yield login
        await login.aclose()
