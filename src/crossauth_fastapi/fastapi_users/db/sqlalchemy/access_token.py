"""Tokens in a table of the application's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from crossauth_backend.core.errors import ErrorCode
from crossauth_fastapi.fastapi_users.authentication.strategy.db import AP, AccessTokenDatabase
from crossauth_fastapi.fastapi_users.db.sqlalchemy import UUID_ID
from crossauth_fastapi.fastapi_users.db.sqlalchemy.generics import GUID, TIMESTAMPAware, now_utc
from crossauth_fastapi.fastapi_users.db.sqlalchemy.transactions import commit, reads, short, writes
from crossauth_fastapi.fastapi_users.models import ID

__all__ = ["SQLAlchemyAccessTokenDatabase", "SQLAlchemyBaseAccessTokenTable", "SQLAlchemyBaseAccessTokenTableUUID"]


class SQLAlchemyBaseAccessTokenTable(Generic[ID]):
    """The columns of a table of tokens; the application adds `user_id`."""

    __tablename__ = "accesstoken"

    if TYPE_CHECKING:
        token: str
        created_at: datetime
        user_id: ID
    else:
        token: Mapped[str] = mapped_column(sa.String(length=43), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(
            TIMESTAMPAware(timezone=True), index=True, nullable=False, default=now_utc
        )


class SQLAlchemyBaseAccessTokenTableUUID(SQLAlchemyBaseAccessTokenTable[UUID_ID]):
    """A table of tokens of users whose ids are UUIDs."""

    if TYPE_CHECKING:
        user_id: UUID_ID
    else:

        @declared_attr
        def user_id(cls) -> Mapped[UUID_ID]:
            """Whose token it is."""
            return mapped_column(GUID, sa.ForeignKey("user.id", ondelete="cascade"), nullable=False)


class SQLAlchemyAccessTokenDatabase(AccessTokenDatabase[AP], Generic[AP]):
    """Tokens in the application's own table. Every change is committed.

    Parameters:
        session: the application's session.
        access_token_table: its model of tokens.
    """

    def __init__(self, session: AsyncSession, access_token_table: type[AP]) -> None:
        self.session = session
        self.access_token_table: Any = access_token_table

    async def get_by_token(self, token: str, max_age: datetime | None = None) -> AP | None:
        """The row of a token; `None` where there is none, or it was created before `max_age`."""
        statement = _by_token(self.access_token_table, max_age is not None)
        with reads(ErrorCode.InvalidKey):
            values = {"token": token, **({"max_age": max_age} if max_age is not None else {})}
            async with short(self.session):
                found: AP | None = (await self.session.execute(statement, values)).scalar_one_or_none()
        return found

    async def get_all_for_user(self, user_id: Any) -> Sequence[AP]:
        """See `SupportsUserTokens`."""
        table = self.access_token_table
        statement = sa.select(table).where(table.user_id == user_id).order_by(table.created_at.desc())
        with reads(ErrorCode.InvalidKey):
            async with short(self.session):
                return (await self.session.execute(statement)).scalars().all()

    async def delete_all_for_user(self, user_id: Any, except_token: str | None = None) -> None:
        """See `SupportsUserTokens`."""
        table = self.access_token_table
        statement = sa.delete(table).where(table.user_id == user_id)
        if except_token is not None:
            statement = statement.where(table.token != except_token)
        await self._execute(statement)

    async def create(self, create_dict: dict[str, Any]) -> AP:
        """Store a token."""
        row: AP = self.access_token_table(**create_dict)
        self.session.add(row)
        await self._commit()
        return row

    async def update(self, access_token: AP, update_dict: dict[str, Any]) -> AP:
        """Change a row."""
        for name, value in update_dict.items():
            setattr(access_token, name, value)
        self.session.add(access_token)
        await self._commit()
        return access_token

    async def delete(self, access_token: AP) -> None:
        """Delete a row; nothing happens where it is gone."""
        table = self.access_token_table
        await self._execute(sa.delete(table).where(table.token == access_token.token))

    async def _execute(self, statement: sa.Delete) -> None:
        with writes():
            try:
                await self.session.execute(statement)
            except BaseException:
                await self.session.rollback()
                raise
            await commit(self.session)

    async def _commit(self) -> None:
        with writes():
            await commit(self.session)


# Built once for each table: building a statement costs as much as running it.
@lru_cache(maxsize=64)
def _by_token(table: Any, with_age: bool) -> sa.Select[Any]:
    statement = sa.select(table).where(table.token == sa.bindparam("token"))
    return statement.where(table.created_at >= sa.bindparam("max_age")) if with_age else statement
