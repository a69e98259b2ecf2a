"""What must be over when a login at a provider is over, in the worst order: sessions that it opened, tokens, linked accounts."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import Request, Response

from crossauth_backend import CrossauthError, ErrorCode, InMemoryIdentityStorage, InMemoryKeyStorage
from crossauth_backend.testing import FakeProvider, Fault
from crossauth_backend.users.identities import Identity
from crossauth_fastapi.fastapioauthclient import FastApiOAuthClient, save_in_session_and_redirect
from tests.flows.test_oauth_client_links import listed
from tests.flows.test_oauth_client_logout import OIDC, has_tokens, log_in
from tests.oauthclient import HTML, IN_SESSION, TOKENS, ClientSite, Visitor
from tests.oauthpeople import LOCAL as BY_LINK
from tests.oauthpeople import PeopleSite, come, finish, who
from tests.patience import PATIENCE
from tests.support import CSRF, PASSWORD

LOCAL = {
    **OIDC, "valid_flows": ["oidcAuthorizationCode", "refresh_token", "password"], "local_login": True,
    "user_match_field": "username", "id_token_match_field": "sub",
}  # fmt: skip
NEW = "another good passphrase 7"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def notify(browser: Visitor, provider: FakeProvider, **said: Any) -> httpx2.Response:
    """The provider sends a logout token."""
    async with httpx2.AsyncClient(base_url=str(browser.base_url), trust_env=False) as sender:
        return await sender.post("/backchannellogout", data={"logout_token": provider.logout_token(**said)})


async def nothing(browser: Visitor, provider: FakeProvider) -> None:
    """The tokens stay."""


async def forget(browser: Visitor, provider: FakeProvider) -> None:
    """The tokens are deleted."""
    assert (await browser.call("/api/deletetokens")).json() == {"ok": True}


async def replace(browser: Visitor, provider: FakeProvider) -> None:
    """They are replaced by those of somebody else at the provider."""
    assert (await browser.call("/passwordflow", username="bob", password="password of bob")).status_code == 303


async def replace_and_forget(browser: Visitor, provider: FakeProvider) -> None:
    """Both."""
    await replace(browser, provider)
    await forget(browser, provider)


@pytest.mark.parametrize("become", [nothing, forget, replace, replace_and_forget])
async def test_a_local_session_ends_with_its_login_whatever_became_of_the_tokens(
    provider: FakeProvider, become: Any
) -> None:
    """Whoever has stolen the session could otherwise keep it by forgetting the tokens."""
    async with ClientSite(provider, LOCAL).open() as browser, browser.another() as owner:
        await owner.sign_up("alice")
        await log_in(browser, provider)
        await become(browser, provider)
        assert await who(browser) == "alice"
        assert (await notify(browser, provider, sub="alice", sid=provider.sessions["alice"])).status_code == 200
        assert [await who(b) for b in (browser, owner)] == [None, "alice"]


async def test_a_local_session_ends_with_its_login_where_the_application_keeps_the_tokens(
    provider: FakeProvider,
) -> None:
    async def receive(told: Any, client: FastApiOAuthClient, request: Request, response: Response) -> Response | None:
        return await save_in_session_and_redirect(told, client, request, response)

    custom = {**LOCAL, "token_response_type": "custom", "receive_token_fn": receive}
    del custom["authorized_url"]
    async with ClientSite(provider, custom).open() as browser, browser.another() as owner:
        await owner.sign_up("alice")
        begun = await browser.get("/authzcodeflow", params={"scope": "openid"})
        back = provider.sign_in(begun.headers["location"], "alice")
        assert (await browser.get(back.removeprefix("http://localhost:8000"))).status_code == 302
        assert await has_tokens(browser)
        assert await who(browser) == "alice"
        assert (await notify(browser, provider, sub="alice")).status_code == 200
        assert await who(browser) is None


async def test_a_storage_that_fails_in_the_middle_leaves_no_session_of_a_login_that_is_over(
    provider: FakeProvider,
) -> None:
    """The tokens are what tells that it is over."""

    class Failing(InMemoryKeyStorage):
        fails = False

        async def delete_key(self, value: str) -> None:
            if self.fails and value.startswith("s:"):
                raise CrossauthError(ErrorCode.Connection, "The database is away", status=503)
            await super().delete_key(value)

    keys = Failing()
    async with ClientSite(provider, LOCAL, keys=keys).open() as browser, browser.another() as owner:
        await owner.sign_up("alice")
        await log_in(browser, provider)
        assert (await notify(browser, provider, sub="alice")).status_code == 200
        keys.fails = True
        assert (await browser.get("/api/userforsessionkey")).status_code == 503
        keys.fails = False
        assert await who(browser) is None


async def test_an_account_that_is_unlinked_while_somebody_logs_in_with_it_stays_unlinked(
    provider: FakeProvider,
) -> None:
    class Unlinked(InMemoryIdentityStorage):
        """Its user is faster than the login: the account is unlinked when the login has found whose it is."""

        finds = 0

        async def find(self, iss: str, sub: str) -> Identity | None:
            found = await super().find(iss, sub)
            self.finds += 1
            if found is not None and self.finds == 2:
                await self.unlink(iss, sub, found.userid)
            return found

    for number in (1, 2):
        identities = Unlinked()
        identities.finds = 2 - number
        here = PeopleSite(provider, {**BY_LINK, "identity_storage": identities})
        user = await here.user()
        await identities.link(here.issuer, "alice", user.id)
        async with here.open() as browser:
            await come(browser, provider)
            assert await identities.of_user(user.id) == [], number


class AtTheSwap(InMemoryKeyStorage):
    """Does something right before what a refresh got is stored: as late as can be."""

    before: Any = None

    async def swap_data(self, value: str, expected: str, new: str) -> bool:
        if self.before is not None and value.startswith("s:"):
            act, self.before = self.before, None
            await act()
        return await super().swap_data(value, expected, new)

    async def update_many_data(self, key_name: str, data_array: Any) -> None:
        if self.before is not None:
            act, self.before = self.before, None
            await act()
        await super().update_many_data(key_name, data_array)


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("way", ["deleted", "logged out", "somebody else", "another entry"])
async def test_a_refresh_that_ends_after_that_brings_no_tokens_back(
    provider: FakeProvider, way: str, sent: bool
) -> None:
    """Also where the browser sends the refresh token of the session itself."""
    keys = AtTheSwap()
    site = ClientSite(provider, {**LOCAL, "local_login": False}, keys=keys)
    async with site.open() as browser:
        await browser.sign_up("alice")
        await log_in(browser, provider)
        token = await browser.token()

        async def post(path: str, **fields: str) -> None:
            # Of the loop that serves the site, where this is called.
            async with browser.another() as same:
                same.cookies.update(browser.cookies)
                answer = await same.post(path, json=fields, headers={CSRF: token})
            assert answer.status_code in (200, 303), answer.text

        async def act() -> None:
            if way == "deleted":
                await post("/api/deletetokens")
            elif way == "logged out":
                await post("/api/logout")
            elif way == "somebody else":
                await post("/passwordflow", username="bob", password="password of bob", scope="openid")
            else:
                (session,) = [key for key in await keys.get_all_for_user(1) if key.value.startswith("s:")]
                await keys.update_data(session.value, "cart", "full")

        path, fields = "/api/refreshtokens", {}
        if sent:
            displayed = (await browser.call("/refresh_token", decode=False)).json()
            path, fields = "/refreshtokenflow", {"refresh_token": displayed["token"]}
        keys.before = act
        answer = await browser.post(path, json=fields, headers={CSRF: token})
        assert keys.before is None
        if way in ("deleted", "logged out"):
            assert answer.status_code == 401
            assert not await has_tokens(browser)
            assert provider.refresh_tokens == {}, "nor is there one that is still good"
        else:
            assert answer.status_code == (303 if sent else 200)
            displayed = (await browser.call("/id_token")).json()
            assert displayed["sub"] == ("bob" if way == "somebody else" else "alice")


async def join(browser: Visitor) -> None:
    """Sign up with alice's address."""
    fields = {"username": "alice", "user_email": "alice@example.com", "password": PASSWORD, "repeat_password": PASSWORD}
    done = await browser.call("/api/signup", **fields)
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(
    ("client", "became"), [({**IN_SESSION, **TOKENS}, nothing), ({**IN_SESSION, **TOKENS}, forget), ({}, nothing)]
)
async def test_an_account_that_is_unlinked_takes_its_sessions_with_it(
    provider: FakeProvider, client: dict[str, Any], became: Any
) -> None:
    """Such as a thief's, who had linked it."""
    client = {"local_login": True, "link_accounts": True, **client}
    here = PeopleSite(provider, client, enable_email_verification=False)
    async with here.open() as owner, owner.another() as thief, owner.another() as slow:
        await join(owner)
        await here.identities.link(here.issuer, "mallory", 1)
        await here.identities.link(here.issuer, "alice", 1)
        await come(thief, provider, "mallory")
        await became(thief, provider)
        assert await who(thief) == "alice"
        (own,) = [one for one in await listed(owner) if one["subject"] == "mallory"]
        assert (await owner.call("/api/linkedaccounts", account=own["account"])).status_code == 200
        assert [await who(b) for b in (owner, thief)] == ["alice", None]
        here.later(seconds=2)
        await come(slow, provider, "alice")
        assert await who(slow) == "alice"


