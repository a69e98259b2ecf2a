"""Logging out at the provider in a browser: the pages, and the way there and back under the real policy."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from crossauth_backend.testing import FakeProvider
from tests.browser.test_pages import Visitor
from tests.flows.test_oauth_client_logout import OIDC
from tests.oauthclient import ClientSite
from tests.services.processes import free_port
from tests.services.uvicorn import serve


async def walk(visitor: Visitor, provider: FakeProvider, *, looks: bool) -> None:
    page = visitor.page
    await page.goto(f"{visitor.url}/authzcodeflow?scope=openid")
    assert page.url == f"{visitor.url}/welcome"
    assert "alice" in provider.sessions
    await page.goto(f"{visitor.url}/logoutoidc")
    if looks:
        await visitor.look("confirmlogout")
    await visitor.send("Log out")
    await expect(page.get_by_role("heading", level=1)).to_have_text("You're logged out")
    assert page.url.startswith(f"{visitor.url}/loggedout?state=")
    assert provider.sessions == {}
    assert provider.requests["end_session"] == 1
    if looks:
        await visitor.look("loggedout")
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.asyncio(loop_scope="session")
async def test_the_pages(browser: Browser, scheme: Any, width: int) -> None:
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    async with FakeProvider() as provider:
        port = free_port()
        site = ClientSite(provider, OIDC, site_url=f"http://localhost:{port}")
        with serve(site.server.app, port):
            visitor = Visitor(await context.new_page(), f"http://localhost:{port}", f"{scheme}-{width}")
            await walk(visitor, provider, looks=True)
    await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_way_there_and_back(browser: Browser) -> None:
    """Without JavaScript. The policy of the page lets its form end at the provider, which is another site."""
    context = await browser.new_context(java_script_enabled=False)
    async with FakeProvider() as provider:
        port = free_port()
        site = ClientSite(provider, OIDC, site_url=f"http://localhost:{port}")
        with serve(site.server.app, port):
            visitor = Visitor(await context.new_page(), f"http://localhost:{port}", "no-script")
            await walk(visitor, provider, looks=False)
    await context.close()
