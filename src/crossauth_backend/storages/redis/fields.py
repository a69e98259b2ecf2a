"""A key as the fields of a Redis hash, and back. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.clock import as_utc
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.records import bad_field, refuse_unstorable
from crossauth_backend.core.text import is_storable
from crossauth_backend.keys.record import Key

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIMES: Final = {"created": "c", "expires": "e", "lastactive": "l", "consumed": "k"}
_EXTRA: Final = "x:"
DATA: Final = "d"
USER: Final = "u"
STAMP: Final = "s"
CONSUMED: Final = _TIMES["consumed"]


def microseconds(time: datetime) -> int:
    """`time` as microseconds since the epoch."""
    return (as_utc(time) - _EPOCH) // _MICROSECOND


def user_text(userid: Any) -> str:
    """A user's id as text that still says of which type it is.

    Raises:
        CrossauthError: `BadRequest` for an id that is no text, whole number or UUID.
    """
    if isinstance(userid, uuid.UUID):
        return f"g{userid}"
    if isinstance(userid, int) and not isinstance(userid, bool):
        return f"i{userid}"
    if isinstance(userid, str):
        return f"s{userid}"
    raise bad_field("userid", "must be text, a whole number or a UUID")


def _user_id(text: str) -> Any:
    kinds: dict[str, Any] = {"g": uuid.UUID, "i": int, "s": str}
    return kinds[text[0]](text[1:])


def to_fields(values: Mapping[str, Any]) -> dict[str, str | None]:
    """The fields of a hash for fields of a key; `None` where one is to be empty.

    Raises:
        CrossauthError: `BadRequest` for what cannot be stored.
    """
    refuse_unstorable(values)
    for name in values:
        if not is_storable(name):
            raise bad_field(name, "is no name")
    return dict(_field(name, value) for name, value in values.items())


def _field(name: str, value: Any) -> tuple[str, str | None]:
    if name == "userid":
        return USER, None if value is None else user_text(value)
    if name == "data":
        return DATA, value or None
    if name == "stamp":
        return STAMP, value
    if name in _TIMES:
        return _TIMES[name], None if value is None else str(microseconds(value))
    try:
        return _EXTRA + name, None if value is None else json.dumps(value, default=_json_time)
    except (TypeError, ValueError) as e:
        raise bad_field(name, "has no JSON form") from e


def _json_time(value: Any) -> dict[str, int]:
    if isinstance(value, datetime):
        return {"microseconds": microseconds(value)}
    raise TypeError


def _extra(text: str) -> Any:
    value = json.loads(text)
    if isinstance(value, dict) and value.keys() == {"microseconds"}:
        return _EPOCH + value["microseconds"] * _MICROSECOND
    return value


def to_key(value: str, fields: Mapping[str, str]) -> Key:
    """The key that a hash holds.

    Raises:
        CrossauthError: `InvalidKey` where there is none.
    """
    if not fields:
        raise CrossauthError(ErrorCode.InvalidKey)
    times: dict[str, Any] = {
        name: _EPOCH + int(fields[short]) * _MICROSECOND for name, short in _TIMES.items() if short in fields
    }
    return Key(
        value=value,
        userid=_user_id(fields[USER]) if USER in fields else None,
        data=fields.get(DATA, ""),
        stamp=fields.get(STAMP),
        extra={name[2:]: _extra(text) for name, text in fields.items() if name.startswith(_EXTRA)},
        **times,
    )