async def set_password(browser: Visitor, address: str) -> None:
    """Whoever reads the mail of this address chooses a password by it."""
    await browser.call("/api/requestpasswordreset", email=address)
    mails = (await browser.get("/api/outbox")).json()
    text = next(
        text
        for text in map(json.dumps, mails["mails"] if isinstance(mails, dict) else mails)
        if "resetpassword" in text
    )
    token = re.findall(r"resetpassword\?token=([\w-]+)", text)[0]
    done = await browser.call("/api/resetpassword", token=token, new_password=NEW, repeat_password=NEW)
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(
    "mallory", [{}, {"email": "alice@example.com"}, {"email": "m@example.com", "email_verified": True}]
)
async def test_a_password_reset_leaves_no_account_that_an_attacker_has_linked(
    provider: FakeProvider, mallory: dict[str, Any]
) -> None:
    """Who registered the address before its owner did, or has stolen a login: pre-hijacking by a Trojan identifier
    (Sudhodanan and Paverd, USENIX Security 2022).
    """
    provider.users["mallory"] = mallory
    here = PeopleSite(provider, {**BY_LINK, "link_accounts": True}, enable_email_verification=False)
    async with here.open() as attacker, attacker.another() as owner:
        await join(attacker)
        begun = await attacker.call("/api/linkaccount", scope="openid email")
        assert (await finish(attacker, provider, begun.json()["url"], "mallory")).status_code == 302
        await attacker.call("/api/logout")
        await come(attacker, provider, "mallory")
        assert await who(attacker) == "alice"
        await set_password(owner, "alice@example.com")
        assert (await come(attacker, provider, "mallory")).status_code == 401
        assert [await who(b) for b in (attacker, owner)] == [None, "alice"]
        assert here.heard.names.count("account_unlinked") == 1
        assert "was unlinked" in (await owner.get("/api/outbox")).text


