"""What is said of a user in claims (OpenID Connect Core §5). Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from crossauth_backend.core.jsonsafe import json_safe
from crossauth_backend.users.record import User

ReadClaim: TypeAlias = Callable[[User], Any]


def _column(name: str) -> ReadClaim:
    return lambda user: user.get(name)


_IN_COLUMNS: Final = (
    "name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture", "website", "gender", "birthdate",
    "zoneinfo", "locale",
)  # fmt: skip
# OpenID Connect Core §5.1 and §5.4. What a user record has no field for is read from the application's column of the same name.
SCOPE_CLAIMS: Final[Mapping[str, Mapping[str, ReadClaim]]] = {
    "profile": {"preferred_username": lambda user: user.username, **{name: _column(name) for name in _IN_COLUMNS}},
    "email": {
        "email": lambda user: user.email,
        "email_verified": lambda user: None if user.email is None else user.email_verified_at is not None,
    },
    "phone": {"phone_number": lambda user: user.phone},
    "address": {"address": _column("address")},
}
"""By scope, the claims that it asks for and where each is found."""


def claims_for(user: User, scopes: Collection[str]) -> dict[str, Any]:
    """The claims about `user` that these scopes ask for (OpenID Connect Core §5.4), as JSON values.

    A claim that nothing is known of is left out, never null or empty (§5.3.2). `sub` is not among them: which value it has
    depends on who asks.

    Parameters:
        user: the user.
        scopes: that were granted; those that ask for no claims are ignored.
    """
    read = {name: find for scope in scopes for name, find in SCOPE_CLAIMS.get(scope, {}).items()}
    known = {name: json_safe(find(user)) for name, find in read.items()}
    return {name: value for name, value in known.items() if value is not None and value != ""}
