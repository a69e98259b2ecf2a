"""The library's tables beside those of an application, and its Alembic."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Protocol

import sqlalchemy as sa

from crossauth_backend.storages.sqlalchemy.tables import (
    AwareDateTime,
    audit_table,
    identity_table,
    key_table,
    secrets_table,
    user_table,
)

_VERSIONS: Final = re.compile(r"crossauth_\w+_version")
_names: set[str] = {"User", "UserSecrets", "Key", "CrossauthAudit", "CrossauthIdentity"}


class HasTables(Protocol):
    """A storage in an SQL database."""

    @property
    def own_tables(self) -> tuple[sa.Table, ...]:
        """The tables that the library makes for it."""
        ...


def remember(tables: tuple[sa.Table, ...]) -> None:
    """Let Alembic leave these tables alone, whatever they are called; every storage that is made says its own."""
    _names.update(table.name for table in tables)


def alembic_include_object(object: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """For Alembic's option `include_object`: leaves out the library's tables, which the library itself creates and upgrades.

    A table of one of those names that is in the application's own `MetaData` is the application's, and stays. Tables under
    other names are known once the storage that uses them has been made: import the module that makes it in `env.py`.
    """
    if type_ != "table" or not reflected or name is None:
        return True
    return not _VERSIONS.fullmatch(name) and (compare_to is not None or name not in _names)


def alembic_include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    """For Alembic's option `include_name`, where the application has no table that is called as one of the library's.

    It spares Alembic reading them. `alembic_include_object` also does where names are shared.
    """
    return type_ != "table" or name is None or not (_VERSIONS.fullmatch(name) or name in _names)


def metadata_of(*storages: HasTables) -> sa.MetaData:
    """The tables of these storages, for an application whose own Alembic makes and upgrades them, with `migrate: False`.

    Parameters:
        storages: `SqlAlchemyUserStorage`, `SqlAlchemyKeyStorage`, `SqlAlchemyAuditStorage`,
            `SqlAlchemyIdentityStorage`, with the options that they run with.
    """
    return _together(table for storage in storages for table in storage.own_tables)


def _together(tables: Iterable[sa.Table]) -> sa.MetaData:
    found = sa.MetaData()
    for table in tables:
        for column in table.to_metadata(found).c:
            if isinstance(column.type, AwareDateTime):
                # As it is in the database, so that a migration written from it needs nothing of ours.
                column.type = sa.DateTime(timezone=True)
    return found


metadata: Final = _together((
    user_table("User", "id", ()), secrets_table("UserSecrets", "userid", sa.Integer()),
    key_table("Key", "userid", sa.Integer(), ()), audit_table("CrossauthAudit"),
    identity_table("CrossauthIdentity", "userid", sa.Integer()),
))  # fmt: skip
"""The library's tables as they are without options, for foreign keys and for an Alembic that owns them."""