async def test_a_password_reset_leaves_what_the_owner_of_the_address_has_linked(provider: FakeProvider) -> None:
    provider.users["alice"] = {"email": "Alice@example.com", "email_verified": True}
    for client in ({"create_accounts": True}, {"link_accounts": True}):
        here = PeopleSite(provider, {**BY_LINK, **client}, enable_email_verification="link_accounts" not in client)
        async with here.open() as browser:
            if "link_accounts" in client:
                await join(browser)
                begun = await browser.call("/api/linkaccount", scope="openid email")
                await finish(browser, provider, begun.json()["url"], "alice")
            else:
                await come(browser, provider)
            name = await who(browser)
            assert name is not None
            await set_password(browser, "alice@example.com")
            await browser.call("/api/logout")
            await come(browser, provider)
            assert await who(browser) == name
            # Not any more where the address is another by then.
            await here.users.update_user({"id": 1, "email": "next@example.com"})
            await set_password(browser, "next@example.com")
            assert await here.identities.of_user(1) == []


@pytest.mark.parametrize("host", ["log_out.test", "out.test;script-src", "out.test.", "a" * 250 + ".test", "[::1]"])
async def test_a_user_can_log_out_wherever_the_provider_does_so(provider: FakeProvider, host: str) -> None:
    """Its name must not become another policy of the page, nor keep the page from being shown."""
    provider.settings.metadata["end_session_endpoint"] = f"https://{host}/end"
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        page = await browser.get("/logoutoidc", headers=HTML)
        assert page.status_code == 200, page.text
        assert page.headers["content-security-policy"].count("script-src") == 1
        answer = await browser.press(page, "Log out")
        assert (answer.status_code, answer.headers["location"][:12]) == (303, f"https://{host}"[:12])
        assert not await has_tokens(browser)


