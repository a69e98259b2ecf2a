"""Users made of ID tokens."""

from typing import Any

import pytest

from crossauth_backend import InMemoryUserStorage, User
from crossauth_fastapi._middleware.identity import ClaimedUser
from crossauth_fastapi._oauth_client.users.create import (
    attempt_by,
    embedUserCreateFn,
    idTokenUserCreateFn,
    may_stand_for,
    merged,
    mergeUserCreateFn,
    user_of_claims,
)

OWN, FOREIGN = "https://own.example", "https://foreign.example"
CLAIMS = {"iss": FOREIGN, "sub": "alice", "name": "Alice", "email": "alice@example.com"}


@pytest.fixture
async def users() -> InMemoryUserStorage:
    found = InMemoryUserStorage()
    await found.create_user({"username": "alice", "state": "active", "factor1": "localpassword", "nickname": "Al"})
    return found


async def test_a_user_of_claims_alone_is_no_account() -> None:
    user = await idTokenUserCreateFn(
        CLAIMS | {"admin": True, "userid": 1, "id": 1, "email_verified": "yes"}, None, "", ""
    )
    assert isinstance(user, ClaimedUser)
    assert (user.id, user.username, user.admin, user.email) == (f"{FOREIGN}#alice", "alice", False, None)
    assert user.email_verified_at is None
    assert user["name"] == "Alice"


def test_an_address_is_the_users_where_the_issuer_has_verified_it() -> None:
    user = user_of_claims(CLAIMS | {"email_verified": True})
    assert user is not None
    assert user.email == "alice@example.com"


def test_the_ids_of_our_own_issuer_are_ids_here() -> None:
    user = user_of_claims(CLAIMS | {"iss": OWN, "sub": "7"}, OWN)
    assert isinstance(user, ClaimedUser)
    assert user.id == "7"


@pytest.mark.parametrize(
    "wrong", [{"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "a\nb"}, {"sub": "a" * 256}, {"iss": None}]
)
def test_claims_that_say_nobody(wrong: dict[str, Any]) -> None:
    assert user_of_claims(CLAIMS | wrong) is None


async def test_merge_adds_claims_and_changes_nothing(users: InMemoryUserStorage) -> None:
    response = CLAIMS | {
        "admin": True,
        "state": "disabled",
        "nickname": "Root",
        "username": "bob",
        "extra": {"a": 1},
        "id": 99,
    }
    user = await mergeUserCreateFn(response, users, "username", "sub")
    assert user is not None
    assert (user.id, user.username, user.admin, user.state, user["nickname"]) == (1, "alice", False, "active", "Al")
    assert (user["name"], user.email) == ("Alice", None)
    assert not isinstance(user, ClaimedUser)


async def test_embed_puts_claims_aside(users: InMemoryUserStorage) -> None:
    user = await embedUserCreateFn(CLAIMS, users, "username", "sub")
    assert user is not None
    assert user["id_token"] == CLAIMS
    assert "name" not in user


@pytest.mark.parametrize("make", [mergeUserCreateFn, embedUserCreateFn])
@pytest.mark.parametrize(
    "change",
    [
        {"state": "disabled"}, {"state": "awaitingemailverification"}, {"state": "passwordchangeneeded"},
        {"state": "passwordresetneeded"}, {"state": "factor2resetneeded"}, {"state": "awaitingtwofactorsetup"},
        {"state": "whatever"}, {"factor2": "totp"},
    ],
)  # fmt: skip
async def test_an_account_that_could_not_log_in_like_that_is_nobody(
    users: InMemoryUserStorage, make: Any, change: dict[str, Any]
) -> None:
    await users.update_user({"id": 1, **change})
    assert await make(CLAIMS, users, "username", "sub") is None
    assert await make(CLAIMS, None, "username", "sub") is None
    assert await make(CLAIMS | {"sub": "nobody"}, users, "username", "sub") is None


def test_only_our_own_issuer_proves_a_second_factor() -> None:
    user = User(id=1, username="alice", factor2="totp")
    mfa = {"amr": ["pwd", "otp"]}
    assert not may_stand_for(user, {"iss": FOREIGN, **mfa}, OWN)
    assert not may_stand_for(user, {"iss": OWN, "amr": ["pwd"]}, OWN)
    assert not may_stand_for(user, {"iss": OWN, "amr": "mfa"}, OWN)
    assert not may_stand_for(user, {**mfa})
    assert may_stand_for(user, {"iss": OWN, **mfa}, OWN)
    assert attempt_by(user, {"iss": FOREIGN, **mfa}, OWN).methods == ()


def test_where_everybody_needs_a_second_factor_an_account_without_one_is_nobody() -> None:
    user = User(id=1, username="alice")
    assert may_stand_for(user, {"iss": FOREIGN})
    assert not may_stand_for(user, {"iss": FOREIGN}, factor2_needed=True)


def test_merged_claims_do_not_hide_a_column_that_is_empty() -> None:
    user = User(id=1, username="alice", extra={"role": None})
    assert "role" not in merged(user, {"role": "root"})
