"""Creating, upgrading and checking the tables of one storage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.storages.sqlalchemy.engine import unreachable

HEADS: Final = {"users": "0003", "keys": "0002", "audit": "0001"}
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x63726F7373  # any number that is ours


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What one storage needs of its database.

    Parameters:
        engine: the database.
        kind: `users`, `keys` or `audit`: which migrations are its own.
        names: what the migrations create, by the storage's options.
        tables: the tables as they must be.
        extra: columns to add to the first table where they are missing.
        migrate: whether to create and upgrade, or only to check.
    """

    engine: AsyncEngine
    kind: str
    names: dict[str, Any]
    tables: tuple[sa.Table, ...]
    extra: tuple[sa.Column[Any], ...] = ()
    migrate: bool = True

    @property
    def version_table(self) -> str:
        """Where the version is kept; each storage has its own, so that several share a database."""
        return f"crossauth_{self.tables[-1].name}_version"[:63]

    async def prepare(self) -> None:
        """Bring the tables up to date, or check that they are.

        Safe to run in several processes at once.

        Raises:
            CrossauthError: `Configuration`, saying what is missing; `Connection` where the database does not answer.
        """
        try:
            async with self.engine.connect() as connection:
                current = await connection.run_sync(self._is_current)
            if not current and self.migrate:
                await self._upgrade()
            async with self.engine.connect() as connection:
                missing = await connection.run_sync(self._missing)
        except (OperationalError, OSError) as e:
            raise unreachable(e) from e
        if missing:
            raise CrossauthError(ErrorCode.Configuration, [*missing, self._advice()])

    def _advice(self) -> str:
        if self.migrate:
            return "These tables were not made by this library: add the columns, or name other tables in the options"
        return "Option 'migrate' is off: create the tables with `await storage.migrate()`, or switch it on"

    async def _upgrade(self) -> None:
        async with self.engine.connect() as connection, _unchecked(connection):
            await _lock(connection)
            await connection.run_sync(self._run_migrations)
            await connection.commit()

    def _is_current(self, connection: sa.Connection) -> bool:
        if self.version_table not in sa.inspect(connection).get_table_names() or self._missing(connection):
            return False
        version = connection.exec_driver_sql(f'SELECT version_num FROM "{self.version_table}"').scalar()  # noqa: S608
        return bool(version == HEADS[self.kind])

    def _missing(self, connection: sa.Connection) -> list[str]:
        inspector = sa.inspect(connection)
        present = inspector.get_table_names()
        problems = []
        for table in self.tables:
            if table.name not in present:
                problems.append(f"Table {table.name!r} does not exist")
                continue
            there = {column["name"] for column in inspector.get_columns(table.name)}
            lacking = [column.name for column in table.columns if column.name not in there]
            if lacking:
                problems.append(f"Table {table.name!r} lacks the columns {', '.join(lacking)}")
        return problems

    def _run_migrations(self, connection: sa.Connection) -> None:
        # Alembic takes half a second to import, and is needed once in a schema's life.
        command, config = import_module("alembic.command"), import_module("alembic.config").Config()
        config.set_main_option("script_location", str(_MIGRATIONS / self.kind))
        config.set_main_option("path_separator", "os")
        config.attributes.update(connection=connection, version_table=self.version_table, names=self.names)
        command.upgrade(config, "head")
        self._add_extra_columns(connection)

    def _add_extra_columns(self, connection: sa.Connection) -> None:
        if not self.extra:
            return
        name = self.tables[0].name
        there = {column["name"] for column in sa.inspect(connection).get_columns(name)}
        context = import_module("alembic.runtime.migration").MigrationContext.configure(connection)
        operations = import_module("alembic.operations").Operations(context)
        for column in self.extra:
            if column.name not in there:
                operations.add_column(name, column._copy())


@asynccontextmanager
async def _unchecked(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let a migration make a table of SQLite anew: to drop the old one would delete whatever refers to its rows."""
    checks = connection.dialect.name == "sqlite" and (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar()
    if checks:
        await connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        if checks:
            # Within a transaction SQLite would not hear it.
            await connection.rollback()
            await connection.exec_driver_sql("PRAGMA foreign_keys=ON")


async def _lock(connection: AsyncConnection) -> None:
    """Let one process at a time change the schema; the others wait for it and then find it done."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


class Prepared:
    """Runs `prepare` once, when a storage is first used or its application starts."""

    def __init__(self, schemas: Iterable[Schema]) -> None:
        self.schemas = tuple(schemas)
        self.done = False
        self._locks: dict[int, asyncio.Lock] = {}

    async def once(self) -> None:
        """Prepare, if nobody has yet."""
        if self.done:
            return
        lock = self._locks.setdefault(id(asyncio.get_running_loop()), asyncio.Lock())
        async with lock:
            if not self.done:
                for schema in self.schemas:
                    await schema.prepare()
                self.done = True
                self._locks.clear()
