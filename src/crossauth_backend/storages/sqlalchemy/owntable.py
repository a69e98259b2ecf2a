"""What an application's own table of users must be like, checked before anybody uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.options import UserStorageSettings

# What a session server asks for besides, so that all of it can be said at once.
_OF_SESSIONS = ("state", "factor1")


def check_table(table: sa.Table, id_name: str, settings: UserStorageSettings) -> None:
    """Make sure that a table has what every user has.

    Parameters:
        table: the table of users.
        id_name: its column with the id.
        settings: the storage's.

    Raises:
        CrossauthError: `Configuration`, naming everything that is missing.
    """
    columns = set(table.c.keys())
    needed = [id_name, "username"]
    needed += ["username_normalized"] if settings.normalize_username else []
    needed += ["email_normalized"] if settings.normalize_email and "email" in columns else []
    missing = [name for name in needed if name not in columns]
    if missing:
        besides = [name for name in _OF_SESSIONS if name not in columns]
        also = f", and for a session server {', '.join(besides)}" if besides else ""
        raise CrossauthError(
            ErrorCode.Configuration,
            f"Table {table.name!r} lacks the columns {', '.join(missing)}{also}; a table without normalised names needs the "
            "options normalize_username and normalize_email to be false",
        )


def unfit_fields(table: sa.Table, id_name: str, wanted: Mapping[str, type]) -> list[str]:
    """What of `wanted` (names and Python types of fields) the table of users cannot hold, as texts; see `UserStorage`."""
    names = {"id": id_name}
    missing = [name for name in wanted if names.get(name, name) not in table.c]
    texts = [f"table {table.name!r} lacks the columns {', '.join(missing)}"] if missing else []
    for name, kind in wanted.items():
        if name in missing or kind is object:
            # Whatever it holds is the application's; a column may have no type of Python's at all.
            continue
        column = table.c[names.get(name, name)]
        if not issubclass(column.type.python_type, kind):
            texts.append(f"column {name!r} of table {table.name!r} holds {column.type!r}, not {kind.__name__}")
    return texts


def unique_columns(table: sa.Table, settings: UserStorageSettings) -> tuple[str, ...]:
    """The columns of which no two users may have the same: what decides between two who sign up at once."""
    requested = ["username_normalized" if settings.normalize_username else "username"]
    if "email" in table.c and settings.normalize_email:
        requested.append("email_normalized")
    return tuple(requested)


def not_unique(inspector: sa.Inspector, table: str, columns: Iterable[str]) -> list[str]:
    """The columns that the database lets have the same value twice. An index on an expression of a column counts."""
    unique = [tuple(c["column_names"]) for c in inspector.get_unique_constraints(table)]
    unique.append(tuple(inspector.get_pk_constraint(table)["constrained_columns"]))
    expressions: list[str] = []
    for index in inspector.get_indexes(table):
        if index["unique"]:
            unique.append(tuple(n for n in index["column_names"] if n is not None))
            provided: list[Any] = list(index.get("expressions", []))
            expressions += [text for text in provided if len(provided) == 1]
    return [c for c in columns if (c,) not in unique and not any(c in text for text in expressions)]
