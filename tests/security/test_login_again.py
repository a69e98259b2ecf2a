"""Logging in while somebody is logged in: the credentials are checked, and decide."""

from collections.abc import Iterator

import pytest

from tests.accounts import Browser, World, name_of
from tests.support import CSRF, PASSWORD


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with world.open() as url, Browser(url) as browser:
        for name in ("alice", "bob"):
            browser.sign_up(name, factor2="none")
            browser.call("/api/logout")
        yield url


@pytest.mark.parametrize("page", [False, True])
def test_wrong_credentials_are_refused_and_leave_the_session(url: str, page: bool) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        session = browser.cookies["SESSIONID"]
        for name in ("bob", "alice", "nobody"):
            if page:
                answer = browser.submit("/login", username=name, password="Wrong1password")
                assert 'name="password"' in answer.text, "the form again"
            else:
                answer = browser.log_in(name, "Wrong1password")
                assert name_of(answer) == "UsernameOrPasswordInvalid"
            assert answer.status_code == 401
            assert (browser.who(), browser.cookies["SESSIONID"]) == ("alice", session)


@pytest.mark.parametrize("name", ["alice", "bob"])
@pytest.mark.parametrize("page", [False, True])
def test_right_credentials_open_a_new_session_and_end_the_old_one(url: str, page: bool, name: str) -> None:
    with Browser(url) as browser, Browser(url) as copy:
        browser.log_in("alice")
        old = browser.cookies["SESSIONID"]
        if page:
            answer = browser.submit("/login", username=name, password=PASSWORD, next="/me")
            assert (answer.status_code, answer.headers["location"]) == (303, "/me")
        else:
            answer = browser.log_in(name)
            assert (answer.json()["ok"], answer.json()["user"]["username"]) == (True, name)
        assert browser.who() == name
        assert browser.cookies["SESSIONID"] != old
        copy.cookies.set("SESSIONID", old, domain="127.0.0.1")
        assert copy.who() is None


def test_a_code_that_nobody_asked_for_is_refused_and_leaves_the_session(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.log_in("alice")
        assert name_of(browser.call("/api/loginfactor2", otp="123456")) == "Unauthorized"
        page = browser.submit("/loginfactor2", otp="123456")
        assert page.status_code == 401
        assert browser.who() == "alice"


def test_another_user_with_a_second_factor_is_asked_for_it(world: World, url: str) -> None:
    with Browser(url) as browser, Browser(url) as bob:
        bob.log_in("bob")
        secret, _ = bob.add_totp(world)
        browser.log_in("alice")
        browser.asked("bob")
        assert browser.give(world.code(secret)).json()["user"]["username"] == "bob"


def test_a_second_login_tab_is_sent_on_whatever_its_form_carries(url: str) -> None:
    """The form was made before the login in the first tab, so its token is another by now."""
    with Browser(url) as browser:
        stale = browser.token()
        browser.log_in("alice")
        form = {"username": "alice", "password": PASSWORD, "csrfToken": stale, "next": "/me"}
        answer = browser.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/me")
        assert browser.get("/login?next=/me").headers["location"] == "/me"
        refused = browser.post("/api/login", json=form, headers={CSRF: "wrong"})
        assert name_of(refused) == "InvalidCsrf"
        assert browser.who() == "alice"
