"""A second factor whose set-up was given up stands in the way of nothing that is asked for later."""

from collections.abc import Iterator

import pytest

from tests.accounts import Browser, World, name_of

EMAIL = "alice@example.com"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def alice(world: World) -> Iterator[Browser]:
    """Logged in, with codes by email, and in the middle of setting up an authenticator app instead."""
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(user_email=EMAIL)
        browser.call("/api/changefactor2", factor2="email")
        assert browser.call("/api/configurefactor2", otp=browser.mailed_code()).status_code == 200
        assert browser.call("/api/changefactor2", factor2="totp").json()["factor2Required"] is True
        begun = browser.call("/api/factor2", otp=browser.mailed_code())
        assert begun.json()["factor2"] == "totp"
        yield browser


@pytest.mark.parametrize("minutes", [5, 50, 120])
def test_a_code_is_sent_again_for_the_request_that_waits_not_for_a_set_up_that_was_given_up(
    world: World, alice: Browser, minutes: int
) -> None:
    world.later(minutes=minutes)
    assert alice.call("/api/updateuser", user_email="new@example.com").json()["factor2Required"] is True
    sent = len(alice.mail())
    assert alice.call("/api/resendcode").json()["factor2"] == "email"
    assert len(alice.mail()) == sent + 1
    assert alice.call("/api/factor2", otp=alice.mailed_code()).json()["ok"] is True
    assert alice.get("/api/userforsessionkey").json()["user"]["email"] == "new@example.com"


def test_what_was_asked_for_last_is_sent_its_code_whether_request_or_set_up() -> None:
    world = World(factor2_protected_page_endpoints=["/me"])
    with world.open() as url, Browser(url) as alice:
        alice.sign_up(user_email=EMAIL)
        alice.call("/api/changefactor2", factor2="email")
        assert alice.call("/api/configurefactor2", otp=alice.mailed_code()).status_code == 200
        assert alice.get("/me").status_code == 303, "a page that only shows something waits, too"
        world.later(minutes=2)
        alice.call("/api/changefactor2", factor2="email")
        assert alice.call("/api/factor2", otp=alice.mailed_code()).json()["factor2"] == "email"
        assert 'action="/configurefactor2"' in alice.submit("/resendcode").text
        world.later(minutes=2)
        assert alice.get("/me").status_code == 303
        page = alice.submit("/resendcode").text
        assert 'action="/factor2"' in page
        assert "Send code" not in page + alice.get("/factor2").text, "it was sent just now"
        assert alice.submit("/factor2", otp=alice.mailed_code()).json() == {"username": "alice"}


def test_a_set_up_that_waited_too_long_begins_anew_and_asks_as_any_other(world: World, alice: Browser) -> None:
    world.later(hours=2)
    assert alice.call("/api/configurefactor2").json()["factor2Required"] is True, "no way around the question"
    begun = alice.call("/api/factor2", otp=alice.mailed_code())
    assert (begun.json()["ok"], begun.json()["factor2"]) == (True, "email")
    assert alice.call("/api/configurefactor2", otp=alice.mailed_code()).json()["ok"] is True


def test_the_page_of_a_set_up_that_waited_too_long_offers_to_begin_anew(world: World, alice: Browser) -> None:
    world.later(hours=2)
    page = alice.get("/configurefactor2")
    assert page.status_code == 200, page.text
    assert 'action="/configurefactor2"' in page.text


def test_another_browser_with_the_session_has_no_code_sent_for_what_it_did_not_ask(
    world: World, alice: Browser
) -> None:
    alice.call("/api/updateuser", user_email="new@example.com")
    sent = len(alice.mail())
    with Browser(str(alice.base_url)) as thief:
        for cookie in alice.cookies.jar:
            if "SESSIONID" in cookie.name:
                thief.cookies.set(cookie.name, cookie.value or "")
        assert name_of(thief.call("/api/resendcode")) == "Unauthorized"
    assert len(alice.mail()) == sent
