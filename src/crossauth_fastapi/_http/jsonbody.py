"""JSON bodies: bounded in depth, values and numbers before and while they are parsed."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

MAX_BODY_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 20
MAX_VALUES: Final = 1000
MAX_FIELDS: Final = 200
_MOST: Final = 2**63
# A string, closed or not, so that it matches wherever a quotation mark is, and the whole text is passed over once.
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_OTHER: Final = re.compile(r"[^\[\]{}]+")


class BadFields(ValueError):
    """Why a body is refused, as public text."""


def parse_fields(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object.

    Raises:
        BadFields: for anything else; for a name that is repeated in its object; for numbers that are infinite, no numbers
            or larger than 64 bits hold; for more nesting, values or fields than a form of ours has.
    """
    fields = _parse(body, no_repeats)
    if not isinstance(fields, dict):
        raise BadFields("The body must be a JSON object")
    return fields


def lenient_fields(body: bytes) -> dict[str, Any]:
    """The fields of somebody else's JSON object, of repeated ones the last; empty where it is none, or none we could parse."""
    try:
        fields = _parse(body, dict, lenient=True)
    except BadFields:
        return {}
    return fields if isinstance(fields, dict) else {}


def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields as a dictionary.

    Raises:
        BadFields: for a repeated one, and for too many.
    """
    if len(pairs) > MAX_FIELDS:
        raise BadFields(f"The body has more than {MAX_FIELDS} fields")
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise BadFields(f"Field {name[:50]!a} is repeated")
        fields[name] = value
    return fields


def check_shape(text: str, most_values: int = MAX_VALUES) -> None:
    """Refuse text that nests deeper or holds more values than is parsed.

    The parser recurses, on some versions of Python as deep as the text says, so depth is counted before; in one pass.

    Raises:
        BadFields: saying which.
    """
    bare = _STRING.sub("", text)
    depth = 0
    for bracket in _OTHER.sub("", bare)[: 2 * most_values]:
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise BadFields("The body is nested too deeply")
    if bare.count(",") + bare.count("[") + bare.count("{") > most_values:
        raise BadFields("The body has too many values")


def _parse(body: bytes, as_object: Any, lenient: bool = False) -> Any:
    try:
        text = body.decode()
        check_shape(text, MAX_VALUES * 10 if lenient else MAX_VALUES)
        if lenient:
            return json.loads(text, object_pairs_hook=as_object, parse_int=str)
        return json.loads(
            text, object_pairs_hook=as_object, parse_constant=_no_constant, parse_float=_float, parse_int=_int
        )
    except BadFields:
        raise
    except (ValueError, RecursionError):
        raise BadFields("The body is not valid JSON") from None


def _no_constant(text: str) -> None:
    raise BadFields(f"{text} is no JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadFields("The body holds a number that is too large")
    return number


def _int(text: str) -> int:
    # The length first: reading thousands of digits takes time that grows with their square (CVE-2020-10735).
    if len(text) > 20 or not -_MOST <= (number := int(text)) < _MOST:
        raise BadFields("The body holds a number that is too large")
    return number
