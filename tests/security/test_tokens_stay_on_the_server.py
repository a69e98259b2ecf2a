"""Tokens that are kept in the session never reach a browser, a log or a storage in clear, whatever flow they came by

A whole walk of every flow, and of what is done with the tokens afterwards, is recorded: what the application sends, frames of
WebSockets included, and what it logs. Nothing of it may hold a token, or so much of one as its signature.
"""

import html
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect

from crossauth_backend import InMemoryIdentityStorage
from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from crossauth_fastapi import BffEndpoint
from tests.bff import Api
from tests.oauthclient import HTML, IN_SESSION, ON_PAGE, ClientSite, Visitor, hidden_field
from tests.services.uvicorn import serve
from tests.support import PASSWORD

DELETING = {
    "delete_tokens_get_url": "deletetokens",
    "delete_tokens_post_url": "deletetokens",
    "api_delete_tokens_post_url": "api/deletetokens",
}
HAVE = ["have_access_token", "have_refresh_token", "have_id_token"]
CONFIRMED = "I have confirmed it there"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class WatchedProvider(FakeProvider):
    """A provider that remembers every secret that it has given out."""

    def __init__(self) -> None:
        super().__init__()
        self.settings.device_interval = 0
        self.given: set[str] = set()

    def token_response(self, *args: Any, **options: Any) -> dict[str, Any]:
        response = super().token_response(*args, **options)
        self.given |= {
            str(response[name]) for name in ("access_token", "refresh_token", "id_token") if name in response
        }
        return response

    @property
    def secrets(self) -> set[str]:
        """Tokens, their signatures, codes of devices, and tokens of second factors."""
        whole = {*self.given, *self.devices.waiting, *self.mfa.logins}
        return whole | {token.rpartition(".")[2] for token in whole if token.count(".") == 2}


class Recorder:
    """An application, and everything that it sends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.sent = app, bytearray()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def record(message: Message) -> None:
            for name, value in message.get("headers", ()):
                self.sent += name + b": " + value + b"\n"
            # What comes in parts is searched as one.
            self.sent += message.get("body", b"") + (b"" if message.get("more_body") else b"\n")
            self.sent += (message.get("bytes") or b"") + b"\n"
            self.sent += ((message.get("text") or "") + message.get("reason", "")).encode() + b"\n"
            await send(message)

        await self.app(scope, receive, record)


class Log(logging.Handler):
    """Everything that is logged, at any level, as it would be written, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += logging.Formatter().format(record) + "\n"


@pytest.fixture
async def provider() -> AsyncIterator[WatchedProvider]:
    async with WatchedProvider() as provider:
        yield provider


@pytest.fixture
def api() -> Iterator[Api]:
    """An API that tells nobody what it was sent."""
    api = Api()
    api.answer = (200, [], b"orders")
    with serve(api.app) as api.url:
        yield api


@pytest.fixture
def log() -> Iterator[Log]:
    handler, root = Log(), logging.getLogger("crossauth")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


async def come_back(browser: Visitor, provider: FakeProvider, begun: httpx2.Response) -> httpx2.Response:
    """Go to the provider's own pages, agree, and come back."""
    back = urlsplit(provider.sign_in(begun.headers["location"], "alice"))
    return await browser.get(f"{back.path}?{back.query}")


async def authorize(browser: Visitor, provider: FakeProvider) -> None:
    for path in ("/authzcodeflow", "/authzcodeflowpkce"):
        for begun in (
            await browser.submit(path, scope="read"),
            await browser.get(f"{path}?scope=openid%20email"),
        ):
            assert (await come_back(browser, provider, begun)).status_code < 400


async def give_password(browser: Visitor, provider: FakeProvider) -> None:
    assert (await browser.log_in_by_password()).status_code < 400
    provider.mfa.require("alice", "otp")
    page = await browser.log_in_by_password()
    wrong = await browser.press(page, "Continue", otp="0")
    assert (await browser.press(wrong, "Continue", otp=provider.mfa.otp)).status_code < 400
    provider.mfa.require("alice", "sms")
    page = await browser.log_in_by_password()
    wrong = await browser.press(page, "Continue", binding_code="0")
    assert (await browser.press(wrong, "Continue", binding_code=provider.mfa.sent[-1])).status_code < 400
    provider.mfa.of_user.clear()


async def use_device(browser: Visitor, provider: FakeProvider) -> None:
    page = await browser.submit("/devicecodeflow", scope="openid")
    waiting = await browser.press(page, CONFIRMED)
    provider.faults[DEVICE_GRANT] = ProviderFault.SLOW_DOWN
    await browser.press(waiting, CONFIRMED)
    provider.faults.clear()
    provider.approve_device(next(iter(provider.devices.waiting.values())).user_code)
    assert (await browser.press(waiting, CONFIRMED)).status_code < 400
    told = (await browser.call("/api/devicecodeflow", scope="openid")).json()
    await browser.call("/api/devicecodepoll", device_code=told["device_code"])
    provider.approve_device(told["user_code"])
    assert (await browser.call("/api/devicecodepoll", device_code=told["device_code"])).status_code == 200


