"""What of a user is shown to its owner."""

import uuid
from datetime import UTC, datetime

from crossauth_backend import User
from crossauth_fastapi._session.context import public_user


def test_of_a_user_only_what_is_the_users_is_shown() -> None:
    editable = ["email", "nickname", "born"]
    some = uuid.UUID(int=7)
    user = User(
        id=some,
        username="alice",
        security_stamp="stamp",
        email_normalized="x",  # type: ignore[arg-type]
        extra={"nickname": "Al", "note": "of the staff", "born": datetime(2000, 1, 1, tzinfo=UTC)},
    )
    displayed = public_user(user, editable)
    assert displayed == {
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
    assert public_user(User(id=1, username="a"), editable)["id"] == 1
