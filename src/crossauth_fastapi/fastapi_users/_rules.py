"""What holds for every user manager, whatever the application adds. Pure."""

from __future__ import annotations

from typing import Any, Final

from crossauth_backend.core.passwords import MAX_PASSWORD_BYTES
from crossauth_backend.core.secrets import derive_key, sign
from crossauth_backend.core.text import normalize
from crossauth_fastapi.fastapi_users.schemas import CreateUpdateDictModel

# Columns that every user has: null for one of them means what leaving it out means.
_NEVER_NULL: Final = ("email", "password", "is_active", "is_superuser", "is_verified")


def sent_values(body: CreateUpdateDictModel, safe: bool) -> dict[str, Any]:
    """The fields that were sent, without those that users may not set where `safe`."""
    values = body.create_update_dict() if safe else body.create_update_dict_superuser()
    values.pop("old_password", None)
    return {name: value for name, value in values.items() if value is not None or name not in _NEVER_NULL}


def password_problem(password: str) -> str | None:
    """Why no policy could take this password; `None` where one may."""
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        return "Password is not valid text"
    if size == 0:
        return "Password must not be empty"
    if size > MAX_PASSWORD_BYTES:
        return f"Password must be at most {MAX_PASSWORD_BYTES} bytes"
    return None


def fingerprint(secret: str, hashed_password: str, email: str = "") -> str:
    """A mark of a user's password (and address): it changes with them, and tells nothing about them."""
    marked = sign(f"{hashed_password}\n{normalize(email)}", derive_key(secret, "password fingerprint"))
    return marked.rpartition(".")[2]
