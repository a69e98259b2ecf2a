"""What ids are."""

from __future__ import annotations

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
