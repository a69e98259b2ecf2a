"""Engines, and what can go wrong with a database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, ExceptionContext, make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import hide_values, sqlstate_of
from crossauth_backend.core.texts import mark
from crossauth_backend.storages.sqlalchemy.badvalues import bad_value, is_bad_value

_DRIVERS: Final = {
    "sqlite": ("sqlite+aiosqlite", "sqlite"),
    "postgresql": ("postgresql+asyncpg", "postgres"),
    "postgres": ("postgresql+asyncpg", "postgres"),
}
SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
)

# A database that does not answer is said to be away within this many seconds: of waiting for a connection of the pool, for a
# new one, and for one statement.
POOL_SECONDS: Final = 5
CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 10
CLOSE_SECONDS: Final = 2
RETRY_SECONDS: Final = 5
# SQLSTATEs of a server that does not let us in, or has no such database.
_REFUSES: Final = ("28", "3D")
# SQLSTATEs of a server that starts, stops, has too many connections, no room, or gave up waiting: whole classes (connection,
# resources, operator, system), and serialization failure, deadlock, a standby, idle too long, lock not available.
_AWAY_CLASSES: Final = ("08", "53", "57", "58", *_REFUSES)
_AWAY: Final = ("40001", "40P01", "25006", "25P03", "55P03")
# SQLSTATEs of a rule of the application's in its database: RAISE EXCEPTION of a trigger, WITH CHECK OPTION, and the class that
# is left to applications.
_RAISED: Final = ("P0001", "44", "45")
# What SQLAlchemy calls a connection that was lost within a transaction. (7s2a, a flush that failed, may have any cause.)
_LOST: Final = "8s2b"
# What SQLite says of a file that is damaged, or none of its own; and of one that is full or cannot be read (result codes).
_SQLITE_DAMAGED: Final = (11, 26)
_SQLITE_AWAY: Final = (5, 6, 8, 10, 13, 14, *_SQLITE_DAMAGED)

logger = logging.getLogger("crossauth.storage")
# The drivers' connections of each engine that we opened.
_opened: WeakKeyDictionary[Engine, WeakSet[Any]] = WeakKeyDictionary()
# Other engines, whose arguments were looked at.
_judged: WeakSet[Engine] = WeakSet()


def open_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine for a database URL, whose driver may be left out: `sqlite:///app.db`, `postgresql://user@host/name`.

    SQLite is opened in WAL mode, so that readers do not wait for a writer, with foreign keys enforced. Nothing waits for ever:
    for a connection of the pool at most 5 seconds, and on PostgreSQL 5 seconds for a new connection, 10 for a statement. A
    worker holds at most `pool_size + max_overflow` connections (5 + 10), and 8 more of PostgreSQL that read sessions.

    Neither logs nor exceptions of SQLAlchemy's show the parameters of statements (`hide_parameters`).

    Parameters:
        url: the database.
        options: for `sqlalchemy.ext.asyncio.create_async_engine`; what is given here wins, also in `connect_args`.

    Raises:
        CrossauthError: `Configuration` for a URL that cannot be read, a missing driver or a missing folder.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError as e:
        raise CrossauthError(ErrorCode.Configuration, f"The database URL cannot be read: {e}") from e
    options = {"hide_parameters": True} | options
    driver, extra = _DRIVERS.get(parsed.drivername, (parsed.drivername, ""))
    parsed = parsed.set(drivername=driver)
    _check_folder(parsed)
    if _is_sqlite_in_memory(parsed):
        # There is one connection, or there would be several databases; its users take turns.
        one: dict[str, Any] = {
            "poolclass": AsyncAdaptedQueuePool,
            "pool_size": 1,
            "max_overflow": 0,
            "pool_timeout": POOL_SECONDS,
        }
        options = one | options
    else:
        options = {"pool_timeout": POOL_SECONDS} | options if "poolclass" not in options else options
    if driver == "postgresql+asyncpg":
        bounds = {"timeout": CONNECT_SECONDS, "command_timeout": STATEMENT_SECONDS}
        provided: Any = options.get("connect_args")
        options = {**options, "connect_args": bounds | dict(provided or {})}
    try:
        engine = create_async_engine(parsed, **options)
    except ModuleNotFoundError as e:
        advice = f"install crossauth[{extra}]" if extra else f"install {e.name}"
        raise CrossauthError(ErrorCode.Configuration, f"The driver for {driver} is missing: {advice}") from e
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "handle_error", _drop_what_hangs)
    opened = _opened[engine.sync_engine] = WeakSet()
    event.listen(engine.sync_engine, "connect", lambda connection, _: opened.add(connection.driver_connection))
    event.listen(engine.sync_engine, "checkout", refuse_of_another_loop)
    return engine


def warn_if_unbounded(engine: AsyncEngine) -> None:
    """Log, once an engine, that its statements may take for ever, as its first connection shows.

    Only of asyncpg is that known; `open_engine` sets a bound, and whoever changed it there meant it.
    """
    made = engine.sync_engine
    if engine.dialect.driver != "asyncpg" or made in _opened or made in _judged:
        return
    _judged.add(made)

    def judge(dialect: object, record: object, arguments: object, parameters: dict[str, Any]) -> None:
        if "async_creator_fn" not in parameters and parameters.get("command_timeout") is None:
            logger.warning(
                "an engine has no 'command_timeout': a database that hangs holds requests for ever. Make it by open_engine, "
                "or with connect_args={'command_timeout': %d, 'timeout': %d}", STATEMENT_SECONDS, CONNECT_SECONDS,
            )  # fmt: skip

    event.listen(made, "do_connect", judge, once=True)


def refuse_translation(engine: AsyncEngine) -> None:
    """Refuse an engine that reads and writes other schemas than those of its tables.

    Raises:
        CrossauthError: `Configuration`.
    """
    if engine.get_execution_options().get("schema_translate_map"):
        raise CrossauthError(
            ErrorCode.Configuration,
            "An engine has a 'schema_translate_map', which our tables do not follow: choose the schema by the search path, such "
            "as connect_args={'server_settings': {'search_path': 'tenant'}}",
        )


async def dispose(engine: AsyncEngine) -> None:
    """Close the connections of the engine's pool; those that do not answer the farewell are dropped."""
    closing = asyncio.ensure_future(engine.dispose())
    await asyncio.wait([closing], timeout=CLOSE_SECONDS)
    if not closing.done():
        for connection in _opened.get(engine.sync_engine, ()):
            if hasattr(connection, "terminate"):
                connection.terminate()
    await closing


