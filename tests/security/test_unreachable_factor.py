"""A second factor that cannot send its codes: no change makes one, and whoever has one gets in by a recovery code."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage, InMemoryUserStorage
from tests.accounts import FIELDS, NEW, Browser, World, name_of
from tests.fastapi_users.test_core import EMAIL, Both, add_routes
from tests.security.test_user_rules import check_refused, register, world_with_routes
from tests.support import PASSWORD

PHONE = "+4915112345678"
NATIONAL = "0151 12345678"
RIGHT = "Enter a phone number with its country code, such as +441632960961"


@pytest.fixture
def world() -> World:
    world = World(InMemoryUserStorage({"user_editable_fields": FIELDS}), InMemoryKeyStorage())
    add_routes(world)
    return world


@pytest.fixture
def browser(world: World) -> Iterator[Both]:
    with world.open() as url, Both(url) as browser:
        yield browser


def text_code(world: World, browser: Browser) -> str:
    browser.mail()
    found = re.search(r"\d{6}", world.sms.messages[-1][1])
    assert found is not None
    return found.group()


def with_sms(world: World, browser: Browser, name: str = "alice", email: str = EMAIL, phone: str = PHONE) -> list[str]:
    """A user with codes by text message; the recovery codes."""
    browser.sign_up(name, user_email=email, user_phone=phone)
    browser.call("/api/changefactor2", factor2="sms")
    done = browser.call("/api/configurefactor2", otp=text_code(world, browser))
    codes: list[str] = done.json()["recoveryCodes"]
    return codes


def user_of(world: World, userid: int = 1) -> Any:
    return asyncio.run(world.users.get_user_by_id(userid, {"skip_active_check": True})).user


@pytest.mark.parametrize("phone", [NATIONAL, "", "nonsense"])
def test_a_number_that_no_code_could_go_to_is_refused(world: World, browser: Both, phone: str) -> None:
    """A phone number in national form, or none, locks its user out"""
    with_sms(world, browser)
    assert browser.call("/api/updateuser", user_phone=phone).json()["factor2Required"] is True
    refused = browser.call("/api/factor2", otp=text_code(world, browser))
    assert (refused.status_code, name_of(refused)) == (400, "InvalidPhoneNumber")
    assert RIGHT in refused.json()["errorMessage"]
    assert user_of(world).get("phone") == PHONE
    browser.call("/api/logout")
    browser.asked()
    assert browser.give(text_code(world, browser)).json()["ok"] is True


def test_an_address_that_no_code_could_go_to_is_refused(browser: Both) -> None:
    """An emptied email address locks out a user whose codes go there"""
    browser.sign_up(user_email=EMAIL)
    browser.call("/api/changefactor2", factor2="email")
    browser.call("/api/configurefactor2", otp=browser.mailed_code())
    browser.call("/api/updateuser", user_email="")
    refused = browser.call("/api/factor2", otp=browser.mailed_code())
    assert (refused.status_code, name_of(refused)) == (400, "InvalidEmail")
    assert "Enter an email address such as" in refused.json()["errorMessage"]
    browser.call("/api/logout")
    browser.asked()


def test_an_administrator_and_the_routes_are_refused_too() -> None:
    """An administrator, or the routes, write a number that locks its user out"""
    world = world_with_routes()
    with world.open() as url, Both(url) as admin, Both(url) as alice:
        with_sms(world, alice)
        admin.sign_up("root", user_email="root@example.com")
        asyncio.run(world.users.update_user({"id": 2, "admin": True}))
        admin.log_in("root")
        for refused in (
            admin.call("/admin/api/updateuser/1", user_phone=NATIONAL),
            admin.call("/admin/api/updateuser/2", factor2="sms"),
            admin.call("/admin/api/createuser", username="bob", password=PASSWORD, factor2="sms", user_phone=NATIONAL),
        ):
            assert (refused.status_code, name_of(refused)) == (400, "InvalidPhoneNumber"), refused.text
            assert RIGHT in refused.json()["errorMessage"]
        assert (user_of(world).get("phone"), user_of(world, 2).factor2) == (PHONE, None)
        asked = alice.rest_login().json()["detail"]["reason"]
        tokens = alice.post(
            "/rest/login/factor2", data={"mfa_token": asked["mfa_token"], "otp": text_code(world, alice)}
        ).json()
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        for phone in (NATIONAL, "", None):
            change = {"phone": phone, "old_password": PASSWORD}
            asked = alice.patch("/rest/me", headers=header, json=change).json()["detail"]["reason"]
            change |= {"mfa_token": asked["mfa_token"], "otp": text_code(world, alice)}
            check_refused(alice.patch("/rest/me", headers=header, json=change), RIGHT)
        assert user_of(world).get("phone") == PHONE
        # Where no code is to go there, the number is its user's own affair.
        assert register(alice, "bob@example.com", phone=NATIONAL).status_code == 201


def test_a_sign_up_that_is_begun_again_keeps_the_number_of_its_factor() -> None:
    """The same sign-up again, with a bad number, after its second factor was set up"""
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as browser:
        sent = {"user_email": EMAIL, "factor2": "sms"}
        browser.sign_up(user_phone=PHONE, **sent)
        browser.call("/api/configurefactor2", otp=text_code(world, browser))
        again = browser.sign_up(user_email=EMAIL, factor2="none", user_phone=NATIONAL)
        assert (again.status_code, name_of(again)) == (400, "InvalidPhoneNumber")
        found = asyncio.run(
            world.users.get_user_by_id(1, {"skip_active_check": True, "skip_email_verified_check": True})
        )
        assert found.user.get("phone") == PHONE


@pytest.mark.parametrize("bad", [NATIONAL, ""])
def test_a_recovery_code_lets_in_whoever_cannot_be_sent_one(world: World, browser: Both, bad: str) -> None:
    """A number from before it was checked keeps its user out of logging in, and of putting it right"""
    codes = with_sms(world, browser)
    asyncio.run(world.users.update_user({"id": 1, "phone": bad}))
    sent = len(world.sms.messages)
    answer = browser.log_in()
    assert (answer.status_code, answer.json()["twoFactorRequired"]) == (200, True)
    assert "recovery code" in answer.json()["message"]
    again = browser.call("/api/resendcode")
    assert (again.status_code, "recovery code" in again.json()["errorMessage"]) == (400, True)
    assert browser.give("000000").status_code == 401
    assert browser.give(codes[0]).json()["ok"] is True
    held = browser.call("/api/updateuser", user_phone=PHONE).json()
    assert (held["factor2Required"], "recovery code" in held["message"]) == (True, True)
    assert "recovery code" in browser.get("/factor2").text
    assert browser.call("/api/factor2", otp=codes[1]).json()["ok"] is True
    assert len(world.sms.messages) == sent
    browser.call("/api/logout")
    browser.asked()
    assert browser.give(text_code(world, browser)).json()["ok"] is True


def test_by_pages_and_by_the_routes_a_recovery_code_does_too(world: World, browser: Both) -> None:
    """The same by pages, and by the routes"""
    codes = with_sms(world, browser)
    browser.call("/api/logout")
    asyncio.run(world.users.update_user({"id": 1, "phone": NATIONAL}))
    page = browser.submit("/login", username="alice", password=PASSWORD)
    assert (page.status_code, "Use a recovery code" in page.text) == (200, True)
    reason = browser.rest_login().json()["detail"]["reason"]
    assert reason["code_sent"] is False
    done = browser.post("/rest/login/factor2", data={"mfa_token": reason["mfa_token"], "otp": codes[0]})
    assert "access_token" in done.json()


def test_a_reset_that_was_done_says_so(world: World, browser: Both) -> None:
    """A password reset is refused although it was done, because no code could be sent to its user"""
    with_sms(world, browser)
    browser.call("/api/logout")
    asyncio.run(world.users.update_user({"id": 1, "phone": NATIONAL}))
    browser.call("/api/requestpasswordreset", email=EMAIL)
    token = browser.link(EMAIL).rpartition("=")[2]
    done = browser.call("/api/resetpassword", token=token, new_password=NEW)
    assert (done.status_code, done.json()["ok"], done.json()["twoFactorRequired"]) == (200, True, True)
    browser.asked(password=NEW)


def test_a_number_from_before_keeps_nobody_from_other_changes(world: World, browser: Both) -> None:
    """A user whose number is older than the check can change nothing else any more"""
    codes = with_sms(world, browser)
    asyncio.run(world.users.update_user({"id": 1, "phone": NATIONAL}))
    browser.asked()
    browser.give(codes[0])
    browser.call("/api/updateuser", user_email="alice2@example.com")
    assert browser.call("/api/factor2", otp=codes[1]).json()["ok"] is True
    assert user_of(world).email == "alice2@example.com"
    browser.call("/api/updateuser", user_phone="0152 12345678")
    assert name_of(browser.call("/api/factor2", otp=codes[2])) == "InvalidPhoneNumber"
