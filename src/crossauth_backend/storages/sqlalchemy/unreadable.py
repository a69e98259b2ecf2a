"""Rows of which a part cannot be read, since another program wrote what the column's type does not know.

One such row fails no list, and is not hidden either: whatever of it can be read makes a record in the state `UNREADABLE`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.storages.sqlalchemy.engine import refusals

logger = logging.getLogger("crossauth.storage")
_KINDS: Final = (LookupError, ValueError, TypeError, ArithmeticError, AttributeError)
# What SQLite says of text that is not UTF-8.
_NOT_TEXT: Final = "Could not decode to UTF-8"
_AT_ONCE: Final = 500
_MAX_NOTED: Final = 1000
_noted: set[tuple[str, str, str, str]] = set()


class Salvaged(NamedTuple):
    """What of a row could be read.

    Parameters:
        values: by column, with `None` for what could not be read.
        unreadable: the columns that could not be read.
    """

    values: dict[str, Any]
    unreadable: tuple[str, ...]


def is_unreadable(e: BaseException | None) -> bool:
    """Whether an exception may say that a value that is stored is not of its column's type, rather than that a read failed."""
    while e is not None:
        if isinstance(e, _KINDS) and not isinstance(e, SQLAlchemyError):
            return True
        if _NOT_TEXT in str(e) and not isinstance(e, CrossauthError):
            return True
        e = e.__cause__
    return False


async def salvage(
    engine: AsyncEngine, columns: Sequence[sa.Column[Any]], id: sa.Column[Any], ids: Sequence[Any]
) -> list[Salvaged]:
    """Read rows, in the order of their ids, and of a row that cannot be read whatever can be.

    Rows and then columns are read by halves, so that a few that cannot be read cost few queries.

    Raises:
        CrossauthError: `Connection`.
    """
    found: list[Salvaged] = []
    for start in range(0, len(ids), _AT_ONCE):
        found += await _rows(engine, columns, id, ids[start : start + _AT_ONCE])
    return found


async def _rows(
    engine: AsyncEngine, columns: Sequence[sa.Column[Any]], id: sa.Column[Any], ids: Sequence[Any]
) -> list[Salvaged]:
    try:
        return [Salvaged(row, ()) for row in await _read(engine, columns, id, ids)]
    except Exception as e:
        if not is_unreadable(e):
            raise
        if len(ids) > 1:
            middle = len(ids) // 2
            return [
                *await _rows(engine, columns, id, ids[:middle]), *await _rows(engine, columns, id, ids[middle:])
            ]  # fmt: skip
        if len(columns) == 1:
            _note(engine, columns[0], ids[0], e)
            return [Salvaged({columns[0].key: None}, (columns[0].key,))]
    middle = len(columns) // 2
    parts = [await _rows(engine, part, id, ids) for part in (columns[:middle], columns[middle:])]
    if not all(parts):
        return []
    first, second = parts[0][0], parts[1][0]
    return [Salvaged(first.values | second.values, first.unreadable + second.unreadable)]


async def _read(
    engine: AsyncEngine, columns: Sequence[sa.Column[Any]], id: sa.Column[Any], ids: Sequence[Any]
) -> list[dict[str, Any]]:
    query = sa.select(*columns).where(id.in_(ids)).order_by(id)
    names = [column.key for column in columns]
    return [dict(zip(names, row, strict=True)) for row in await rows_of(engine, query, ErrorCode.BadRequest)]


async def rows_of(engine: AsyncEngine, query: sa.Select[Any], bad_data: ErrorCode) -> list[Any]:
    """Return the rows of a query.

    Raises:
        CrossauthError: see `refusals`.
        Exception: see `is_unreadable`.
    """
    with refusals(bad_data):
        async with engine.connect() as connection:
            return list((await connection.execute(query)).all())


def _note(engine: AsyncEngine, column: sa.Column[Any], id: Any, e: Exception) -> None:
    """Say it once for each value: whoever tries to log in could fill the log otherwise. The value itself is not said."""
    which = (str(column.table), column.name, str(id), engine.url.render_as_string())
    if which in _noted or len(_noted) >= _MAX_NOTED:
        return
    _noted.add(which)
    logger.error(
        "table %r: column %r of the row %s cannot be read as %r (%s): correct it in the database, or delete the user",
        *which[:2], id, column.type, type(e).__name__,
    )  # fmt: skip
