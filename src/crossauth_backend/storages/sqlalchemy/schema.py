"""Creating, upgrading and checking the tables of one storage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.storages.sqlalchemy.engine import refuse_translation, start_fault, warn_if_unbounded
from crossauth_backend.storages.sqlalchemy.enumtypes import missing_types, refuse_missing_types
from crossauth_backend.storages.sqlalchemy.metadata import remember
from crossauth_backend.storages.sqlalchemy.names import MAX_NAME, bounded_name
from crossauth_backend.storages.sqlalchemy.owntable import not_unique

HEADS: Final = {"users": "0005", "keys": "0003", "audit": "0002", "identities": "0001"}
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x63726F7373  # any number that is ours
_LOCK_TRIES: Final = 600
logger = logging.getLogger("crossauth.schema")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What one storage needs of its database.

    Versions are numbers of four digits. Tables of a later version serve an earlier one as long as the first digit is the same:
    a migration that an earlier version could not live with begins a new thousand. Every migration leaves alone what is there
    already, so that tables which were renamed, or made by an application, are brought up to date as well.

    Parameters:
        engine: the database.
        kind: `users`, `keys`, `audit` or `identities`: which migrations are its own.
        names: what the migrations create, by the storage's options.
        tables: the tables as they must be. The first is the one that an application may own or extend; rows of the others
            belong to its rows.
        versioned: the table after which the one with the version is called; the first by default. It stays the same for ever.
        extra: columns to add to the first table where they are missing.
        migrate: whether to create and upgrade, or only to check.
        own: whether the application made the first table: it is checked, and never created.
        unique: columns of that table of which no two rows may have the same.
    """

    engine: AsyncEngine
    kind: str
    names: dict[str, Any]
    tables: tuple[sa.Table, ...]
    versioned: sa.Table | None = None
    extra: tuple[sa.Column[Any], ...] = ()
    migrate: bool = True
    own: bool = False
    unique: tuple[str, ...] = ()

    @property
    def main(self) -> sa.Table:
        """The table that an application may own or extend."""
        return self.tables[0]

    @property
    def version_table(self) -> str:
        """Where the version is kept; each storage has its own, so that several share a database."""
        # Alembic calls the primary key like the table, with "_pkc" behind it.
        return bounded_name("crossauth_", self._named, "_version", most=MAX_NAME - len("_pkc"))

    @property
    def _named(self) -> str:
        return (self.main if self.versioned is None else self.versioned).name

    async def prepare(self) -> None:
        """Bring the tables up to date, or check that they are.

        Safe to run in several processes at once.

        Raises:
            CrossauthError: `Configuration`, saying what is missing; `Connection` where the database does not answer.
        """
        try:
            async with self.engine.connect() as connection:
                current = await connection.run_sync(self._is_current)
                self._refuse(await connection.run_sync(self._missing_of_own))
                refuse_missing_types(await connection.run_sync(missing_types, (*self.extra, *self._own_columns)))
            if not current and self.migrate:
                await self._upgrade()
            async with self.engine.connect() as connection:
                missing = await connection.run_sync(self.missing)
        except CrossauthError:
            raise
        except Exception as e:
            reason = start_fault(e, self.engine.url)
            if reason is e:
                raise
            raise reason from e
        self._refuse(missing)

    @property
    def _own_columns(self) -> tuple[sa.Column[Any], ...]:
        return tuple(self.main.columns) if self.own else ()

    def _refuse(self, missing: list[str]) -> None:
        if missing:
            raise CrossauthError(ErrorCode.Configuration, [*missing, self._advice()])

    def _missing_of_own(self, connection: sa.Connection) -> list[str]:
        """What is wrong with a table of the application's own: nothing is created beside it then."""
        if not self.own:
            return []
        name = self.main.name
        problems = self.missing(connection, (self.main,))
        if not problems:
            same = not_unique(sa.inspect(connection), name, self.unique)
            problems = [f"Table {name!r} needs a unique constraint or index on {column!r}" for column in same]
        return problems

    def _advice(self) -> str:
        if self.own:
            return (
                f"Table {self.main.name!r} is the application's own: make it so before the application starts, by a "
                "migration or a script; the application's lifespan is too late, for it runs after this check"
            )
        if self.migrate:
            return "These tables were not made by this library: add the columns, or name other tables in the options"
        return "Option 'migrate' is off: create the tables with `await storage.migrate()`, or switch it on"

    async def _upgrade(self) -> None:
        async with self.engine.connect() as connection, _unchecked(connection):
            await _lock(connection)
            await connection.run_sync(self._run_migrations)
            await connection.commit()

    def _is_current(self, connection: sa.Connection) -> bool:
        version, head = self.version(connection), HEADS[self.kind]
        if version is None or version < head:
            return False
        missing = self.missing(connection)
        if version > head:
            self._check_newer(version, [] if self.extra and self.migrate else missing)
        return not missing

    def version(self, connection: sa.Connection) -> str | None:
        """The version of the tables as they are; `None` where they were not made by this library."""
        if self.version_table not in sa.inspect(connection).get_table_names():
            return None
        found = connection.exec_driver_sql(f'SELECT version_num FROM "{self.version_table}"').scalar()  # noqa: S608
        return None if found is None else str(found)

    def _check_newer(self, version: str, missing: list[str]) -> None:
        head = HEADS[self.kind]
        if missing or version[:1] != head[:1] or not version.isdecimal():
            raise CrossauthError(
                ErrorCode.Configuration,
                [
                    f"Table {self._named!r} is of version {version}, made by a later version of this library, and "
                    f"this one, which makes version {head}, cannot use it: install the later version, or restore the database",
                    *missing,
                ],
            )
        logger.warning("table %r is of version %s, later than this library's %s", self._named, version, head)

    def missing(self, connection: sa.Connection, tables: Iterable[sa.Table] | None = None) -> list[str]:
        """What is missing of `tables`, by default of all, as texts."""
        inspector = sa.inspect(connection)
        present = inspector.get_table_names()
        problems = []
        for table in self.tables if tables is None else tables:
            if table.name not in present:
                problems.append(f"Table {table.name!r} does not exist")
                continue
            there = {column["name"] for column in inspector.get_columns(table.name)}
            lacking = [column.name for column in table.columns if column.name not in there]
            if lacking:
                problems.append(f"Table {table.name!r} lacks the columns {', '.join(lacking)}")
        return problems

    def _obstacles(self, connection: sa.Connection) -> list[str]:
        """What stands in the way of tables that are to be made, as texts."""
        present = sa.inspect(connection).get_table_names()
        missing = [table.name for table in made_by_us(self) if table.name not in present]
        problems = []
        if connection.dialect.name == "sqlite":
            known = {name.lower(): name for name in present}
            problems = [
                f"Table {name!r} cannot be made: for SQLite {known[name.lower()]!r}, which is there, has the same name. Choose "
                "another one by an option"
                for name in missing
                if name.lower() in known
            ]
        if self.main.name in missing:
            # New rows would be taken for the ones that those belonged to.
            stored = [t.name for t in self.tables[1:] if t.name in present and _has_rows(connection, t.name)]
            problems += [
                f"Table {self.main.name!r} does not exist, but {name!r} has rows that belong to rows of another table: name that "
                "one by an option, or choose another name for both"
                for name in stored
            ]
        return problems

    def _run_migrations(self, connection: sa.Connection) -> None:
        problems = self._obstacles(connection)
        if problems:
            raise CrossauthError(ErrorCode.Configuration, problems)
        # Alembic takes half a second to import, and is needed once in a schema's life.
        command, config = import_module("alembic.command"), import_module("alembic.config").Config()
        config.set_main_option("script_location", str(_MIGRATIONS / self.kind))
        config.set_main_option("path_separator", "os")
        config.attributes.update(connection=connection, version_table=self.version_table, names=self.names)
        version, present = self.version(connection), sa.inspect(connection).get_table_names()
        if (version or "") <= HEADS[self.kind]:
            if version is not None and any(table.name not in present for table in made_by_us(self)):
                # A table is gone, or has another name by now: every migration once more.
                command.stamp(config, "base")
            command.upgrade(config, "head")
        self._add_extra_columns(connection)

    def _add_extra_columns(self, connection: sa.Connection) -> None:
        if not self.extra:
            return
        name = self.main.name
        there = {column["name"] for column in sa.inspect(connection).get_columns(name)}
        context = import_module("alembic.runtime.migration").MigrationContext.configure(connection)
        operations = import_module("alembic.operations").Operations(context)
        for column in self.extra:
            if column.name not in there:
                _add_column(operations, name, column)


