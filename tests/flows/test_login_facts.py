"""What a session knows of its login, through whatever its user does, and logging in while somebody is logged in."""

import asyncio
import json
import re
from collections.abc import Iterator

import pytest
from fastapi import Request, Response

from crossauth_backend import Key, TotpAuthenticator
from crossauth_backend.accounts.authentication import Authentication, auth_of
from tests.accounts import NEW, Browser, World, name_of
from tests.support import PASSWORD


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with world.open() as url, Browser(url) as browser:
        for name in ("alice", "bob"):
            browser.sign_up(name, factor2="none", user_email=f"{name}@example.com")
            browser.call("/api/logout")
        yield url


def session_of(world: World, browser: Browser) -> Key:
    session = world.manager.session
    return asyncio.run(session.get_session_key(session.unsign_cookie(browser.cookies["SESSIONID"])))


def facts(world: World, browser: Browser) -> Authentication:
    found = auth_of(session_of(world, browser))
    assert found is not None
    assert found.auth_time is not None
    assert found.sid is not None
    return found


def texted(world: World, browser: Browser) -> str:
    """The code in the newest text message."""
    browser.mail()  # waits until it was sent
    found = re.search(r"\d{6}", world.sms.messages[-1][1])
    assert found is not None
    return found.group()


def is_dead(url: str, cookie: str) -> bool:
    with Browser(url) as copy:
        copy.cookies.set("SESSIONID", cookie, domain="127.0.0.1")
        return copy.who() is None


@pytest.mark.parametrize("page", [False, True])
def test_the_same_user_again_is_fresher_in_a_new_session_of_the_same_sid(world: World, url: str, page: bool) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before, old = facts(world, browser), browser.cookies["SESSIONID"]
        world.later(minutes=5)
        if page:
            browser.submit("/login?prompt=login", username="alice", password=PASSWORD)
        else:
            browser.log_in("alice")
        after = facts(world, browser)
        assert after.sid == before.sid
        assert (after.auth_time or 0) - (before.auth_time or 0) >= 300
        assert browser.cookies["SESSIONID"] != old
        assert is_dead(url, old)
        assert browser.who() == "alice"


