"""The options of every storage of users, as an application writes them and as they are read at the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from crossauth_backend.core.options import option


class UserStorageOptions(TypedDict, total=False):
    """Options of every user storage."""

    user_editable_fields: Sequence[str]
    admin_editable_fields: Sequence[str]
    normalize_username: bool
    normalize_email: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStorageSettings:
    """`UserStorageOptions`, parsed."""

    user_editable_fields: list[str] = option(
        [],
        env="USER_EDITABLE_FIELDS",
        doc="Fields users may set from `user_*` form fields, and see in their own JSON.",
    )
    admin_editable_fields: list[str] = option(
        [], env="ADMIN_EDITABLE_FIELDS", doc="Further fields that only administrators may set."
    )
    normalize_username: bool = option(True, env="NORMALIZE_USERNAME", doc="Compare usernames without case and accents.")
    normalize_email: bool = option(True, env="NORMALIZE_EMAIL", doc="Compare email addresses without case.")
