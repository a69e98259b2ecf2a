"""What every storage on SQLAlchemy does with its tables: make them once, and let go of the database in the end."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.storages.sqlalchemy.engine import dispose
from crossauth_backend.storages.sqlalchemy.schema import Prepared


class PreparedStorage:
    """A storage whose constructor sets `engine` and `_prepared`."""

    engine: AsyncEngine
    _prepared: Prepared

    @property
    def own_tables(self) -> tuple[sa.Table, ...]:
        """The tables that the library makes for this storage."""
        return self._prepared.own_tables

    async def start(self) -> None:
        """As documented for `SupportsLifecycle`."""
        await self._prepared.once()

    async def migrate(self) -> None:
        """Create and upgrade the tables now, whatever the option `migrate` says."""
        for schema in self._prepared.schemas:
            await replace(schema, migrate=True).prepare()

    async def close(self) -> None:
        """As documented for `SupportsLifecycle`."""
        await dispose(self.engine)