def refuse_of_another_loop(dbapi_connection: Any, record: object, proxy: object) -> None:
    """A connection serves the event loop that opened it. With another loop (a second `TestClient`) the pool opens a new one."""
    connection = dbapi_connection.driver_connection
    loop = getattr(connection, "_loop", None)
    if loop is None or loop is asyncio.get_running_loop():
        return
    with suppress(Exception):
        if loop.is_running():
            loop.call_soon_threadsafe(connection.terminate)
        else:
            connection.terminate()
    raise DisconnectionError


def _drop_what_hangs(context: ExceptionContext) -> None:
    """A connection whose statement had no end is not used again; to roll it back would hang as well."""
    if isinstance(context.original_exception, TimeoutError) or _is_confused(context.original_exception):
        context.is_disconnect, context.invalidate_pool_on_disconnect = True, False


def _check_folder(url: URL) -> None:
    if url.get_backend_name() != "sqlite" or _is_sqlite_in_memory(url) or str(url.database).startswith("file:"):
        return
    folder = Path(str(url.database)).absolute().parent
    if not folder.is_dir():
        raise CrossauthError(ErrorCode.Configuration, f"The folder of the SQLite database does not exist: {folder}")


def _is_sqlite_in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _set_pragmas(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def unreachable(e: BaseException) -> CrossauthError:
    """The refusal for a database that does not answer; nothing of the exception is public."""
    hide_values(e)
    return CrossauthError(
        ErrorCode.Connection,
        mark("The database cannot be reached"),
        detail=repr(e),
        status=503,
        retry_after=RETRY_SECONDS,
    )


def is_away(e: BaseException) -> bool:
    """Whether an exception says that the database is not there, or cannot do now what it could do at another time."""
    if isinstance(e, (OperationalError, InterfaceError, PoolTimeoutError, OSError, TimeoutError)):
        return True
    if isinstance(e, DBAPIError):
        return e.connection_invalidated or (e.orig is not None and is_away(e.orig))
    if _is_confused(e) or (isinstance(e, PendingRollbackError) and e.code == _LOST):
        return True
    state = sqlstate_of(e)
    return state.startswith(_AWAY_CLASSES) or state in _AWAY or _sqlite_code(e) in _SQLITE_AWAY


def start_fault(e: Exception, url: URL) -> Exception:
    """Why an application cannot start: what its operator has to mend, where the database is not just away."""
    orig = e.orig if isinstance(e, DBAPIError) and e.orig is not None else e
    if _sqlite_code(orig) in _SQLITE_DAMAGED:
        text = f"{url.database} is no SQLite database, or is damaged; restore it from a backup, or name another file"
        return CrossauthError(ErrorCode.Configuration, text, detail=repr(orig))
    if sqlstate_of(orig).startswith(_REFUSES):
        return CrossauthError(ErrorCode.Configuration, f"The database does not let the application in: {orig}")
    return unreachable(e) if is_away(e) else e


def is_raised(e: DBAPIError) -> bool:
    """Whether a trigger of the application's refuses; on SQLite that is an `IntegrityError`."""
    return e.orig is not None and sqlstate_of(e.orig).startswith(_RAISED)


def _is_confused(e: BaseException) -> bool:
    """Whether asyncpg lost count of what a connection is doing, as it may where the server ends it in between."""
    return type(e).__name__ == "InternalClientError"


def _sqlite_code(e: BaseException) -> int:
    """The primary result code of SQLite; 0 for anything else's exception."""
    code = getattr(e, "sqlite_errorcode", None) or getattr(e.__cause__, "sqlite_errorcode", None) or 0
    return int(code) & 0xFF


@contextmanager
def refusals(bad_data: ErrorCode) -> Iterator[None]:
    """Turns what a database refuses into reasons; constraint violations are left to the caller.

    Whatever leaves it has no parameter of a statement in its text, and no value that the database repeats.

    Parameters:
        bad_data: the reason for values the database does not take: `BadRequest` in writes, in reads that nothing is found.
    """
    try:
        yield
    except Exception as e:
        reason = _reason(e, bad_data)
        hide_values(e)
        if reason is e:
            raise
        raise reason from e


def _reason(e: Exception, bad_data: ErrorCode) -> Exception:
    if is_away(e):
        return unreachable(e)
    if isinstance(e, DBAPIError):
        if is_raised(e):
            # Nothing of the trigger's text, which may hold values.
            return CrossauthError(ErrorCode.ConstraintViolation, detail="a trigger")
        return bad_value(e, bad_data) if isinstance(e, DataError) or is_bad_value(e.orig) else e
    # A type, or a driver, that cannot even encode the value.
    return bad_value(e, bad_data) if isinstance(e, (StatementError, OverflowError, UnicodeError)) else e
