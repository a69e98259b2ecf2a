"""The pages of the OAuth client, in light and dark, on a phone and on a desk; without JavaScript, under the real policy."""

from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import HTMLResponse
from playwright.async_api import Browser

from crossauth_backend.testing import FakeProvider
from tests.browser.test_pages import Visitor
from tests.oauthclient import TOKENS, ClientSite
from tests.services.uvicorn import serve

PASSWORD_OF_ALICE = "password of alice"


def site_of(provider: FakeProvider, **client: Any) -> ClientSite:
    """A site with a page on which the device code flow begins."""
    site = ClientSite(provider, {"token_response_type": "save_in_session_and_load", **client})

    @site.server.app.get("/start")
    async def start(request: Request) -> HTMLResponse:
        token = request.state.csrf_token
        field = f'<input type="hidden" name="csrfToken" value="{token}">'
        scope = '<input type="hidden" name="scope" value="openid profile">'
        form = f'<form method="post" action="/devicecodeflow">{field}{scope}<button>Start</button></form>'
        return HTMLResponse(f'<html lang="en"><title>Start</title><main><h1>Start</h1>{form}</main>')

    return site


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.asyncio(loop_scope="session")
async def test_every_page_of_the_client(browser: Browser, scheme: Any, width: int) -> None:
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    async with FakeProvider() as provider:
        provider.settings.device_interval = 0
        with serve(site_of(provider, **TOKENS).server.app) as url:
            visitor = Visitor(await context.new_page(), url, f"{width}-{scheme}", "client")
            page = visitor.page
            await visitor.visit("/passwordflow?scope=openid%20email%20profile", "passwordflow")
            await visitor.send("Log in", username="alice", password="wrong")
            await visitor.look("passwordflow-refused")
            provider.mfa.require("alice", "otp")
            await visitor.send("Log in", username="alice", password=PASSWORD_OF_ALICE)
            await visitor.look("mfaotp")
            await visitor.send("Continue", otp="000000")
            await visitor.look("mfaotp-refused")
            await visitor.send("Continue", otp=provider.mfa.otp)
            await visitor.look("authorized")
            provider.mfa.require("alice", "sms")
            await page.goto(f"{url}/passwordflow")
            await visitor.send("Log in", username="alice", password=PASSWORD_OF_ALICE)
            await visitor.look("mfaoob")
            await visitor.send("Continue", binding_code="000000")
            await visitor.look("mfaoob-refused")
            await page.goto(f"{url}/start")
            await visitor.send("Start")
            await visitor.look("devicecodeflow")
            await visitor.send("I have confirmed it there")
            await visitor.look("devicecodeflow-pending")
            provider.deny_device(next(iter(provider.devices.waiting.values())).user_code)
            await visitor.send("I have confirmed it there")
            await visitor.look("devicecodeflow-refused")
            await visitor.visit("/deletetokens", "deletetokens")
            await visitor.send("Disconnect")
            await visitor.look("deletetokens-done")
            assert visitor.complaints == []
        with serve(site_of(provider, token_response_type="send_in_page").server.app) as url:
            visitor = Visitor(await context.new_page(), url, f"{width}-{scheme}", "client")
            provider.mfa.of_user.clear()
            await visitor.page.goto(f"{url}/passwordflow?scope=openid")
            await visitor.send("Log in", username="alice", password=PASSWORD_OF_ALICE)
            await visitor.page.get_by_text("Tokens", exact=True).click()
            await visitor.look("authorized-tokens")
    await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_flows_need_no_javascript_and_nothing_is_blocked(browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    async with FakeProvider() as provider:
        provider.settings.device_interval = 0
        with serve(site_of(provider, **TOKENS).server.app) as url:
            visitor = Visitor(await context.new_page(), url, "no-script")
            page = visitor.page
            await page.goto(f"{url}/start")
            await visitor.send("Start")
            drawing = await page.locator(".qrbox svg").bounding_box()
            assert drawing is not None
            assert drawing["width"] > 100
            code = await page.locator(".usercode").inner_text()
            await visitor.send("I have confirmed it there")
            assert "Not confirmed yet" in await page.locator("[role=status]").inner_text()
            provider.approve_device(code)
            await visitor.send("I have confirmed it there")
            assert "Authorization successful" in await page.locator("h1").inner_text()
            provider.mfa.require("alice", "email")
            await page.goto(f"{url}/passwordflow?scope=openid")
            await visitor.send("Log in", username="alice", password=PASSWORD_OF_ALICE)
            await visitor.send("Continue", binding_code=provider.mfa.sent[-1])
            assert "Authorization successful" in await page.locator("h1").inner_text()
            await page.goto(f"{url}/deletetokens")
            await visitor.send("Disconnect")
            assert "Disconnected" in await page.locator("h1").inner_text()
            assert visitor.complaints == []
    await context.close()