def _has_rows(connection: sa.Connection, table: str) -> bool:
    return connection.execute(sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)).first() is not None


def _add_column(operations: Any, table: str, column: sa.Column[Any]) -> None:
    added = column._copy()
    # SQLite adds no constraint to a table that is there, but takes an index that does the same.
    added.unique = None
    try:
        operations.add_column(table, added)
        if column.unique:
            name = bounded_name("uq_", f"{table}_{column.name}", "")
            operations.create_index(name, table, [column.name], unique=True)
    except (NotImplementedError, SQLAlchemyError) as e:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"Option 'extra_columns': column {column.name!r} cannot be added to the table {table!r} ({type(e).__name__}: "
            f"{str(getattr(e, 'orig', e)).partition(chr(10))[0]}): let it be empty or have a server_default and no foreign "
            "key, or add it by a migration of your own",
            detail=repr(e),
        ) from e


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
        # Asked again and again, for one statement that waits would be given up.
        for _ in range(_LOCK_TRIES):
            if await connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("another process has been changing the schema for a minute")


def made_by_us(schema: Schema) -> tuple[sa.Table, ...]:
    """The tables that are the library's own to make."""
    return schema.tables[1:] if schema.own else schema.tables


class Prepared:
    """Runs `prepare` once, when a storage is first used or its application starts."""

    def __init__(self, schemas: Iterable[Schema]) -> None:
        self.schemas = tuple(schemas)
        remember(self.own_tables)
        self.done = False
        self._locks: dict[int, asyncio.Lock] = {}

    @property
    def own_tables(self) -> tuple[sa.Table, ...]:
        """The tables that the library makes."""
        return tuple(table for schema in self.schemas for table in made_by_us(schema))

    async def once(self) -> None:
        """Prepare, if nobody has yet."""
        if self.done:
            return
        lock = self._locks.setdefault(id(asyncio.get_running_loop()), asyncio.Lock())
        async with lock:
            if not self.done:
                for schema in self.schemas:
                    refuse_translation(schema.engine)
                    warn_if_unbounded(schema.engine)
                    await schema.prepare()
                self.done = True
                self._locks.clear()
