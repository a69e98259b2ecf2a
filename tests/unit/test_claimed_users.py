"""Users made of claims alone."""

import pytest

from crossauth_fastapi._middleware.claimedusers import claimed_user
from crossauth_fastapi._middleware.identity import ClaimedUser

ISSUER = "https://issuer.example"


def test_the_id_of_a_foreign_issuer_is_nobodys_here() -> None:
    user = claimed_user({"userid": 1, "admin": True}, "alice", ISSUER)
    assert isinstance(user, ClaimedUser)
    assert (user.id, user.username, user.admin, user.state) == (f"{ISSUER}#alice", "alice", False, "active")


@pytest.mark.parametrize(
    ("claims", "id"), [({"userid": 7}, 7), ({"userid": "7"}, "7"), ({"userid": True}, "s"), ({}, "s")]
)
def test_the_id_of_our_own_is_one_here(claims: dict[str, object], id: object) -> None:
    assert claimed_user(claims, "s").id == id


def test_a_state_is_taken_over_if_it_is_text() -> None:
    assert claimed_user({"state": "disabled"}, "s").state == "disabled"
    assert claimed_user({"state": 1, "factor1": []}, "s").state == "active"
