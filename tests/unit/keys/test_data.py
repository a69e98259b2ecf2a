"""The data of a key: JSON text, changed one entry at a time."""

from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, Key
from crossauth_backend.keys.data import KeyDataEntry, changed_data, decode_data, encode_data, get_json_data

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("text", "data"), [(None, {}), ("", {}), ("{}", {}), ('{"a":{"b":[1]}}', {"a": {"b": [1]}})])
def test_the_data_of_a_key(text: str | None, data: dict[str, Any]) -> None:
    assert decode_data(text) == data
    assert get_json_data(Key(value="k", created=NOW, data=text or "")) == data


@pytest.mark.parametrize("text", ["x", "[]", "1", "null", '"a"', "{", "{'a':1}", "\x00"])
def test_text_that_is_no_object_is_a_fault_of_the_data(text: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        decode_data(text)
    assert refused.value.code is ErrorCode.DataFormat
    assert refused.value.http_status == 500


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", float("nan"), float("inf"), datetime.now(UTC)])
def test_a_value_without_a_json_form_is_refused(value: Any) -> None:
    with pytest.raises(CrossauthError) as refused:
        encode_data({"a": value})
    assert refused.value.code is ErrorCode.BadRequest


def test_nothing_is_kept_as_nothing() -> None:
    assert encode_data(None) == encode_data({}) == ""
    assert encode_data({"a": 1, "b": "é"}) == '{"a":1,"b":"\\u00e9"}'


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("", [{"data_name": "a", "value": 1}], '{"a":1}'),
        ('{"a":1}', [{"data_name": "a"}], ""),
        ('{"a":1}', [{"data_name": "a", "value": None}], '{"a":null}'),
        ("", [{"data_name": "a.b.c", "value": 1}], '{"a":{"b":{"c":1}}}'),
        ('{"a":{"b":1,"c":2}}', [{"data_name": "a.b"}], '{"a":{"c":2}}'),
        ('{"a":1}', [{"data_name": "a.b", "value": 2}], '{"a":{"b":2}}'),
        ('{"a":1}', [{"data_name": "x.y"}], '{"a":1}'),
        ('{"a":1}', [{"data_name": "a.b"}], '{"a":1}'),
        ('{"a":1}', [{"data_name": "b", "value": 2}, {"data_name": "a"}, {"data_name": "b", "value": 3}], '{"b":3}'),
        ('{"a":1}', [], '{"a":1}'),
        ("", [{"data_name": "", "value": 1}], '{"":1}'),
    ],
)  # fmt: skip
def test_changes_are_applied_in_their_order(before: str, changes: list[KeyDataEntry], after: str) -> None:
    assert changed_data(before, changes) == after
