"""What a form says when it is refused: at which field, in which words, and where to begin."""

import re
from html import unescape
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from tests.accounts import Browser, World
from tests.support import PASSWORD

OTHER = "Another1one"


def marked(page: Any) -> dict[str, str]:
    """The fields that a page marks, with the text beside each; empty where the text is beside another."""
    found = {}
    for tag in re.findall(r"<input\b[^>]*aria-invalid=\"true\"[^>]*>", page.text):
        name = re.search(r'id="([^"]+)"', tag)[1]  # type: ignore[index]
        text = re.search(rf'id="{name}-error">.*?<span>(.*?)</span>', page.text, re.DOTALL)
        assert re.search(rf'aria-describedby="[^"]*\b({name}-error|problem)"', tag), tag
        found[name] = unescape(text[1]) if text else ""
    return found


def focused(page: Any) -> list[str]:
    """The elements that ask for the focus."""
    tags = re.findall(r"<[^>]*\bautofocus\b[^>]*>", page.text)
    return [found[1] for tag in tags if (found := re.search(r'\bid="([^"]+)"', tag))]


def page_of(world: World, browser: Browser, path: str, **fields: str) -> Any:
    return browser.submit(path, **fields)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"username": "x"}, {"username": None}),
        ({"user_email": "a@b"}, {"user_email": None}),
        ({"user_email": ""}, {"user_email": "Enter an email address"}),
        ({"username": "taken"}, {"username": None}),
        ({"repeat_password": OTHER}, {"repeat_password": None}),
        ({"password": "password1", "repeat_password": OTHER}, {"password": None, "repeat_password": None}),
        (
            {"user_email": "a@b", "password": "password1", "repeat_password": OTHER},
            {"user_email": "Enter a valid email address", "password": None, "repeat_password": None},
        ),
    ],
)  # fmt: skip
def test_a_refused_sign_up_marks_what_is_wrong(fields: dict[str, str], wrong: dict[str, str | None]) -> None:
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as browser:
        assert (
            browser.call("/api/signup", username="taken", password=OTHER, user_email="t@example.com").status_code == 200
        )
        form = {
            "username": "alice",
            "user_email": "a@example.com",
            "user_phone": "",
            "password": PASSWORD,
            "repeat_password": PASSWORD,
        }
        page = browser.submit("/signup", **(form | fields))
        found = marked(page)
        assert found.keys() == wrong.keys()
        assert all(found[name] and text in (None, found[name]) for name, text in wrong.items())
        assert focused(page) == [next(iter(wrong))]
        assert "<title>Error: Sign up" in page.text
        for name in wrong:
            assert f'<a href="#{name}">' in page.text


def test_an_address_that_is_taken_is_marked_where_that_may_be_said() -> None:
    with World().open() as url, Browser(url) as browser:
        browser.call("/api/signup", username="taken", password=OTHER, user_email="t@example.com")
        browser.call("/api/logout")
        form = {"username": "alice", "user_email": "t@example.com", "password": PASSWORD, "repeat_password": PASSWORD}
        assert list(marked(browser.submit("/signup", **form))) == ["user_email"]


def test_a_login_marks_both_and_begins_at_the_password() -> None:
    with World().open() as url, Browser(url) as browser:
        page = browser.submit("/login", username="nobody", password="x")
        assert marked(page) == {"username": "", "password": CrossauthError(ErrorCode.UsernameOrPasswordInvalid).message}
        assert focused(page) == ["password"]


def test_a_limit_marks_no_field_and_begins_at_the_message() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        for _ in range(30):
            page = browser.submit("/login", username="nobody", password="x")
        assert page.status_code == 429
        assert (marked(page), focused(page)) == ({}, ["problem"])


def test_each_form_of_an_account_marks_its_own_fields() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.call("/api/signup", username="alice", password=PASSWORD, user_email="a@example.com")
        change = {"old_password": "wrong one", "new_password": OTHER, "repeat_password": OTHER}
        page = browser.submit("/changepassword", **change)
        assert marked(page) == {"old_password": "Your current password is incorrect"}
        change = {"old_password": PASSWORD, "new_password": "password1", "repeat_password": "x"}
        assert list(marked(browser.submit("/changepassword", **change))) == ["new_password", "repeat_password"]
        change = {"old_password": PASSWORD, "new_password": PASSWORD, "repeat_password": PASSWORD}
        assert list(marked(browser.submit("/changepassword", **change))) == ["new_password"]
        page = browser.submit("/updateuser", user_email="a@b", user_phone="1")
        assert list(marked(page)) == ["user_email"]
        world.later(hours=2)
        page = browser.submit("/updateuser", user_email="b@example.com", user_phone="1")
        assert (list(marked(page)), focused(page)) == (["password"], ["password"])
        page = browser.submit("/updateuser", user_email="b@example.com", user_phone="1", password="wrong one")
        assert marked(page) == {"password": "Your current password is incorrect"}
        page = browser.submit("/deleteuser", password="")
        assert list(marked(page)) == ["password"]


