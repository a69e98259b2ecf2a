"""The password flow: its pages, the second factors that the provider asks for, and its limits."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from crossauth_backend.testing import FakeProvider, Fault
from crossauth_backend.testing.fake_provider_base import ProviderBase, failed
from crossauth_backend.testing.fake_provider_password import OOB_GRANT
from crossauth_backend.testing.wire import Received, Reply
from tests.oauthclient import IN_SESSION, JSON, ClientSite, hidden_field
from tests.support import CSRF


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def test_the_page_asks_for_username_and_password_and_gives_tokens(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        page = await browser.get("/passwordflow?scope=openid%20email")
        assert (page.status_code, hidden_field(page, "scope")) == (200, "openid email")
        answer = await browser.press(page, "Log in", username="alice", password="password of alice")
        told = answer.json()
        assert (answer.status_code, told["ok"], told["id_payload"]["sub"]) == (200, True, "alice")
        assert told["access_token"] in provider.access_tokens


async def test_a_wrong_password_is_asked_for_again(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/passwordflow", username="alice", password="Guessed-9x", scope="openid")
        assert page.status_code == 401
        assert "Invalid username or password" in page.text
        assert 'value="alice"' in page.text
        assert "Guessed-9x" not in page.text
        assert hidden_field(page, "scope") == "openid"
        answer = await browser.press(page, "Log in", username="alice", password="password of alice")
        assert answer.json()["ok"] is True


@pytest.mark.parametrize("fields", [{}, {"username": "alice"}, {"password": "x"}])
async def test_what_is_missing_is_asked_for(provider: FakeProvider, fields: dict[str, str]) -> None:
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/passwordflow", **fields)
        assert (page.status_code, "Enter your username and password" in page.text) == (400, True)
    assert provider.requests["token"] == 0


async def test_a_code_of_an_authenticator_application(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "otp", "sms")
    async with ClientSite(provider, IN_SESSION).open() as browser:
        page = await browser.log_in_by_password("openid email")
        assert (page.status_code, hidden_field(page, "scope")) == (200, "openid email")
        again = await browser.press(page, "Continue", otp="000000")
        assert (again.status_code, "Invalid code" in again.text) == (401, True)
        done = await browser.press(again, "Continue", otp=provider.mfa.otp)
        assert (done.status_code, done.headers["location"]) == (303, "/welcome")
        assert (await browser.call("/tokens")).json()["id_token"]["sub"] == "alice"


@pytest.mark.parametrize("kind", ["sms", "email"])
async def test_a_code_that_is_sent(provider: FakeProvider, kind: str) -> None:
    provider.mfa.require("alice", kind)
    async with ClientSite(provider).open() as browser:
        page = await browser.log_in_by_password()
        assert provider.mfa.of_user["alice"][0]["name"] in page.text
        again = await browser.press(page, "Continue", binding_code="x")
        assert again.status_code == 401
        assert provider.mfa.of_user["alice"][0]["name"] in again.text
        done = await browser.press(again, "Continue", binding_code=provider.mfa.sent[-1])
        assert done.json()["id_payload"]["sub"] == "alice"


async def test_a_message_that_is_confirmed_where_it_arrives(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "sms")
    confirmed: list[str] = []
    seen: list[Mapping[str, str]] = []

    def by_oob(self: ProviderBase, received: Received, client: str, fault: Any) -> Reply:
        seen.append(received.fields)
        if not confirmed:
            return failed("authorization_pending")
        return Reply(200, self.token_response(self.grant(client, confirmed[0], "openid", None), fault))

    provider.grants[OOB_GRANT] = by_oob
    challenge = {"challenge_type": "oob", "oob_code": "o", "oob_channel": "auth0"}
    provider.mfa._begun = lambda login, factor: Reply(200, challenge)  # type: ignore[method-assign]
    limits = {"factor2_challenge": (1, 900), "device_poll": (4, 900)}
    async with ClientSite(provider, attempt_limits=limits).open() as browser:
        page = await browser.log_in_by_password()
        assert "binding_code" not in page.text
        for _ in range(3):  # waiting is no try
            page = await browser.press(page, "Continue")
            assert (page.status_code, "Not confirmed yet" in page.text) == (200, True)
        confirmed.append("alice")
        done = await browser.press(page, "Continue")
        assert done.json()["id_payload"]["sub"] == "alice"
        assert (await browser.press(page, "Continue")).status_code == 429
    assert "binding_code" not in seen[0]
    assert seen[0]["oob_code"] == "o"


async def test_an_empty_code_is_no_try(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "otp")
    async with ClientSite(provider).open() as browser:
        page = await browser.log_in_by_password()
        before = provider.requests["token"]
        again = await browser.submit("/passwordotp", mfa_token=hidden_field(page, "mfa_token"), otp="")
        assert (again.status_code, "Enter the code" in again.text) == (400, True)
        assert (await browser.submit("/passwordotp", otp="123456")).status_code == 400
        assert (await browser.submit("/passwordoob", oob_code="x")).status_code == 400
        assert provider.requests["token"] == before


async def test_the_endpoints_of_codes_have_both_documented_names_or_the_one_that_is_chosen(
    provider: FakeProvider,
) -> None:
    provider.mfa.require("alice", "otp")
    async with ClientSite(provider).open() as browser:
        for path in ("/passwordotp", "/passwordflowotp"):
            page = await browser.log_in_by_password()
            fields = {"mfa_token": hidden_field(page, "mfa_token"), "otp": provider.mfa.otp}
            assert (await browser.submit(path, **fields)).json()["ok"] is True
        for path in ("/passwordoob", "/passwordflowoob"):
            assert (await browser.submit(path)).status_code == 400
    chosen = {"password_otp_url": "otp", "password_oob_url": "oob", "password_flow_url": "pw"}
    async with ClientSite(provider, chosen).open() as browser:
        page = await browser.submit("/pw", username="alice", password="password of alice")
        assert (await browser.press(page, "Continue", otp=provider.mfa.otp)).json()["ok"] is True
        for path in ("/passwordotp", "/passwordflowotp", "/passwordoob", "/passwordflowoob", "/passwordflow"):
            assert (await browser.submit(path)).status_code == 404


async def test_without_the_flow_a_second_factor_ends_the_login(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "otp")
    async with ClientSite(provider, {"valid_flows": ["password"]}).open() as browser:
        page = await browser.log_in_by_password()
        assert (page.status_code, "requires a second factor" in page.text) == (401, True)
        assert (await browser.submit("/passwordotp")).status_code == 404


async def test_a_script_is_answered_in_json(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "sms")
    async with ClientSite(provider).open() as browser:
        wrong = await browser.call("/passwordflow", username="alice", password="wrong")
        assert (wrong.status_code, wrong.json()["error_code_name"]) == (401, "UsernameOrPasswordInvalid")
        asked = (await browser.call("/passwordflow", username="alice", password="password of alice")).json()
        assert (asked["ok"], asked["error"], asked["challenge_type"]) == (False, "mfa_required", "oob")
        fields = {name: asked[name] for name in ("mfa_token", "oob_code")}
        bad = await browser.call("/passwordoob", **fields, binding_code="x")
        assert (bad.status_code, bad.json()["error_code_name"]) == (401, "InvalidToken")
        done = await browser.call("/passwordoob", **fields, binding_code=provider.mfa.sent[-1])
        assert done.json()["ok"] is True


async def test_a_password_is_not_guessed(provider: FakeProvider) -> None:
    async with ClientSite(provider, attempt_limits={"login_account": (3, 900)}).open() as browser:
        for name in ("alice", "ALICE", "alice"):
            assert (await browser.submit("/passwordflow", username=name, password="wrong")).status_code == 401
        page = await browser.log_in_by_password()
        assert (page.status_code, page.headers["retry-after"] != "") == (429, True)
        assert (await browser.log_in_by_password(user="bob")).json()["ok"] is True
        assert provider.requests["token"] == 4


async def test_passwords_are_not_tried_on_many_accounts_from_one_address(provider: FakeProvider) -> None:
    async with ClientSite(provider, attempt_limits={"login_address": (3, 900)}).open() as browser:
        statuses = [
            (await browser.submit("/passwordflow", username=f"u{n}", password="x")).status_code for n in range(4)
        ]
        assert statuses == [401, 401, 401, 429]
    assert provider.requests["token"] == 3


async def test_a_code_is_not_guessed_in_any_number_of_logins(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "otp")
    limits = {"factor2_challenge": (2, 900), "factor2_account": (4, 900)}
    async with ClientSite(provider, attempt_limits=limits).open() as browser:
        page = await browser.log_in_by_password()
        statuses = [(await browser.press(page, "Continue", otp="000000")).status_code for _ in range(3)]
        page = await browser.log_in_by_password()
        statuses += [(await browser.press(page, "Continue", otp=code)).status_code for code in ("1", provider.mfa.otp)]
        assert statuses == [401, 401, 429, 401, 429]


async def test_messages_are_not_sent_without_end(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "sms")
    async with ClientSite(provider, attempt_limits={"code_account": (2, 3600)}).open() as browser:
        assert [(await browser.log_in_by_password()).status_code for _ in range(3)] == [200, 200, 429]
    assert len(provider.mfa.sent) == 2


async def test_a_provider_that_is_away_uses_up_no_try_and_is_answered_as_the_options_say(
    provider: FakeProvider,
) -> None:
    async with ClientSite(provider, attempt_limits={"login_account": (2, 900)}).open() as browser:
        assert (await browser.submit("/passwordflow", username="alice", password="wrong")).status_code == 401
        provider.faults["token"] = Fault.UNAVAILABLE
        for _ in range(3):
            away = await browser.log_in_by_password()
            assert away.status_code in (502, 503)
            assert away.json()["error_code_name"] in ("Connection", "FetchError")
        provider.faults.clear()
        assert (await browser.log_in_by_password()).json()["ok"] is True


@pytest.mark.parametrize("endpoint", ["mfa/authenticators", "mfa/challenge", "token"])
@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.HTML, Fault.DIES, Fault.HUGE, Fault.NO_JSON])
async def test_a_provider_that_answers_nonsense_is_a_clear_error_and_the_session_goes_on(
    provider: FakeProvider, endpoint: str, fault: Any
) -> None:
    provider.mfa.require("alice", "sms")
    async with ClientSite(provider, IN_SESSION).open() as browser:
        await browser.sign_up("bob")
        provider.faults[endpoint] = fault
        answer = await browser.log_in_by_password()
        assert answer.status_code in (502, 503)
        assert answer.json()["error_code_name"] in ("Connection", "FetchError")
        provider.faults.clear()
        assert (await browser.get("/api/userforsessionkey")).json()["user"]["username"] == "bob"
        page = await browser.log_in_by_password()
        done = await browser.press(page, "Continue", binding_code=provider.mfa.sent[-1])
        assert done.status_code == 303


async def test_the_codes_of_one_browser_are_of_no_use_in_another(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "otp")
    async with ClientSite(provider, IN_SESSION).open() as browser, browser.another() as thief:
        page = await browser.log_in_by_password()
        fields = {"mfa_token": hidden_field(page, "mfa_token"), "otp": provider.mfa.otp}
        assert (await thief.submit("/passwordotp", **fields)).status_code == 403
        # Also where the other browser has a login of its own under way.
        await thief.log_in_by_password()
        assert (await thief.submit("/passwordotp", **fields)).status_code == 403
        assert (await thief.call("/tokens")).status_code == 204
        assert (await browser.submit("/passwordotp", **fields)).status_code == 303


async def test_the_token_of_the_second_factor_is_not_shown_and_ends(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "sms")
    site = ClientSite(provider)
    async with site.open() as browser:
        page = await browser.log_in_by_password()
        (login,) = provider.mfa.logins.items()
        assert login[0] not in page.text
        assert next(iter(login[1].codes)) not in page.text
        site.later(minutes=11)
        late = await browser.press(page, "Continue", binding_code=provider.mfa.sent[-1])
        assert (late.status_code, late.json()["error_code_name"]) == (401, "Expired")


@pytest.mark.parametrize("value", ["x", "", "\x00", "é", "a" * 5000, "enc.a.b"])
async def test_garbage_is_refused(provider: FakeProvider, value: str) -> None:
    async with ClientSite(provider).open() as browser:
        for path, fields in (
            ("/passwordotp", {"mfa_token": value, "otp": "1"}),
            ("/passwordoob", {"mfa_token": value, "oob_code": value, "binding_code": "1"}),
        ):
            refused = await browser.call(path, **fields)
            assert refused.status_code == 400, refused.text
        more: list[dict[str, Any]] = [{"username": ["a"]}, {"username": 1}, {"scope": {}}, {"password": True}]
        for sent in more:
            headers = {CSRF: await browser.token(), **JSON}
            assert (await browser.post("/passwordflow", json=sent, headers=headers)).status_code == 400


async def test_it_needs_a_csrf_token(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        await browser.get("/passwordflow")
        for path in ("/passwordflow", "/passwordotp", "/passwordoob"):
            refused = await browser.post(path, data={"username": "alice", "password": "password of alice"})
            assert (refused.status_code, refused.json()["error_code_name"]) == (403, "InvalidCsrf")


@pytest.mark.parametrize("error", ["slow_down", "authorization_pending"])
async def test_there_is_nothing_to_wait_for(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    """What a provider says to those who poll makes no sense anywhere else: it is its fault, and no success."""

    def wait(*_: Any) -> Reply:
        return failed(error)

    monkeypatch.setattr(type(provider), "_token", wait)
    async with ClientSite(provider).open() as browser:
        for answer in (
            await browser.call("/clientcredflow", scope="read"),
            await browser.call("/passwordflow", username="alice", password="password of alice"),
        ):
            assert (answer.status_code, answer.json()["error_code_name"]) == (502, "FetchError")
