"""PostgreSQL's own types of enumerations: a column of one can only be made, and filled, where the database has the type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from crossauth_backend.core.errors import CrossauthError, ErrorCode

_HOW = (
    "Run it in a migration or a script before the application starts (in Alembic: op.execute(...)); or give the column "
    "sa.Enum(..., native_enum=False), which is text and needs no type"
)


def missing_types(connection: sa.Connection, columns: Iterable[sa.Column[Any]]) -> list[str]:
    """Return what the database lacks of the types of `columns`, each with the SQL that mends it; only PostgreSQL lacks any."""
    if connection.dialect.name != "postgresql":
        return []
    requested = {}
    for column in columns:
        found = column.type.dialect_impl(connection.dialect)
        found = found.item_type.dialect_impl(connection.dialect) if isinstance(found, sa.ARRAY) else found
        if isinstance(found, postgresql.ENUM) and found.name:
            requested[column.name] = found
    if not requested:
        return []
    inspector: Any = sa.inspect(connection)
    there = inspector.get_enums(schema="*")
    preparer: Any = connection.dialect.identifier_preparer
    problems = []
    for name, kind in requested.items():
        label, needs = preparer.format_type(kind), f"Column {name!r} needs the type {preparer.format_type(kind)}"
        known = [e["labels"] for e in there if e["name"] == kind.name and _is_meant(kind, e)]
        if not known:
            values = ", ".join(map(_literal, kind.enums))
            problems.append(f"{needs}, which the database does not have: CREATE TYPE {label} AS ENUM ({values})")
        problems += [
            f"{needs} with the value {value!r}, which it does not have: ALTER TYPE {label} ADD VALUE {_literal(value)}"
            for value in kind.enums
            if known and value not in known[0]
        ]
    return problems


def _is_meant(kind: postgresql.ENUM, there: Any) -> bool:
    """Whether a type of the same name is the one that a column without or with a schema means."""
    return bool(there["visible"] if kind.schema is None else there["schema"] == kind.schema)


def refuse_missing_types(problems: list[str]) -> None:
    """Refuse to start where `missing_types` found any.

    Raises:
        CrossauthError: `Configuration`.
    """
    if problems:
        raise CrossauthError(ErrorCode.Configuration, [*problems, _HOW])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
