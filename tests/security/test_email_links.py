"""What a link in an email does: nothing when it is opened, its own thing when its button is pressed, and no login elsewhere."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from crossauth_backend import UserState
from tests.accounts import Browser, World, name_of, storages

EMAIL = "alice@example.com"
ANY: Any = {"skip_active_check": True, "skip_email_verified_check": True}


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest) -> World:
    return World(**storages(request, request.param), enable_email_verification=True)


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with world.open() as url:
        yield url


def everything(world: World) -> tuple[Any, ...]:
    """What is stored: users with secrets, and every key of theirs and of nobody."""

    async def read() -> tuple[Any, ...]:
        users = await world.users.get_users()
        found = [await world.users.get_user_by_id(u.id, ANY) for u in users]
        keys = [await world.keys.get_all_for_user(u.id) for u in users] + [await world.keys.get_all_for_user(None)]
        return found, [sorted(map(str, each)) for each in keys]

    return asyncio.run(read())


def test_a_program_that_opens_links_changes_nothing(world: World, url: str) -> None:
    """A mail scanner that fetches the link, page and JSON, any number of times; good, used and unknown tokens."""
    with Browser(url) as browser, Browser(url) as scanner:
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        link = browser.link(EMAIL)
        before, sent, told = everything(world), len(browser.mail()), len(world.heard.events)
        for path in (link, f"/api{link}", "/verifyemail/unknown", "/api/verifyemail/unknown", "/verifyemail"):
            for _ in range(3):
                answer = scanner.get(path)
                assert "SESSIONID" not in answer.headers.get("set-cookie", "")
        assert scanner.get(f"/api{link}").json() == {"ok": True, "verified": False, "user": None}
        assert name_of(scanner.get("/api/verifyemail/unknown")) == "InvalidKey"
        assert (everything(world), len(browser.mail()), len(world.heard.events)) == (before, sent, told)
        # The person who comes after it is served.
        assert "Verify my email address" in browser.get(link).text
        assert browser.submit("/verifyemail", token=link.rpartition("/")[2]).status_code == 200
        assert browser.who() == "alice"
        assert "already verified" in scanner.get(link).text


def test_pressing_the_button_needs_a_token_of_ours(world: World, url: str) -> None:
    with Browser(url) as browser, Browser(url) as victim:
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        link = browser.link(EMAIL)
        victim.get(link)
        for path in (link, f"/api{link}"):
            answer = victim.post(path, json={})
            assert answer.status_code in (401, 403)
        assert asyncio.run(world.users.get_user_by_username("alice", ANY)).user.state == (
            UserState.awaiting_email_verification
        )


def test_a_link_logs_in_the_browser_that_signed_up_and_no_other(world: World, url: str) -> None:
    with Browser(url) as browser, Browser(url) as telephone:
        browser.sign_up("alice", user_email=EMAIL, factor2="none", next="/me")
        link = browser.link(EMAIL)
        page = telephone.submit(link)
        assert (page.status_code, "is verified" in page.text, "Log in to continue" in page.text) == (200, True, True)
        assert (telephone.who(), browser.who()) == (None, None)
        again = browser.submit(link)
        assert (again.status_code, "already verified" in again.text, browser.who()) == (200, True, None)
        browser.sign_up("bob", user_email="bob@example.com", factor2="none", next="/me")
        page = browser.submit(browser.link("bob@example.com"))
        assert (browser.who(), 'href="/me"' in page.text) == ("bob", True)


def test_a_link_never_replaces_somebody_elses_session(world: World, url: str) -> None:
    """A stranger's own link, opened and confirmed by somebody who is logged in."""
    with Browser(url) as mallory, Browser(url) as victim:
        victim.sign_up("alice", user_email=EMAIL, factor2="none")
        victim.submit(victim.link(EMAIL))
        mallory.sign_up("mallory", user_email="mallory@example.com", factor2="none")
        page = victim.submit(mallory.link("mallory@example.com"))
        assert "logged in with a different account" in page.text
        assert victim.who() == "alice"
        answer = victim.call(f"/api{mallory.link('mallory@example.com')}").json()
        assert answer == {"ok": True, "verified": True, "user": None}


def test_a_link_to_change_an_address_does_it_once_and_says_so_the_second_time(world: World, url: str) -> None:
    with Browser(url) as browser, Browser(url) as telephone:
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        browser.submit(browser.link(EMAIL))
        browser.call("/api/updateuser", user_email="new@example.com")
        link = browser.link("new@example.com")
        page = telephone.get(link)
        assert "Change my email address" in page.text
        assert asyncio.run(world.users.get_user_by_id(1)).user.email == EMAIL
        page = browser.submit(link)
        assert "is verified" in page.text
        assert browser.who() == "alice", "who is logged in goes on, in a new session"
        found = asyncio.run(world.users.get_user_by_id(1)).user
        assert (found.email, found.email_verified_at is not None) == ("new@example.com", True)
        assert telephone.call(f"/api{link}").json()["verified"] is True
        assert telephone.who() is None
        browser.call("/api/updateuser", user_email="third@example.com")
        browser.submit(browser.link("third@example.com"))
        assert name_of(telephone.call(f"/api{link}")) == "InvalidKey", "it is another's address by now"


def test_a_link_is_void_when_the_account_has_changed(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        browser.submit(browser.link(EMAIL))
        browser.call("/api/updateuser", user_email="thief@example.com")
        link = browser.link("thief@example.com")
        asyncio.run(world.users.update_user({"id": 1, "email": "right@example.com"}))
        assert name_of(browser.get(f"/api{link}")) == "InvalidKey"
        assert name_of(browser.call(f"/api{link}")) == "InvalidKey"
        assert asyncio.run(world.users.get_user_by_id(1)).user.email == "right@example.com"


def test_a_link_says_what_to_do_when_its_time_is_up(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        link = browser.link(EMAIL)
        world.later(hours=25)
        for answer in (browser.get(link), browser.submit(link)):
            assert answer.status_code == 401
            assert "Send a new link" in answer.text
            assert "has expired" in answer.text
            assert "Please log in" not in answer.text
        assert name_of(browser.get(f"/api{link}")) == "Expired"


def test_a_link_with_a_second_factor_asks_for_it_where_the_sign_up_began(world: World, url: str) -> None:
    with Browser(url) as browser, Browser(url) as telephone:
        displayed = browser.sign_up("alice", user_email=EMAIL, factor2="totp").json()
        browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"]))
        link = browser.link(EMAIL)
        assert telephone.get(f"/api{link}").json() == {"ok": True, "verified": False, "user": None}
        answer = browser.call(f"/api{link}").json()
        assert (answer["twoFactorRequired"], answer["user"], browser.who()) == (True, None, None)
        assert browser.give(world.code(displayed["totpsecret"])).json()["user"]["username"] == "alice"