def test_the_page_that_deletes_an_account_asks_for_its_name() -> None:
    with World().open() as url, Browser(url) as browser:
        browser.call("/api/signup", username="alice", password=PASSWORD, user_email="a@example.com")
        assert 'name="confirm_username"' in browser.get("/deleteuser").text
        page = browser.submit("/deleteuser", confirm_username="bob")
        assert (page.status_code, list(marked(page))) == (400, ["confirm_username"])
        assert browser.submit("/deleteuser", confirm_username="Alice").status_code == 200
        assert browser.who() is None


def test_a_fresh_form_begins_at_its_first_field() -> None:
    with World().open() as url, Browser(url) as browser:
        for path, first in (("login", "username"), ("signup", "username"), ("requestpasswordreset", "email")):
            page = browser.get(f"/{path}")
            assert (marked(page), focused(page)) == ({}, [first])
            assert "Error:" not in page.text


def test_codes_are_marked_where_they_were_typed_and_a_code_that_was_sent_says_where() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.call(
            "/api/signup",
            username="alice",
            password=PASSWORD,
            user_email="alice@example.com",
            user_phone="+441632960961",
        )
        page = browser.submit("/changefactor2", factor2="email")
        assert 'data-wait="30"' in page.text
        assert list(marked(browser.submit("/configurefactor2", otp="000000"))) == ["otp"]
        page = browser.submit("/configurefactor2", otp=browser.mailed_code("alice@example.com"))
        assert "<h1>Save your recovery codes</h1>" in page.text
        browser.call("/api/logout")
        page = browser.submit("/login", username="alice", password=PASSWORD)
        assert "a•••@example.com" in page.text
        assert "You can request a new code in 30 seconds." in page.text
        world.later(seconds=20)
        page = browser.get("/loginfactor2")
        assert "You can request a new code in 10 seconds." in page.text
        assert list(marked(browser.submit("/loginfactor2", otp="000000"))) == ["otp"]
        page = browser.submit("/loginfactor2", recovery_code="AAAA-BBBB")
        assert (list(marked(page)), '<details class="recovery" open>' in page.text) == (["recovery_code"], True)
        world.later(seconds=20)
        assert "You can request a new code" not in browser.get("/loginfactor2").text


def test_recovery_codes_are_downloaded_without_a_script() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser, Browser(url) as other:
        browser.call("/api/signup", username="alice", password=PASSWORD)
        browser.submit("/changefactor2", factor2="totp")
        secret = re.search(r'class="key">(\w+)<', browser.get("/configurefactor2").text)[1]  # type: ignore[index]
        page = browser.submit("/configurefactor2", otp=world.code(secret))
        codes = re.findall(r"<li><code>([^<]+)</code>", page.text)
        assert len(codes) == 10
        sent = dict(re.findall(r'name="(csrfToken|codes)" value="([^"]*)"', page.text))
        answer = browser.post("/recoverycodes.txt", data=sent)
        assert answer.text.split() == codes
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["content-disposition"] == 'attachment; filename="recovery-codes.txt"'
        assert answer.headers["cache-control"] == "no-store"
        assert other.post("/recoverycodes.txt", data=sent).status_code == 403
        for codes_sent in ("<b>", "", "a" * 5000, "a\nb"):
            assert browser.post("/recoverycodes.txt", data={**sent, "codes": codes_sent}).status_code == 400


def test_the_sign_up_form_asks_for_a_second_factor_where_an_option_says_so() -> None:
    for options, there in (({"factor2_in_signup_form": False}, False), ({}, True)):
        with World(**options).open() as url, Browser(url) as browser:
            assert ('name="factor2"' in browser.get("/signup").text) is there
            # The documented field stays.
            answer = browser.call("/api/signup", username="bob", password=PASSWORD, factor2="totp").json()
            assert answer["factor2"] == "totp"
    needed = World(factor2_in_signup_form=False, allowed_factor2=["totp", "email"])
    with needed.open() as url, Browser(url) as browser:
        assert 'name="factor2"' in browser.get("/signup").text


def test_the_page_after_a_sign_up_names_the_address_whether_or_not_it_is_known() -> None:
    world = World(enable_email_verification=True, factor2_in_signup_form=False)
    with world.open() as url:
        for name in ("Bob@example.com", "bob@Example.com"):
            with Browser(url) as browser:
                form = {"username": name, "user_email": name, "password": PASSWORD, "repeat_password": PASSWORD}
                page = browser.submit("/signup", **form)
                assert "<h1>Check your inbox</h1>" in page.text
                assert "@example.com</strong>" in page.text
                assert "Resend email" in page.text
                assert "Use a different address" in page.text
