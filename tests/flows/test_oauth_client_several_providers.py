"""Users of several providers: each names its own, and one page links them all."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from crossauth_backend import (
    InMemoryIdentityStorage,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
)
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import FastApiServer
from tests.oauthclient import HTML, IN_SESSION, Visitor
from tests.oauthpeople import SCOPE, add_routes, finish, who
from tests.services.uvicorn import serve
from tests.support import CHEAP, SECRET


@pytest.fixture
async def providers() -> AsyncIterator[tuple[FakeProvider, FakeProvider]]:
    async with FakeProvider() as first, FakeProvider() as second:
        yield first, second


def application(providers: tuple[FakeProvider, FakeProvider], **options: Any) -> FastAPI:
    """Two clients, whose users are in one storage."""
    users, identities = InMemoryUserStorage(), InMemoryIdentityStorage()
    clients = [
        {
            "auth_server_base_url": provider.url,
            "options": {
                **provider.client_options, **IN_SESSION, "prefix": f"/{name}/", "session_data_name": name,
                "valid_flows": ["oidcAuthorizationCode", "authorizationCode"], "identity_storage": identities, **options,
            },
        }
        for name, provider in zip(("one", "two"), providers, strict=True)
    ]  # fmt: skip
    app = FastAPI()
    FastApiServer(
        {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_clients": clients},
        {
            "app": app, "secret": SECRET, "site_url": "http://localhost:8000", "user_storage": users,
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)},
        },
    )  # fmt: skip
    return app


async def come_by(browser: Visitor, name: str, provider: FakeProvider, user: str) -> Any:
    begun = await browser.get(f"/{name}/authzcodeflow", params={"scope": SCOPE}, headers=HTML)
    return await finish(browser, provider, begun.headers["location"], user)


async def test_an_account_is_linked_at_each_of_them(providers: tuple[FakeProvider, FakeProvider]) -> None:
    app = application(providers, local_login=True, link_accounts=True)
    with serve(app) as url:
        async with Visitor(url) as browser:
            await browser.sign_up("wonder")
            listed = (await browser.get("/api/linkedaccounts")).json()
            assert [provider["client"] for provider in listed["providers"]] == ["one", "two"]
            assert (await browser.call("/api/linkaccount")).status_code == 400
            for name, provider in zip(("one", "two"), providers, strict=True):
                begun = await browser.call("/api/linkaccount", client=name)
                done = await finish(browser, provider, begun.json()["url"], "alice")
                assert done.headers["location"] == "/linkedaccounts?linked=true"
            accounts = (await browser.get("/api/linkedaccounts")).json()["linkedAccounts"]
            assert [account["issuer"] for account in accounts] == [provider.url for provider in providers]
            page = await browser.get("/linkedaccounts", headers=HTML)
            assert len(re.findall(r">Unlink</button>", page.text)) == 2
            for name, provider in zip(("one", "two"), providers, strict=True):
                await browser.call("/api/logout")
                await come_by(browser, name, provider, "alice")
                assert await who(browser) == "wonder"


async def test_an_answer_of_one_is_none_of_the_other(providers: tuple[FakeProvider, FakeProvider]) -> None:
    app = application(providers, local_login=True, create_accounts=True)
    with serve(app) as url:
        async with Visitor(url) as browser:
            begun = await browser.get("/one/authzcodeflow", params={"scope": SCOPE}, headers=HTML)
            back = providers[0].sign_in(begun.headers["location"], "alice")
            query = back.partition("?")[2]
            assert (await browser.get(f"/two/authzcode?{query}", headers=HTML)).status_code == 401
            assert await who(browser) is None
            await browser.get(f"/one/authzcode?{query}", headers=HTML)
            assert await who(browser) == "alice"


async def test_the_first_that_names_somebody_counts(providers: tuple[FakeProvider, FakeProvider]) -> None:
    app = application(providers)
    add_routes(app)
    with serve(app) as url:
        async with Visitor(url) as browser:
            await come_by(browser, "two", providers[1], "bob")
            assert (await browser.get("/asking")).json()["user"] == "bob"
            await come_by(browser, "one", providers[0], "alice")
            told = (await browser.get("/asking")).json()
            assert (told["user"], told["id"]) == ("alice", f"{providers[0].url}#alice")
