"""Deleting much without keeping others from writing."""

from __future__ import annotations

import asyncio
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.storages.sqlalchemy.constraints import writes

ROWS: Final = 100
PAUSE_SECONDS: Final = 0.02


async def delete_in_batches(engine: AsyncEngine, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
    """Delete the rows of which `which` is true, a few at a time, with a pause after each for whoever else wants to write.

    Parameters:
        engine: the database.
        table: a table with a column `id`.
        which: the conditions.

    Returns:
        How many there were. Rows that somebody else is deleting at the same time are theirs.
    """
    some = sa.select(table.c.id).where(*which).limit(ROWS).with_for_update(skip_locked=True)
    statement = table.delete().where(table.c.id.in_(some.scalar_subquery()))
    count = 0
    while True:
        with writes():
            async with engine.begin() as connection:
                gone = (await connection.execute(statement)).rowcount
        count += gone
        if gone < ROWS:
            return count
        await asyncio.sleep(PAUSE_SECONDS)
