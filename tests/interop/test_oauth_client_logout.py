"""Logging out at a real provider, begun here and told by it: the npm package oidc-provider."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.flows.test_oauth_client_logout import OIDC, has_tokens, leave
from tests.oauthclient import ClientSite, Visitor
from tests.services.oidc import CLIENT_ID, CLIENT_SECRET, OidcBrowser, OidcProvider, oidc_provider
from tests.services.processes import free_port

BACK = "http://localhost:8000"


class Both:
    """A site, its provider, and browsers at both."""

    def __init__(self, site: ClientSite, provider: OidcProvider, visitor: Visitor) -> None:
        self.site, self.provider, self.visitor = site, provider, visitor

    async def log_in(self, visitor: Visitor, there: OidcBrowser) -> None:
        """Log in at the provider, and come back."""
        begun = await visitor.get("/authzcodeflow", params={"scope": "openid"})
        back = urlsplit(await asyncio.to_thread(there.sign_in, begun.headers["location"]))
        done = await visitor.get(f"{back.path}?{back.query}")
        assert done.headers.get("location") == "/welcome", done.text
        assert await has_tokens(visitor)


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    port = free_port()
    named: Any = SimpleNamespace(
        url=f"http://127.0.0.1:{port}", client_options={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    )
    site = ClientSite(named, OIDC)
    # The provider has a clock of its own.
    site.ahead = timedelta()
    async with site.open() as visitor:
        settings = {
            "post_logout_redirect_uris": f"{BACK}/loggedout",
            "backchannel_logout_uri": f"{str(visitor.base_url).rstrip('/')}/backchannellogout",
        }
        with oidc_provider(f"{BACK}/authzcode", port=port, **settings) as provider:
            yield Both(site, provider, visitor)


async def test_begun_here(both: Both) -> None:
    """The provider asks its user, and sends the browser back with the state."""
    visitor = both.visitor
    with both.provider.browser("arthur") as there:
        await both.log_in(visitor, there)
        sent = await leave(visitor)
        assert not await has_tokens(visitor)
        url = await asyncio.to_thread(there.log_out, sent["url"])
        assert url is not None
        back = urlsplit(url)
        assert f"{back.scheme}://{back.netloc}{back.path}" == f"{BACK}/loggedout"
        assert (await visitor.get(f"{back.path}?{back.query}")).status_code == 200


async def test_told_by_the_provider(both: Both) -> None:
    """Whoever logs out there, at another site too, is logged out here: that session, and no other."""
    visitor = both.visitor
    async with visitor.another() as second:
        with both.provider.browser("arthur") as there, both.provider.browser("arthur") as elsewhere:
            await both.log_in(visitor, there)
            await both.log_in(second, elsewhere)
            await asyncio.to_thread(there.log_out, f"{both.provider.url}/session/end?client_id={CLIENT_ID}")
            async with asyncio.timeout(20):
                while await has_tokens(visitor):
                    await asyncio.sleep(0.1)
            assert await has_tokens(second)
