"""An API key in a stored key, whatever another system has stored there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, Key
from crossauth_backend.api_keys.record import OURS, api_key_of, data_of, encoded, ours_of, with_data
from crossauth_backend.limits.rules import Limit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stored(data: str, **fields: Any) -> Key:
    return Key(value="api:0123456789abcdef0123456789", created=NOW, data=data, **fields)


def test_what_is_stored_comes_back() -> None:
    key = api_key_of(stored(encoded({"scope": ["a", "b"], "team": 7}, {"id": "i"})))
    until = NOW + timedelta(hours=1)
    changed = with_data(key, name="n", hint="h", limit=Limit(5, 60), replaced_until=until, pending=True)
    again = api_key_of(stored(changed.data))
    assert (again.id, again.name, again.hint, again.limit, again.replaced_until, again.pending) == (
        "i",
        "n",
        "h",
        Limit(5, 60),
        until,
        True,
    )
    assert again.scope == ("a", "b")
    assert data_of(again) == {"scope": ["a", "b"], "team": 7}
    assert ours_of(again) == ours_of(changed)


def test_it_ends_with_its_expiry_or_its_replacement() -> None:
    key = api_key_of(stored("", expires=NOW + timedelta(days=1)))
    assert key.ends == key.expires
    assert with_data(key, replaced_until=NOW).ends == NOW
    assert api_key_of(stored("")).ends is None


def test_the_applications_data_hide_no_field() -> None:
    key = api_key_of(stored(encoded({"userid": 9, "value": "planted", "team": 7}, {"id": "i"}), userid=1))
    assert (key["userid"], key["team"]) == (1, 7)
    assert key["value"].startswith("api:")


@pytest.mark.parametrize(
    "ours",
    [
        "null",
        "[]",
        '"x"',
        "{}",
        '{"limit":[0,1],"until":"x"}',
        '{"limit":[1],"until":1e999}',
        '{"limit":[true,1]}',
        '{"limit":[1,999999999999999999999999999999]}',
        '{"limit":{"a":1}}',
        '{"until":99999999999999}',
        '{"pending":1}',
        '{"id":null,"name":null}',
    ],
)
def test_what_another_system_stored_is_read_as_far_as_it_goes(ours: str) -> None:
    key = api_key_of(stored(f'{{"{OURS}":{ours},"scope":"a b"}}'))
    assert (key.name, key.limit, key.replaced_until, key.pending, key.scope) == ("", None, None, False, None)
    assert key.id


@pytest.mark.parametrize("data", ["x", "[]", "[" * 100_000, '{"a":' * 100_000])
def test_data_that_are_no_object_are_said(data: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        api_key_of(stored(data))
    assert refused.value.code is ErrorCode.DataFormat


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_data_without_a_json_form_are_refused(value: Any) -> None:
    with pytest.raises(CrossauthError) as refused:
        encoded({"a": value}, {})
    assert refused.value.code is ErrorCode.BadRequest
