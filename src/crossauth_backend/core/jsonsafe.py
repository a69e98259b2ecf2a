"""Values of an application's columns as JSON can say them."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final

# What most columns hold: neither looked into nor copied.
PLAIN: Final = frozenset({str, int, bool, type(None)})
_MAX_DEPTH: Final = 64
# More digits than a 64-bit integer or a float has are written as text, which loses none of them.
_MAX_DIGITS: Final = 18


def json_safe(value: Any, _depth: int = 0) -> Any:
    """Return `value` as JSON can say it.

    A member of an enumeration is its value; dates and times are ISO 8601 text; a duration is its seconds; a decimal is a number
    where a number is exact, otherwise text; a UUID is text; bytes are base64 (RFC 4648 §4). What is not finite is `None`, as is
    what is nested deeper than 64 levels; anything unknown is its text.
    """
    if value.__class__ in PLAIN:
        return value
    if isinstance(value, Enum):
        return json_safe(value.value, _depth + 1) if _depth < _MAX_DEPTH else None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _nested(value, _depth + 1) if _depth < _MAX_DEPTH else None
    return _text(value)


def _nested(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {str(json_safe(name, depth)): json_safe(one, depth) for name, one in value.items()}
    return [json_safe(one, depth) for one in value]


def _decimal(value: Decimal) -> int | float | str | None:
    if not value.is_finite():
        return None
    if abs(value.adjusted()) > _MAX_DIGITS:
        return str(value)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _text(value: Any) -> str:
    if isinstance(value, (str, int)):
        # A subclass: its own text may be anything.
        return str.__str__(value) if isinstance(value, str) else int.__repr__(value)
    return str(value)
