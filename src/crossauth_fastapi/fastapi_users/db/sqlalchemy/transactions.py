"""When a session of the application's gives its connection back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession


@asynccontextmanager
async def short(session: AsyncSession) -> AsyncIterator[None]:
    """Within the block, read; afterwards the connection is given back, where the block itself took it.

    A request reads its user first and then hashes, asks the key storage, or sends mail. A connection that is held meanwhile
    is one that others wait for: the key storage of the same engine among them, and then nobody gets on. What the application
    has begun, or has changed and not yet stored, is left as it is. Objects that were read stay readable.
    """
    ours = not session.in_transaction()
    yield
    if ours and session.in_transaction() and not (session.new or session.dirty or session.deleted):
        await commit(session)


async def commit(session: AsyncSession) -> None:
    """Commit, and leave readable what was read: of the application's own objects nothing was changed here."""
    sync = session.sync_session
    expires, sync.expire_on_commit = sync.expire_on_commit, False
    try:
        await session.commit()
    finally:
        sync.expire_on_commit = expires
