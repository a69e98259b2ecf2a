"""Values of fields: whether two are the same, and whether a nested one can be stored as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crossauth_backend.core.text import is_storable


def differs(value: object, other: object) -> bool:
    """Return whether two values of a field are not the same; to Python `1` is `True`, and `0` is `False`."""
    return value != other or isinstance(value, bool) is not isinstance(other, bool)


def is_sound(value: Any, depth: int, *, json: bool = True) -> bool:
    """Return whether a nested value is stored as it is: storable text, finite numbers, and no deeper than `depth`.

    Parameters:
        value: the value.
        depth: how many levels there may be.
        json: whether nothing but what JSON has is sound.
    """
    if value is None or isinstance(value, (bool, int)):
        return True
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, (float, Decimal)):
        return math.isfinite(value) and (isinstance(value, float) or not json)
    if depth and isinstance(value, Mapping):
        return all(
            isinstance(n, str) and is_storable(n) and is_sound(v, depth - 1, json=json) for n, v in value.items()
        )
    if depth and isinstance(value, (list, tuple)):
        return all(is_sound(one, depth - 1, json=json) for one in value)
    return not json and not isinstance(value, (Mapping, list, tuple))
