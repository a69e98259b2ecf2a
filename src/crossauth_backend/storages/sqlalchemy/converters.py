"""What turns a driver's own value into the one that SQLAlchemy would give."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from crossauth_backend.core.clock import as_utc
from crossauth_backend.storages.sqlalchemy.tables import AwareDateTime

_PG_FLOAT: Final = 701
_PG_NUMERIC: Final = 1700
# A date without a time of day is so long. The sign of a zone behind it would pass for what separates the two.
_DATE: Final = len("2026-01-02")
Converter = Callable[[Any], Any]


def converter_of(column: sa.Column[Any], dialect: sa.Dialect) -> Converter | None:
    """What turns the driver's value into the column's; `None` where it already is."""
    if isinstance(column.type, AwareDateTime):
        return _aware if dialect.name == "sqlite" else None
    if isinstance(column.type, sa.Boolean) and dialect.name == "sqlite":
        return bool
    if dialect.name == "postgresql" and isinstance(column.type.dialect_impl(dialect), sa.JSON):
        # SQLAlchemy teaches this to each of its own connections to asyncpg; ours have not learnt it.
        return getattr(dialect, "_json_deserializer", None) or json.loads
    # The driver's own number for the type, by which SQLAlchemy tells PostgreSQL's floats from its numerics.
    code = _PG_FLOAT if isinstance(column.type, sa.Float) else _PG_NUMERIC
    convert: Converter | None = column.type.dialect_impl(dialect).result_processor(dialect, code)
    return convert


def _aware(text: str) -> datetime:
    try:
        # A fifth of the time that adding the zone afterwards takes.
        return datetime.fromisoformat(text + "+00:00" if len(text) > _DATE else text + "T00:00+00:00")
    except ValueError:
        # It has a zone already.
        return as_utc(datetime.fromisoformat(text))
