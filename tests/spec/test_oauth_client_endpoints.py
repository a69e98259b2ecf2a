"""Every endpoint of the OAuth client, in the order of the documented table: method, parameters, response and page."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from crossauth_backend.oauth.client import OAuthFlows
from crossauth_backend.testing import FakeProvider
from tests.oauthclient import HTML, IN_SESSION, TOKENS, ClientSite, Visitor, hidden_field

KINDS = ("access_token", "refresh_token", "id_token")
CONFIRMED = "I have confirmed it there"
# Method, URL, and the flow or the option that it is there for; BFF endpoints are in a test of their own.
TABLE = (
    ("GET", "authzcode", "authorizationCode"),
    ("GET", "passwordflow", "password"),
    ("POST", "passwordflow", "password"),
    ("POST", "passwordotp", "passwordMfa"),
    ("POST", "passwordoob", "passwordMfa"),
    ("POST", "authzcodeflow", "authorizationCode"),
    ("POST", "authzcodeflowpkce", "authorizationCodeWithPKCE"),
    ("POST", "clientcredflow", "clientCredentials"),
    ("POST", "refreshtokenflow", "refresh_token"),
    ("POST", "devicecodeflow", "device_code"),
    ("POST", "api/devicecodeflow", "device_code"),
    ("POST", "devicecodepoll", "device_code"),
    ("POST", "api/devicecodepoll", "device_code"),
    ("POST", "access_token", "token_endpoints"),
    ("POST", "refresh_token", "token_endpoints"),
    ("POST", "id_token", "token_endpoints"),
    ("POST", "have_access_token", "token_endpoints"),
    ("POST", "have_refresh_token", "token_endpoints"),
    ("POST", "have_id_token", "token_endpoints"),
    ("POST", "tokens", ""),
    ("POST", "deletetokens", "delete_tokens_post_url"),
    ("POST", "api/deletetokens", "api_delete_tokens_post_url"),
)


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        provider.settings.device_interval = 0
        yield provider


async def ask(browser: Visitor, method: str, path: str) -> httpx2.Response:
    return await browser.get(f"/{path}") if method == "GET" else await browser.call(f"/{path}")


async def come_back(browser: Visitor, provider: FakeProvider, begun: httpx2.Response) -> httpx2.Response:
    """Follow the browser to the provider, where alice agrees, and back."""
    assert begun.status_code in (302, 303), begun.text
    back = urlsplit(provider.sign_in(begun.headers["location"], "alice"))
    return await browser.get(f"{back.path}?{back.query}")


def token_answer(answer: httpx2.Response) -> dict[str, Any]:
    """What `send_json` answers: the token response, `ok`, and the decoded ID token."""
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["ok"], told["token_type"]) == (200, True, "Bearer")
    assert told["access_token"]
    assert told["expires_in"] > 0
    return told


async def test_every_endpoint_is_there_where_everything_is_on_and_every_post_requires_csrf_token(
    provider: FakeProvider,
) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        for method, path, _ in TABLE:
            assert (await ask(browser, method, path)).status_code not in (404, 405), path
        for _, path, _ in [row for row in TABLE if row[0] == "POST"]:
            assert (await browser.post(f"/{path}", json={"csrfToken": "wrong"})).status_code == 403, path
            sent = {"csrf_token": await browser.token()}
            assert (await browser.post(f"/{path}", json=sent)).status_code != 403, path


@pytest.mark.parametrize("needs", sorted({needs for _, _, needs in TABLE if needs}))
async def test_an_endpoint_is_there_only_where_its_flow_or_option_is_on(provider: FakeProvider, needs: str) -> None:
    if needs in TOKENS:
        # The path of the code is there for every flow with a code, and the page of the password for both of its flows.
        options = {**IN_SESSION, **{name: value for name, value in TOKENS.items() if name != needs}}
    else:
        together = {
            "password": {"passwordMfa"}, "authorizationCode": {"authorizationCodeWithPKCE", "oidcAuthorizationCode"},
            "authorizationCodeWithPKCE": {"oidcAuthorizationCode"},
        }  # fmt: skip
        off = {needs} | together.get(needs, set())
        options = {**IN_SESSION, **TOKENS, "valid_flows": [flow for flow in OAuthFlows.all_flows() if flow not in off]}
    async with ClientSite(provider, options).open() as browser:
        for method, path in [(method, path) for method, path, needed in TABLE if needed == needs]:
            assert (await ask(browser, method, path)).status_code in (404, 405), path


async def test_get_authzcode_receives_the_code(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        begun = await browser.submit("/authzcodeflow", scope="openid email")
        told = token_answer(await come_back(browser, provider, begun))
        assert told["id_payload"]["email"] == "alice@example.com"
        provider.user = None
        begun = await browser.submit("/authzcodeflow", scope="openid")
        url = urlsplit(begun.headers["location"])
        state = parse_qs(url.query)["state"][0]
        refused = await browser.get(
            "/authzcode", params={"error": "access_denied", "state": state, "iss": provider.url}
        )
        assert (refused.status_code, refused.json()["error_code_name"]) == (401, "Unauthorized")
        for query in ("", "?code=x", "?code=x&state=y", "?state=y&error=access_denied"):
            stranger = await browser.get(f"/authzcode{query}")
            assert (stranger.status_code, stranger.json()["ok"]) == (401, False)


async def test_get_passwordflow_displays_the_page(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        await browser.sign_up("bob")
        page = await browser.get("/passwordflow", params={"scope": "openid email"})
        assert (page.status_code, hidden_field(page, "scope")) == (200, "openid email")
        assert "bob" in page.text, "the page is given the user"


async def test_post_passwordflow_initiates_the_flow(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        answer = await browser.submit(
            "/passwordflow", username="alice", password="password of alice", scope="openid email"
        )
        assert token_answer(answer)["id_payload"]["sub"] == "alice"
        assert provider.received[-1].endpoint in ("token", "jwks")
        wrong = await browser.submit("/passwordflow", username="alice", password="x")
        assert (wrong.status_code, hidden_field(wrong, "scope")) == (401, "")


async def test_post_passwordflow_requests_an_otp_and_post_passwordotp_takes_it(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "otp")
    async with ClientSite(provider).open() as browser:
        page = await browser.log_in_by_password("openid email")
        mfa_token, scope = hidden_field(page, "mfa_token"), hidden_field(page, "scope")
        assert (page.status_code, scope) == (200, "openid email")
        wrong = await browser.submit("/passwordotp", mfa_token=mfa_token, scope=scope, otp="0", challenge_type="otp")
        assert (wrong.status_code, "Invalid code" in wrong.text) == (401, True)
        assert (hidden_field(wrong, "mfa_token"), hidden_field(wrong, "scope")) == (mfa_token, scope)
        token_answer(await browser.submit("/passwordotp", mfa_token=mfa_token, scope=scope, otp=provider.mfa.otp))


async def test_post_passwordflow_requests_an_oob_and_post_passwordoob_takes_it(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "sms")
    async with ClientSite(provider).open() as browser:
        page = await browser.log_in_by_password("openid email")
        fields = {name: hidden_field(page, name) for name in ("mfa_token", "oob_code", "scope", "name")}
        wrong = await browser.submit("/passwordoob", **fields, binding_code="0")
        assert (wrong.status_code, "Invalid code" in wrong.text) == (401, True)
        assert {name: hidden_field(wrong, name) for name in fields} == fields
        # The code is called `binding_code` by the flow, and `oob` in the table.
        token_answer(await browser.submit("/passwordoob", **fields, oob=provider.mfa.sent[-1]))
        page = await browser.log_in_by_password("openid email")
        fields = {name: hidden_field(page, name) for name in fields}
        token_answer(await browser.submit("/passwordoob", **fields, binding_code=provider.mfa.sent[-1]))


@pytest.mark.parametrize("path", ["authzcodeflow", "authzcodeflowpkce"])
async def test_post_authzcodeflow_initiates_the_flow(provider: FakeProvider, path: str) -> None:
    provider.settings.require_pkce = path == "authzcodeflowpkce"
    async with ClientSite(provider).open() as browser:
        begun = await browser.submit(f"/{path}", scope="openid")
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert (asked["response_type"], asked["client_id"]) == (["code"], ["client"])
        assert asked["redirect_uri"] == ["http://localhost:8000/authzcode"]
        assert "openid" in asked["scope"][0].split()
        if path == "authzcodeflowpkce":
            assert (asked["code_challenge_method"], len(asked["code_challenge"][0])) == (["S256"], 43)
        token_answer(await come_back(browser, provider, begun))
        # Clients of the other implementations follow a link.
        token_answer(await come_back(browser, provider, await browser.get(f"/{path}?scope=openid")))


async def test_post_clientcredflow_initiates_the_flow(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        told = token_answer(await browser.call("/clientcredflow", scope="read"))
        assert provider.access_tokens[told["access_token"]].scope == ["read"]


async def test_post_refreshtokenflow_initiates_the_flow(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        first = token_answer(await browser.log_in_by_password())
        told = token_answer(await browser.call("/refreshtokenflow", refresh_token=first["refresh_token"]))
        assert told["access_token"] != first["access_token"]
        assert (await browser.call("/refreshtokenflow")).status_code == 400


async def test_post_devicecodeflow_displays_the_page_and_post_devicecodepoll_ends_it(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        page = await browser.submit("/devicecodeflow", scope="openid")
        (device,) = provider.devices.waiting.values()
        assert device.scope == "openid"
        assert (page.status_code, device.user_code in page.text, f"{provider.base}/device" in page.text) == (
            200,
            True,
            True,
        )
        code = hidden_field(page, "device_code")
        pending = await browser.call("/devicecodepoll", device_code=code)
        assert pending.json()["error"] == "authorization_pending"
        provider.approve_device(device.user_code)
        token_answer(await browser.call("/devicecodepoll", device_code=code))


async def test_post_api_devicecodeflow_and_post_api_devicecodepoll(provider: FakeProvider) -> None:
    async with ClientSite(provider).open() as browser:
        told = (await browser.call("/api/devicecodeflow", scope="openid")).json()
        assert {
            "device_code", "user_code", "verification_uri", "verification_uri_complete", "verification_uri_qrdata", "expires_in",
            "interval",
        } <= told.keys()  # fmt: skip
        pending = await browser.call("/api/devicecodepoll", device_code=told["device_code"])
        assert {"error", "error_description"} <= pending.json().keys()
        provider.approve_device(told["user_code"])
        token_answer(await browser.call("/api/devicecodepoll", device_code=told["device_code"]))


async def test_token_endpoints_return_what_is_saved(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        for kind in KINDS:
            assert (await browser.call(f"/{kind}")).status_code == 204
            assert (await browser.call(f"/have_{kind}")).json() == {"ok": False}
        assert (await browser.call("/tokens")).status_code == 204
        await browser.log_in_by_password()
        (access,) = provider.access_tokens
        (refresh,) = provider.refresh_tokens
        assert (await browser.call("/access_token")).json()["sub"] == "alice"
        assert (await browser.call("/access_token", decode=True)).json()["sub"] == "alice"
        assert (await browser.call("/access_token", decode=False)).json() == {"token": access}
        assert (await browser.call("/refresh_token")).json() == {"token": refresh}
        assert (await browser.call("/refresh_token", decode=False)).json() == {"token": refresh}
        assert (await browser.call("/id_token")).json()["sub"] == "alice"
        assert (await browser.call("/id_token", decode=False)).json()["token"].count(".") == 2
        for kind in KINDS:
            assert (await browser.call(f"/have_{kind}")).json() == {"ok": True}
        told = (await browser.call("/tokens")).json()
        assert told.keys() == {*KINDS, *(f"have_{kind}" for kind in KINDS)}
        assert (await browser.call("/tokens", decode=False)).json()["access_token"] == access


async def test_post_deletetokens_deletes_them_and_displays_a_page(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        page = await browser.post("/deletetokens", data={"csrfToken": await browser.token()}, headers=HTML)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (await browser.call("/tokens")).status_code == 204


async def test_post_api_deletetokens_deletes_them_and_returns_json(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        answer = await browser.call("/api/deletetokens")
        assert (answer.status_code, answer.json()["ok"]) == (200, True)
        assert (await browser.call("/tokens")).status_code == 204


@pytest.mark.parametrize(
    ("kind", "status", "shown"),
    [
        ("send_json", 200, '"ok":true'), ("send_in_page", 200, "Authorization successful"),
        ("save_in_session_and_load", 200, "Authorization successful"), ("save_in_session_and_redirect", 303, ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("flow", ["clientcredflow", "passwordflow", "devicecodepoll", "passwordotp"])
async def test_every_flow_is_answered_as_token_response_type_says(
    provider: FakeProvider, flow: str, kind: str, status: int, shown: str
) -> None:
    async with ClientSite(provider, {"token_response_type": kind}).open() as browser:
        if flow == "clientcredflow":
            answer = await browser.submit("/clientcredflow")
        elif flow == "passwordflow":
            answer = await browser.log_in_by_password()
        elif flow == "passwordotp":
            provider.mfa.require("alice", "otp")
            answer = await browser.press(await browser.log_in_by_password(), "Continue", otp=provider.mfa.otp)
        else:
            page = await browser.submit("/devicecodeflow")
            provider.approve_device(next(iter(provider.devices.waiting.values())).user_code)
            answer = await browser.press(page, CONFIRMED)
        assert (answer.status_code, shown in answer.text) == (status, True)
        if status == 303:
            assert answer.headers["location"] == "/authorized"
        sent = [token for token in provider.access_tokens if token in answer.text]
        assert bool(sent) is kind.startswith("send"), "tokens are sent where they are not kept, and nowhere else"
