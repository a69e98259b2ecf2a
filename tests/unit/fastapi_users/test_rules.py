"""What holds for every user manager, whatever the application adds."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.passwords import MAX_PASSWORD_BYTES
from crossauth_fastapi.fastapi_users._rules import FLAGS, fingerprint, password_problem, refuse_unclear, sent_values
from crossauth_fastapi.fastapi_users.schemas import CreateUpdateDictModel

SECRET = "a secret that is long enough for a test"


class Body(CreateUpdateDictModel):
    id: int | None = None
    email: str | None = None
    password: str | None = None
    hashed_password: str | None = None
    is_active: Any = None
    is_superuser: Any = None
    is_verified: Any = None
    nickname: str | None = None
    old_password: str | None = None
    mfa_token: str | None = None
    otp: str | None = None
    stars: int | None = None


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [1, 0, "true", "", [], 1.0])
def test_a_flag_is_true_or_false(name: str, value: object) -> None:
    with pytest.raises(CrossauthError, match=name) as refused:
        refuse_unclear({name: value})
    assert refused.value.code is ErrorCode.BadRequest
    refuse_unclear({name: True})
    refuse_unclear({name: None, "other": 1})


def test_what_users_may_not_set_of_themselves_is_left_out() -> None:
    body = Body(
        id=9,
        email="a@example.com",
        hashed_password="x",
        is_active=False,
        is_superuser=True,
        is_verified=True,
        nickname="n",
        old_password="o",
        mfa_token="m",
        otp="1",
        stars=5,
    )

    class Database:
        reserved_fields = ("stars",)

    assert sent_values(body, safe=True, user_db=Database()) == {"email": "a@example.com", "nickname": "n"}
    assert sent_values(body, safe=False, user_db=Database()) == {
        "email": "a@example.com",
        "is_active": False,
        "is_superuser": True,
        "is_verified": True,
        "nickname": "n",
        "stars": 5,
    }


def test_null_for_what_every_user_has_is_as_not_sent() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("email", "password", *FLAGS, "nickname", "stars"))
    assert sent_values(Body(**nothing), safe=False) == {"nickname": None, "stars": None}
    assert sent_values(Body(**nothing), safe=False, names=["nickname"]) == {"stars": None}
    assert sent_values(Body(), safe=False) == {}


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", None),
        ("x" * MAX_PASSWORD_BYTES, None),
        ("x" * (MAX_PASSWORD_BYTES + 1), "at most"),
        ("é" * MAX_PASSWORD_BYTES, "at most"),
        ("\ud800", "not valid text"),
    ],
)
def test_a_password_that_no_policy_could_take(password: str, problem: str | None) -> None:
    found = password_problem(password)
    assert found is None if problem is None else problem in str(found)


def test_a_fingerprint_changes_with_every_part_and_tells_nothing() -> None:
    made = {
        fingerprint(SECRET, "a", "b"),
        fingerprint(SECRET, "a", "c"),
        fingerprint(SECRET, "b", "a"),
        fingerprint(SECRET, "a"),
        fingerprint(SECRET + "x", "a", "b"),
    }
    assert len(made) == 5
    assert fingerprint(SECRET, "a", "b") in made
    assert not any("." in mark or SECRET in mark for mark in made)
