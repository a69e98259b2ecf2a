"""The options of `SqlAlchemyUserStorage`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option
from crossauth_backend.users.options import UserStorageOptions
from crossauth_backend.users.record import User


class SqlAlchemyUserStorageOptions(UserStorageOptions, total=False):
    """Options of `SqlAlchemyUserStorage`."""

    user_table: str
    user_secrets_table: str
    id_column: str
    userid_foreign_key_column: str
    extra_columns: Sequence[sa.Column[Any]]
    table: Any
    record: type[User]
    migrate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlUserSettings:
    """`SqlAlchemyUserStorageOptions`, parsed: those the base class does not have."""

    user_table: str = option("User", env="USER_TABLE", doc="Table of users.")
    user_secrets_table: str = option("UserSecrets", env="USER_SECRETS_TABLE", doc="Table of users' secrets.")
    id_column: str = option("id", env="USER_ID_COLUMN", doc="Column with a user's id.")
    userid_foreign_key_column: str = option(
        "userid", env="USER_ID_FOREIGN_KEY_COLUMN", doc="Column of the table of secrets that says whose they are."
    )
    extra_columns: list[sa.Column[Any]] = option([], doc="Further `sqlalchemy.Column`s for the table of users.")
    table: Any = option(
        None,
        kind="`sqlalchemy.Table` or mapped class",
        doc="An application's own table of users: a `sqlalchemy.Table` or a mapped class.",
    )
    record: type[User] = option(User, doc="The class of user records: `User` or a subclass of it.", shown="User")
    migrate: bool = option(True, doc="Whether to create and upgrade the tables when the application starts.")


def own_table(given: Any) -> sa.Table:
    """The table that the option `table` names.

    Raises:
        CrossauthError: `Configuration` for what is none.
    """
    table = getattr(given, "__table__", given)
    if not isinstance(table, sa.Table):
        raise CrossauthError(ErrorCode.Configuration, "Option 'table' must be a sqlalchemy.Table or a mapped class")
    return table
