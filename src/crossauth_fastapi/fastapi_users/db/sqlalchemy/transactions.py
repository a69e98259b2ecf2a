"""When a session of the application's gives its connection back, and what is said where a database refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.storages.sqlalchemy.engine import refusals
from crossauth_fastapi.fastapi_users._unavailable import said_to_http
from crossauth_fastapi.fastapi_users.exceptions import ConstraintViolated

# SQLSTATEs: integrity constraints, a view's check option, and what a trigger raises that says nothing else.
_REFUSED_CLASS = "23"
_REFUSED = ("44000", "P0001")


@asynccontextmanager
async def short(session: AsyncSession) -> AsyncIterator[None]:
    """Within the block, read; afterwards the connection is given back, where the block itself took it.

    A request reads its user first and then hashes, asks the key storage, or sends mail. A connection that is held meanwhile
    is one that others wait for: the key storage of the same engine among them, and then nobody gets on. What the application
    has begun, or has changed and not yet stored, is left as it is. Objects that were read stay readable.

    What fails is rolled back: whoever asks the session next gets an answer of the database, not of what went wrong before.
    """
    ours = not session.in_transaction()
    try:
        yield
    except BaseException:
        await session.rollback()
        raise
    if ours and session.in_transaction() and not (session.new or session.dirty or session.deleted):
        await commit(session)


async def commit(session: AsyncSession) -> None:
    """Commit, and leave readable what was read: of the application's own objects nothing was changed here."""
    sync = session.sync_session
    expires, sync.expire_on_commit = sync.expire_on_commit, False
    try:
        await session.commit()
    except BaseException:
        await session.rollback()
        raise
    finally:
        sync.expire_on_commit = expires


class RefusedWrite(ConstraintViolated, IntegrityError):
    """What a database refuses, as user managers and routes know it; SQLAlchemy's own exception at the same time.

    Parameters:
        error: SQLAlchemy's exception.
    """

    def __init__(self, error: DBAPIError) -> None:
        IntegrityError.__init__(
            self, error.statement, error.params, error.orig or error, hide_parameters=error.hide_parameters
        )
        self.constraint = constraint_of(error) or ""

    def __str__(self) -> str:
        # SQLAlchemy's own text has the statement's values in it.
        return self.constraint


@contextmanager
def reads(bad_data: ErrorCode) -> Iterator[None]:
    """As `refusals`, and a database that is away is a 503 in any route."""
    with said_to_http(), refusals(bad_data):
        yield


@contextmanager
def writes() -> Iterator[None]:
    """As `reads`, and what the database refuses because of a constraint is a `ConstraintViolated`."""
    try:
        with reads(ErrorCode.BadRequest):
            yield
    except ConstraintViolated:
        raise
    except CrossauthError as e:
        if e.code is not ErrorCode.ConstraintViolation or not isinstance(e.__cause__, DBAPIError):
            raise
        raise RefusedWrite(e.__cause__) from e
    except DBAPIError as e:
        if constraint_of(e) is None:
            raise
        raise RefusedWrite(e) from e


def constraint_of(error: Exception) -> str | None:
    """What a database calls the constraint that was violated, or the trigger that refuses; `None` for anything else."""
    if isinstance(error, ConstraintViolated):
        return error.constraint
    if not isinstance(error, DBAPIError):
        return None
    driver = getattr(error.orig, "__cause__", None) or error.orig
    state = str(getattr(driver, "sqlstate", None) or "")
    if not (isinstance(error, IntegrityError) or state.startswith(_REFUSED_CLASS) or state in _REFUSED):
        return None
    named = (getattr(driver, name, None) for name in ("constraint_name", "column_name", "context"))
    # No more than that: what PostgreSQL says besides has the values in it.
    declared = next((str(name) for name in named if name), "") or ("" if state else str(error.orig))
    return (declared or state).partition("\n")[0][:200]
