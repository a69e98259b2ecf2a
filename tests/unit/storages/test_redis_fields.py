"""A key as the fields of a Redis hash, and back."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossauth_backend import CrossauthError, ErrorCode, Key
from crossauth_backend.storages.redis.fields import microseconds, to_fields, to_key, user_text

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def there_and_back(key: Key) -> Key:
    values = {n: v for n, v in key.to_dict().items() if n != "value"}
    return to_key(key.value, {n: text for n, text in to_fields(values).items() if text is not None})


@pytest.mark.parametrize("userid", [None, 1, -1, 0, "1", "", "gx", "i7", uuid.UUID(int=3)])
def test_a_key_comes_back_as_it_was(userid: Any) -> None:
    key = Key(
        value="s:x", created=NOW, expires=NOW + timedelta(days=1), userid=userid, lastactive=NOW, data='{"a":1}', consumed=NOW,
        stamp="s", extra={"agent": "é", "list": [1, {"x": None}], "seen": NOW, "no": False},
    )  # fmt: skip
    assert there_and_back(key) == key
    found = there_and_back(key).userid
    assert type(found) is type(userid)


def test_what_is_empty_takes_no_field() -> None:
    assert there_and_back(Key(value="s:x", created=NOW)) == Key(value="s:x", created=NOW)
    cleared = to_fields({"userid": None, "data": "", "expires": None, "stamp": None, "agent": None})
    assert set(cleared.values()) == {None}


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_kept_to_the_microsecond(moment: datetime) -> None:
    assert there_and_back(Key(value="k", created=moment)).created == moment


def test_a_time_is_the_same_moment_in_every_zone() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert microseconds(east) == microseconds(NOW) == microseconds(NOW.replace(tzinfo=None))
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -1_000_000


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", "\ud800", "a\x00"])
def test_what_has_no_text_is_refused_by_name(value: Any) -> None:
    with pytest.raises(CrossauthError, match="agent") as refused:
        to_fields({"agent": value})
    assert refused.value.code is ErrorCode.BadRequest


@pytest.mark.parametrize("userid", [True, 1.5, [], b"1"])
def test_an_id_of_another_type_is_refused(userid: Any) -> None:
    with pytest.raises(CrossauthError, match="userid"):
        user_text(userid)


def test_an_empty_hash_is_no_key() -> None:
    with pytest.raises(CrossauthError) as refused:
        to_key("s:x", {})
    assert refused.value.code is ErrorCode.InvalidKey


def test_a_further_column_does_not_pass_for_one_of_ours() -> None:
    planted = {"u": "i1", "c": "0", "k": "0", "d": "x", "s": "stamp"}
    key = Key(value="s:x", created=NOW, extra=planted)
    assert there_and_back(key) == key
