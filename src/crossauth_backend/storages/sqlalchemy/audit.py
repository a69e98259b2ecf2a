"""Security events in an SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.core.options import option, read_options
from crossauth_backend.events.record import Event, event_name
from crossauth_backend.storages.fields import number_id
from crossauth_backend.storages.sqlalchemy.batches import delete_in_batches
from crossauth_backend.storages.sqlalchemy.constraints import writes
from crossauth_backend.storages.sqlalchemy.engine import refusals
from crossauth_backend.storages.sqlalchemy.prepared import PreparedStorage
from crossauth_backend.storages.sqlalchemy.schema import Prepared, Schema
from crossauth_backend.storages.sqlalchemy.tables import audit_table, check_name
from crossauth_backend.users.record import UserId


class SqlAlchemyAuditStorageOptions(TypedDict, total=False):
    """Options of `SqlAlchemyAuditStorage`."""

    audit_table: str
    migrate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlAuditSettings:
    """`SqlAlchemyAuditStorageOptions`, parsed."""

    audit_table: str = option("CrossauthAudit", env="AUDIT_TABLE", doc="Table of security events.")
    migrate: bool = option(True, doc="Whether to create and upgrade the table when the application starts.")


class SqlAlchemyAuditStorage(PreparedStorage):
    """Keeps security events in an SQL database. See `AuditStorage`.

    Parameters:
        engine: the database, best from `open_engine`.
        options: see `SqlAlchemyAuditStorageOptions`.
    """

    def __init__(self, engine: AsyncEngine, options: SqlAlchemyAuditStorageOptions | None = None) -> None:
        own = read_options(SqlAuditSettings, options or {}, component=type(self).__name__)
        self.engine = engine
        self.table = audit_table(check_name(own.audit_table, "audit_table"))
        names = {"audit_table": own.audit_table}
        self._prepared = Prepared(
            [Schema(engine=engine, kind="audit", names=names, tables=(self.table,), migrate=own.migrate)]
        )

    async def record(self, events: Sequence[Event]) -> None:
        """As documented for `AuditStorage`."""
        await self._prepared.once()
        rows = [
            {
                "name": e.name.value, "at": e.at, "userid": _text(e.userid), "username": e.username,
                "actor": _text(e.actor), "address": e.address[:64], "client": e.client, "reason": e.reason[:128],
            }
            for e in events
        ]  # fmt: skip
        with writes():
            async with self.engine.begin() as connection:
                await connection.execute(self.table.insert(), rows)

    async def purge_before(self, time: datetime) -> int:
        """As documented for `SupportsAuditPurge`."""
        await self._prepared.once()
        return await delete_in_batches(self.engine, self.table, self.table.c.at < time)

    async def latest(self, skip: int = 0, take: int = 50, userid: int | str | None = None) -> list[Event]:
        """As documented for `AuditStorage`."""
        await self._prepared.once()
        table = self.table
        query = sa.select(table).order_by(table.c.id.desc()).offset(skip).limit(take)
        if userid is not None:
            query = query.where(table.c.userid == str(userid))
        with refusals(ErrorCode.BadRequest):
            async with self.engine.connect() as connection:
                rows = (await connection.execute(query)).all()
        return [
            Event(
                name=event_name(r.name), at=r.at, userid=_id(r.userid), username=r.username, actor=_id(r.actor),
                address=r.address, client=r.client, reason=r.reason,
            )
            for r in rows
        ]  # fmt: skip


def _text(userid: UserId | None) -> str | None:
    return None if userid is None else str(userid)


def _id(text: str | None) -> UserId | None:
    number = number_id(text)
    return text if number is None else number
