"""What every storage of users does with the fields it is handed."""

from dataclasses import dataclass
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryUserStorage, User, UserState
from crossauth_backend.storages.fields import (
    MAX_ID,
    changed_user_values,
    held_address,
    needs_stored,
    new_user_values,
    number_id,
    same,
    secrets_from,
    user_from,
    with_stamp,
)
from crossauth_backend.users.credentials import CREDENTIALS
from crossauth_backend.users.options import UserStorageSettings

SETTINGS = UserStorageSettings()


@pytest.mark.parametrize(
    ("value", "id"), [(1, 1), ("1", 1), ("-7", -7), (0, 0), ("0", 0), (MAX_ID, MAX_ID), (str(MAX_ID), MAX_ID)]
)
def test_ids_that_are_whole_numbers(value: object, id: int) -> None:
    assert number_id(value) == id


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        "",
        "01",
        "+1",
        "1.0",
        1.0,
        "１",
        "1 ",
        " 1",
        "-0",
        MAX_ID + 1,
        -MAX_ID - 1,
        "9" * 19,
        "9" * 5000,
        "1e3",
        "0x1",
        "1\n",
        b"1",
    ],
)
def test_ids_that_are_none(value: object) -> None:
    assert number_id(value) is None


def test_a_new_user_has_the_defaults_and_the_normal_names() -> None:
    made = new_user_values({"username": "Zoë", "email": "A@Example.com", "nickname": "z", "admin": None}, SETTINGS)
    stamp = made.pop("security_stamp")
    assert made == {
        "username": "Zoë",
        "email": "A@Example.com",
        "nickname": "z",
        "state": "active",
        "factor1": "localpassword",
        "admin": False,
        "username_normalized": "zoe",
        "email_normalized": "a@example.com",
        "signup_expires": None,
    }
    assert stamp
    assert stamp != new_user_values({"username": "Zoë"}, SETTINGS)["security_stamp"]


def test_what_is_derived_is_not_believed() -> None:
    planted = {"username_normalized": "root", "email_normalized": "root@example.com", "security_stamp": "known"}
    made = new_user_values({"username": "al", "email": "al@example.com", **planted}, SETTINGS)
    assert (made["username_normalized"], made["email_normalized"]) == ("al", "al@example.com")
    assert made["security_stamp"] != "known"
    assert changed_user_values({"id": 1, **planted}, SETTINGS) == {}


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ({}, "username"),
        ({"username": None}, "username"),
        ({"username": 1}, "username"),
        ({"username": "a", "id": 1}, "id"),
        ({"username": "a", "email": 1}, "email"),
        ({"username": "a", "admin": 1}, "admin"),
        ({"username": "a", "admin": "yes"}, "admin"),
    ],
)
def test_a_user_that_cannot_be_is_refused_by_the_name_of_the_field(user: dict[str, Any], field: str) -> None:
    with pytest.raises(CrossauthError, match=field) as refused:
        new_user_values(user, SETTINGS)
    assert refused.value.code is ErrorCode.BadRequest


@pytest.mark.parametrize(
    "change", [{}, {"id": None}, {"id": 1, "username": None}, {"id": 1, "state": None}, {"id": 1, "admin": None}]
)
def test_a_change_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CrossauthError):
        changed_user_values(change, SETTINGS)


@pytest.mark.parametrize(
    ("state", "email", "held"),
    [
        (UserState.active, "A@b.example", "a@b.example"),
        (UserState.disabled, "A@b.example", "a@b.example"),
        (UserState.active, None, None),
        (UserState.awaiting_email_verification, "A@b.example", None),
        (UserState.awaiting_two_factor_setup, "A@b.example", None),
    ],
)
def test_an_unfinished_sign_up_holds_no_address(state: str, email: str | None, held: str | None) -> None:
    assert held_address(state, email, SETTINGS) == held
    raw = UserStorageSettings(normalize_email=False)
    assert held_address(state, email, raw) == (email if held else None)


def test_whether_an_address_is_held_needs_state_and_address() -> None:
    assert needs_stored({"state": "active"})
    assert needs_stored({"email": "x"})
    assert not needs_stored({"state": "active", "email": "x"})
    assert not needs_stored({"phone": "1"})
    half = changed_user_values({"id": 1, "email": "B@c.example"}, SETTINGS)
    assert "email_normalized" not in half
    stored = User(id=1, username="a", state=UserState.awaiting_email_verification)
    whole = changed_user_values({"id": 1, "email": "B@c.example"}, SETTINGS, stored)
    assert whole["email_normalized"] is None
    finished = changed_user_values({"id": 1, "state": "active"}, SETTINGS, {"state": "x", "email": "B@c.example"})
    assert (finished["email_normalized"], finished["signup_expires"]) == ("b@c.example", None)


def test_a_credential_that_becomes_another_brings_a_stamp() -> None:
    old = {"email": "a", "phone": "1", "nickname": "x", "email_verified_at": 5}
    assert with_stamp(old, {"nickname": "y", "email": "a"}, {}, CREDENTIALS) == {"nickname": "y", "email": "a"}
    moved = with_stamp(old, {"email": "b"}, {}, CREDENTIALS)
    assert moved["security_stamp"]
    assert moved["email_verified_at"] is None, "an address that is another was not verified"
    verified = with_stamp(old, {"email": "b", "email_verified_at": 7}, {}, CREDENTIALS)
    assert verified["email_verified_at"] == 7
    assert "email_verified_at" not in with_stamp(old, {"phone": "2"}, {}, CREDENTIALS)
    assert with_stamp(old, {}, {"password": "x"}, CREDENTIALS)["security_stamp"]
    assert with_stamp(old, {}, {"otp": "x"}, CREDENTIALS) == {}
    assert with_stamp(old, {}, {}, CREDENTIALS, "given") == {"security_stamp": "given"}


def test_columns_become_a_record_of_the_applications_class() -> None:
    class Member(User):
        pass

    found = user_from(Member, {"id": 1, "username": "a", "nickname": "n"})
    assert type(found) is Member
    assert found.extra == {"nickname": "n"}
    assert secrets_from({"userid": 1, "password": "p", "hint": "h"}).extra == {"hint": "h"}


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [(1, 1, True), (1, True, False), (True, 1, False), ("1", 1, False), (None, None, True), (1.0, 1, False)],
)
def test_equality_as_a_database_sees_it(a: object, b: object, equal: bool) -> None:
    assert same(a)(b) is equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Named(User):
    nickname: str


async def test_a_field_that_the_application_s_class_needs_is_asked_for() -> None:
    users = InMemoryUserStorage({"record": Named})
    with pytest.raises(CrossauthError, match="'nickname' is required") as refused:
        await users.create_user({"username": "alice", "state": "active"})
    assert refused.value.code is ErrorCode.BadRequest
    # The name was not taken by the attempt.
    assert (
        await users.create_user({"username": "alice", "state": "active", "nickname": "al"})
        == (await users.get_user_by_username("alice")).user
    )
