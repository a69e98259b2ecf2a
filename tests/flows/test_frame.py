"""What surrounds every page: the menu, the tabs, the banner in development, and what an error page says to do next."""

import re
from collections.abc import Iterator

import pytest

from tests.accounts import Browser, World
from tests.flows.test_refusals import HTML
from tests.support import PASSWORD


@pytest.fixture
def world() -> World:
    return World(enable_email_verification=True)


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url, headers=HTML) as browser:
        yield browser


def tabs(page: str) -> list[str]:
    found = re.search(r'<nav class="tabs".*?</nav>', page, re.DOTALL)
    return re.findall(r">([^<>\n]+)</a>", found.group()) if found else []


def current(page: str) -> list[str]:
    return re.findall(r'aria-current="page">([^<]+)<', page)


def alice(browser: Browser) -> None:
    browser.call("/api/signup", username="alice", user_email="a@example.com", password=PASSWORD,
                 repeat_password=PASSWORD)  # fmt: skip
    browser.call("/api/verifyemail", token=browser.link("a@example.com").rpartition("/")[2])
    browser.log_in("alice")


def test_a_page_of_the_account_says_where_it_is(browser: Browser) -> None:
    alice(browser)
    for path, tab in (("updateuser", "Profile"), ("changepassword", "Password"), ("sessions", "Sessions")):
        page = browser.get(f"/{path}").text
        assert tabs(page) == ["Profile", "Password", "Two-factor", "Sessions"]
        assert tab in current(page)
        assert page.count('aria-current="page"') == (2 if path == "updateuser" else 1), "in the menu too"
    page = browser.get("/deleteuser").text
    assert "Profile" in tabs(page), "a page below a tab has the tabs too"


def test_whoever_is_not_logged_in_sees_no_tabs_and_the_way_in(browser: Browser) -> None:
    page = browser.get("/login").text
    assert (tabs(page), current(page)) == ([], ["Log in"])
    assert 'href="/signup?next=/"' in page
    assert "<details" not in page


def test_a_banner_leads_to_the_outbox_and_the_navigation_does_not(browser: Browser) -> None:
    page = browser.get("/login").text
    assert re.search(r'<aside class="dev".*?href="/outbox"', page, re.DOTALL)
    assert page.count('href="/outbox"') == 1


def test_sessions_and_times_are_in_words(browser: Browser, world: World) -> None:
    alice(browser)
    page = browser.get("/sessions").text
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ">\d+ \w+ \d{4}, \d\d:\d\d UTC</time>', page)
    assert "Active now" in page
    assert not re.search(r">[^<]*\d{4}-\d\d-\d\d", page)


@pytest.mark.parametrize(
    ("path", "button"),
    [("/verifyemail/garbage", "/requestemailverification"), ("/resetpassword?token=garbage", "/requestpasswordreset"),
     ("/changepassword", "/login?next=/changepassword")],
)  # fmt: skip
def test_a_refusal_offers_the_next_step(browser: Browser, path: str, button: str) -> None:
    page = browser.get(path)
    assert page.status_code == 401
    assert re.search(rf'<a class="button" href="{re.escape(button)}">', page.text), page.text
    for machine_word in ("InvalidKey", "Unauthorized", "401"):
        assert machine_word not in page.text
