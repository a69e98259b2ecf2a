"""The device code flow: its page, its JSON twin, and what becomes of it while the user has not decided."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from tests.oauthclient import HTML, IN_SESSION, JSON, TOKENS, ClientSite, hidden_field
from tests.support import CSRF

CONFIRMED = "I have confirmed it there"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        provider.settings.device_interval = 0
        yield provider


def user_code_of(provider: FakeProvider) -> str:
    return next(iter(provider.devices.waiting.values())).user_code


async def test_the_page_shows_the_code_and_goes_on_when_it_was_confirmed(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        page = await browser.submit("/devicecodeflow", scope="openid email")
        code = user_code_of(provider)
        assert page.status_code == 200
        for displayed in (code, f"{provider.base}/device", "<svg "):
            assert displayed in page.text
        assert page.text.count("<script") == page.text.count('<script src="/crossauth.js') == 1
        waiting = await browser.press(page, CONFIRMED)
        assert (waiting.status_code, "Not confirmed yet" in waiting.text, code in waiting.text) == (200, True, True)
        assert "<svg " in waiting.text
        provider.approve_device(code)
        done = await browser.press(waiting, CONFIRMED)
        assert (done.status_code, done.headers["location"]) == (303, "/welcome")
        assert (await browser.call("/tokens")).json()["id_token"]["sub"] == "alice"


async def test_the_json_twin(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        begun = await browser.call("/api/devicecodeflow", scope="openid")
        told = begun.json()
        assert (begun.status_code, told["user_code"]) == (200, user_code_of(provider))
        assert told["verification_uri"] == f"{provider.base}/device"
        assert told["verification_uri_complete"] == f"{provider.base}/device?user_code={told['user_code']}"
        assert told["verification_uri_qrdata"].startswith("data:image/png;base64,")
        assert (told["expires_in"] in (599, 600), told["interval"]) == (True, 5)
        for path in ("/api/devicecodepoll", "/devicecodepoll"):
            waiting = await browser.call(path, device_code=told["device_code"])
            assert (waiting.status_code, waiting.json()["error"]) == (200, "authorization_pending")
            assert waiting.json()["ok"] is False
        provider.approve_device(told["user_code"])
        done = (await browser.call("/api/devicecodepoll", device_code=told["device_code"])).json()
        assert (done["ok"], done["id_payload"]["sub"]) == (True, "alice")
        assert done["access_token"] in provider.access_tokens


async def test_the_json_twin_keeps_tokens_in_the_session_and_does_not_send_them(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        told = (await browser.call("/api/devicecodeflow", scope="openid")).json()
        provider.approve_device(told["user_code"])
        done = await browser.call("/api/devicecodepoll", device_code=told["device_code"])
        assert (done.status_code, done.json()["ok"]) == (200, True)
        held = (await browser.call("/tokens", decode=False)).json()
        assert held["access_token"] in provider.access_tokens
        for kind in ("access_token", "refresh_token", "id_token"):
            assert held[kind] not in done.text


async def test_polling_too_fast_is_told_to_slow_down(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/devicecodeflow")
        provider.faults["urn:ietf:params:oauth:grant-type:device_code"] = ProviderFault.SLOW_DOWN
        again = await browser.press(page, CONFIRMED)
        assert (again.status_code, "That was too early" in again.text) == (200, True)
        told = await browser.call("/api/devicecodepoll", device_code=hidden_field(page, "device_code"))
        assert (told.json()["error"], told.json()["interval"]) == ("slow_down", 10)
        provider.faults.clear()
        provider.approve_device(user_code_of(provider))
        assert (await browser.press(again, CONFIRMED)).json()["ok"] is True


async def test_a_user_who_refuses(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/devicecodeflow", scope="openid")
        told = (await browser.call("/api/devicecodeflow")).json()
        provider.deny_device(user_code_of(provider))
        refused = await browser.press(page, CONFIRMED)
        assert (refused.status_code, CONFIRMED in refused.text) == (401, False)
        new = await browser.press(refused, "Get a new code")
        assert hidden_field(new, "scope") == "openid"
        provider.deny_device(told["user_code"])
        no = await browser.call("/api/devicecodepoll", device_code=told["device_code"])
        assert (no.status_code, no.json()["error"], no.json()["ok"]) == (401, "access_denied", False)


async def test_a_code_that_has_expired(provider: FakeProvider) -> None:
    site = ClientSite(provider)
    async with site.open() as browser:
        page = await browser.submit("/devicecodeflow")
        before = provider.requests["token"]
        site.later(minutes=11)
        late = await browser.press(page, CONFIRMED)
        assert (late.status_code, "expired" in late.text, "Get a new code" in late.text) == (401, True, True)
        told = await browser.call("/api/devicecodepoll", device_code=hidden_field(page, "device_code"))
        assert (told.status_code, told.json()["error"]) == (401, "expired_token")
        assert provider.requests["token"] == before


async def test_a_code_is_of_use_in_the_browser_that_began_alone(provider: FakeProvider) -> None:
    async with ClientSite(provider, IN_SESSION).open() as browser, browser.another() as thief:
        page = await browser.submit("/devicecodeflow")
        code, device_code = user_code_of(provider), next(iter(provider.devices.waiting))
        assert device_code not in page.text
        provider.approve_device(code)
        await thief.submit("/devicecodeflow")
        for stolen in (hidden_field(page, "device_code"), device_code):
            assert (await thief.submit("/devicecodepoll", device_code=stolen)).status_code in (400, 403)
            assert (await thief.call("/api/devicecodepoll", device_code=stolen)).status_code in (400, 403)
        assert (await thief.call("/tokens")).status_code == 204
        assert (await browser.press(page, CONFIRMED)).status_code == 303


async def test_a_program_without_cookies_may_use_it_where_there_are_no_sessions(provider: FakeProvider) -> None:
    async with ClientSite(provider, sessions=False).open() as program:
        told = (await program.post("/api/devicecodeflow", json={}, headers=JSON)).json()
        program.cookies.clear()
        provider.approve_device(told["user_code"])
        sent = {"device_code": told["device_code"]}
        assert (await program.post("/api/devicecodepoll", json=sent, headers=JSON)).json()["ok"] is True


@pytest.mark.parametrize(
    "fault",
    [ProviderFault.WRONG_VERIFICATION_URI, ProviderFault.WRONG_TYPES, Fault.UNAVAILABLE, Fault.HTML, Fault.HUGE],
)
async def test_a_provider_that_answers_nonsense(provider: FakeProvider, fault: Any) -> None:
    provider.faults["device_authorization"] = fault
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/devicecodeflow")
        assert page.status_code in (502, 503)
        assert "javascript:" not in page.text
        assert "Get a new code" in page.text
        told = await browser.call("/api/devicecodeflow")
        assert (told.status_code in (502, 503), told.json()["ok"], "error" in told.json()) == (True, False, True)
        provider.faults.clear()
        assert (await browser.submit("/devicecodeflow")).status_code == 200


async def test_an_error_of_the_provider_is_shown_and_never_as_markup(provider: FakeProvider) -> None:
    provider.faults["device_authorization"] = ProviderFault.ERROR
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/devicecodeflow", scope="x")
        assert (page.status_code, "<script>" in page.text) == (400, False)
        told = (await browser.call("/api/devicecodeflow")).json()
        assert (told["error"], told["error_code_name"]) == ("invalid_scope", "InvalidScope")


async def test_polls_and_beginnings_are_counted(provider: FakeProvider) -> None:
    limits = {"device_poll": (2, 900), "oauth_flow_address": (2, 900)}
    async with ClientSite(provider, attempt_limits=limits).open() as browser:
        page = await browser.submit("/devicecodeflow")
        assert [(await browser.press(page, CONFIRMED)).status_code for _ in range(3)] == [200, 200, 429]
        assert (await browser.submit("/devicecodeflow")).status_code == 200
        limited = await browser.submit("/devicecodeflow")
        assert (limited.status_code, limited.headers["retry-after"] != "") == (429, True)
        assert len(provider.devices.waiting) == 2


async def test_the_urls_can_be_chosen(provider: FakeProvider) -> None:
    options = {"device_code_flow_url": "elsewhere", "device_code_poll_url": "ask"}
    async with ClientSite(provider, options).open() as browser:
        page = await browser.submit("/elsewhere")
        assert (await browser.press(page, CONFIRMED)).status_code == 200
        assert (await browser.call("/api/elsewhere")).status_code == 200
        assert (await browser.call("/api/ask")).status_code == 400
        for path in ("/devicecodeflow", "/api/devicecodeflow", "/devicecodepoll", "/api/devicecodepoll"):
            assert (await browser.call(path)).status_code == 404


@pytest.mark.parametrize("value", ["x", "", "\x00", "é" * 300, "enc.a.b", 5, ["a"], {}, None])
async def test_garbage_is_refused(provider: FakeProvider, value: Any) -> None:
    async with ClientSite(provider).open() as browser:
        for path in ("/devicecodepoll", "/api/devicecodepoll"):
            assert (await browser.call(path, device_code=value)).status_code == 400
        for path in ("/devicecodeflow", "/api/devicecodeflow"):
            assert (await browser.call(path, scope=["a"])).status_code == 400
    assert provider.requests["token"] == 0


async def test_they_need_a_csrf_token_and_a_get_does_nothing(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        await browser.token()
        for path in ("/devicecodeflow", "/api/devicecodeflow", "/devicecodepoll", "/api/devicecodepoll"):
            refused = await browser.post(path, json={}, headers={CSRF: "x"})
            assert (refused.status_code, refused.json()["error_code_name"]) == (403, "InvalidCsrf")
            assert (await browser.get(path, headers=HTML)).status_code == 405
    assert not provider.devices.waiting


async def test_the_policy_of_the_page_is_strict(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/devicecodeflow")
        assert re.search(r"default-src 'none'.*form-action 'self'", page.headers["content-security-policy"])
        assert " style=" not in page.text
