"""Runs one prepared query by the driver of a database itself, see `read`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.storages.sqlalchemy.engine import CLOSE_SECONDS, CONNECT_SECONDS, is_away, refusals, unreachable

_CONNECTIONS: Final = 8
# What SQLAlchemy takes out of the arguments of a connection before its driver sees them.
_OF_SQLALCHEMY: Final = ("async_creator_fn", "prepared_statement_cache_size", "prepared_statement_name_func")
_QUERY_SECONDS: Final = 5


class Driver(Protocol):
    """Runs one prepared query on one event loop."""

    async def fetch(self, value: Any) -> Sequence[Any] | None:
        """The row, or `None`."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


def driver_for(engine: AsyncEngine, sql: str) -> Callable[[], Driver] | None:
    """What opens a connection to the database without SQLAlchemy; `None` where we cannot."""
    database = engine.url.database
    if engine.dialect.driver == "asyncpg" and not engine.url.query:
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        given: dict[str, Any] = {"dsn": url}

        def note(dialect: object, record: object, arguments: object, parameters: dict[str, Any]) -> None:
            # As the engine connects, TLS and all: what the application gave it, too.
            given.clear()
            given.update(parameters)

        sa.event.listen(engine.sync_engine, "do_connect", note)
        return lambda: AsyncpgDriver(given, sql)
    if engine.dialect.driver == "aiosqlite" and database and not database.startswith((":", "file:")):
        return lambda: AiosqliteDriver(database, sql)
    return None


class AsyncpgDriver:
    """A small pool whose connections only ever run this query.

    They are taken from the pool once and kept: none needs to be reset between two uses, and taking one out and putting it back
    costs more than what the query costs here.

    Parameters:
        given: what a connection is made with.
        sql: the query.
    """

    def __init__(self, given: dict[str, Any], sql: str) -> None:
        self._given, self._sql = given, sql
        self._pool: Any = None
        self._idle: list[Any] = []
        self._waiting = 0
        self._lock = asyncio.Lock()

    async def fetch(self, value: Any) -> Sequence[Any] | None:
        """The row, or `None`."""
        import asyncpg

        try:
            pool = self._pool or await self._connect()
            connection = await self._take(pool)
            keep = False
            try:
                row = cast(Sequence[Any] | None, await connection.fetchrow(self._sql, value))
                keep = not self._waiting and pool is self._pool
            finally:
                if keep:
                    self._idle.append(connection)
                else:
                    # To whoever waits for one; and the pool looks after one that is broken, or in the middle of a query.
                    await pool.release(connection)
            return row
        except asyncpg.DataError:
            # A value that the column could not hold is in no row.
            return None
        except Exception as e:
            if isinstance(e, asyncpg.InterfaceError) or is_away(e):
                raise unreachable(e) from e
            raise

    async def _take(self, pool: Any) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if _is_open(connection):
                return connection
        self._waiting += 1
        try:
            return await pool.acquire(timeout=_QUERY_SECONDS)
        finally:
            self._waiting -= 1

    async def _connect(self) -> Any:
        import asyncpg

        async with self._lock:
            if self._pool is None:
                given = {name: value for name, value in self._given.items() if name not in _OF_SQLALCHEMY}
                bounds = {"timeout": CONNECT_SECONDS, "command_timeout": _QUERY_SECONDS}
                connect = self._given.get("async_creator_fn")
                self._pool = await asyncpg.create_pool(
                    **given | bounds, min_size=0, max_size=_CONNECTIONS, reset=_nothing, connect=connect
                )
        return self._pool

    async def close(self) -> None:
        """Close the pool."""
        pool, self._pool = self._pool, None
        idle, self._idle = self._idle, []
        if pool is not None:
            # One that is cancelled drops its connections.
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    for connection in idle:
                        await pool.release(connection)
                    await pool.close()


def _is_open(connection: Any) -> bool:
    import asyncpg

    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool has taken it back, as it was closed meanwhile.
        return False


async def _nothing(connection: Any) -> None:
    pass


class AiosqliteDriver:
    """One read-only connection. In WAL mode it sees whatever has been committed, and waits for nobody."""

    def __init__(self, path: str, sql: str) -> None:
        self._path, self._sql = path, sql
        self._connection: Any = None
        self._lock = asyncio.Lock()

    async def fetch(self, value: Any) -> Sequence[Any] | None:
        """The row, or `None`."""
        import sqlite3

        try:
            connection = self._connection or await self._connect()
            rows: list[Sequence[Any]] = await connection.execute_fetchall(self._sql, (value,))
        except (sqlite3.Error, OSError, ValueError) as e:
            await self.close()
            raise unreachable(e) from e
        return rows[0] if rows else None

    async def _connect(self) -> Any:
        import aiosqlite

        async with self._lock:
            if self._connection is None:
                connection = await aiosqlite.connect(self._path, isolation_level=None)
                await connection.execute("PRAGMA query_only=ON")
                await connection.execute("PRAGMA busy_timeout=5000")
                self._connection = connection
        return self._connection

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class SqlAlchemyDriver:
    """For databases whose connections only SQLAlchemy can make: in memory, or by a driver we do not know."""

    def __init__(self, engine: AsyncEngine, query: sa.Select[Any]) -> None:
        self._engine, self._query = engine, query

    async def fetch(self, value: Any) -> Sequence[Any] | None:
        """The row, or `None`."""
        with refusals(ErrorCode.InvalidKey):
            async with self._engine.connect() as connection:
                row: Sequence[Any] | None = (await connection.execute(self._query, {"wanted": value})).first()
        return row

    async def close(self) -> None:
        """Nothing is held."""
