"""Refusing the value of one field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import is_storable


def bad_field(name: object, why: str) -> CrossauthError:
    """The refusal of one field; public, so it repeats no value."""
    return CrossauthError(ErrorCode.BadRequest, f"Field {str(name)[:64]!r} {why}", detail=f"field {name!r} {why}")


def refuse_unstorable(values: Mapping[str, Any]) -> None:
    """Refuse text and numbers that some database or encoder would not take: JSON has no infinite number, and no NaN.

    Raises:
        CrossauthError: `BadRequest`, naming the field.
    """
    for name, value in values.items():
        if isinstance(value, str) and not is_storable(value):
            raise bad_field(name, "holds characters that cannot be stored")
        if isinstance(value, (float, Decimal)) and not math.isfinite(value):
            raise bad_field(name, "holds a number that is too large")
