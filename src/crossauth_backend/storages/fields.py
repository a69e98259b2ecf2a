"""What every storage does with the fields it is handed, whatever it keeps them in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from functools import cache
from typing import Any, Final, cast

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import is_storable, normalize
from crossauth_backend.users.record import User, UserSecrets
from crossauth_backend.users.storage import UserStorageSettings

DERIVED: Final = {"username": "username_normalized", "email": "email_normalized"}
USER_DEFAULTS: Final[dict[str, Any]] = {"state": "active", "factor1": "localpassword", "admin": False}
NEVER_EMPTY: Final = ("username", *USER_DEFAULTS)
MAX_ID: Final = 2**63 - 1

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)


def number_id(value: object) -> int | None:
    """`value` as a numeric id: a whole number, or the text of one as a form or an URL carries it; otherwise `None`."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -MAX_ID <= value <= MAX_ID:
        return value
    return None


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


def number_in(name: str, text: str) -> float | None:
    """The number in the text of a form's field; `None` for an empty one.

    Raises:
        CrossauthError: `BadRequest` for what is no finite number. A database may take `1e999` for one, and keep infinity.
    """
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        raise bad_field(name, "must be a number") from None
    if not math.isfinite(number):
        raise bad_field(name, "holds a number that is too large")
    return number


def bad_field(name: object, why: str) -> CrossauthError:
    """The refusal of one field; public, so it repeats no value."""
    return CrossauthError(ErrorCode.BadRequest, f"Field {str(name)[:64]!r} {why}", detail=f"field {name!r} {why}")


def new_user_values(user: Mapping[str, Any], settings: UserStorageSettings) -> dict[str, Any]:
    """The columns of a user to be created, defaults and normalised names included.

    Raises:
        CrossauthError: `BadRequest` where the username is missing, or an id is given, which is the storage's to choose.
    """
    if user.get("id") is not None:
        raise bad_field("id", "cannot be chosen")
    if not isinstance(user.get("username"), str):
        raise bad_field("username", "is required")
    values = {name: user[name] for name in user if name != "id"}
    for name, default in USER_DEFAULTS.items():
        if values.get(name) is None:
            values[name] = default
    return with_normalized_names(values, settings)


def changed_user_values(user: Mapping[str, Any], settings: UserStorageSettings) -> dict[str, Any]:
    """The columns that an update of a user writes, normalised names included.

    Raises:
        CrossauthError: `BadRequest` where the id is missing, or a field that every user has is emptied.
    """
    if user.get("id") is None:
        raise bad_field("id", "is required")
    values = {name: user[name] for name in user if name != "id"}
    for name in NEVER_EMPTY:
        if name in values and values[name] is None:
            raise bad_field(name, "cannot be emptied")
    return with_normalized_names(values, settings)


def with_normalized_names(values: dict[str, Any], settings: UserStorageSettings) -> dict[str, Any]:
    """`values` with the normalised names kept in step with the names; what was given for them is not believed."""
    switched_on = {"username": settings.normalize_username, "email": settings.normalize_email}
    for name, derived in DERIVED.items():
        values.pop(derived, None)
        if name in values and switched_on[name]:
            text = values[name]
            if text is not None and not isinstance(text, str):
                raise bad_field(name, "must be text")
            values[derived] = None if text is None else normalize(text)
    return values


@cache
def _own_fields(record: Any) -> frozenset[str]:
    return frozenset(f.name for f in fields(record)) - {"extra"}


def user_from(record: type[User], values: Mapping[str, Any]) -> User:
    """A user record from columns: the record's own fields by name, everything else in `extra`."""
    own = _own_fields(cast(Any, record))
    return record(
        **{name: value for name, value in values.items() if name in own},
        extra={name: value for name, value in values.items() if name not in own},
    )


def secrets_from(values: Mapping[str, Any]) -> UserSecrets:
    """A secrets record from columns."""
    own = _own_fields(UserSecrets)
    return UserSecrets(
        **{name: value for name, value in values.items() if name in own},
        extra={name: value for name, value in values.items() if name not in own},
    )


def same(value: Any) -> Callable[[Any], bool]:
    """Equality as a database sees it: a truth value is no number, and nothing equals a missing value."""
    return lambda other: type(other) is type(value) and bool(other == value)
