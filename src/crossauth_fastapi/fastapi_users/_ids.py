"""What ids are."""

from __future__ import annotations

import inspect
import typing
import uuid
from typing import Any, Final

from crossauth_fastapi.fastapi_users.exceptions import InvalidID

_MAX_ID: Final = 2**63 - 1
_MAX_DIGITS: Final = 19


class UUIDIDMixin:
    """For users whose ids are UUIDs."""

    def parse_id(self, value: Any) -> uuid.UUID:
        """`value` as an id.

        Raises:
            InvalidID: it is none.
        """
        if isinstance(value, uuid.UUID):
            return value
        try:
            return uuid.UUID(value)
        except (ValueError, TypeError, AttributeError) as e:
            raise InvalidID from e


class IntegerIDMixin:
    """For users whose ids are whole numbers."""

    def parse_id(self, value: Any) -> int:
        """`value` as an id: a whole number, or the digits of one.

        Raises:
            InvalidID: it is none.
        """
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_ID:
            raise InvalidID
        return value


def id_type(hint: Any) -> type | None:
    """Of what type users' ids are, as far as something says it.

    Parameters:
        hint: a schema of users with the field `id`; an object of a class that was given its parameters, such as
            `FastAPIUsers[User, uuid.UUID](…)`; or a dependency whose annotation says which user manager it gives.
    """
    field = getattr(hint, "model_fields", {}).get("id")
    if field is not None:
        found = [field.annotation]
    elif inspect.isroutine(hint):
        found = [_of_manager(hint)]
    else:
        made = (getattr(hint, "__orig_class__", None), *getattr(type(hint), "__orig_bases__", ()))
        found = [args[1] for args in map(typing.get_args, made) if len(args) > 1]
    return next((kind for kind in found if isinstance(kind, type) and kind is not Any), None)


def _of_manager(dependency: Any) -> type | None:
    """Of the user manager that a dependency returns or yields."""
    try:
        hint = typing.get_type_hints(dependency).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    while hint is not None:
        kind = typing.get_origin(hint) or hint
        for mixin, found in ((UUIDIDMixin, uuid.UUID), (IntegerIDMixin, int)):
            if isinstance(kind, type) and issubclass(kind, mixin):
                return found
        inner = typing.get_args(hint)
        hint = inner[0] if inner else None
    return None
