"""Accounts at providers that a user links, looks at and unlinks."""

import html
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend.testing import FakeProvider
from tests.oauthclient import HTML, IN_SESSION, Visitor
from tests.oauthpeople import LOCAL, PeopleSite, come, finish, refused, who
from tests.support import PASSWORD

LINKS = {**LOCAL, "link_accounts": True}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


def site(provider: FakeProvider, client: dict[str, Any] | None = None, **options: Any) -> PeopleSite:
    return PeopleSite(provider, {**LINKS, **(client or {})}, **options)


async def link(browser: Visitor, provider: FakeProvider, user: str = "alice", **fields: str) -> Any:
    """Link an account as a script does."""
    begun = await browser.call("/api/linkaccount", **fields)
    assert begun.status_code == 200, begun.text
    return await finish(browser, provider, begun.json()["url"], user)


async def listed(browser: Visitor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await browser.get("/api/linkedaccounts")).json()["linkedAccounts"]
    return found


async def test_a_user_links_an_account_and_logs_in_with_it(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        await browser.sign_up("wonder")
        assert await listed(browser) == []
        done = await link(browser, provider)
        assert (done.status_code, done.headers["location"]) == (302, "/linkedaccounts?linked=true")
        (account,) = await listed(browser)
        assert (account["issuer"], account["subject"], account["name"]) == (provider.url, "alice", "")
        await browser.call("/api/logout")
        await come(browser, provider)
        assert await who(browser) == "wonder"
        assert here.heard.names.count("account_linked") == 1


async def test_the_same_by_pages(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        await browser.sign_up("wonder")
        page = await browser.get("/linkedaccounts", headers=HTML)
        assert "No accounts are linked yet" in page.text
        displayed = await browser.press(page, "Link 127.0.0.1")
        assert displayed.status_code == 200
        url = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', displayed.text)
        assert url is not None, displayed.text
        back = await finish(browser, provider, html.unescape(url.group(1)), "alice")
        page = await browser.get(back.headers["location"], headers=HTML)
        assert "The account has been linked" in page.text
        gone = await browser.press(page, "Unlink")
        assert "The account has been unlinked" in gone.text
        assert "No accounts are linked yet" in gone.text
        assert await listed(browser) == []
        assert [n for n in here.heard.names if n.startswith("account_")] == ["account_linked", "account_unlinked"]


async def test_its_user_is_told_by_mail(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        await browser.sign_up("wonder")
        await here.users.update_user({"id": 1, "email": "wonder@example.com"})
        await browser.call("/api/login", username="wonder", password=PASSWORD)
        await link(browser, provider)
        (account,) = await listed(browser)
        await browser.call("/api/linkedaccounts", account=account["account"])
        mails = (await browser.get("/api/outbox")).json()
        assert [mail["subject"] for mail in mails] == [
            "A login method was removed from your localhost account",
            "A login method was added to your localhost account",
        ]
        assert all(mail["to"] == "wonder@example.com" for mail in mails)
        assert "http://localhost:8000/linkedaccounts" in mails[1]["text"]
        assert "127.0.0.1" in mails[1]["text"]


async def test_a_login_that_is_old_is_made_again_first(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        await browser.sign_up("wonder")
        here.later(hours=1)
        assert refused(await browser.call("/api/linkaccount"))[0] == 401
        page = await browser.get("/linkedaccounts", headers=HTML)
        assert 'type="password"' in page.text
        wrong = await browser.press(page, "Link 127.0.0.1", password="wrong")
        assert wrong.status_code == 401
        assert "Link 127.0.0.1" in wrong.text
        await link(browser, provider, password=PASSWORD)
        (account,) = await listed(browser)
        here.later(hours=1)
        assert refused(await browser.call("/api/linkedaccounts", account=account["account"]))[0] == 401
        done = await browser.call("/api/linkedaccounts", account=account["account"], password=PASSWORD)
        assert done.json()["linkedAccounts"] == []


async def test_who_has_a_second_factor_is_asked_for_it(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        secret = await here.with_totp(browser)
        await browser.call("/api/login", username="alice", password=PASSWORD)
        await browser.call("/api/loginfactor2", otp=here.code(secret))
        (account,) = await listed(browser)
        asked = await browser.call("/api/linkedaccounts", account=account["account"])
        assert asked.json() == {"ok": True, "factor2Required": True, "factor2": "totp"}
        assert len(await listed(browser)) == 1
        done = await browser.call("/api/factor2", otp=here.code(secret))
        assert done.status_code == 200, done.text
        assert await listed(browser) == []


async def test_the_last_way_to_log_in_stays(provider: FakeProvider) -> None:
    here = site(provider, {"create_accounts": True})
    async with here.open() as browser:
        await come(browser, provider)
        (account,) = await listed(browser)
        assert refused(await browser.call("/api/linkedaccounts", account=account["account"])) == (
            409,
            "ConstraintViolation",
        )
        page = await browser.get("/linkedaccounts", headers=HTML)
        displayed = await browser.press(page, "Unlink")
        assert displayed.status_code == 409
        assert "the only way to log in" in displayed.text
        await link(browser, provider, "bob")
        first, second = await listed(browser)
        assert (await browser.call("/api/linkedaccounts", account=first["account"])).status_code == 200
        assert refused(await browser.call("/api/linkedaccounts", account=second["account"]))[0] == 409


async def test_who_has_no_password_logs_in_again_to_confirm(provider: FakeProvider) -> None:
    here = site(provider, {"create_accounts": True})
    async with here.open() as browser:
        await come(browser, provider)
        here.later(hours=1)
        answer = await browser.call("/api/linkaccount")
        assert refused(answer) == (401, "Unauthorized")
        assert "Log out and log in again" in answer.text
        await come(browser, provider)
        await link(browser, provider, "bob")
        assert len(await listed(browser)) == 2


async def test_an_account_that_is_somebody_elses_stays_theirs(provider: FakeProvider) -> None:
    here = site(provider)
    await here.linked("bob", "alice")
    async with here.open() as browser:
        await browser.sign_up("wonder")
        assert refused(await link(browser, provider)) == (409, "ConstraintViolation")
        assert await listed(browser) == []
        await browser.call("/api/logout")
        await come(browser, provider)
        assert await who(browser) == "bob"


async def test_what_is_not_there_and_what_is_missing(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        assert (await browser.get("/api/linkedaccounts")).status_code == 401
        assert (await browser.get("/linkedaccounts", headers=HTML)).status_code == 401
        assert refused(await browser.call("/api/linkaccount"))[0] == 401
        await browser.sign_up("wonder")
        for account in ("", "x", "\x00", "\ud7ff" * 1000):
            assert (await browser.call("/api/linkedaccounts", account=account)).status_code in (400, 404), account
        assert (await browser.call("/api/linkedaccounts")).status_code in (400, 404)
        assert refused(await browser.call("/api/linkaccount", client="other"))[0] == 400
        without = await browser.post("/api/linkaccount", json={})
        assert refused(without) == (403, "InvalidCsrf")


async def test_accounts_of_others_are_not_unlinked(provider: FakeProvider) -> None:
    here = site(provider)
    await here.linked("bob", "bob")
    async with here.open() as browser:
        await come(browser, provider, "bob")
        (account,) = await listed(browser)
        async with Visitor(str(browser.base_url)) as other:
            await other.sign_up("mallory")
            assert refused(await other.call("/api/linkedaccounts", account=account["account"]))[0] == 404
        assert len(await listed(browser)) == 1


async def test_without_the_option_there_are_no_such_endpoints(provider: FakeProvider) -> None:
    async with PeopleSite(provider, {**IN_SESSION}).open() as browser:
        await browser.sign_up()
        assert (await browser.get("/linkedaccounts", headers=HTML)).status_code == 404
        assert (await browser.call("/api/linkaccount")).status_code == 404
        page = await browser.get("/account", headers=HTML)
        assert "linkedaccounts" not in page.text
