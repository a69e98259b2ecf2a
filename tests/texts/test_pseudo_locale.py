"""Every page in a language that nobody speaks, written from right to left: what is left in English was not translated."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import Request, Response

from tests.accounts import Browser, World
from tests.support import PASSWORD
from tests.texts.catalogues import pseudo_locale
from tests.texts.pages import FULL, STATES, TEMPLATES
from tests.texts.test_templates import Texts

TAG = "ar-XB"
ALICE = "alice@example.com"
ANONYMOUS = (
    "login",
    "signup",
    "requestpasswordreset",
    "requestemailverification",
    "verifyemail/none",
    "resetpassword/none",
    "nothing",
)
LOGGED_IN = (
    "",
    "updateuser",
    "changepassword",
    "changefactor2",
    "sessions",
    "recoverycodes",
    "deleteuser",
    "logout",
    "account",
)
# What is filled in, and names.
FILLED_IN = re.compile(
    r"alice|example|com|localhost|127|http|python|httpx|UTC|Crossauth|csrf|otpauth|FastAPI|HTML|txt|html|KiB|\b[A-Z2-7]{32}\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[A-Za-z]{3,}")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    folder = pseudo_locale(tmp_path, TAG)
    world = World(languages=["en", TAG], locale_dir=folder, enable_email_verification=False)

    @world.server.app.get("/made-up/{state}/{template:path}")
    async def made_up(request: Request, state: str, template: str) -> Response:
        return world.server.render(request, template, FULL | STATES[state])

    with world.open() as url, Browser(url, headers={"Accept-Language": TAG, "Accept": "text/html"}) as browser:
        yield browser


def untranslated(text: str) -> list[str]:
    parser = Texts()
    parser.feed(text)
    parser.close()
    return [found for found in parser.found if WORD.search(FILLED_IN.sub("", found))]


def test_no_page_has_a_text_that_is_not_translated(browser: Browser) -> None:
    pages = {path: browser.get(f"/{path}") for path in ANONYMOUS}
    pages["login refused"] = browser.submit("/login", username="alice", password="wrong")
    pages["sign-up refused"] = browser.submit("/signup", username="a", password="short", repeat_password="other")
    browser.sign_up(user_email=ALICE)
    pages |= {path: browser.get(f"/{path}", follow_redirects=True) for path in LOGGED_IN}
    pages["password refused"] = browser.submit(
        "/changepassword", old_password="wrong", new_password=PASSWORD, repeat_new_password=PASSWORD
    )
    pages["factor"] = browser.submit("/changefactor2", factor2="totp")
    displayed = [page for page in pages.values() if page.headers.get("content-type", "").startswith("text/html")]
    assert len(displayed) >= 16
    for page in displayed:
        assert f'lang="{TAG}" dir="rtl"' in page.text
    assert {
        name: found for name, page in pages.items() if page in displayed and (found := untranslated(page.text))
    } == {}


def test_every_template_is_translated_in_every_state(browser: Browser) -> None:
    left = {}
    for state in STATES:
        for template in TEMPLATES:
            page = browser.get(f"/made-up/{state}/{template}")
            assert page.status_code == 200, (state, template, page.text)
            assert f'lang="{TAG}" dir="rtl"' in page.text
            if found := untranslated(page.text):
                left[f"{template} {state}"] = found
    assert left == {}
