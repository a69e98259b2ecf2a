"""What every storage does with the fields it is handed, whatever it keeps them in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, Final, cast

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.records import bad_field
from crossauth_backend.core.text import normalize, normalize_address
from crossauth_backend.users.credentials import replaces_credential
from crossauth_backend.users.options import UserStorageSettings
from crossauth_backend.users.record import User, UserSecrets
from crossauth_backend.users.stamp import STAMP, new_stamp
from crossauth_backend.users.states import UNFINISHED

DERIVED: Final = {"username": "username_normalized", "email": "email_normalized"}
USER_DEFAULTS: Final[dict[str, Any]] = {"state": "active", "factor1": "localpassword", "admin": False}
NEVER_EMPTY: Final = ("username", *USER_DEFAULTS)
VERIFIED: Final = "email_verified_at"
# Columns that an application's own table need not have.
OPTIONAL: Final = ("state", "factor1", "admin", *DERIVED.values(), STAMP, VERIFIED, "signup_expires")
MAX_ID: Final = 2**63 - 1

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)


def number_id(value: object) -> int | None:
    """`value` as a numeric id: a whole number, or the text of one as a form or an URL carries it; otherwise `None`."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -MAX_ID <= value <= MAX_ID:
        return value
    return None


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
    named = with_normalized_names(values, settings, {"state": None, "email": None})
    return {**named, STAMP: new_stamp()}


def needs_stored(user: Mapping[str, Any]) -> bool:
    """Whether a change of a user can be worked out only from the state and the address that are stored."""
    return ("state" in user) != ("email" in user)


def changed_user_values(
    user: Mapping[str, Any], settings: UserStorageSettings, stored: Mapping[str, Any] | User | None = None
) -> dict[str, Any]:
    """The columns that an update of a user writes, normalised names included.

    Parameters:
        user: the changes.
        settings: the storage's.
        stored: the user as stored; without it the normal form of the address is left out where `needs_stored` says so.

    Raises:
        CrossauthError: `BadRequest` where the id is missing, or a field that every user has is emptied.
    """
    if user.get("id") is None:
        raise bad_field("id", "is required")
    values = {name: user[name] for name in user if name != "id"}
    for name in NEVER_EMPTY:
        if name in values and values[name] is None:
            raise bad_field(name, "cannot be emptied")
    return with_normalized_names(values, settings, stored)


def with_normalized_names(
    values: dict[str, Any], settings: UserStorageSettings, stored: Mapping[str, Any] | User | None = None
) -> dict[str, Any]:
    """`values` with the normalised names kept in step with the names; what was given for them is not believed, nor a stamp.

    An address counts once the sign-up is finished: until then its normalised form is empty. Where that cannot be told without
    `stored`, it is left out.
    """
    values.pop(STAMP, None)
    for derived in DERIVED.values():
        values.pop(derived, None)
    for name in DERIVED:
        if name in values and values[name] is not None and not isinstance(values[name], str):
            raise bad_field(name, "must be text")
    if not isinstance(values.get("admin", False), bool):
        raise bad_field("admin", "must be true or false")
    if "username" in values and settings.normalize_username:
        values["username_normalized"] = normalize(values["username"])
    if "state" not in values and "email" not in values:
        return values
    if "state" in values and values["state"] not in UNFINISHED:
        values["signup_expires"] = None
    if stored is not None or not needs_stored(values):
        now = {**({} if stored is None else {"state": stored.get("state"), "email": stored.get("email")}), **values}
        values["email_normalized"] = held_address(now["state"], now["email"], settings)
    return values


def held_address(state: str | None, email: str | None, settings: UserStorageSettings) -> str | None:
    """The normal form of the address that a user of this state holds: it is unique, and by it the user is found."""
    if email is None or state in UNFINISHED:
        return None
    return normalize_address(email) if settings.normalize_email else email


def with_stamp(
    old: Mapping[str, Any],
    values: Mapping[str, Any],
    secrets: Mapping[str, Any],
    credentials: Sequence[str],
    stamp: str | None = None,
) -> dict[str, Any]:
    """The columns that an update of a user writes, with those that follow from a change: stamp, and when the address was proven.

    An SQL storage says the same within its statement, see `storages.sqlalchemy.stamps`.

    Parameters:
        old: the columns as they are.
        values: what the update writes.
        secrets: the secrets that it writes.
        credentials: the fields that are credentials: `UserStorage.credentials`.
        stamp: the stamp to set; where none is given, a random one if a credential becomes another.
    """
    changes = {name for name in credentials if name in values and values[name] != old.get(name)}
    more: dict[str, Any] = {}
    if stamp is not None or changes or replaces_credential(secrets):
        more[STAMP] = stamp or new_stamp()
    if "email" in changes and VERIFIED not in values:
        more[VERIFIED] = None
    return {**values, **more}


@cache
def _own_fields(record: Any) -> frozenset[str]:
    return frozenset(f.name for f in fields(record)) - {"extra"}


@cache
def _needed_fields(record: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(record) if f.default is MISSING and f.default_factory is MISSING and f.init)


def user_from(record: type[User], values: Mapping[str, Any]) -> User:
    """A user record from columns: the record's own fields by name, everything else in `extra`.

    Raises:
        CrossauthError: `BadRequest` for a field that the application's class needs, and that is not there.
    """
    own = _own_fields(cast(Any, record))
    try:
        return record(
            **{name: value for name, value in values.items() if name in own},
            extra={name: value for name, value in values.items() if name not in own},
        )
    except TypeError:
        missing = [name for name in _needed_fields(cast(Any, record)) if name not in values]
        if missing:
            raise bad_field(missing[0], "is required") from None
        raise


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


def name_taken(column: str, detail: str) -> CrossauthError:
    """Return the refusal of a user whose name or address is in use.

    Parameters:
        column: the column, or the index, that has the value already; empty where it is not known.
        detail: what the log says.
    """
    text = CrossauthError(ErrorCode.UserExists).message
    known = next((name for name in ("email", "username") if name in column.lower()), None)
    return CrossauthError(ErrorCode.UserExists, detail=detail, fields=None if known is None else {known: [text]})
