"""A field that a needed second factor sends its codes to: whoever has none gives it when setting the factor up."""

import asyncio
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, InMemoryUserStorage
from tests.accounts import FIELDS, World
from tests.fastapi_users.test_core import EMAIL, Both
from tests.security.test_needed_factor import PHONE, code_in
from tests.security.test_sending_factor import THIEF, MobileWorld
from tests.support import PASSWORD


@pytest.mark.parametrize("json", [True, False])
def test_a_number_that_users_do_not_edit_is_given_with_the_choice(json: bool) -> None:
    """A user without a phone number is locked out where text messages are needed and `user_editable_fields` leaves `phone` out"""
    users, keys = InMemoryUserStorage({"user_editable_fields": ["email"]}), InMemoryKeyStorage()
    before = World(users, keys)
    with before.open() as url, Both(url) as alice:
        alice.sign_up(user_email=EMAIL)
    world = World(users, keys, allowed_factor2=["sms"])
    with world.open() as url, Both(url) as alice:
        page = alice.submit("/login", username="alice", password=PASSWORD)
        assert 'name="user_phone"' in alice.get(page.headers["location"]).text
        send: Any = alice.call if json else alice.submit
        path = "/api/" if json else "/"
        assert send(f"{path}changefactor2", factor2="sms").status_code == 400
        reserved = {"user_admin": "true", "user_email": "other@example.com", "user_username": "root"}
        assert send(f"{path}changefactor2", factor2="sms", user_phone=PHONE, **reserved).status_code == 200
        assert asyncio.run(users.get_user_by_id(1)).user.get("phone") is None, "not before the code has come"
        alice.mail()
        assert send(f"{path}configurefactor2", otp=code_in(world.sms.messages[-1][1])).status_code == 200
        stored = asyncio.run(users.get_user_by_id(1)).user
        assert (stored.get("phone"), stored.email, stored.username, stored.admin) == (PHONE, EMAIL, "alice", False)
        assert alice.who() == "alice"
        world.later(minutes=61)
        alice.call("/api/updateuser", user_phone=THIEF)
        assert asyncio.run(users.get_user_by_id(1)).user.get("phone") == PHONE, (
            "afterwards it is not the user's to edit"
        )


def test_a_column_of_a_factors_own_is_given_with_the_choice_too() -> None:
    """The same for a factor of the application's own"""
    users, keys = InMemoryUserStorage({"user_editable_fields": ["email"]}), InMemoryKeyStorage()
    with MobileWorld(users, keys).open() as url, Both(url) as alice:
        alice.sign_up(user_email=EMAIL)
    world = MobileWorld(users, keys, allowed_factor2=["mobile"])
    with world.open() as url, Both(url) as alice:
        page = alice.submit("/login", username="alice", password=PASSWORD)
        assert 'name="user_mobile"' in alice.get(page.headers["location"]).text
        assert alice.call("/api/changefactor2", factor2="mobile", user_mobile=PHONE).status_code == 200
        assert alice.call("/api/configurefactor2", otp=world.mobile.sent[-1][1]).status_code == 200
        assert (alice.who(), world.user()["mobile"]) == ("alice", PHONE)


def test_a_needed_factor_whose_field_is_the_administrators_stops_the_start() -> None:
    """Every user needs text messages, and only administrators may set phone numbers: whoever has none could not log in"""
    stored: Any = {"user_editable_fields": ["email"], "admin_editable_fields": ["phone"]}
    with pytest.raises(CrossauthError, match="'sms' needs 'phone', which 'admin_editable_fields' keeps") as refused:
        World(InMemoryUserStorage(stored), allowed_factor2=["sms"])
    assert refused.value.code is ErrorCode.Configuration
    World(InMemoryUserStorage(stored), allowed_factor2=["sms", "totp"])
    World(InMemoryUserStorage(stored), allowed_factor2=["sms", "none"])
    World(InMemoryUserStorage({**stored, "user_editable_fields": FIELDS}), allowed_factor2=["sms"])


def test_a_number_that_is_the_administrators_is_not_asked_for() -> None:
    """A user of whom an administrator knows no number gives one, where numbers are the administrators' to set"""
    stored: Any = {"user_editable_fields": ["email"], "admin_editable_fields": ["phone"]}
    users, keys = InMemoryUserStorage(stored), InMemoryKeyStorage()
    with World(users, keys).open() as url, Both(url) as alice:
        alice.sign_up(user_email=EMAIL)
    world = World(users, keys, allowed_factor2=["sms", "totp"])
    with world.open() as url, Both(url) as alice:
        page = alice.submit("/login", username="alice", password=PASSWORD)
        assert 'name="user_phone"' not in alice.get(page.headers["location"]).text
        assert alice.call("/api/changefactor2", factor2="sms", user_phone=PHONE).status_code == 400
        alice.add_totp(world)
        assert alice.who() == "alice"
