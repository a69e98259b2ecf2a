"""Logging out here and at the provider (OpenID Connect RP-Initiated Logout); conformance modules by name."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from crossauth_backend import CrossauthError, InMemoryKeyStorage
from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import FastApiApiKeyServer
from tests.oauthclient import HTML, IN_SESSION, JSON, TOKENS, ClientSite, Visitor
from tests.support import CSRF, SECRET

OIDC = {"valid_flows": ["oidcAuthorizationCode", "refresh_token"], **IN_SESSION, **TOKENS}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def log_in(browser: Visitor, provider: FakeProvider, user: str = "alice") -> httpx2.Response:
    """Log in at the provider by OpenID Connect."""
    begun = await browser.get("/authzcodeflow", params={"scope": "openid offline_access"})
    assert begun.status_code == 302, begun.text
    back = urlsplit(provider.sign_in(begun.headers["location"], user))
    done = await browser.get(f"{back.path}?{back.query}")
    assert (done.status_code, done.headers["location"]) == (302, "/welcome"), done.text
    return done


async def has_tokens(browser: Visitor) -> bool:
    response: bool = (await browser.call("/have_access_token")).json()["ok"]
    return response


async def leave(browser: Visitor) -> dict[str, str]:
    """Log out by the page; what is sent to the provider."""
    page = await browser.get("/logoutoidc", headers=HTML)
    assert page.status_code == 200, page.text
    answer = await browser.press(page, "Log out")
    assert answer.status_code == 303, answer.text
    return {"url": answer.headers["location"], **dict(parse_qsl(urlsplit(answer.headers["location"]).query))}


async def test_the_browser_logs_out_here_and_at_the_provider(provider: FakeProvider) -> None:
    """oidcc-client-test-rp-init-logout"""
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        assert provider.sessions.keys() == {"alice"}
        sent = await leave(browser)
        assert sent["url"].startswith(f"{provider.url}/end_session?")
        assert sent["client_id"] == "client"
        assert sent["post_logout_redirect_uri"] == "http://localhost:8000/loggedout"
        assert len(sent["state"]) == 43
        assert "id_token_hint" not in sent
        assert not await has_tokens(browser)
        async with httpx2.AsyncClient(trust_env=False) as elsewhere:
            back = urlsplit((await elsewhere.get(sent["url"])).headers["location"])
        assert provider.sessions == {}
        done = await browser.get(f"{back.path}?{back.query}")
        assert (done.status_code, done.headers["cache-control"]) == (200, "no-store")
        assert "You're logged out" in done.text
        again = await browser.get(f"{back.path}?{back.query}")
        assert again.status_code == 401, "once"


@pytest.mark.parametrize(
    "query", ["", "?state=", "?state=another", "?state=" + "x" * 600, "?state=%00", "?state=a&state=b"]
)
async def test_another_state_is_noticed(provider: FakeProvider, query: str) -> None:
    """oidcc-client-test-rp-init-logout-no-state, oidcc-client-test-rp-init-logout-other-state"""
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        sent = await leave(browser)
        refused = await browser.get(f"/loggedout{query}")
        assert refused.status_code in (400, 401)
        assert refused.json()["ok"] is False
        async with browser.another() as other:
            assert (await other.get(f"/loggedout?state={sent['state']}")).status_code == 401
        assert (await browser.get(f"/loggedout?state={sent['state']}")).status_code == 200


async def test_two_tabs(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        states = [(await leave(browser))["state"] for _ in range(2)]
        for state in states:
            assert (await browser.get(f"/loggedout?state={state}")).status_code == 200


async def test_a_link_alone_logs_nobody_out(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        page = await browser.get("/logoutoidc", headers=HTML)
        assert f"form-action 'self' {provider.url}" in page.headers["content-security-policy"].replace(":80;", ";")
        for headers in ({}, {CSRF: "x"}, {"Origin": "https://evil.test"}):
            for path in ("/logoutoidc", "/api/logoutoidc"):
                refused = await browser.post(path, data={}, headers=headers)
                assert (refused.status_code, refused.json()["error_code_name"]) == (403, "InvalidCsrf")
        assert await has_tokens(browser)


async def test_the_refresh_token_is_revoked(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        assert len(provider.refresh_tokens) == 1
        await leave(browser)
        # It is sent after the answer.
        async with asyncio.timeout(10):
            while provider.requests["revoke"] == 0 or provider.refresh_tokens:
                await asyncio.sleep(0.01)
        assert provider.refresh_tokens == {}


async def test_the_id_token_goes_along_only_where_it_is_asked_for(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**OIDC, "logout_id_token_hint": True}).open() as browser:
        await log_in(browser, provider)
        token = (await browser.call("/id_token", decode=False)).json()
        sent = await leave(browser)
        assert sent["id_token_hint"] == token["id_token"] if isinstance(token, dict) and "id_token" in token else True
        assert sent["id_token_hint"].count(".") == 2


async def test_a_script_is_told_where_to_go(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        told = (await browser.call("/api/logoutoidc")).json()
        assert told["ok"] is True
        assert parse_qs(urlsplit(told["url"]).query)["client_id"] == ["client"]
        assert not await has_tokens(browser)


async def test_a_provider_without_the_endpoint(provider: FakeProvider) -> None:
    provider.settings.metadata["end_session_endpoint"] = None
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        sent = await leave(browser)
        assert sent["url"].startswith("http://localhost:8000/loggedout?state=")
        assert (await browser.get(f"/loggedout?state={sent['state']}")).status_code == 200
        assert not await has_tokens(browser)


async def test_a_page_of_the_application_afterwards(provider: FakeProvider) -> None:
    """Nobody would look at a state there, so none is sent."""
    own = {"post_logout_redirect_uri": "https://app.example.com/bye"}
    async with ClientSite(provider, {**OIDC, **own}).open() as browser:
        await log_in(browser, provider)
        sent = await leave(browser)
        assert sent["post_logout_redirect_uri"] == "https://app.example.com/bye"
        assert "state" not in sent
        assert (await browser.get("/loggedout")).status_code == 404


async def test_a_provider_that_is_away_keeps_nobody_logged_in(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    async with site.open() as browser:
        await log_in(browser, provider)
        await provider.__aexit__(None, None, None)
        try:
            sent = await leave(browser)
            assert urlsplit(sent["url"]).path in ("/loggedout", "/end_session")
            assert not await has_tokens(browser)
        finally:
            await provider.__aenter__()


async def test_the_session_here_ends_too(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        await browser.sign_up()
        assert (await browser.get("/api/userforsessionkey")).json()["user"]["username"] == "alice"
        await log_in(browser, provider)
        await leave(browser)
        assert (await browser.get("/api/userforsessionkey")).json().get("user") is None


async def test_who_is_not_logged_in_may_log_out(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        assert (await leave(browser))["url"].startswith(f"{provider.url}/end_session?")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"valid_flows": ["clientCredentials"], "logout_oidc_url": "bye"}, "'logout_oidc_url' has no effect without"),
        ({"post_logout_redirect_uri": "javascript:alert(1)"}, "'post_logout_redirect_uri' must be an https URL"),
        ({"post_logout_redirect_uri": "http://app.example.com/"}, "'post_logout_redirect_uri' must be an https URL"),
        ({"confirm_logout_page": "nowhere.jinja2"}, "'confirm_logout_page': there is no template"),
        ({"backchannel_logout_url": "bye"}, "'backchannel_logout_url' has no effect without 'token_response_type'"),
        ({"logout_oidc_url": "loggedout"}, "two endpoints have the URL '/loggedout'"),
    ],
)
async def test_options_that_cannot_be(provider: FakeProvider, options: dict[str, Any], said: str) -> None:
    with pytest.raises(CrossauthError, match=said) as wrong:
        ClientSite(provider, {"valid_flows": ["oidcAuthorizationCode"], **options})
    assert wrong.value.code is ErrorCode.Configuration


async def test_the_back_channel_needs_a_key_storage(provider: FakeProvider) -> None:
    options = {"valid_flows": ["oidcAuthorizationCode"], "secret": SECRET, "backchannel_logout_url": "bye"}
    with pytest.raises(CrossauthError, match="'backchannel_logout_url' needs a key storage"):
        ClientSite(provider, {**options, "token_response_type": "custom", "receive_token_fn": print}, sessions=False)
    del options["backchannel_logout_url"]
    async with ClientSite(provider, options, sessions=False).open() as browser:
        assert (await browser.post("/backchannellogout", data={"logout_token": "x"}, headers=JSON)).status_code == 404
        assert (await browser.get("/logoutoidc")).status_code == 404


async def test_a_key_in_the_header_ends_no_session_of_a_cookie(provider: FakeProvider) -> None:
    """Nor its tokens: what is done to a session needs the CSRF token, whatever else was sent."""
    site = ClientSite(provider, OIDC)
    assert site.server.session_server is not None
    users = site.server.session_server.session_manager.user_storage
    keys = FastApiApiKeyServer(site.server.app, InMemoryKeyStorage(), {"user_storage": users, "secret": SECRET})
    async with site.open() as browser:
        await browser.sign_up("alice")
        await log_in(browser, provider)
        for key in ("bad", (await keys.manager.create_key("mine", 1)).token):
            for headers in ({}, {CSRF: "x"}):
                for path in ("logoutoidc", "api/logoutoidc", "deletetokens", "api/deletetokens"):
                    sent = {**headers, "Authorization": f"ApiKey {key}"}
                    assert (await browser.post(f"/{path}", json={}, headers=sent)).status_code == 403, path
        assert await has_tokens(browser)
