"""The client credentials flow: tokens of the application's own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from crossauth_backend import CrossauthError
from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from tests.oauthclient import IN_SESSION, JSON, TOKENS, ClientSite
from tests.support import CSRF


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def test_the_tokens_are_sent(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        answer = await browser.call("/clientcredflow", scope="read write")
        told = answer.json()
        assert (answer.status_code, told["ok"], told["token_type"]) == (200, True, "Bearer")
        assert told["access_token"] in provider.access_tokens
        assert provider.access_tokens[told["access_token"]].scope == ["read", "write"]
        assert answer.headers["cache-control"] == "no-store"


async def test_the_tokens_are_kept_in_the_session(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        answer = await browser.submit("/clientcredflow", scope="read")
        assert (answer.status_code, answer.headers["location"]) == (303, "/welcome")
        assert (await browser.call("/have_access_token")).json() == {"ok": True}
        assert (await browser.call("/access_token")).json()["client_id"] == "client"


async def test_without_sessions_it_needs_none(provider: FakeProvider) -> None:
    async with ClientSite(provider, sessions=False).open() as browser:
        answer = await browser.post("/clientcredflow", json={"scope": "read"}, headers=JSON)
        assert answer.json()["access_token"] in provider.access_tokens


async def test_it_needs_a_csrf_token(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        await browser.token()
        for headers in ({}, {CSRF: "x"}):
            refused = await browser.post("/clientcredflow", json={}, headers=headers)
            assert (refused.status_code, refused.json()["error_code_name"]) == (403, "InvalidCsrf")
        assert provider.requests["token"] == 0


async def test_it_is_there_only_where_it_is_on(provider: FakeProvider) -> None:
    async with ClientSite(provider, {"valid_flows": ["refresh_token"]}).open() as browser:
        assert (await browser.call("/clientcredflow")).status_code == 404


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ProviderFault.ERROR, 400),
        (ProviderFault.WRONG_SECRET, 401),
        (ProviderFault.WRONG_TYPES, 502),
        (Fault.HTML, 502),
    ],
)
async def test_an_error_is_answered_as_the_options_say(provider: FakeProvider, fault: Any, status: int) -> None:
    provider.faults["token"] = fault
    async with ClientSite(provider).open() as browser:
        refused = await browser.call("/clientcredflow")
        told = refused.json()
        assert (told["ok"], told["status"]) == (False, refused.status_code)
        assert refused.status_code == status or refused.status_code >= 500 <= status
        assert {"error_message", "error_messages", "error_code", "error_code_name"} <= told.keys()
    async with ClientSite(provider, {"error_response_type": "page_error"}).open() as browser:
        page = await browser.submit("/clientcredflow")
        assert (page.status_code, page.headers["content-type"]) == (refused.status_code, "text/html; charset=utf-8")
        assert "<script>" not in page.text


@pytest.mark.parametrize("accounts", [True, False])
async def test_nobody_can_make_the_provider_be_asked_without_end(provider: FakeProvider, accounts: bool) -> None:
    limits = {"oauth_flow_address": (3, 900)}
    async with ClientSite(provider, accounts=accounts, attempt_limits=limits).open() as browser:
        answers = [await browser.call("/clientcredflow") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].headers["retry-after"]
        assert provider.requests["token"] == 3


async def test_flows_that_need_a_user_who_is_logged_in(provider: FakeProvider) -> None:
    async with ClientSite(provider, {"login_protected_flows": ["clientCredentials", "password"]}).open() as browser:
        for path in ("/clientcredflow", "/passwordflow"):
            refused = await browser.call(path)
            assert (refused.status_code, refused.json()["error_code_name"]) == (401, "Unauthorized")
        page = await browser.get("/passwordflow?scope=openid")
        assert (page.status_code, page.headers["location"]) == (302, "/login?next=%2Fpasswordflow%3Fscope%3Dopenid")
        assert (await browser.submit("/devicecodeflow")).status_code == 200
        await browser.sign_up()
        assert (await browser.get("/passwordflow")).status_code == 200
        assert (await browser.call("/clientcredflow")).json()["ok"] is True


async def test_the_application_answers_where_that_is_chosen(provider: FakeProvider) -> None:
    async def take(tokens: dict[str, Any], client: Any, request: Request, response: Response | None) -> Response:
        return JSONResponse({"taken": sorted(tokens), "client": client.client_id}, 202)

    def fail(server: Any, request: Request, response: Response, e: CrossauthError) -> Response:
        return JSONResponse({"failed": e.code_name}, 418)

    options = {
        "token_response_type": "custom", "receive_token_fn": take, "error_response_type": "custom", "error_fn": fail,
    }  # fmt: skip
    async with ClientSite(provider, options).open() as browser:
        taken = await browser.call("/clientcredflow")
        assert (taken.status_code, taken.json()["client"], "access_token" in taken.json()["taken"]) == (
            202,
            "client",
            True,
        )
        provider.faults["token"] = ProviderFault.ERROR
        refused = await browser.call("/clientcredflow")
        assert (refused.status_code, refused.json()) == (418, {"failed": "BadRequest"})
        provider.faults.clear()
        told = (await browser.call("/api/devicecodeflow", scope="openid")).json()
        provider.approve_device(told["user_code"])
        done = await browser.call("/api/devicecodepoll", device_code=told["device_code"])
        assert (done.status_code, "id_payload" in done.json()["taken"]) == (202, True)
