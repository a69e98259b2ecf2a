"""Statements that count, on SQLite and PostgreSQL. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.storage import Counter

_UPSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def count_up(table: sa.Table, dialect: str) -> Any:
    """The statement for `SupportsCounting`, to be executed with `counter_rows`; its rows are values and counts.

    It is the same for all counters and amounts, so that it is made and compiled once.

    Raises:
        CrossauthError: `Configuration` for another database.
    """
    insert = _insert(table, dialect)
    counted = sa.cast(_count(table) + sa.cast(insert.excluded.data, sa.Integer), sa.Text)
    return insert.on_conflict_do_update(index_elements=[table.c.value], set_={"data": counted}).returning(
        table.c.value, table.c.data
    )


def counter_rows(counters: Mapping[str, datetime], by: int, now: datetime) -> list[dict[str, Any]]:
    """What `count_up` inserts, in one order everywhere, so that two requests do not wait for each other in a circle."""
    return [
        {"value": value, "created": now, "expires": expires, "data": str(by)}
        for value, expires in sorted(counters.items())
    ]


def count_within(
    table: sa.Table, dialect: str, first: Sequence[Counter], then: Sequence[Counter], now: datetime
) -> Any:
    """The statement for `SupportsBoundedCounting`; its rows are values and counts.

    All in one statement: it is one round trip, and what is refused is not even a row.

    Raises:
        CrossauthError: `Configuration` for another database.
    """
    columns = [table.c[name] for name in ("value", "created", "expires", "data")]

    def row(counter: Counter) -> sa.Select[Any]:
        provided = {"value": counter.value, "created": now, "expires": counter.expires, "data": "1"}
        return sa.select(*(sa.literal(provided[c.name], c.type).label(c.name) for c in columns))

    def beyond(counters: Sequence[Counter], besides: int) -> sa.ColumnElement[bool]:
        # Every other key is out of the question before its data is taken for a number.
        return sa.case(
            *((table.c.value == c.value, _count(table) + besides > c.most) for c in counters), else_=sa.false()
        )

    rows = [row(counter) for counter in sorted(first, key=lambda c: c.value)]
    if first:
        reached = sa.exists().where(table.c.value.in_([c.value for c in first]), beyond(first, 1)).correlate(None)
        rows += [row(counter).where(~reached) for counter in sorted(then, key=lambda c: c.value)]
    else:
        rows += [row(counter) for counter in sorted(then, key=lambda c: c.value)]
    provided = sa.union_all(*rows).subquery("given")
    return (
        _insert(table, dialect)
        # SQLite takes ON CONFLICT for a part of the query where that has no WHERE.
        .from_select([c.name for c in columns], sa.select(provided).where(sa.true()))
        .on_conflict_do_update(
            index_elements=[table.c.value],
            set_={"data": sa.cast(_count(table) + 1, sa.Text)},
            where=~beyond([*first, *then], 0),
        )
        .returning(table.c.value, table.c.data)
    )


def _count(table: sa.Table) -> sa.ColumnElement[int]:
    return sa.cast(table.c.data, sa.Integer)


def _insert(table: sa.Table, dialect: str) -> Any:
    insert = _UPSERTS.get(dialect)
    if insert is None:
        raise CrossauthError(ErrorCode.Configuration, f"Counting is not available on {dialect}")
    return insert(table)
