"""Text, members of enumerations, and true or false, as columns take them."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from crossauth_backend.core.records import bad_field

# As forms of the session server read a box that is ticked, and one that says it is not.
TRUE: Final = ("true", "t", "on", "1", "yes", "y")
FALSE: Final = ("false", "f", "off", "0", "no", "n")
_MAX_NAMED: Final = 20


def read_text(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> str:
    """Text, no longer than the column."""
    if not isinstance(value, str):
        raise bad_field(name, "must be text")
    if kind.length is not None and len(value) > kind.length:
        raise bad_field(name, f"must be at most {kind.length} characters")
    return value


def read_boolean(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> bool:
    """True or false; in a form, one of the usual words for it."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in TRUE and word not in FALSE:
        raise bad_field(name, "must be true or false")
    return word in TRUE


def read_enum(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> Any:
    """A member of the enumeration, by its value, which is what answers show, or its name; the empty text is none."""
    if kind.enum_class is None:
        if isinstance(value, str) and value in kind.enums:
            return str(value)
        return _nothing(name, value, kind.enums)
    members: list[Enum] = list(kind.enum_class)
    if isinstance(value, kind.enum_class):
        return value
    for member in members:
        if type(member.value) is type(value) and member.value == value:
            return member
    if isinstance(value, str):
        if value in kind.enum_class.__members__:
            return kind.enum_class[value]
        for member in members:
            if str(member.value) == value:
                return member
    return _nothing(name, value, [str(member.value) for member in members])


def _nothing(name: str, value: Any, allowed: list[str]) -> None:
    if isinstance(value, str) and not value.strip():
        return
    named = ", ".join(allowed[:_MAX_NAMED]) + (", …" if len(allowed) > _MAX_NAMED else "")
    raise bad_field(name, f"must be one of {named}")
