"""The data of a key: a JSON object as text, changed one entry at a time. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.record import Key


class KeyDataEntry(TypedDict):
    """One change of a key's data: `data_name` may address nested objects with dots; without `value` the entry is removed."""

    data_name: str
    value: NotRequired[Any]


def decode_data(data: str | None) -> dict[str, Any]:
    """The JSON object in a key's `data`; empty where there is none.

    Raises:
        CrossauthError: `DataFormat` where the text is not a JSON object.
    """
    if not data:
        return {}
    try:
        decoded = json.loads(data)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        raise CrossauthError(ErrorCode.DataFormat, detail="the data of a key is not a JSON object")
    return decoded


def encode_data(data: Mapping[str, Any] | None) -> str:
    """A key's `data` for `data`: JSON text, empty for `None` or an empty mapping.

    Raises:
        CrossauthError: `BadRequest` where a value has no JSON form.
    """
    if not data:
        return ""
    try:
        return json.dumps(data, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as e:
        raise CrossauthError(ErrorCode.BadRequest, f"Session data must be JSON values: {e}") from e


def changed_data(data: str | None, changes: list[KeyDataEntry]) -> str:
    """`data` after `changes`: the pure step between reading a key and storing it again."""
    root = decode_data(data)
    for change in changes:
        *path, last = change["data_name"].split(".")
        node = root
        for name in path:
            below = node.get(name)
            if not isinstance(below, dict):
                if "value" not in change:
                    break
                below = node[name] = {}
            node = below
        else:
            if "value" in change:
                node[last] = change["value"]
            else:
                node.pop(last, None)
    return encode_data(root)


def get_json_data(key: Key) -> dict[str, Any]:
    """The JSON object in `key.data`."""
    return decode_data(key.data)
