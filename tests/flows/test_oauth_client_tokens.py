"""Tokens in the session: encrypted, and refreshed once, however many requests and workers need them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware

from crossauth_backend import (
    CrossauthError,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyDataEntry,
    LocalPasswordAuthenticator,
    User,
)
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.testing import FakeProvider, Fault
from crossauth_fastapi import FastApiServer, FastApiSessionAdapter
from tests.accounts import storages
from tests.flows.test_oauth_client_code_flow import log_in
from tests.oauthclient import IN_SESSION, ClientSite, Visitor
from tests.patience import PATIENCE
from tests.services.uvicorn import serve
from tests.support import CHEAP, SECRET

OIDC: dict[str, Any] = {"valid_flows": ["oidcAuthorizationCode", "refresh_token"], **IN_SESSION}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as found:
        yield found


def with_token_route(server: FastApiServer) -> FastApiServer:
    """An application that uses the access token on the server, as the backend-for-frontend does."""

    @server.app.get("/used")
    async def used(request: Request) -> dict[str, Any]:
        client = server.oauth_client
        assert client is not None
        try:
            tokens = await client.context.tokens.fresh(request)
        except CrossauthError as e:
            return {"error": e.http_status}
        return {"token": tokens.access_token[-20:] if tokens else None}

    return server


async def stored(site: ClientSite) -> list[dict[str, Any]]:
    keys = await site.keys.get_all_for_user(None, KeyPrefix.session)
    return [json.loads(key.data) for key in keys if key.data]


async def test_nothing_in_the_storage_can_be_read_without_the_key(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    with_token_route(site.server)
    async with site.open() as browser:
        await log_in(browser, provider)
        (data,) = await stored(site)
        assert list(data["oauth"]) == ["sealed"]
        text = json.dumps(data)
        for readable in ("alice", "eyJ", provider.url, "Bearer", "sub"):
            assert readable not in text
        assert (await browser.get("/used")).json()["token"]


async def test_the_application_reads_the_entry_and_does_not_write_it(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)

    @site.server.app.post("/write")
    async def write(request: Request) -> Any:
        try:
            await site.server.update_session_data(request, "oauth.sealed", "x")
        except CrossauthError as e:
            return {"refused": e.code_name}

    @site.server.app.get("/read")
    async def read(request: Request) -> Any:
        return await site.server.get_session_data(request, "oauth")

    async with site.open() as browser:
        await log_in(browser, provider)
        assert (await browser.get("/read")).json().keys() == {"sealed"}
        assert (await browser.call("/write")).json() == {"refused": "BadRequest"}


async def test_tokens_of_another_client_or_key_are_none(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    with_token_route(site.server)
    other = ClientSite(provider, {**OIDC, "client_id": "other"}, keys=site.keys)
    rotated = ClientSite(
        provider, OIDC, keys=site.keys, encryption_keys=["a new key, which is as long as it has to be", SECRET]
    )
    replaced = ClientSite(
        provider, OIDC, keys=site.keys, encryption_keys=["a new key, which is as long as it has to be"]
    )
    for one in (other, rotated, replaced):
        with_token_route(one.server)
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(site.open())
        await log_in(browser, provider)
        token = (await browser.get("/used")).json()["token"]
        for one, expected in ((other, None), (rotated, token), (replaced, None)):
            elsewhere = await stack.enter_async_context(one.open())
            elsewhere.cookies.update(browser.cookies)
            assert (await elsewhere.get("/used")).json()["token"] == expected


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_hundred_requests_at_two_workers_make_one_refresh(
    request: pytest.FixtureRequest, provider: FakeProvider, kind: str
) -> None:
    # Each worker has connections of its own, to one database.
    saved = [storages(request, kind)]
    saved.append(saved[0] if kind == "memory" else storages(request, kind))
    provider.settings.token_lifetime = 60
    workers = [ClientSite(provider, {**OIDC, "fetch_timeout": PATIENCE}, **one) for one in saved]
    for worker in workers:
        with_token_route(worker.server)
        worker.ahead = workers[0].ahead
    provider._clock = workers[0].now
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(worker.open()) for worker in workers]
        await log_in(browsers[0], provider)
        browsers[1].cookies.update(browsers[0].cookies)
        before = (await browsers[1].get("/used")).json()["token"]
        asked = provider.requests["token"]
        for worker in workers:
            worker.later(seconds=120)
        provider.delays["token"] = 0.3
        answers = await asyncio.gather(*(browsers[n % 2].get("/used") for n in range(100)))
        (after,) = {answer.json()["token"] for answer in answers}
        assert after not in (None, before)
        assert provider.requests["token"] - asked == 1


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.HTML, Fault.DIES])
async def test_only_the_provider_s_word_ends_tokens(provider: FakeProvider, fault: Fault) -> None:
    provider.settings.token_lifetime = 60
    site = ClientSite(provider, OIDC)
    with_token_route(site.server)
    async with site.open() as browser:
        await log_in(browser, provider)
        provider.faults["refresh_token"] = fault
        site.later(seconds=120)
        assert (await browser.get("/used")).json() == {"error": 502}
        assert (await browser.get("/used")).json() == {"error": 502}
        (data,) = await stored(site)
        assert "oauth" in data
        provider.faults.clear()
        provider.grants.pop("refresh_token")
        assert (await browser.get("/used")).json() == {"error": 502}, "no such grant is no word about this token"


async def test_a_refused_refresh_token_ends_them(provider: FakeProvider) -> None:
    provider.settings.token_lifetime = 60
    site = ClientSite(provider, OIDC)
    with_token_route(site.server)
    async with site.open() as browser:
        await log_in(browser, provider)
        provider.refresh_tokens.clear()
        site.later(seconds=120)
        assert (await browser.get("/used")).json() == {"token": None}
        assert not any("oauth" in data for data in await stored(site))


async def test_a_token_that_is_still_good_is_used_where_the_provider_is_away(provider: FakeProvider) -> None:
    provider.settings.token_lifetime = 60
    site = ClientSite(provider, OIDC)
    with_token_route(site.server)
    async with site.open() as browser:
        await log_in(browser, provider)
        provider.faults["token"] = Fault.UNAVAILABLE
        site.later(seconds=55)
        assert (await browser.get("/used")).json()["token"]


async def test_a_worker_that_died_while_it_refreshed_stops_nobody_for_long(provider: FakeProvider) -> None:
    provider.settings.token_lifetime = 60
    site = ClientSite(provider, {**OIDC, "fetch_timeout": 5})
    with_token_route(site.server)
    async with site.open() as browser:
        await log_in(browser, provider)
        site.later(seconds=120)
        client = site.server.oauth_client
        assert client is not None
        refresher = client.context.tokens._refresher  # type: ignore[attr-defined]
        (data,) = await stored(site)
        tokens = client.context.tokens._seal.open(data["oauth"])  # type: ignore[attr-defined]
        assert await refresher._lock(hash_token(f"{tokens.refresh_token} {tokens.access_token}")) is not None
        site.later(seconds=120)
        assert (await browser.get("/used")).json()["token"]


class CookieSessions(FastApiSessionAdapter):
    """Sessions of Starlette, which are in a cookie."""

    def csrf_protection_enabled(self) -> bool:
        return False

    def get_csrf_token(self, request: Request) -> str | None:
        return None

    def get_user(self, request: Request) -> User | None:
        return None

    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        request.session[name] = value

    async def update_many_session_data(self, request: Request, data_array: list[KeyDataEntry]) -> None:
        raise NotImplementedError

    async def delete_session_data(self, request: Request, name: str) -> None:
        request.session.pop(name, None)

    async def get_session_data(self, request: Request, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = request.session.get(name)
        return found


async def test_tokens_in_sessions_of_another_framework(provider: FakeProvider) -> None:
    app = FastAPI()
    options = {**provider.client_options, **OIDC, "secret": SECRET, "site_url": "http://localhost:8000"}
    server = FastApiServer(
        {
            "session_adapter": CookieSessions(),
            "oauth_client": {"auth_server_base_url": provider.url, "options": options},
        },  # type: ignore[typeddict-item]
        {"app": app},
    )
    with_token_route(server)
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    with serve(app) as url:
        async with Visitor(url) as browser:
            assert (await log_in(browser, provider)).headers["location"] == "/welcome"
            cookie = base64.b64decode(browser.cookies["session"].split(".")[0])
            assert b"sealed" in cookie
            assert b"eyJ" not in cookie
            assert (await browser.get("/used")).json()["token"]
            assert (await browser.post("/api/refreshtokens")).json()["ok"] is True
            assert (await browser.get("/used")).json()["token"]


def with_protected_orders(provider: FakeProvider, **client: Any) -> FastAPI:
    """A client, and a resource server that takes the tokens it keeps in the session."""
    users = InMemoryUserStorage({"user_editable_fields": ["email"]})
    options: Any = {**provider.client_options, **OIDC, **client}
    server = FastApiServer(
        {
            "session": {"key_storage": InMemoryKeyStorage()},
            "oauth_client": {"auth_server_base_url": provider.url, "options": options},
            "oauth_resserver": {
                "options": {
                    "auth_server_base_url": provider.url, "audience": "api", "token_locations": ["session"],
                    "protected_endpoints": {"/orders": {}}, "access_token_types": ["at+jwt", "JWT"],
                }
            },
        },
        {
            "app": FastAPI(), "secret": SECRET, "site_url": "http://localhost:8000", "user_storage": users,
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)},
            "enable_email_verification": False,
        },
    )  # fmt: skip

    @server.app.get("/orders")
    async def orders(request: Request) -> dict[str, Any]:
        return {"sub": request.state.access_token_payload["sub"]}

    return server.app


async def test_the_resource_server_finds_tokens_that_are_sealed(provider: FakeProvider) -> None:
    with serve(with_protected_orders(provider)) as url:
        async with Visitor(url) as browser:
            assert (await browser.get("/orders")).status_code == 401
            await log_in(browser, provider)
            assert (await browser.get("/orders")).json() == {"sub": "alice"}


async def test_the_resource_server_takes_no_token_of_the_application_s_own_from_anybody(provider: FakeProvider) -> None:
    with serve(with_protected_orders(provider, valid_flows=["all"])) as url:
        async with Visitor(url) as browser:
            await browser.submit("/clientcredflow")
            assert (await browser.get("/orders")).status_code == 401
            await browser.sign_up()
            await browser.submit("/clientcredflow")
            assert (await browser.get("/orders")).status_code == 200


async def test_a_session_that_has_ended_keeps_nothing(provider: FakeProvider) -> None:
    provider.settings.token_lifetime = 60
    site = ClientSite(provider, OIDC)

    @site.server.app.get("/late")
    async def late(request: Request) -> Any:
        client = site.server.oauth_client
        assert client is not None
        await client.context.tokens.load(request)
        for key in await site.keys.get_all_for_user(None, KeyPrefix.session):
            await site.keys.delete_key(key.value)
        tokens = await client.context.tokens.fresh(request, force=True)
        await client.context.tokens.delete(request)
        return {"tokens": tokens is not None}

    async with site.open() as browser:
        await log_in(browser, provider)
        assert (await browser.get("/late")).json() == {"tokens": False}
