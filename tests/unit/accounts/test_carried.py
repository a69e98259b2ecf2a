"""What a login carries to the session that comes of it."""

import json
from datetime import UTC, datetime

import pytest

from crossauth_backend import Key, User
from crossauth_backend.accounts.carried import CARRIED, carried_by, with_carried

ALICE, BOB = User(id=1, username="alice"), User(id=2, username="bob")


def waits(data: object, userid: int | None = None) -> Key:
    return Key(value="s:1", userid=userid, created=datetime(2026, 1, 1, tzinfo=UTC), data=json.dumps(data))


def test_it_is_for_the_same_user_and_nobody_else() -> None:
    data = with_carried({"2fa": {}, "crossauth": {"before": {"userid": "1"}}}, ALICE, {"oauth": {"sealed": "x"}})
    assert data["crossauth"]["before"] == {"userid": "1"}
    assert "oauth" not in data
    assert carried_by(waits(data), ALICE) == {"oauth": {"sealed": "x"}}
    assert carried_by(waits(data), BOB) == {}


def test_it_waits_in_a_session_of_nobody() -> None:
    data = with_carried({}, ALICE, {"oauth": 1})
    assert carried_by(waits(data, 1), ALICE) == {}


@pytest.mark.parametrize(
    "kept", [None, 1, [], {}, {"userid": "1"}, {"userid": "1", "data": "x"}, {"userid": 1, "data": {}}]
)
def test_what_makes_no_sense_is_nothing(kept: object) -> None:
    assert carried_by(waits({"crossauth": {CARRIED: kept}}), ALICE) == {}
    assert carried_by(waits({"crossauth": kept}), ALICE) == {}
