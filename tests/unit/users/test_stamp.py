"""The stamp that what was handed out rests on, and the digest that stands in for one."""

from dataclasses import replace
from typing import Any

import pytest

from crossauth_backend import User, UserAndSecrets, UserSecrets
from crossauth_backend.users.credentials import (
    CREDENTIALS,
    credential_secrets,
    credential_stamp,
    credentials_with,
    digest_after,
    replaces_credential,
)
from crossauth_backend.users.stamp import STAMP_LENGTH, is_digest, new_stamp, same_stamp, with_stamp

FOUND = UserAndSecrets(
    User(id=1, username="alice", email="a@example.com", factor2="totp", extra={"pager": "5"}),
    UserSecrets(userid=1, password="hash", totpsecret="secret", otp="1", expiry=2),
)


def stamp(found: UserAndSecrets, names: tuple[str, ...] = CREDENTIALS) -> str:
    return credential_stamp(found, names)


@pytest.mark.parametrize("name", [*CREDENTIALS, "id"])
def test_the_digest_changes_with_every_credential(name: str) -> None:
    changed = UserAndSecrets(replace(FOUND.user, **{name: "other"}), FOUND.secrets)
    assert stamp(changed) != stamp(FOUND)


@pytest.mark.parametrize(
    "changed",
    [{"password": "x"}, {"password": None}, {"totpsecret": "x"}, {"totpsecret": None}, {"extra": {"key": "x"}}],
)
def test_the_digest_changes_with_every_secret(changed: dict[str, Any]) -> None:
    assert stamp(UserAndSecrets(FOUND.user, replace(FOUND.secrets, **changed))) != stamp(FOUND)


def test_the_digest_does_not_change_with_anything_else() -> None:
    same = UserAndSecrets(
        replace(FOUND.user, admin=True, extra={"pager": "6"}), replace(FOUND.secrets, otp="2", expiry=3)
    )
    assert stamp(same) == stamp(FOUND)
    assert stamp(same, credentials_with(["pager"])) != stamp(FOUND, credentials_with(["pager"]))
    assert "hash" not in stamp(FOUND)
    assert is_digest(stamp(FOUND))


def test_a_secret_that_is_not_there_is_as_one_that_is_empty_in_the_table() -> None:
    assert credential_secrets(FOUND.secrets) == {"password": "hash", "totpsecret": "secret"}
    without = UserAndSecrets(FOUND.user, UserSecrets(userid=1, password="hash", extra={"key": None}))
    assert stamp(without) == stamp(UserAndSecrets(FOUND.user, UserSecrets(userid=1, password="hash")))


def test_the_digest_after_a_change_is_known_before_it() -> None:
    values, secrets = {"email": "b@example.com", "admin": True}, {"password": "new", "otp": "9"}
    after = UserAndSecrets(replace(FOUND.user, **values), replace(FOUND.secrets, **secrets))
    assert digest_after(FOUND, values, secrets, CREDENTIALS) == stamp(after)
    assert digest_after(FOUND, {}, {}, CREDENTIALS) == stamp(FOUND)


def test_a_stored_stamp_is_taken_as_it_is() -> None:
    stored = UserAndSecrets(replace(FOUND.user, security_stamp="s"), FOUND.secrets)
    assert stamp(stored) == "s"
    assert with_stamp(stored, CREDENTIALS) is stored
    assert with_stamp(FOUND, CREDENTIALS).user.security_stamp == stamp(FOUND)
    assert not is_digest("s")
    assert not is_digest(None)


def test_a_new_stamp_is_no_digest_and_nobodys() -> None:
    stamps = {new_stamp() for _ in range(100)}
    assert len(stamps) == 100
    assert not any(is_digest(one) or len(one) > STAMP_LENGTH for one in stamps)


@pytest.mark.parametrize(
    ("recorded", "current", "same"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", None, False),
        (None, None, False),
        ("", "", False),
        (1, "1", False),
        (["a"], "a", False),
    ],
)
def test_what_has_no_stamp_rests_on_nothing(recorded: object, current: str | None, same: bool) -> None:
    assert same_stamp(recorded, current) is same


def test_which_writes_replace_a_credential() -> None:
    assert replaces_credential({"password": "x"})
    assert replaces_credential({"otp": "x", "totpsecret": "y"})
    assert not replaces_credential({"otp": "x", "expiry": 1, "userid": 1})
    assert not replaces_credential({})


def test_further_credentials_are_in_one_order() -> None:
    assert (
        credentials_with(["pager", "fax", "email"])
        == (*CREDENTIALS, "fax", "pager")
        == credentials_with({"fax", "pager"})
    )
