"""Values as the columns of a table take them, so that nothing is written that could not be read again.

Forms bring text and JSON brings text, numbers and booleans; a hook may bring what Python has. The text of a form is read as the
column's type says. What does not fit is refused by name, and the refusal says what would fit.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.records import bad_field
from crossauth_backend.core.values import is_sound
from crossauth_backend.storages.sqlalchemy.timevalues import read_date, read_duration, read_moment, read_time
from crossauth_backend.storages.sqlalchemy.wordvalues import read_boolean, read_enum, read_text

_INTEGER_BITS: Final = ((sa.BigInteger, 64), (sa.SmallInteger, 16), (sa.Integer, 32))
_MAX_TEXT_OF_NUMBER: Final = 1000
_MAX_EXPONENT: Final = 308
_MAX_DEPTH: Final = 60
Reader = Callable[[str, Any, Any, sa.Dialect], Any]


def fitting(column: sa.Column[Any], value: Any, dialect: sa.Dialect) -> Any:
    """Return `value` as `column` takes it.

    `None`, and the empty text where the column holds no text, are no value. SQL expressions are left to the database.

    Parameters:
        column: where it is to be written.
        value: what is to be written.
        dialect: of the database.

    Raises:
        CrossauthError: `BadRequest`, naming the field and what would be right.
    """
    if value is None or isinstance(value, sa.ClauseElement):
        return value
    return _fit(column.name, column.type, value, dialect)


def _fit(name: str, declared: TypeEngine[Any], value: Any, dialect: sa.Dialect) -> Any:
    # As the dialect has it: a column may be of another type in each.
    kind = declared.dialect_impl(dialect)
    reader = _reader(kind)
    if reader is not None:
        if isinstance(value, str) and not value.strip() and not isinstance(kind, sa.String):
            return None
        return reader(name, kind, value, dialect)
    if isinstance(kind, sa.types.TypeDecorator) and type(kind).bind_processor is sa.types.TypeDecorator.bind_processor:
        return _decorated(name, kind, value, dialect)
    return _bindable(name, kind, value, dialect)


def _reader(kind: TypeEngine[Any]) -> Reader | None:
    """What reads values for a type; `None` for one of which nothing is known."""
    for known, reader in _BY_CLASS:
        if isinstance(kind, known):
            return reader
    if isinstance(kind, sa.types.TypeDecorator):
        return None
    try:
        return _BY_PYTHON.get(kind.python_type)
    except NotImplementedError:
        return None


def _integer(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> int:
    number = value
    if isinstance(value, str):
        text = value.strip(" \t\r\n")
        digits = text[1:] if text[:1] in ("+", "-") else text
        number = int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 30 else None
    elif isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value):
        number = int(value)
    if not isinstance(number, int) or isinstance(number, bool):
        raise bad_field(name, "must be a whole number")
    bits = next(bits for known, bits in _INTEGER_BITS if isinstance(kind, known))
    if bits == 32 and dialect.name == "sqlite":  # which keeps any integer in 64 bits
        bits = 64
    limit = 2 ** (bits - 1)
    if not -limit <= number < limit:
        raise bad_field(name, f"must be a whole number between {-limit} and {limit - 1}")
    return int(number)


def _number(name: str, value: Any) -> Decimal:
    """A finite number, with the digits that were sent."""
    text = value.strip(" \t\r\n") if isinstance(value, str) else None
    try:
        if text is not None:
            plain = text.isascii() and "_" not in text and len(text) <= _MAX_TEXT_OF_NUMBER
            number = Decimal(text) if plain else None
        elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            number = None
        else:
            number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (ArithmeticError, ValueError):
        number = None
    if number is None or number.is_nan():
        raise bad_field(name, "must be a number")
    if not number.is_finite() or (number and number.adjusted() > _MAX_EXPONENT):
        raise bad_field(name, "holds a number that is too large")
    return number


def _float(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> float:
    number = float(_number(name, value))
    if not math.isfinite(number):
        raise bad_field(name, "holds a number that is too large")
    return number


def _decimal(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> Decimal:
    number = _number(name, value)
    if kind.precision is None:
        if number.adjusted() < -_MAX_EXPONENT:
            raise bad_field(name, "holds a number with too many digits")
        return number
    scale = kind.scale or 0
    _, digits, exponent = number.as_tuple()
    # Trailing zeros say nothing.
    fraction = max(0, -int(exponent) - (len(digits) - len("".join(map(str, digits)).rstrip("0"))))
    if number and (number.adjusted() + 1 > kind.precision - scale or fraction > scale):
        raise bad_field(
            name,
            f"must be a number with at most {kind.precision - scale} digits before the decimal point and {scale} after it",
        )
    return number


def _uuid(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> Any:
    try:
        if not isinstance(value, (str, uuid.UUID)):
            raise ValueError
        found = value if isinstance(value, uuid.UUID) else uuid.UUID(value.strip())
    except ValueError:
        raise bad_field(name, "must be a UUID, such as 123e4567-e89b-12d3-a456-426614174000") from None
    return found if getattr(kind, "as_uuid", True) else str(found)


def _bytes(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> bytes:
    if isinstance(value, str):
        try:
            value = base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            value = None
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise bad_field(name, "must be base64")
    length = getattr(kind, "length", None)
    if length is not None and len(value) > length:
        raise bad_field(name, f"must be at most {length} bytes")
    return bytes(value)


def _json(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> Any:
    """Text is an object or a list where it is the JSON of one, as the page with the form shows it; otherwise text."""
    found = value
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        found = _parsed(value)
    if not is_sound(found, _MAX_DEPTH):
        raise bad_field(name, "must be JSON: text, finite numbers, true, false, null, lists and objects of these")
    return found


def _array(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> list[Any]:
    found = _parsed(value) if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not is_sound(list(found), _MAX_DEPTH, json=False):
        raise bad_field(name, "must be a list")
    return _elements(name, kind, found, dialect, 1)


def _elements(name: str, kind: Any, value: Any, dialect: sa.Dialect, level: int) -> list[Any]:
    """The elements of a list of an array. PostgreSQL keeps arrays of any depth in a column of arrays, but a column that says how
    deep its arrays are can read no others."""
    dimensions = kind.dimensions
    may_nest, must_nest = dimensions is None or level < dimensions, dimensions is not None and level < dimensions
    # Of JSON a list may be one element.
    whole = dimensions is not None and _reader(kind.item_type.dialect_impl(dialect)) is _json
    found: list[Any] = []
    for one in value:
        nested = isinstance(one, (list, tuple))
        if (must_nest and not nested) or (nested and not may_nest and not whole):
            shape = "a list without lists in it" if dimensions == 1 else f"lists in lists, {dimensions} levels deep"
            raise bad_field(name, f"must be {shape}")
        if nested and may_nest:
            found.append(_elements(name, kind, one, dialect, level + 1))
        else:
            found.append(None if one is None else _fit(name, kind.item_type, one, dialect))
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _decorated(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> Any:
    """A value for a type of the application's: as it is, or else as the type beneath takes it, where the type takes that."""
    inner = kind.load_dialect_impl(dialect)
    if type(kind).process_bind_param is sa.types.TypeDecorator.process_bind_param:
        return _fit(name, inner, value, dialect)
    refused: CrossauthError | None = None
    for fitted in (False, True):
        try:
            provided = _fit(name, inner, value, dialect) if fitted else value
            bound = kind.process_bind_param(provided, dialect)
            written = None if bound is None else _fit(name, inner, bound, dialect)
        except CrossauthError as e:
            refused = e
            continue
        except Exception:  # noqa: S112  # whatever a type of the application's raises, it does not take the value
            continue
        if type(written) is type(bound) and written == bound:
            return provided
    raise refused or bad_field(name, "has a value that its column does not take")


def _bindable(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> Any:
    """A value for a type of which nothing is known: what it can send to the database."""
    processor = kind.bind_processor(dialect)
    try:
        if processor is not None:
            processor(value)
    except Exception:
        raise bad_field(name, "has a value that its column does not take") from None
    return value


# In this order: a type may be a kind of another one. `Enum` is a `String`, and `Float` a `Numeric`.
_BY_CLASS: Final[tuple[tuple[Any, Reader], ...]] = (
    (sa.Enum, read_enum), (sa.Boolean, read_boolean), (sa.Integer, _integer), (sa.Float, _float), (sa.Numeric, _decimal),
    (sa.Interval, read_duration), (sa.DateTime, read_moment), (sa.Date, read_date), (sa.Time, read_time), (sa.Uuid, _uuid),
    (sa.LargeBinary, _bytes), (sa.JSON, _json), (sa.ARRAY, _array), (sa.String, read_text),
)  # fmt: skip
_BY_PYTHON: Final[dict[type, Reader]] = {timedelta: read_duration}