async def refresh(browser: Visitor, provider: FakeProvider) -> None:
    for path in (
        "/refreshtokenflow", "/refreshtokens", "/refreshtokensifexpired", "/api/refreshtokens", "/api/refreshtokensifexpired",
    ):  # fmt: skip
        assert (await browser.submit(path)).status_code < 400
    for fault in (
        Fault.UNAVAILABLE,
        Fault.HTML,
        ProviderFault.ERROR,
        ProviderFault.WRONG_SUB,
        ProviderFault.WRONG_AT_HASH,
    ):
        provider.faults["token"] = fault
        await browser.submit("/refreshtokens")
        await browser.call("/api/refreshtokens")
    provider.faults.clear()


async def fail(browser: Visitor, provider: FakeProvider) -> None:
    """Every flow again, with a provider whose answers are wrong."""
    for fault in (
        ProviderFault.WRONG_NONCE, ProviderFault.WRONG_SIGNATURE, ProviderFault.WRONG_AUDIENCE, ProviderFault.WRONG_TYPES,
        ProviderFault.ERROR_AS_SUCCESS, Fault.DIES, Fault.DEEP,
    ):  # fmt: skip
        provider.faults["token"] = fault
        await come_back(browser, provider, await browser.get("/authzcodeflow?scope=openid"))
        await browser.log_in_by_password()
        await browser.submit("/clientcredflow")
    provider.faults.clear()


def passing(api: Api) -> dict[str, Any]:
    """The options of a backend-for-frontend."""
    endpoints = [BffEndpoint(path, ["GET"], True) for path in ("/answer", "/stream", "/ws")]
    return {"bff_base_url": f"{api.url}/v1", "bff_endpoints": endpoints}


def opened(browser: Visitor) -> connect:
    """A WebSocket through the backend-for-frontend."""
    base = str(browser.base_url).rstrip("/")
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()), "Origin": base}
    return connect(base.replace("http", "ws", 1) + "/bff/ws", additional_headers=headers, proxy=None)


async def use_api(browser: Visitor) -> None:
    """Call the API, listen to it, and talk with it."""
    assert (await browser.get("/bff/answer")).text == "orders"
    async with browser.stream("GET", "/bff/stream/events") as answer:
        assert await anext(answer.aiter_raw()) == b"data: first\n\n"
    socket: ClientConnection
    async with opened(browser) as socket:
        for message in ("tea", b"milk"):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send("close")
        await socket.wait_closed()


async def link_accounts(browser: Visitor, provider: FakeProvider) -> None:
    """Link an account and unlink it, by script and by page."""
    told = (await browser.call("/api/linkaccount")).json()["url"]
    page = await browser.press(await browser.get("/linkedaccounts", headers=HTML), "Link 127.0.0.1")
    shown = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', page.text)
    assert shown is not None
    for url in (told, html.unescape(shown.group(1))):
        back = urlsplit(provider.sign_in(url, "alice"))
        done = await browser.get(f"{back.path}?{back.query}", headers=HTML)
        assert done.headers["location"] == "/linkedaccounts?linked=true"
        page = await browser.get(done.headers["location"], headers=HTML)
        (account,) = (await browser.get("/api/linkedaccounts")).json()["linkedAccounts"]
        if url is told:
            assert (await browser.call("/api/linkedaccounts", account=account["account"])).status_code == 200
        else:
            assert "The account has been unlinked" in (await browser.press(page, "Unlink")).text


async def log_in_there(browser: Visitor, provider: FakeProvider) -> None:
    back = await come_back(browser, provider, await browser.get("/authzcodeflow?scope=openid%20email"))
    assert back.status_code < 400, back.text


async def leave(browser: Visitor, provider: FakeProvider) -> None:
    """Log out here and at the provider, by page and by script."""
    await log_in_there(browser, provider)
    there = await browser.press(await browser.get("/logoutoidc", headers=HTML), "Log out")
    async with httpx2.AsyncClient(trust_env=False) as elsewhere:
        back = urlsplit((await elsewhere.get(there.headers["location"])).headers["location"])
    assert "You're logged out" in (await browser.get(f"{back.path}?{back.query}", headers=HTML)).text
    await log_in_there(browser, provider)
    assert (await browser.call("/api/logoutoidc")).json()["url"].startswith(f"{provider.url}/end_session?")


async def log_in_here_too(browser: Visitor, provider: FakeProvider) -> None:
    """Come back from the provider, and log in by a local account."""
    await log_in_there(browser, provider)
    await look(browser)
    logged_in = await browser.call("/api/login", username="alice", password=PASSWORD)
    assert logged_in.json()["user"]["username"] == "alice"
    # A session of somebody's begins without what one of nobody had.
    assert (await browser.call("/tokens")).status_code == 204
    await log_in_there(browser, provider)
    await look(browser)
    await use_api(browser)


