"""Whether the storages can hold what is switched on: found when an application starts, not when somebody signs up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.users.storage import UserStorage


class Switches(Protocol):
    """The options that ask for fields of users."""

    @property
    def allowed_factor2(self) -> list[str]:
        """Second factors."""
        ...

    @property
    def enable_email_verification(self) -> bool:
        """Whether addresses are verified."""
        ...

    @property
    def enable_password_reset(self) -> bool:
        """Whether passwords are reset by email."""
        ...


def check_storages(
    users: UserStorage,
    keys: Iterable[KeyStorage],
    switches: Switches,
    factors: Iterable[Authenticator] = (),
    also: Mapping[str, type] | None = None,
) -> None:
    """Make sure that users have the fields that are needed, and that keys can be theirs.

    Parameters:
        users: where users are.
        keys: where their keys are.
        switches: what is switched on.
        factors: those that users may have; each says which fields it needs.
        also: further fields and their Python types.

    Raises:
        CrossauthError: `Configuration`, naming everything that is missing.
    """
    wanted: dict[str, type] = {"state": str, "factor1": str}
    if any(name and name != NO_FACTOR2 for name in switches.allowed_factor2):
        wanted["factor2"] = str
    if switches.enable_email_verification or switches.enable_password_reset:
        wanted["email"] = str
    wanted |= {name: str for factor in factors for name in factor.user_fields()}
    wanted |= also or {}
    for name in (*users.user_editable_fields, *users.admin_editable_fields):
        wanted.setdefault(name, object)
    problems = users.unfit_fields(wanted)
    for storage in dict.fromkeys(keys):
        problems += storage.unfit_users(users)
    _refuse(problems)


def check_fields(users: UserStorage, *names: str) -> None:
    """Make sure that users have these fields, which hold text.

    Raises:
        CrossauthError: `Configuration`, naming everything that is missing.
    """
    _refuse(users.unfit_fields(dict.fromkeys(names, str)))


def _refuse(problems: list[str]) -> None:
    if problems:
        raise CrossauthError(ErrorCode.Configuration, [f"The storages do not fit: {'; '.join(problems)}", _ADVICE])


_ADVICE = "Add the columns to your own table; docs/databases.md says what it must have"
