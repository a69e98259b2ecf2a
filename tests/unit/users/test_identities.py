"""What can be an account at another issuer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.users.identities import (
    MAX_ISSUER,
    MAX_NAME,
    MAX_SUBJECT,
    Identity,
    check_identity,
    handle_of,
    is_identity,
    stored_name,
    taken,
)

HERE = "https://issuer.example"
NOBODY: tuple[tuple[Any, Any], ...] = (
    (HERE, ""), ("", "alice"), (HERE, None), (None, "alice"), (HERE, 1), (HERE, ["alice"]), (HERE, "a\x00"), (HERE, "\ud800"),
    ("h" * (MAX_ISSUER + 1), "alice"), (HERE, "a" * (MAX_SUBJECT + 1)),
)  # fmt: skip


@pytest.mark.parametrize(("iss", "sub"), NOBODY)
def test_what_is_nobody(iss: Any, sub: Any) -> None:
    assert not is_identity(iss, sub)
    with pytest.raises(CrossauthError) as refused:
        check_identity(iss, sub)
    assert refused.value.code is ErrorCode.BadRequest


def test_what_is_somebody() -> None:
    for iss, sub in ((HERE, "alice"), ("h" * MAX_ISSUER, "a" * MAX_SUBJECT), (HERE, "Zoë ☂")):
        assert is_identity(iss, sub)
        check_identity(iss, sub)


def test_names_are_what_can_be_shown_and_stored() -> None:
    assert stored_name("Zoë\x00\ud800\r\n <zoe@example.com>") == "Zoë <zoe@example.com>"
    assert len(stored_name("a" * 10_000)) == MAX_NAME


def test_a_handle_is_one_accounts() -> None:
    def handle(iss: str, sub: str, **more: Any) -> str:
        return handle_of(Identity(iss=iss, sub=sub, userid=1, created=datetime(2026, 1, 1, tzinfo=UTC), **more))

    assert handle("https://a", "b") == handle("https://a", "b", name="Bob")
    assert (
        len({handle("https://a", "b"), handle("https://ab", ""), handle("https://a", "B"), handle("https://", "ab")})
        == 4
    )


def test_what_is_said_of_somebody_elses_account() -> None:
    assert (taken().code, taken().http_status) == (ErrorCode.ConstraintViolation, 409)
