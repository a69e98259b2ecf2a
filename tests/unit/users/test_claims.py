"""What of a user is shown to its owner, and said to others in claims."""

import json
import math
import uuid
from datetime import UTC, date, datetime

import pytest

from crossauth_backend import InMemoryUserStorage, User
from crossauth_backend.users.claims import SCOPE_CLAIMS, claims_for, public_user

ALICE = User(
    id=7, username="alice", email="alice@example.com", email_verified_at=datetime(2026, 1, 1, tzinfo=UTC), phone="+15551234567",
    security_stamp="stamp", extra={"given_name": "Alice", "nickname": "", "birthdate": date(2000, 1, 2), "note": "of the staff"},
)  # fmt: skip


def test_of_a_user_only_what_is_the_users_is_shown() -> None:
    storage = InMemoryUserStorage({"user_editable_fields": ["email", "nickname", "born"]})
    some = uuid.UUID(int=7)
    user = User(
        id=some,
        username="alice",
        security_stamp="stamp",
        email_normalized="x",  # type: ignore[arg-type]
        extra={"nickname": "Al", "note": "of the staff", "born": datetime(2000, 1, 1, tzinfo=UTC)},
    )
    shown = public_user(user, storage)
    assert shown == {
        "id": str(some),
        "username": "alice",
        "email": None,
        "state": "active",
        "factor1": "localpassword",
        "factor2": "",
        "admin": False,
        "nickname": "Al",
        "born": "2000-01-01T00:00:00+00:00",
    }
    assert public_user(User(id=1, username="a"), storage)["id"] == 1


@pytest.mark.parametrize(
    ("scopes", "claims"),
    [
        ([], {}),
        (["openid", "orders:read"], {}),
        (["email"], {"email": "alice@example.com", "email_verified": True}),
        (["phone"], {"phone_number": "+15551234567"}),
        (["profile"], {"preferred_username": "alice", "given_name": "Alice", "birthdate": "2000-01-02"}),
        (["address"], {}),
    ],
)
def test_a_scope_asks_for_its_claims_and_no_others(scopes: list[str], claims: dict[str, object]) -> None:
    assert claims_for(ALICE, scopes) == claims


def test_an_address_that_nobody_verified_is_said_to_be_so() -> None:
    assert claims_for(User(id=1, username="a", email="a@example.com"), ["email"])["email_verified"] is False
    assert claims_for(User(id=1, username="a"), ["email"]) == {}


def test_claims_are_json_whatever_a_column_holds() -> None:
    user = User(id=1, username="a", extra={"name": uuid.UUID(int=7), "locale": math.inf, "address": {"country": "DE"}})
    found = claims_for(user, list(SCOPE_CLAIMS))
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "preferred_username": "a", "name": str(uuid.UUID(int=7)), "address": {"country": "DE"},
    }  # fmt: skip
