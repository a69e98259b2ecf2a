"""What holds for every user manager, whatever the application adds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Final

from crossauth_backend.core.passwords import MAX_PASSWORD_BYTES
from crossauth_backend.core.records import bad_field
from crossauth_backend.core.secrets import derive_key, sign
from crossauth_fastapi.fastapi_users.schemas import CreateUpdateDictModel

# Columns that every user has: null for one of them means what leaving it out means.
FLAGS: Final = ("is_active", "is_superuser", "is_verified")
_NEVER_NULL: Final = ("email", "password", *FLAGS)
# What proves that a change is the user's own, and is never stored.
PROOFS: Final = ("old_password", "mfa_token", "otp")
# Only made here: whoever could send a hash would go past every rule of passwords, and past the old one.
_MADE_HERE: Final = ("hashed_password",)


def refuse_unclear(values: Mapping[str, Any]) -> None:
    """Refuse a flag that is neither true nor false: what is merely taken for true would give rights.

    Raises:
        CrossauthError: `BadRequest`, naming the field.
    """
    for name in FLAGS:
        if not isinstance(values.get(name), (bool, NoneType)):
            raise bad_field(name, "must be true or false")


def sent_values(
    body: CreateUpdateDictModel, safe: bool, names: Iterable[str] = (), user_db: object = None
) -> dict[str, Any]:
    """The fields that were sent.

    Parameters:
        body: what was sent.
        safe: whether to leave out what users may not set of themselves.
        names: the fields to log in by.
        user_db: where the users are; its `reserved_fields`, if it has some, are left out where `safe`.
    """
    reserved = getattr(user_db, "reserved_fields", ()) if safe else ()
    values = body.create_update_dict() if safe else body.create_update_dict_superuser()
    for name in (*PROOFS, *_MADE_HERE, *reserved):
        values.pop(name, None)
    refuse_unclear(values)
    never_null = {*_NEVER_NULL, *names}
    return {name: value for name, value in values.items() if value is not None or name not in never_null}


def password_problem(password: str) -> str | None:
    """Why no policy could take this password; `None` where one may."""
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        return "Password is not valid text"
    if size > MAX_PASSWORD_BYTES:
        return f"Password must be at most {MAX_PASSWORD_BYTES} bytes"
    return None


def fingerprint(secret: str, *parts: str) -> str:
    """A mark of what it is made of: it changes with it, and tells nothing about it."""
    return sign("\n".join(parts), derive_key(secret, "password fingerprint")).rpartition(".")[2]
