"""When a session signs nobody in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import ErrorCode, Key, User, UserState
from crossauth_backend.sessions.manager import session_refusal

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER = User(id=1, username="alice", security_stamp="stamp")
KEY = Key(value="s:x", created=NOW - HOUR, expires=NOW + HOUR, userid=1, stamp="stamp", lastactive=NOW)


def test_a_good_one_does() -> None:
    assert session_refusal(KEY, USER, NOW, HOUR) is None
    assert session_refusal(replace(KEY, expires=None), USER, NOW, None) is None


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ({"expires": NOW}, ErrorCode.Expired), ({"expires": NOW - HOUR}, ErrorCode.Expired),
        ({"lastactive": NOW - HOUR}, ErrorCode.Expired), ({"lastactive": None}, ErrorCode.Expired),
        ({"lastactive": NOW - HOUR + timedelta(microseconds=1)}, None),
        ({"stamp": "another"}, ErrorCode.InvalidSession), ({"stamp": None}, ErrorCode.InvalidSession),
    ],
)  # fmt: skip
def test_it_ends_by_time_and_with_what_it_rests_on(key: dict[str, Any], code: ErrorCode | None) -> None:
    assert session_refusal(replace(KEY, **key), USER, NOW, HOUR) is code


@pytest.mark.parametrize(
    "state", [v for n, v in vars(UserState).items() if not n.startswith("_") and v != "active"] + ["new"]
)
def test_it_ends_with_every_state_but_active(state: str) -> None:
    assert session_refusal(KEY, replace(USER, state=state), NOW, HOUR) is not None


def test_it_ends_with_its_user() -> None:
    assert session_refusal(KEY, None, NOW, HOUR) is ErrorCode.InvalidSession
    assert session_refusal(KEY, replace(USER, security_stamp=None), NOW, HOUR) is ErrorCode.InvalidSession


def test_one_of_nobody_ends_by_its_time_alone() -> None:
    nobodys = replace(KEY, userid=None, stamp=None, lastactive=None)
    assert session_refusal(nobodys, None, NOW, timedelta(0)) is None
    assert session_refusal(replace(nobodys, expires=NOW), None, NOW, None) is ErrorCode.Expired
