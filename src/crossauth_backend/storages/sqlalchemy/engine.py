"""Engines, and what can go wrong with a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from crossauth_backend.core.errors import CrossauthError, ErrorCode

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


def open_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine for a database URL, whose driver may be left out: `sqlite:///app.db`, `postgresql://user@host/name`.

    SQLite is opened in WAL mode, so that readers do not wait for a writer, with foreign keys enforced.

    Parameters:
        url: the database.
        options: for `sqlalchemy.ext.asyncio.create_async_engine`.

    Raises:
        CrossauthError: `Configuration` for a URL that cannot be read, a missing driver or a missing folder.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError as e:
        raise CrossauthError(ErrorCode.Configuration, f"The database URL cannot be read: {e}") from e
    driver, extra = _DRIVERS.get(parsed.drivername, (parsed.drivername, ""))
    parsed = parsed.set(drivername=driver)
    _check_folder(parsed)
    if _is_sqlite_in_memory(parsed):
        # There is one connection, or there would be several databases; its users take turns.
        options = {"poolclass": AsyncAdaptedQueuePool, "pool_size": 1, "max_overflow": 0, **options}
    try:
        engine = create_async_engine(parsed, **options)
    except ModuleNotFoundError as e:
        advice = f"install crossauth[{extra}]" if extra else f"install {e.name}"
        raise CrossauthError(ErrorCode.Configuration, f"The driver for {driver} is missing: {advice}") from e
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


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
    return CrossauthError(ErrorCode.Connection, "The database cannot be reached", detail=repr(e), status=503)


@contextmanager
def refusals(bad_data: ErrorCode) -> Iterator[None]:
    """Turns what a database refuses into reasons; constraint violations are left to the caller.

    Parameters:
        bad_data: the reason for values the database does not take: `BadRequest` in writes, in reads that nothing is found.
    """
    try:
        yield
    except (OperationalError, InterfaceError, OSError, TimeoutError) as e:
        raise unreachable(e) from e
    except DBAPIError as e:
        if isinstance(e, DataError) or (not e.connection_invalidated and _is_bad_data(e.orig)):
            raise CrossauthError(bad_data, detail=repr(e.orig)) from e
        if e.connection_invalidated:
            raise unreachable(e) from e
        raise
    except StatementError as e:
        raise CrossauthError(bad_data, detail=repr(e.orig)) from e
    except (OverflowError, UnicodeError) as e:
        # A driver that cannot even encode the value.
        raise CrossauthError(bad_data, detail=repr(e)) from e


def _is_bad_data(e: BaseException | None) -> bool:
    """Whether a driver's exception is about a value: of SQLSTATE class 22, or one that could not even be sent."""
    named = "DataError" in f"{type(e).__name__} {type(getattr(e, '__cause__', None)).__name__}"
    return named or str(getattr(e, "sqlstate", "") or "").startswith("22")