@pytest.mark.parametrize("name", ["schlüssel", "a\\b", "a b"])
async def test_tokens_are_found_whatever_they_are_kept_under(provider: FakeProvider, name: str) -> None:
    """Those that are not seen do not end."""
    async with ClientSite(provider, {**OIDC, "session_data_name": name}).open() as browser:
        await log_in(browser, provider)
        assert await has_tokens(browser)
        assert (await notify(browser, provider, sub="alice")).status_code == 200
        assert not await has_tokens(browser)


async def test_a_login_under_way_brings_no_session_back_that_was_ended_meanwhile(provider: FakeProvider) -> None:
    """Neither the tokens of another provider that were in it."""
    clients = [
        {
            "auth_server_base_url": provider.url,
            "options": {
                **provider.client_options,
                **OIDC,
                "prefix": f"/{name}/",
                "session_data_name": name,
                "fetch_timeout": PATIENCE,
                "site_url": "http://localhost:8000",
                "redirect_uri": f"http://localhost:8000/{name}/authzcode",
            },
        }
        for name in ("one", "two")
    ]
    async with ClientSite(provider, clients=clients).open() as browser, browser.another() as tab:

        async def begin(name: str) -> str:
            begun = await browser.get(f"/{name}/authzcodeflow", params={"scope": "openid"})
            assert begun.status_code == 302, begun.text
            return provider.sign_in(begun.headers["location"], "alice").removeprefix("http://localhost:8000")

        async def tokens(name: str) -> bool:
            return bool((await browser.call(f"/{name}/have_access_token")).json()["ok"])

        assert (await browser.get(await begin("one"))).status_code == 302
        assert await tokens("one")
        back, csrf = await begin("two"), await browser.token()
        tab.cookies.update(browser.cookies)
        provider.delays["token"] = 1.5
        under_way = asyncio.create_task(browser.get(back))
        await asyncio.sleep(0.5)
        assert (await tab.post("/api/logout", headers={CSRF: csrf})).status_code == 200
        assert (await under_way).status_code == 302
        assert [await tokens(name) for name in ("one", "two")] == [False, True]


async def test_a_local_session_ends_with_the_refresh_token_of_its_login(provider: FakeProvider) -> None:
    """RFC 10017. A provider that only has no answer ends nothing, nor do tokens of another login than the session's."""
    async with ClientSite(provider, LOCAL).open() as browser, browser.another() as owner:
        await owner.sign_up("alice")
        await log_in(browser, provider)
        provider.faults["token"] = Fault.UNAVAILABLE
        assert (await browser.call("/api/refreshtokens")).status_code == 502
        del provider.faults["token"]
        assert (await who(browser), await has_tokens(browser)) == ("alice", True)
        await replace(owner, provider)
        provider.refresh_tokens.clear()
        for one in (browser, owner):
            assert (await one.call("/api/refreshtokens")).status_code == 401
            assert not await has_tokens(one)
        assert [await who(b) for b in (browser, owner)] == [None, "alice"]