def test_another_user_has_another_sid_and_the_old_session_ends(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before, old = facts(world, browser), browser.cookies["SESSIONID"]
        browser.log_in("bob")
        assert facts(world, browser).sid != before.sid
        assert is_dead(url, old)
        assert browser.who() == "bob"
        browser.log_in("alice")
        assert facts(world, browser).sid != before.sid, "that login has ended"


def test_wrong_credentials_leave_the_session_as_it_was(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before = session_of(world, browser)
        world.later(seconds=5)
        for name in ("alice", "bob", "nobody"):
            assert name_of(browser.log_in(name, "Wrong1password")) == "UsernameOrPasswordInvalid"
        after = session_of(world, browser)
        assert (after.value, after.data, after.created) == (before.value, before.data, before.created)


def test_a_login_after_a_logout_has_a_new_sid(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before = facts(world, browser)
        browser.call("/api/logout")
        browser.log_in("alice")
        assert facts(world, browser).sid != before.sid


def test_a_password_change_renews_the_session_and_is_no_login(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before, old = facts(world, browser), browser.cookies["SESSIONID"]
        world.heard.events.clear()
        world.later(minutes=5)
        done = browser.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
        assert done.json()["ok"] is True
        assert browser.cookies["SESSIONID"] != old
        assert is_dead(url, old)
        assert facts(world, browser) == before, "auth_time, amr and sid"
        assert "login_succeeded" not in world.heard.names


def test_a_new_address_renews_the_session_and_is_no_login(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before, old = facts(world, browser), browser.cookies["SESSIONID"]
        world.later(minutes=5)
        assert browser.call("/api/updateuser", user_email="new@example.com").json()["ok"] is True
        assert browser.cookies["SESSIONID"] != old
        assert facts(world, browser) == before


def test_a_second_factor_is_one_of_the_methods_when_it_is_given(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before = facts(world, browser)
        assert before.amr == ("pwd",)
        secret, codes = browser.add_totp(world)
        assert facts(world, browser) == before, "setting one up is no login"
        world.later(minutes=1)
        browser.asked("alice")
        assert browser.give(world.code(secret)).json()["ok"] is True
        after = facts(world, browser)
        assert (after.amr, after.sid) == (("pwd", "otp"), before.sid)
        assert (after.auth_time or 0) > (before.auth_time or 0)
        browser.asked("alice")
        assert browser.give(codes[0]).json()["ok"] is True
        assert facts(world, browser).amr == ("pwd", "otp"), "a recovery code"
        browser.call("/api/logout")
        browser.asked("alice")
        browser.give(world.code(secret))
        assert facts(world, browser).sid != before.sid


def test_a_code_by_text_message_is_named_as_such(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        browser.call("/api/updateuser", user_phone="+4369912345678")
        browser.call("/api/changefactor2", factor2="sms")
        assert browser.call("/api/configurefactor2", otp=texted(world, browser)).json()["ok"] is True
        browser.call("/api/logout")
        world.later(minutes=1)
        browser.asked("alice")
        assert browser.give(texted(world, browser)).json()["ok"] is True
        assert facts(world, browser).amr == ("pwd", "sms")


def test_the_password_asked_for_again_makes_the_same_session_fresher(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        before = facts(world, browser)
        world.later(minutes=61)
        assert browser.call("/api/changefactor2", factor2="totp").json()["passwordRequired"] is True
        assert facts(world, browser) == before
        assert browser.call("/api/changefactor2", factor2="totp", password=PASSWORD).json()["ok"] is True
        after = facts(world, browser)
        assert (after.sid, after.amr) == (before.sid, ("pwd",))
        assert (after.auth_time or 0) - (before.auth_time or 0) >= 3600


@pytest.mark.parametrize("prompt", ["login", "select_account", "consent login", "login " * 500])
def test_the_login_page_is_shown_again_where_it_is_to_be(world: World, url: str, prompt: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        page = browser.get("/login", params={"prompt": prompt, "next": "/me"})
        assert (page.status_code, 'name="password"' in page.text) == (200, True)


@pytest.mark.parametrize("prompt", ["", "none", "consent", "LOGIN", "login,consent", "\x00", "%ud800"])
def test_whoever_is_logged_in_is_sent_on_otherwise(world: World, url: str, prompt: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        answer = browser.get("/login", params={"prompt": prompt, "next": "/me"})
        assert (answer.status_code, answer.headers["location"]) == (302, "/me")


def test_no_answer_and_no_event_says_the_sid(world: World, url: str) -> None:
    with Browser(url) as browser:
        login = browser.log_in("alice")
        sid = str(facts(world, browser).sid)
        for answer in (
            login,
            browser.get("/api/userforsessionkey"),
            browser.get("/api/sessions"),
            browser.get("/sessions"),
        ):
            assert sid not in answer.text
            assert sid not in json.dumps(dict(answer.headers))
        assert sid not in repr(world.heard.events)
        assert sid not in browser.cookies["SESSIONID"]


def test_a_factor_says_what_it_is(world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TotpAuthenticator, "amr", ("kba",))
    with Browser(url) as browser:
        browser.log_in("alice")
        secret, _ = browser.add_totp(world)
        browser.call("/api/logout")
        browser.asked("alice")
        assert browser.give(world.code(secret)).json()["ok"] is True, "that it is of the same kind locks nobody out"
        assert facts(world, browser).amr == ("pwd", "kba")


def test_how_the_application_has_proven_a_user_is_not_known() -> None:
    """By another site, say."""
    world = World()
    server, app = world.server.session_server, world.server.app
    assert server is not None

    @app.get("/social/{name}")
    async def social(name: str, request: Request, bypass: bool = False) -> Response:
        user = (await world.users.get_user_by_username(name)).user
        return await server.login_with_user(user, bypass, request, Response("in"), lambda answer, user: answer)

    with world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", factor2="none")
        secret, _ = browser.add_totp(world)
        browser.call("/api/logout")
        assert browser.get("/social/alice?bypass=true").text == "in"
        assert facts(world, browser).amr == ()
        before = facts(world, browser).sid
        assert browser.get("/social/alice").status_code == 401
        assert browser.who() is None
        assert browser.give(world.code(secret)).json()["ok"] is True
        after = facts(world, browser)
        assert (after.amr, after.sid) == (("mfa", "otp"), before)
        browser.call("/api/logout")
        browser.sign_up("bob", factor2="none")
        browser.call("/api/logout")
        assert browser.get("/social/bob").text == "in"
        assert facts(world, browser).amr == ()


def test_a_login_that_has_to_change_the_password_first(world: World, url: str) -> None:
    asyncio.run(world.users.update_user({"id": 1, "state": "passwordchangeneeded"}))
    with Browser(url) as browser:
        assert browser.submit("/login", username="alice", password=PASSWORD).status_code == 303
        world.heard.events.clear()
        fields = {"old_password": PASSWORD, "new_password": NEW, "repeat_password": NEW}
        assert browser.submit("/changepassword", **fields).status_code == 303
        assert (browser.who(), facts(world, browser).amr) == ("alice", ("pwd",))
        assert "login_succeeded" in world.heard.names, "that ends a login"
