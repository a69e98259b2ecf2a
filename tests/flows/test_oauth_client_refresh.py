"""The refresh token flow: of a token that is sent, and of the tokens in the session."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from tests.oauthclient import IN_SESSION, ON_PAGE, TOKENS, ClientSite, Visitor

PAGES = ("/refreshtokens", "/refreshtokensifexpired", "/refreshtokenflow")
TWINS = ("/api/refreshtokens", "/api/refreshtokensifexpired")


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def held(browser: Visitor) -> dict[str, Any]:
    """The tokens themselves that are in the session."""
    return dict((await browser.call("/tokens", decode=False)).json())


async def test_a_token_that_is_sent_is_renewed(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        first = (await browser.log_in_by_password()).json()
        answer = await browser.call("/refreshtokenflow", refresh_token=first["refresh_token"])
        told = answer.json()
        assert (answer.status_code, told["ok"], told["id_payload"]["sub"]) == (200, True, "alice")
        assert told["access_token"] != first["access_token"]
        again = await browser.call("/refreshtokenflow", refresh_token=first["refresh_token"])
        assert (again.status_code, again.json()["ok"]) == (401, False)


async def test_without_a_token_there_is_nothing_to_renew(provider: FakeProvider) -> None:
    for options in ({}, {**IN_SESSION, **TOKENS}):
        async with ClientSite(provider, options).open() as browser:
            refused = await browser.call("/refreshtokenflow")
            assert (refused.status_code, refused.json()["error_code_name"]) == (400, "BadRequest")
            for path in ("/refreshtokens", "/refreshtokensifexpired"):
                refused = await browser.call(path)
                assert (refused.status_code, refused.json()["error_code_name"]) == (401, "InvalidSession")
            for path in TWINS:
                assert (await browser.call(path)).status_code == 204


@pytest.mark.parametrize("path", PAGES)
async def test_the_tokens_of_the_session_are_renewed_and_stay_there(provider: FakeProvider, path: str) -> None:
    provider.settings.token_lifetime = 5
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        before = await held(browser)
        answer = await browser.submit(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/welcome")
        after = await held(browser)
        assert after["access_token"] != before["access_token"]
        assert after["refresh_token"] != before["refresh_token"]
        assert "next" not in answer.headers["location"]
        onward = await browser.submit(path, next="/basket")
        assert onward.headers["location"] == "/basket"
        elsewhere = await browser.submit(path, next="https://elsewhere.example/")
        assert elsewhere.headers["location"] == "/welcome"


async def test_tokens_that_are_good_are_renewed_only_where_that_is_asked_for(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        before = await held(browser)
        stored = await browser.call("/api/refreshtokensifexpired")
        assert stored.json()["ok"] is True
        assert (await held(browser)) == before
        new = await browser.call("/api/refreshtokens")
        assert new.json().keys() == {"ok", "expires_at"}
        assert (await held(browser))["access_token"] != before["access_token"]


async def test_the_page_after_a_flow_is_shown_where_that_is_chosen(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**ON_PAGE, **TOKENS}).open() as browser:
        page = await browser.log_in_by_password()
        assert "Authorization successful" in page.text
        page = await browser.submit("/refreshtokens")
        assert (page.status_code, "Authorization successful" in page.text) == (200, True)
        for token in (await held(browser)).values():
            assert isinstance(token, bool) or token not in page.text


async def test_a_grant_that_has_ended_takes_the_tokens_with_it(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        provider.refresh_tokens.clear()
        refused = await browser.call("/api/refreshtokens")
        assert (refused.status_code, refused.json()["error_code_name"]) == (401, "InvalidSession")
        assert (await browser.call("/tokens")).status_code == 204
        assert (await browser.call("/api/refreshtokens")).status_code == 204


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.DIES, Fault.HTML, Fault.HUGE, ProviderFault.WRONG_SECRET])
async def test_a_provider_that_is_away_takes_nothing(provider: FakeProvider, fault: Any) -> None:
    # Otherwise the token would have been used, though nobody heard what came of it.
    provider.settings.rotate = False
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        before = await held(browser)
        provider.faults["token"] = fault
        for path in ("/api/refreshtokens", "/refreshtokens"):
            away = await browser.call(path)
            assert (away.status_code, away.json()["ok"]) == (502, False)
        assert (await held(browser)) == before
        provider.faults.clear()
        assert (await browser.call("/api/refreshtokens")).json()["ok"] is True


async def test_many_requests_at_once_make_one_refresh(provider: FakeProvider) -> None:
    provider.settings.token_lifetime = 5
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        provider.settings.token_lifetime = 300
        before = provider.requests["token"]
        headers = {"X-CROSSAUTH-CSRF": await browser.token()}
        answers = await asyncio.gather(
            *(browser.post("/api/refreshtokensifexpired", headers=headers) for _ in range(8))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert provider.requests["token"] == before + 1


async def test_the_user_cannot_become_another_one(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        provider.faults["token"] = ProviderFault.WRONG_SUB
        refused = await browser.call("/api/refreshtokens")
        assert (refused.status_code >= 400, refused.json()["ok"]) == (True, False)
        tokens = await browser.call("/tokens")
        assert tokens.status_code == 204 or tokens.json()["id_token"]["sub"] == "alice"


async def test_they_need_a_csrf_token(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        before = await held(browser)
        for path in (*PAGES, *TWINS):
            refused = await browser.post(path, json={})
            assert (refused.status_code, refused.json()["error_code_name"]) == (403, "InvalidCsrf")
        assert (await held(browser)) == before


async def test_renewing_before_it_is_due_is_counted(provider: FakeProvider) -> None:
    limits = {"oauth_flow_address": (2, 900)}
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}, attempt_limits=limits).open() as browser:
        await browser.log_in_by_password()
        paths = ("/api/refreshtokens", "/refreshtokens", "/api/refreshtokens", "/refreshtokenflow")
        assert [(await browser.call(path)).status_code for path in paths] == [200, 303, 429, 429]
        assert (await browser.call("/api/refreshtokensifexpired")).json()["ok"] is True
