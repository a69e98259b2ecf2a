"""Logging in by email address: with an address that is verified and somebody's own, and never into another account."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryUserStorage
from crossauth_fastapi.fastapi_users._userrules import checked_columns
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists
from tests.accounts import NEW, Browser, World, name_of, storages
from tests.support import PASSWORD


def signed_up(browser: Browser, **fields: Any) -> Any:
    answer = browser.call("/api/signup", **{"password": PASSWORD, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_an_address_logs_in_once_it_is_verified(kind: str, request: pytest.FixtureRequest) -> None:
    world = World(**storages(request, kind), enable_email_verification=True, login_by="username_or_email")
    with world.open() as url, Browser(url) as browser:
        signed_up(browser, username="alice", user_email="Alice@example.com")
        # Not finished: the username says so, and the address says nothing.
        assert name_of(browser.log_in("alice@example.com")) == "UsernameOrPasswordInvalid"
        assert name_of(browser.log_in("alice")) == "EmailNotVerified"
        browser.submit("/verifyemail", token=browser.link("Alice@example.com").rpartition("/")[2])
        browser.call("/api/logout")
        for name in ("alice@example.com", "ALICE@EXAMPLE.COM", " alice@example.com", "alice"):
            assert browser.log_in(name).status_code == 200, name
            assert browser.who() == "alice"
            browser.call("/api/logout")
        assert name_of(browser.log_in("alice@example.com", NEW)) == "UsernameOrPasswordInvalid"
        assert name_of(browser.log_in("nobody@example.com")) == "UsernameOrPasswordInvalid"


def test_a_username_that_is_the_address_of_another_account_does_not_take_its_place() -> None:
    world = World(login_by="username_or_email")
    with world.open() as url, Browser(url) as victim, Browser(url) as attacker:
        signed_up(victim, username="victim", user_email="victim@example.com")
        victim.call("/api/logout")
        answer = attacker.call("/api/signup", username="victim@example.com", password=NEW, user_email="x@example.com")
        attacker.call("/api/logout")
        assert victim.log_in("victim@example.com").status_code == 200
        assert victim.who() == "victim"
        assert name_of(attacker.log_in("victim@example.com", NEW)) == "UsernameOrPasswordInvalid", answer.text


@pytest.mark.parametrize("login_by", ["email", "username_or_email"])
def test_an_address_that_is_anothers_username_does_not_take_its_place(login_by: str) -> None:
    """Where addresses are not verified, the owner of the name could not log in any more."""
    with World(login_by=login_by).open() as url, Browser(url) as victim, Browser(url) as attacker:
        signed_up(victim, username="victim@example.com")
        victim.call("/api/logout")
        taken = attacker.call("/api/signup", username="mallory", password=NEW, user_email="Victim@example.com ")
        assert name_of(taken) == "UserExists"
        signed_up(attacker, username="mallory", user_email="m@example.com")
        page = attacker.submit("/updateuser", user_email="victim@example.com")
        assert (page.status_code, 'id="user_email-error"' in page.text) == (400, True)
        if login_by == "username_or_email":
            # What is not changed is not looked at again, so that nobody is kept from changing something else.
            assert (
                attacker.call("/api/updateuser", user_email="m@example.com", user_phone="+441632960961").status_code
                == 200
            )
        attacker.call("/api/logout")
        assert victim.log_in("victim@example.com").status_code == 200
        assert victim.who() == "victim@example.com"


def test_a_username_that_is_anothers_address_is_taken() -> None:
    with World(login_by="username_or_email").open() as url, Browser(url) as victim, Browser(url) as attacker:
        signed_up(victim, username="victim", user_email="victim@example.com")
        taken = attacker.call("/api/signup", username="victim@example.com", password=NEW, user_email="x@example.com")
        assert name_of(taken) == "UserExists"


async def test_so_it_is_for_users_that_another_part_stores() -> None:
    world = World(login_by="username_or_email")
    accounts = world.manager.accounts()
    named = {"username": "victim@example.com", "factor1": "localpassword", "state": "active"}
    await world.users.create_user(named, {})
    columns = {**named, "username": "mallory", "email": "Victim@example.com"}
    with pytest.raises(UserAlreadyExists):
        await checked_columns(accounts, columns)
    assert await checked_columns(accounts, {**columns, "email": "m@example.com"})


def test_a_sign_up_by_address_goes_on_where_it_was_left() -> None:
    with World(login_by="email").open() as url, Browser(url) as browser:
        for _ in range(2):
            begun = browser.call("/api/signup", user_email="a@example.com", password=PASSWORD, factor2="totp")
            assert begun.json()["ok"] is True
            assert "totpsecret" in begun.json()


def test_other_ways_to_write_an_address_are_no_further_attempts() -> None:
    """Every spelling of it finds the account, also where usernames are compared as they are."""
    users = InMemoryUserStorage({"user_editable_fields": ["email"], "normalize_username": False})
    limits = {"login_account": (5, 900), "login_address": None, "login_total_address": None}
    world = World(users, login_by="username_or_email", attempt_limits=limits)
    with world.open() as url, Browser(url) as victim, Browser(url) as attacker:
        signed_up(victim, username="victim", user_email="victim@example.com")
        victim.call("/api/logout")
        spellings = [
            "victim@example.com",
            "VICTIM@example.com",
            " victim@example.com",
            "victim@EXAMPLE.com\t",
            "Victim@example.com",
        ]
        for typed in spellings:
            assert name_of(attacker.log_in(typed, NEW)) == "UsernameOrPasswordInvalid"
        for typed in (*spellings, "vIctim@example.com"):
            assert attacker.log_in(typed, NEW).status_code == 429, typed


def test_without_the_option_an_address_is_no_name() -> None:
    with World().open() as url, Browser(url) as browser:
        signed_up(browser, username="alice", user_email="alice@example.com")
        browser.call("/api/logout")
        assert name_of(browser.log_in("alice@example.com")) == "UsernameOrPasswordInvalid"


def test_the_address_is_the_username_where_users_log_in_by_it() -> None:
    world = World(login_by="email", enable_email_verification=True)
    with world.open() as url, Browser(url) as browser:
        assert 'name="username"' not in browser.get("/signup").text
        assert '<input type="email" id="username" name="username"' in browser.get("/login").text
        page = browser.submit("/signup", user_email="a@example.com", password=PASSWORD, repeat_password=PASSWORD)
        assert "a@example.com</strong>" in page.text
        # Nothing says that there is such an account before it is verified.
        assert name_of(browser.log_in("a@example.com")) == "UsernameOrPasswordInvalid"
        browser.submit("/verifyemail", token=browser.link("a@example.com").rpartition("/")[2])
        assert browser.who() == "a@example.com"
        # The same page, and a mail to the owner.
        with Browser(url) as other:
            again = other.submit("/signup", user_email="a@example.com", password=NEW, repeat_password=NEW)
            assert ("Check your inbox" in again.text, again.status_code) == (True, page.status_code)
        page = browser.submit("/login", username="root", password="x")
        assert page.status_code == 401
        with Browser(url) as other:
            refused = other.submit("/signup", user_email="a@b", password=PASSWORD, repeat_password=PASSWORD)
        assert 'id="user_email-error"' in refused.text


def test_only_an_address_logs_in_where_users_log_in_by_it() -> None:
    world = World(login_by="email")
    with world.open() as url, Browser(url) as browser:
        signed_up(browser, username="alice", user_email="alice@example.com")
        browser.call("/api/logout")
        assert name_of(browser.log_in("alice")) == "UsernameOrPasswordInvalid"
        assert browser.log_in("alice@example.com").status_code == 200


def test_both_look_ups_are_made_whatever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(login_by="username_or_email")
    asked: list[str] = []
    for method in ("get_user_by_email", "get_user_by_username"):
        original = getattr(InMemoryUserStorage, method)

        async def counted(self: Any, *args: Any, method: str = method, original: Any = original) -> Any:
            asked.append(method)
            return await original(self, *args)

        monkeypatch.setattr(InMemoryUserStorage, method, counted)
    with world.open() as url, Browser(url) as browser:
        signed_up(browser, username="alice", user_email="alice@example.com")
        browser.call("/api/logout")
        seen = []
        for name in ("alice@example.com", "nobody@example.com"):
            with Browser(url) as other:
                asked.clear()
                other.log_in(name, NEW)
                seen.append(list(asked))
        assert seen[0] == seen[1] == ["get_user_by_email", "get_user_by_username"]


@pytest.mark.parametrize("login_by", ["email", "phone"])
def test_what_cannot_work_stops_the_start(login_by: str) -> None:
    with pytest.raises(CrossauthError, match="login_by") as refused:
        World(
            InMemoryUserStorage({"user_editable_fields": []}),
            login_by=login_by,
            allowed_factor2=[],
            factor2_in_signup_form=False,
        )
    assert refused.value.code is ErrorCode.Configuration
