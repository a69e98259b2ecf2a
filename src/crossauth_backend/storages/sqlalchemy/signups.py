"""Sign-ups that are not finished: they hold no address, and end when their time is up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.storages.fields import held_address, needs_stored
from crossauth_backend.storages.sqlalchemy.constraints import violation, writes
from crossauth_backend.storages.sqlalchemy.engine import refusals
from crossauth_backend.users.options import UserStorageSettings
from crossauth_backend.users.record import UserId
from crossauth_backend.users.states import UNFINISHED


async def keep_in_step(
    connection: AsyncConnection, table: sa.Table, id: sa.Column[Any], userid: Any, changed: Mapping[str, Any],
    settings: UserStorageSettings,
) -> None:  # fmt: skip
    """Let the normal form of a user's address follow a change of state or address, in the transaction that made it.

    Parameters:
        connection: within the transaction; the user's row has been written, so nobody else can write it.
        table: the table of users.
        id: its primary key.
        userid: whose row was changed.
        changed: the fields that were changed.
        settings: the storage's.
    """
    columns = table.c
    if not needs_stored(changed) or not {"email", "email_normalized"} <= set(columns.keys()):
        return
    read = [columns.email, columns.email_normalized, *([columns.state] if "state" in columns else [])]
    row = (await connection.execute(sa.select(*read).where(id == userid))).mappings().one()
    held = held_address(row.get("state"), row["email"], settings)
    if held != row["email_normalized"]:
        await connection.execute(table.update().where(id == userid).values(email_normalized=held))


class ExpiredSignups:
    """Finds and deletes them.

    Parameters:
        engine: the database.
        table: the table of users; one without the columns for it has none.
        id: its primary key.
        secrets: the table of secrets.
        userid: its column that says whose they are.
    """

    def __init__(
        self, engine: AsyncEngine, table: sa.Table, id: sa.Column[Any], secrets: sa.Table, userid: sa.Column[Any]
    ) -> None:
        self._engine, self._table, self._id, self._secrets, self._userid = engine, table, id, secrets, userid
        self._there = {"signup_expires", "state"} <= set(table.c.keys())

    async def find(self, now: datetime, limit: int, after: Any = None) -> list[UserId]:
        """See `SupportsSignupExpiry.expired_signups`."""
        if not self._there:
            return []
        with refusals(ErrorCode.BadRequest):
            async with self._engine.connect() as connection:
                return list((await connection.execute(self.query(now, limit, after))).scalars())

    def query(self, now: datetime, limit: int, after: Any = None) -> sa.Select[Any]:
        """The statement of `find`."""
        # By the index of when they expire: in the order of the primary key itself a database might walk over all users.
        order = sa.case((self._id.is_not(None), self._id))
        beyond = [] if after is None else [order > after]
        return sa.select(self._id).where(*self._expired(now), *beyond).order_by(order).limit(limit)

    async def delete(self, userid: Any, now: datetime) -> bool:
        """See `SupportsSignupExpiry.delete_expired_signup`."""
        if userid is None or not self._there:
            return False
        with writes(_kept):
            async with self._engine.begin() as connection:
                gone = self._table.delete().where(self._id == userid, *self._expired(now))
                if (await connection.execute(gone)).rowcount != 1:
                    return False
                await connection.execute(self._secrets.delete().where(self._userid == userid))
        return True

    def _expired(self, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
        return self._table.c.signup_expires < now, self._table.c.state.in_(UNFINISHED)


def _kept(e: DBAPIError) -> CrossauthError:
    # Not in the log: who deletes many says once how many stay.
    found = violation(e)
    return CrossauthError(ErrorCode.ConstraintViolation, detail=f"{found.kind} {found.name}".strip() or "a trigger")