async def look(browser: Visitor) -> None:
    for decode in (True, False):
        told = await browser.call("/tokens", decode=decode)
        assert told.json()["id_token"]["sub"] == "alice"
    for name in HAVE:
        assert (await browser.call(f"/{name}", decode=False)).json() == {"ok": True}


async def walk(browser: Visitor, provider: FakeProvider) -> None:
    await browser.sign_up()
    assert (await browser.submit("/clientcredflow", scope="read")).status_code < 400
    for flow in (authorize, give_password, use_device):
        await flow(browser, provider)
        await look(browser)
        await use_api(browser)
    await refresh(browser, provider)
    await leave(browser, provider)
    await log_in_here_too(browser, provider)
    await fail(browser, provider)
    await browser.get("/deletetokens")
    await browser.submit("/deletetokens")
    await browser.call("/api/deletetokens")
    # The last: what is unlinked ends every login of that second.
    await link_accounts(browser, provider)
    await browser.get("/api/userforsessionkey")


async def kept(site: ClientSite) -> str:
    """Everything that the session data of all sessions say."""
    return "\n".join(repr(key) + str(key.data) for key in site.keys._keys.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("errors", ["json_error", "page_error"])
@pytest.mark.parametrize("kind", [ON_PAGE, IN_SESSION], ids=["page", "redirect"])
async def test_no_token_is_in_anything_that_is_sent_or_logged(
    provider: WatchedProvider, api: Api, log: Log, kind: Mapping[str, Any], errors: str
) -> None:
    options = {
        **kind, **DELETING, **passing(api), "identity_storage": InMemoryIdentityStorage(), "link_accounts": True,
        "error_response_type": errors, "token_endpoints": HAVE,
        "oauth_log_fetch": True,
    }  # fmt: skip
    site = ClientSite(provider, options)
    recorder = Recorder(site.server.app)
    with serve(recorder) as url:
        async with Visitor(url) as browser:
            await walk(browser, provider)
    assert len(provider.given) > 20
    sockets = [seen["headers"]["authorization"] for seen in api.seen if "headers" in seen]
    assert len(sockets) == 4
    assert {header.removeprefix("Bearer ") for header in sockets} <= provider.given, "the API has got them"
    sent = recorder.sent.decode("utf-8", "replace")
    assert [secret for secret in provider.secrets if secret in sent] == []
    assert log.text.strip()
    assert [secret for secret in provider.secrets if secret in log.text] == []


async def test_no_token_is_stored_in_clear(provider: WatchedProvider) -> None:
    site = ClientSite(provider, IN_SESSION)
    async with site.open() as browser:
        await give_password(browser, provider)
        stored = await kept(site)
        assert "oauth" in stored
        assert [secret for secret in provider.secrets if secret in stored] == []


async def test_the_search_finds_a_token_that_is_sent(provider: WatchedProvider) -> None:
    for options in ({"token_response_type": "send_json"}, {"token_response_type": "send_in_page"}):
        site = ClientSite(provider, options)
        recorder = Recorder(site.server.app)
        with serve(recorder) as url:
            async with Visitor(url) as browser:
                await browser.log_in_by_password()
        sent = recorder.sent.decode("utf-8", "replace")
        assert len([secret for secret in provider.secrets if secret in sent]) >= 5
        provider.given.clear()


@pytest.mark.parametrize("kind", [str, bytes])
async def test_the_search_finds_a_token_in_a_frame(
    provider: WatchedProvider, api: Api, kind: type[str | bytes]
) -> None:
    # A page that knows one has it sent back by the API.
    site = ClientSite(provider, {**IN_SESSION, **passing(api)})
    recorder = Recorder(site.server.app)
    with serve(recorder) as url:
        async with Visitor(url) as browser:
            await browser.log_in_by_password()
            (token, *_) = provider.given
            assert token not in recorder.sent.decode("utf-8", "replace")
            async with opened(browser) as socket:
                await socket.send(token if kind is str else token.encode())
                await socket.recv()
    assert token in recorder.sent.decode("utf-8", "replace")


async def test_what_a_page_carries_is_of_no_use_at_the_provider(provider: WatchedProvider) -> None:
    provider.mfa.require("alice", "sms")
    async with ClientSite(provider, IN_SESSION).open() as browser:
        page = await browser.log_in_by_password()
        device = await browser.submit("/devicecodeflow")
        carried = {hidden_field(page, "mfa_token"), hidden_field(page, "oob_code"), hidden_field(device, "device_code")}
        (login,) = provider.mfa.logins.values()
        assert carried.isdisjoint({*provider.mfa.logins, *login.codes, *provider.devices.waiting})
