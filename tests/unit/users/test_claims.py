"""What is said of a user in claims."""

import json
import math
import uuid
from datetime import UTC, date, datetime

import pytest

from crossauth_backend import User
from crossauth_backend.users.claims import SCOPE_CLAIMS, claims_for

ALICE = User(
    id=7, username="alice", email="alice@example.com", email_verified_at=datetime(2026, 1, 1, tzinfo=UTC), phone="+15551234567",
    security_stamp="stamp", extra={"given_name": "Alice", "nickname": "", "birthdate": date(2000, 1, 2), "note": "of the staff"},
)  # fmt: skip


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
