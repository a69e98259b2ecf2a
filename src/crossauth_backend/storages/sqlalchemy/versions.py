"""What a database says of itself: the versions of its tables, its clock, its connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.storages.sqlalchemy.engine import start_fault
from crossauth_backend.storages.sqlalchemy.schema import HEADS, Prepared, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """The tables of one storage.

    Parameters:
        kind: `users`, `keys`, `audit` or `identities`.
        table: the main table.
        current: the version in the database; `None` where this library's migrations never ran.
        head: the version that this library makes.
        missing: tables and columns that are missing, as texts.
        migrates: whether the tables are upgraded when the application starts.
    """

    kind: str
    table: str
    current: str | None
    head: str
    missing: tuple[str, ...]
    migrates: bool

    @property
    def is_behind(self) -> bool:
        """Whether the tables have to be upgraded. Tables that an application made itself, as they must be, do not."""
        return bool(self.missing) or (self.current is not None and self.current < self.head)


class ServerFacts(NamedTuple):
    """What a PostgreSQL server says: the time there, and whether our connection is encrypted; `None` where it does not say."""

    time: float
    encrypted: bool | None


async def server_facts(engine: AsyncEngine) -> ServerFacts:
    """Ask a PostgreSQL server about its clock and our connection."""
    query = "SELECT extract(epoch from clock_timestamp()), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
    async with engine.connect() as connection:
        seconds, encrypted = (await connection.execute(sa.text(query))).one()
    return ServerFacts(float(seconds), None if encrypted is None else bool(encrypted))


async def schema_versions(storage: object) -> list[SchemaVersion]:
    """The versions of the tables of `storage`; empty where it has none.

    Raises:
        CrossauthError: `Connection` where the database does not answer, `Configuration` where it refuses.
    """
    prepared = getattr(storage, "_prepared", None)
    if not isinstance(prepared, Prepared):
        return []
    return [await _version(schema) for schema in prepared.schemas]


async def _version(schema: Schema) -> SchemaVersion:
    try:
        async with schema.engine.connect() as connection:
            return await connection.run_sync(_read, schema)
    except Exception as e:
        reason = start_fault(e, schema.engine.url)
        if reason is e:
            raise
        raise reason from e


def _read(connection: sa.Connection, schema: Schema) -> SchemaVersion:
    return SchemaVersion(
        kind=schema.kind, table=schema.main.name, current=schema.version(connection), head=HEADS[schema.kind],
        missing=tuple(schema.missing(connection)), migrates=schema.migrate,
    )  # fmt: skip
