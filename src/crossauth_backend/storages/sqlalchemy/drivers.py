"""Runs one prepared query by the driver of a database itself, see `read`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.storages.sqlalchemy.engine import (
    CLOSE_SECONDS,
    CONNECT_SECONDS,
    is_away,
    refusals,
    refuse_of_another_loop,
    unreachable,
)

# How many connections read sessions, and for how many seconds one is kept that nobody used: a firewall on the way forgets such.
_CONNECTIONS: Final = 8
_IDLE_SECONDS: Final = 60
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
    """What runs `sql` on the driver itself; `None` where SQLAlchemy has to.

    That is where we do not know the driver, where the database is in memory, and where the application has something done before
    each use of a connection or changes statements: then the query may mean something else from one time to the next.
    """
    made, database = engine.sync_engine, engine.url.database
    each_time = [*made.pool.dispatch.checkout, *made.dispatch.begin, *made.dispatch.engine_connect]
    if any(listener is not refuse_of_another_loop for listener in each_time) or made.get_execution_options():
        return None
    if engine.dialect.driver == "asyncpg":
        return lambda: AsyncpgDriver(engine, sql)
    if engine.dialect.driver == "aiosqlite" and database and not database.startswith((":", "file:")):
        return lambda: AiosqliteDriver(engine, sql)
    return None


class _Opener:
    """Opens connections as the engine does, with all that the application's listeners do to a new one, beside its pool."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._pool = engine.sync_engine.pool.recreate()

    async def open(self) -> Any:
        """A connection of the driver."""
        async with asyncio.timeout(CONNECT_SECONDS):
            return await greenlet_spawn(self._take)

    def _take(self) -> Any:
        taken = self._pool.connect()
        connection = taken.driver_connection
        taken.detach()
        return connection


class AsyncpgDriver:
    """A few connections that only ever run this query, so that none needs to be reset between two uses.

    Parameters:
        engine: what opens them.
        sql: the query.
    """

    def __init__(self, engine: AsyncEngine, sql: str) -> None:
        self._opener, self._sql = _Opener(engine), sql
        # Those that nobody uses, with the time at which they were put back; the one of last is the first to be taken.
        self._idle: list[tuple[Any, float]] = []
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._closed = False

    async def fetch(self, value: Any) -> Sequence[Any] | None:
        """The row, or `None`."""
        import asyncpg

        try:
            if self._free.locked():
                async with asyncio.timeout(_QUERY_SECONDS):
                    await self._free.acquire()
            else:
                await self._free.acquire()
            try:
                return await self._fetch(value)
            finally:
                self._free.release()
        except asyncpg.DataError:
            # A value that the column could not hold is in no row.
            return None
        except Exception as e:
            if isinstance(e, asyncpg.InterfaceError) or is_away(e):
                raise unreachable(e) from e
            raise

    async def _fetch(self, value: Any) -> Sequence[Any] | None:
        import asyncpg

        now = asyncio.get_running_loop().time()
        connection = self._kept(now)
        if connection is not None:
            try:
                return await self._run(connection, value, now)
            except (
                asyncpg.PostgresConnectionError,
                asyncpg.InterfaceError,
                asyncpg.OperatorInterventionError,
                OSError,
            ) as e:
                if isinstance(e, TimeoutError):
                    raise
                # The server has ended it, and then most likely the others too. The query changes nothing: once more.
                self._drop_idle()
        return await self._run(await self._opener.open(), value, now)

    async def _run(self, connection: Any, value: Any, now: float) -> Sequence[Any] | None:
        import asyncpg

        keep = False
        try:
            row: Sequence[Any] | None = await connection.fetchrow(self._sql, value, timeout=_QUERY_SECONDS)
            keep = not self._closed
            return row
        except asyncpg.DataError:
            keep = not self._closed
            raise
        except TimeoutError:
            # As a firewall does that has forgotten connections; it has forgotten the others too.
            self._drop_idle()
            raise
        finally:
            if keep:
                self._idle.append((connection, now))
            else:
                # It is broken, or in the middle of a query.
                connection.terminate()

    def _kept(self, now: float) -> Any | None:
        while self._idle:
            connection, used = self._idle.pop()
            if now - used < _IDLE_SECONDS and not connection.is_closed():
                return connection
            connection.terminate()
        return None

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.terminate()

    async def close(self) -> None:
        """Close them; whoever still uses one closes it then."""
        self._closed = True
        idle, self._idle = self._idle, []
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                for connection, _ in idle:
                    await connection.close()
        for connection, _ in idle:
            connection.terminate()


class AiosqliteDriver:
    """One read-only connection. In WAL mode it sees whatever has been committed, and waits for nobody.

    Parameters:
        engine: what opens it.
        sql: the query.
    """

    def __init__(self, engine: AsyncEngine, sql: str) -> None:
        self._opener, self._sql = _Opener(engine), sql
        self._connection: Any = None
        self._lock = asyncio.Lock()

    async def fetch(self, value: Any) -> Sequence[Any] | None:
        """The row, or `None`."""
        import sqlite3

        try:
            connection = self._connection or await self._connect()
            rows: list[Sequence[Any]] = await connection.execute_fetchall(self._sql, (value,))
        except (sqlite3.Error, SQLAlchemyError, OSError, ValueError) as e:
            await self.close()
            raise unreachable(e) from e
        return rows[0] if rows else None

    async def _connect(self) -> Any:
        async with self._lock:
            if self._connection is None:
                connection = await self._opener.open()
                await connection.execute("PRAGMA query_only=ON")
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
