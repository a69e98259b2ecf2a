"""What a flow is answered with: every type of token response and of error."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.testing import FakeProvider, Fault
from crossauth_fastapi.fastapioauthclient import (
    FastApiOAuthClient,
    decode_payload,
    json_error,
    log_tokens,
    page_error,
    save_in_session_and_load,
    save_in_session_and_redirect,
    send_in_page,
    send_json,
    string_is_true,
    update_session_data,
)
from tests.flows.test_oauth_client_code_flow import finish, log_in, start
from tests.oauthclient import HTML, IN_SESSION, TOKENS, ClientSite

OIDC: dict[str, Any] = {"valid_flows": ["oidcAuthorizationCode", "clientCredentials"]}
KEPT = ["access_token", "refresh_token", "id_token"]
ERROR_FIELDS = {"status", "error_message", "error_messages", "error_code", "error_code_name"}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as found:
        yield found


def has_token(answer: httpx2.Response) -> bool:
    return "eyJ" in answer.text or any("eyJ" in value for value in answer.headers.values())


async def test_send_json(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        answer = await log_in(browser, provider)
        told = answer.json()
        assert (answer.status_code, told["ok"], told["token_type"]) == (200, True, "Bearer")
        assert told["id_payload"]["sub"] == "alice"
        assert told["id_payload"] == decode_payload(told["id_token"])
        assert answer.headers["cache-control"] == "no-store"


async def test_send_in_page(provider: FakeProvider, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("{{ access_token[:3] }} {{ id_payload.sub }} {{ token_type }}")
    options = {
        **OIDC,
        "token_response_type": "send_in_page",
        "authorized_page": "mine.html",
        "template_dir": str(tmp_path),
    }
    async with ClientSite(provider, options).open() as browser:
        answer = await log_in(browser, provider)
        assert answer.text == "eyJ alice Bearer"
    async with ClientSite(provider, {**OIDC, "token_response_type": "send_in_page"}).open() as browser:
        assert "alice" in (await log_in(browser, provider)).text


async def test_save_in_session_and_load(provider: FakeProvider) -> None:
    async with ClientSite(
        provider, {**OIDC, **TOKENS, "token_response_type": "save_in_session_and_load"}
    ).open() as browser:
        answer = await log_in(browser, provider)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
        assert not has_token(answer)
        assert (await browser.call("/id_token")).json()["sub"] == "alice"


async def test_save_in_session_and_redirect(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**OIDC, **IN_SESSION, **TOKENS}).open() as browser:
        answer = await log_in(browser, provider)
        assert (answer.status_code, answer.headers["location"]) == (302, "/welcome")
        posted = await browser.submit("/clientcredflow", scope="read")
        assert (posted.status_code, posted.headers["location"]) == (303, "/welcome")
    options = {**OIDC, "token_response_type": "save_in_session_and_redirect"}
    async with ClientSite(provider, options, prefix="/auth").open() as browser:
        url = (await browser.get("/auth/authzcodeflow")).headers["location"]
        assert (await finish(browser, provider, url)).headers["location"] == "/auth/authorized"


@pytest.mark.parametrize("is_async", [False, True])
async def test_custom_tokens(provider: FakeProvider, is_async: bool) -> None:
    seen: dict[str, Any] = {}

    def receive(tokens: Any, client: Any, request: Request, response: Response | None) -> Response:
        seen.update(tokens=tokens, client=client, path=request.url.path, response=response)
        return PlainTextResponse(f"welcome {tokens['id_payload']['sub']}")

    async def receive_later(*args: Any) -> Response:
        return receive(*args)

    own = {"token_response_type": "custom", "receive_token_fn": receive_later if is_async else receive}
    async with ClientSite(provider, {**OIDC, **own}).open() as browser:
        answer = await log_in(browser, provider)
        assert (answer.status_code, answer.text) == (200, "welcome alice")
        assert answer.headers["cache-control"] == "no-store"
    assert isinstance(seen["client"], FastApiOAuthClient)
    assert (seen["path"], isinstance(seen["response"], Response)) == ("/authzcode", True)


@pytest.mark.parametrize("result", [None, "text", ValueError("broken"), CrossauthError(ErrorCode.Forbidden, "not you")])
async def test_a_function_of_the_application_that_fails_is_an_error(provider: FakeProvider, result: Any) -> None:
    def receive(*args: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    async with ClientSite(
        provider, {**OIDC, "token_response_type": "custom", "receive_token_fn": receive}
    ).open() as browser:
        answer = await log_in(browser, provider)
        assert answer.json()["ok"] is False
        assert answer.status_code == (403 if isinstance(result, CrossauthError) else 500)
        assert "broken" not in answer.text


@pytest.mark.parametrize("how", [save_in_session_and_load, save_in_session_and_redirect, send_in_page, send_json])
async def test_the_documented_functions_answer_what_an_application_has_received(
    provider: FakeProvider, how: Any
) -> None:
    async def receive(tokens: Any, client: FastApiOAuthClient, request: Request, response: Response | None) -> Any:
        log_tokens(tokens, client)
        await update_session_data(tokens, client, request, response)
        await client.store_session_data(tokens, request, response)
        return await how(tokens, client, request, response)

    own = {"token_response_type": "custom", "receive_token_fn": receive}
    async with ClientSite(provider, {**OIDC, **TOKENS, **own}).open() as browser:
        answer = await log_in(browser, provider)
        assert answer.status_code == (302 if how is save_in_session_and_redirect else 200), answer.text
        assert has_token(answer) is (how in (send_json, send_in_page))
        assert (await browser.call("/id_token")).json()["sub"] == "alice"


async def test_json_error(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        answer = await browser.get("/authzcode?state=x&code=y", headers=HTML)
        told = answer.json()
        assert told.keys() == {"ok", *ERROR_FIELDS}
        assert (told["ok"], told["status"], told["error_code_name"]) == (False, answer.status_code, "Unauthorized")


@pytest.mark.parametrize("spelling", ["page_error", "error_page"])
async def test_page_error(provider: FakeProvider, spelling: str, tmp_path: Path) -> None:
    async with ClientSite(provider, {**OIDC, "error_response_type": spelling}).open() as browser:
        answer = await browser.get("/authzcode?state=x&code=y", headers=HTML)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (401, "text/html")
        assert "Start again" in answer.text
    (tmp_path / "mine.html").write_text("{{ status }} {{ error_message }} {{ error_code }} {{ error_code_name }}")
    own = {"error_response_type": spelling, "error_page": "mine.html", "template_dir": str(tmp_path)}
    async with ClientSite(provider, {**OIDC, **own}).open() as browser:
        answer = await browser.get("/authzcode?state=x&code=y", headers=HTML)
        assert answer.text.startswith("401 This login was started")
        assert answer.text.endswith("14 Unauthorized")


@pytest.mark.parametrize("how", [json_error, page_error, None])
async def test_custom_error(provider: FakeProvider, how: Any) -> None:
    async def answer_it(server: Any, request: Request, response: Response, e: CrossauthError) -> Response:
        if how is not None:
            made: Response = await how(server, request, response, e)
            return made
        return JSONResponse({"mine": e.code_name}, 418)

    async with ClientSite(provider, {**OIDC, "error_response_type": "custom", "error_fn": answer_it}).open() as browser:
        answer = await browser.get("/authzcode?state=x&code=y")
        assert answer.status_code == (418 if how is None else 401)
        assert ("Unauthorized" in answer.text) or how is page_error


@pytest.mark.parametrize("result", [None, ValueError("broken")])
async def test_an_error_function_that_fails_hides_no_error(provider: FakeProvider, result: Any) -> None:
    def answer_it(*args: Any) -> Any:
        if isinstance(result, Exception):
            raise result

    async with ClientSite(provider, {**OIDC, "error_response_type": "custom", "error_fn": answer_it}).open() as browser:
        answer = await browser.get("/authzcode?state=x&code=y")
        assert (answer.status_code, answer.json()["ok"]) == (500, False)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.DIES, Fault.HTML, Fault.HUGE])
@pytest.mark.parametrize("kind", ["json_error", "page_error"])
async def test_a_provider_that_is_down_is_an_error_of_the_chosen_type(
    provider: FakeProvider, fault: Fault, kind: str
) -> None:
    site = ClientSite(provider, {**OIDC, **IN_SESSION, **TOKENS, "error_response_type": kind})
    async with site.open() as browser:
        await browser.sign_up("bob")
        url = await start(browser)
        provider.faults["token"] = fault
        answer = await finish(browser, provider, url)
        assert answer.status_code in (502, 503), answer.text
        kinds = {"json_error": "application/json", "page_error": "text/html"}
        assert answer.headers["content-type"].partition(";")[0] == kinds[kind]
        assert (await browser.get("/api/userforsessionkey")).json()["user"]["username"] == "bob"
        provider.faults.clear()
        assert (await log_in(browser, provider)).headers["location"] == "/welcome"


async def test_a_provider_that_is_down_stops_no_start_and_no_later_login(provider: FakeProvider) -> None:
    provider.faults["metadata"] = Fault.UNAVAILABLE
    site = ClientSite(provider, {**OIDC, **IN_SESSION, "jwks_cooldown": 1})
    async with site.open() as browser:
        answer = await browser.get("/authzcodeflow")
        assert (answer.status_code, answer.json()["error_code_name"]) == (503, "Connection")
        assert not [c for c in browser.cookies.jar if "OAUTH-" in c.name]
        provider.faults.clear()
        site.later(seconds=60)
        assert (await log_in(browser, provider)).headers["location"] == "/welcome"


def test_what_a_text_says() -> None:
    assert all(map(string_is_true, ("true", "T", "on", "1", "YES", "y")))
    assert not any(map(string_is_true, ("", "false", "0", "no", "off", "2")))
    assert string_is_true(True) is False  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [None, "", "a.b", "a.b.c", "a.!!.c", "a.bnVsbA.c", "a.W10.c", "a..c", "x" * 70000, 5])
def test_what_is_no_token_has_no_claims(token: Any) -> None:
    assert decode_payload(token) is None


def test_a_token_is_logged_by_its_hash(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImVtYWlsIjoiYSJ9.c2ln"
    client: Any = FastAPI()
    log_tokens({"access_token": token, "refresh_token": "opaque"}, client)
    assert "email, sub" in caplog.text
    assert token not in caplog.text
    assert "opaque" not in caplog.text
    assert "alice" not in caplog.text
