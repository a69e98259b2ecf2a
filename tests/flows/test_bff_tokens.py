"""The tokens that the backend-for-frontend uses: those of the session, renewed where they have to be, once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from crossauth_backend import CrossauthError, InMemoryKeyStorage
from crossauth_backend.testing import FakeProvider, Fault
from crossauth_fastapi import FastApiServer
from crossauth_fastapi.fastapioauthclient import BffEndpoint
from tests.accounts import storages
from tests.bff import ALL, Api
from tests.flows.test_oauth_client_places import Foreign
from tests.oauthclient import ClientSite, Visitor
from tests.services.uvicorn import serve
from tests.support import CSRF, SECRET


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    with serve(api.app) as url:
        api.url = url
        yield api


def options(api: Api, **more: Any) -> dict[str, Any]:
    return {
        "token_response_type": "save_in_session_and_load", "bff_base_url": f"{api.url}/v1",
        "bff_endpoints": [BffEndpoint("/echo", ALL, True)], **more,
    }  # fmt: skip


@asynccontextmanager
async def logged_in(provider: FakeProvider, api: Api, **more: Any) -> AsyncIterator[tuple[ClientSite, Visitor]]:
    """A site, and a browser whose session has tokens."""
    site = ClientSite(provider, options(api, **more.pop("client", {})), **more)
    async with site.open() as browser:
        await browser.log_in_by_password()
        yield site, browser


def bearer(answer: httpx2.Response) -> str:
    """The access token that the API got."""
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["headers"])["authorization"].removeprefix("Bearer ")


def refreshes(provider: FakeProvider) -> int:
    return sum(r.fields.get("grant_type") == "refresh_token" for r in provider.received if r.endpoint == "token")


async def test_the_api_gets_the_access_token_of_the_session(provider: FakeProvider, api: Api) -> None:
    async with logged_in(provider, api) as (_, browser):
        token = bearer(await browser.get("/bff/echo"))
        assert len(token) > 20
        changed = await browser.post("/bff/echo", content=b"x", headers={CSRF: await browser.token()})
        assert bearer(changed) == token
        assert (await browser.post("/bff/echo", content=b"x")).status_code == 403
        async with browser.another() as stranger:
            assert (await stranger.get("/bff/echo")).status_code == 401


async def test_a_token_that_has_ended_is_renewed_in_silence(provider: FakeProvider, api: Api) -> None:
    async with logged_in(provider, api) as (site, browser):
        before = bearer(await browser.get("/bff/echo"))
        site.later(seconds=provider.settings.token_lifetime + 1)
        after = bearer(await browser.get("/bff/echo"))
        assert after != before
        assert bearer(await browser.get("/bff/echo")) == after
        assert refreshes(provider) == 1


async def test_a_token_that_the_api_refuses_is_renewed_as_well(provider: FakeProvider, api: Api) -> None:
    async with logged_in(provider, api) as (_, browser):
        before = bearer(await browser.get("/bff/echo"))
        api.accepts = set()
        refused = await asyncio.gather(*(browser.get("/bff/echo") for _ in range(10)))
        assert [answer.status_code for answer in refused] == [401] * 10
        # Whoever comes with the new token is refused before whoever got it is, now and then.
        assert refreshes(provider) in (1, 2)
        api.accepts = None
        assert bearer(await browser.get("/bff/echo")) != before


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])
async def test_a_hundred_calls_at_once_make_one_refresh(
    provider: FakeProvider, api: Api, kind: str, request: pytest.FixtureRequest
) -> None:
    async with AsyncExitStack() as stack:
        sites = [ClientSite(provider, options(api), **storages(request, kind)) for _ in range(2)]
        browsers = [await stack.enter_async_context(site.open()) for site in sites]
        await browsers[0].log_in_by_password()
        browsers[1].cookies.update(browsers[0].cookies)
        tokens = {bearer(await browser.get("/bff/echo")) for browser in browsers}
        assert len(tokens) == 1, "two workers, one session"
        for site in sites:
            site.later(seconds=provider.settings.token_lifetime + 1)
        provider._clock = sites[0].now
        provider.delays["token"] = 0.3
        answers = await asyncio.gather(*(browser.get("/bff/echo") for browser in browsers for _ in range(50)))
        new = {bearer(answer) for answer in answers}
        assert len(new) == 1
        assert new != tokens
        assert refreshes(provider) == 1


async def test_where_nobody_can_say_the_tokens_are_kept(provider: FakeProvider, api: Api) -> None:
    async with logged_in(provider, api) as (site, browser):
        site.later(seconds=provider.settings.token_lifetime + 1)
        stored = dict(provider.refresh_tokens)
        for fault in (Fault.UNAVAILABLE, Fault.DIES, Fault.REDIRECT):
            provider.faults["token"] = fault
            answer = await browser.get("/bff/echo")
            assert (answer.status_code, answer.json()["ok"]) == (502, False), fault
        del provider.faults["token"]
        # It has not done what it was asked for.
        provider.refresh_tokens.update(stored)
        provider.used.clear()
        assert bearer(await browser.get("/bff/echo"))


async def test_tokens_that_are_gone_for_good_are_forgotten(provider: FakeProvider, api: Api) -> None:
    async with logged_in(provider, api) as (site, browser):
        site.later(seconds=provider.settings.token_lifetime + 1)
        stored = dict(provider.refresh_tokens)
        provider.refresh_tokens.clear()
        assert (await browser.get("/bff/echo")).status_code == 401
        provider.refresh_tokens.update(stored)
        assert (await browser.get("/bff/echo")).status_code == 401


async def test_a_session_has_so_many_calls(provider: FakeProvider, api: Api) -> None:
    async with logged_in(provider, api, attempt_limits={"bff": (3, 3600)}) as (_, browser):
        statuses = [(await browser.get("/bff/echo")).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]


async def test_tokens_of_the_application_itself_are_for_users_who_are_logged_in(
    provider: FakeProvider, api: Api
) -> None:
    async with ClientSite(provider, options(api)).open() as browser:
        for _ in range(2):
            assert (await browser.submit("/clientcredflow", scope="read")).status_code == 200
            refused = await browser.get("/bff/echo")
            assert (refused.status_code, refused.json()["error_code_name"]) == (401, "Unauthorized")
        assert api.seen == []
        await browser.sign_up()
        assert (await browser.submit("/clientcredflow", scope="read")).status_code == 200
        assert bearer(await browser.get("/bff/echo")) in provider.access_tokens


async def test_a_public_client_has_no_backend(provider: FakeProvider, api: Api) -> None:
    for wrong in ({"client_secret": None}, {"token_response_type": "send_json"}, {"bff_base_url": None}):
        with pytest.raises(CrossauthError) as e:
            ClientSite(provider, options(api, **wrong), keys=InMemoryKeyStorage())
        assert e.value.code_name == "Configuration"


async def test_two_clients_use_each_its_own_tokens(provider: FakeProvider, api: Api) -> None:
    def one(name: str) -> Mapping[str, Any]:
        own = {"prefix": f"/{name}/", "session_data_name": name, "valid_flows": ["password"]}
        return {"auth_server_base_url": provider.url, "options": {**provider.client_options, **options(api), **own}}

    server = FastApiServer(
        {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_clients": [one("first"), one("second")]},
        {"secret": SECRET, "site_url": "http://localhost:8000"},
    )
    with serve(server.app) as url:
        async with Visitor(url) as browser:
            await browser.submit("/first/passwordflow", username="alice", password="password of alice", scope="openid")
            assert (await browser.get("/second/bff/echo")).status_code == 401
            first = bearer(await browser.get("/first/bff/echo"))
            await browser.submit("/second/passwordflow", username="bob", password="password of bob", scope="openid")
            assert bearer(await browser.get("/second/bff/echo")) != first
            assert bearer(await browser.get("/first/bff/echo")) == first
            identifiers = [
                operation["operationId"]
                for path in (await browser.get("/openapi.json")).json()["paths"].values()
                for operation in path.values()
            ]
            assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize("protected", [True, False])
async def test_on_sessions_of_another_framework(provider: FakeProvider, api: Api, protected: bool) -> None:
    adapter = Foreign()
    adapter.csrf_protection_enabled = lambda: protected  # type: ignore[method-assign]
    own = {"valid_flows": ["password"], "secret": SECRET}
    app = FastAPI()
    FastApiServer(
        {
            "session_adapter": adapter,
            "oauth_client": {
                "auth_server_base_url": provider.url, "options": {**provider.client_options, **options(api), **own},
            },
        },
        {"app": app, "site_url": "http://localhost:8000"},
    )  # fmt: skip
    headers = {"X-Browser": "one", "X-Token": "right"}
    with serve(app) as url:
        async with httpx2.AsyncClient(base_url=url, trust_env=False, headers=headers) as browser:
            assert (await browser.get("/bff/echo")).status_code == 401
            sent = {"username": "alice", "password": "password of alice", "scope": "openid"}
            assert (await browser.post("/passwordflow", json=sent)).status_code == 200
            token = bearer(await browser.get("/bff/echo"))
            assert bearer(await browser.post("/bff/echo", content=b"x")) == token
            without = await browser.post("/bff/echo", content=b"x", headers={"X-Token": "wrong"})
            assert without.status_code == (403 if protected else 200)
            elsewhere = {"Origin": "https://evil.test"}
            assert (await browser.post("/bff/echo", content=b"x", headers=elsewhere)).status_code == 403
            assert (await browser.get("/bff/echo", headers={"X-Browser": "two"})).status_code == 401
