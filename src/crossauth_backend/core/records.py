"""Records: reading their fields by name, and what no field may hold.

Records are frozen dataclasses with typed attributes. Applications written against the documented API read them as
mappings (`user["username"]`, `"factor2" in user`, `{**user}`), so the same fields answer that way too. A field whose value is
`None` is absent, as in a mapping that was never given the key.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import is_storable


class ItemReads:
    """Mapping-style reading over a dataclass's fields and, where it has one, its `extra` mapping."""

    __slots__ = ()

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default` where it is absent."""
        value = getattr(self, name) if name in self._names() else self._extra().get(name)
        return default if value is None else value

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        """Refuse to change the record, which others hold too, and say what to do instead."""
        kind = type(self).__name__
        raise CrossauthError(
            ErrorCode.Configuration,
            detail=f"a {kind} cannot be changed ({name!r} was to be): return {{**record, {name!r}: value}} or a replaced one",
        )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names of the fields that are present."""
        return [name for name, value in self.to_dict().items() if value is not None]

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, absent ones as `None`."""
        return {name: getattr(self, name) for name in self._names()} | dict(self._extra())

    @classmethod
    def _names(cls) -> list[str]:
        fields: Mapping[str, Any] = getattr(cls, "__dataclass_fields__", {})
        return [name for name in fields if name != "extra"]

    def _extra(self) -> Mapping[str, Any]:
        extra: Mapping[str, Any] = getattr(self, "extra", None) or {}
        return extra


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
