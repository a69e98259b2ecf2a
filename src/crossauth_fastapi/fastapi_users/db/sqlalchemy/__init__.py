"""Users in tables of the application's own, by its own SQLAlchemy session."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase
from crossauth_fastapi.fastapi_users.db.sqlalchemy.generics import GUID
from crossauth_fastapi.fastapi_users.models import ID, UP

__all__ = [
    "UUID_ID", "SQLAlchemyBaseOAuthAccountTable", "SQLAlchemyBaseOAuthAccountTableUUID", "SQLAlchemyBaseUserTable",
    "SQLAlchemyBaseUserTableUUID", "SQLAlchemyUserDatabase",
]  # fmt: skip

UUID_ID: TypeAlias = uuid.UUID
_MOST_VARIANTS = 8


class SQLAlchemyBaseUserTable(Generic[ID]):
    """The columns of a table of users; the application adds the id."""

    __tablename__ = "user"

    if TYPE_CHECKING:
        id: ID
        email: str
        hashed_password: str
        is_active: bool
        is_superuser: bool
        is_verified: bool
    else:
        email: Mapped[str] = mapped_column(sa.String(length=320), unique=True, index=True, nullable=False)
        hashed_password: Mapped[str] = mapped_column(sa.String(length=1024), nullable=False)
        is_active: Mapped[bool] = mapped_column(sa.Boolean, default=True, nullable=False)
        is_superuser: Mapped[bool] = mapped_column(sa.Boolean, default=False, nullable=False)
        is_verified: Mapped[bool] = mapped_column(sa.Boolean, default=False, nullable=False)


class SQLAlchemyBaseUserTableUUID(SQLAlchemyBaseUserTable[UUID_ID]):
    """A table of users whose ids are UUIDs."""

    if TYPE_CHECKING:
        id: UUID_ID
    else:
        id: Mapped[UUID_ID] = mapped_column(GUID, primary_key=True, default=uuid.uuid4)


class SQLAlchemyBaseOAuthAccountTable(Generic[ID]):
    """The columns of a table of accounts at providers; the application adds `id` and `user_id`."""

    __tablename__ = "oauth_account"

    if TYPE_CHECKING:
        id: ID
        oauth_name: str
        access_token: str
        expires_at: int | None
        refresh_token: str | None
        account_id: str
        account_email: str
    else:
        oauth_name: Mapped[str] = mapped_column(sa.String(length=100), index=True, nullable=False)
        access_token: Mapped[str] = mapped_column(sa.String(length=1024), nullable=False)
        expires_at: Mapped[int | None] = mapped_column(sa.Integer, nullable=True)
        refresh_token: Mapped[str | None] = mapped_column(sa.String(length=1024), nullable=True)
        account_id: Mapped[str] = mapped_column(sa.String(length=320), index=True, nullable=False)
        account_email: Mapped[str] = mapped_column(sa.String(length=320), nullable=False)


class SQLAlchemyBaseOAuthAccountTableUUID(SQLAlchemyBaseOAuthAccountTable[UUID_ID]):
    """A table of accounts at providers whose ids, and whose users' ids, are UUIDs."""

    if TYPE_CHECKING:
        id: UUID_ID
        user_id: UUID_ID
    else:
        id: Mapped[UUID_ID] = mapped_column(GUID, primary_key=True, default=uuid.uuid4)

        @declared_attr
        def user_id(cls) -> Mapped[UUID_ID]:
            """Whose account it is."""
            return mapped_column(GUID, sa.ForeignKey("user.id", ondelete="cascade"), nullable=False)


class SQLAlchemyUserDatabase(BaseUserDatabase[UP, ID], Generic[UP, ID]):
    """Users in the application's own tables. Every change is committed.

    Parameters:
        session: the application's session.
        user_table: its model of users.
        oauth_account_table: its model of accounts at providers, where it has one.
    """

    def __init__(
        self, session: AsyncSession, user_table: type[UP], oauth_account_table: type[Any] | None = None
    ) -> None:
        self.session = session
        self.user_table: Any = user_table
        self.oauth_account_table = oauth_account_table

    async def get(self, id: ID) -> UP | None:
        """The user of this id."""
        return await self._first(sa.select(self.user_table).where(self.user_table.id == id))

    async def get_by_email(self, email: str) -> UP | None:
        """The user of this e-mail address, whatever the case of its letters."""
        return await self.get_by_field("email", email)

    async def get_by_field(self, name: str, value: str) -> UP | None:
        """The user whose column `name` is `value`, whatever the case of its letters."""
        wanted = [sa.func.lower(variant) for variant in _variants(value)]
        column = sa.func.lower(getattr(self.user_table, name))
        return await self._first(sa.select(self.user_table).where(column.in_(wanted)))

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> UP | None:
        """The user who logs in with this account; the first, where a table from before has several."""
        account = self._accounts()
        statement = (
            sa.select(self.user_table)
            .join(account, account.user_id == self.user_table.id)
            .where(account.oauth_name == oauth, account.account_id == account_id)
            .order_by(account.id)
        )
        return await self._first(statement)

    async def create(self, create_dict: dict[str, Any]) -> UP:
        """Store a new user."""
        user: UP = self.user_table(**create_dict)
        self.session.add(user)
        await self._commit(user, new=True)
        return user

    async def update(self, user: UP, update_dict: dict[str, Any]) -> UP:
        """Change a user."""
        for name, value in update_dict.items():
            setattr(user, name, value)
        self.session.add(user)
        await self._commit(user)
        return user

    async def replace(self, user: UP, expected: Mapping[str, Any], update_dict: Mapping[str, Any]) -> bool:
        """See `SupportsReplace`."""
        same = [getattr(self.user_table, name) == value for name, value in expected.items()]
        statement = (
            sa.update(self.user_table)
            .where(self.user_table.id == user.id, *same)
            .values(**update_dict)
            .execution_options(synchronize_session=False)
        )
        result: Any = await self.session.execute(statement)
        await self.session.commit()
        if result.rowcount == 1:
            await self.session.refresh(user)
            return True
        return False

    async def delete(self, user: UP) -> None:
        """Delete a user."""
        await self.session.delete(user)
        await self.session.commit()

    async def add_oauth_account(self, user: Any, create_dict: dict[str, Any]) -> Any:
        """Link an account at a provider to a user."""
        user.oauth_accounts.append(self._accounts()(**create_dict))
        self.session.add(user)
        await self._commit(user)
        return user

    async def update_oauth_account(self, user: Any, oauth_account: Any, update_dict: dict[str, Any]) -> Any:
        """Change a linked account."""
        for name, value in update_dict.items():
            setattr(oauth_account, name, value)
        self.session.add(oauth_account)
        await self._commit(user)
        return user

    async def remove_oauth_account(self, user: Any, oauth_account: Any) -> Any:
        """Unlink an account."""
        await self.session.delete(oauth_account)
        await self.session.commit()
        await self.session.refresh(user)
        return user

    def _accounts(self) -> Any:
        if self.oauth_account_table is None:
            raise NotImplementedError("SQLAlchemyUserDatabase was made without an 'oauth_account_table'")
        return self.oauth_account_table

    async def _first(self, statement: sa.Select[Any]) -> UP | None:
        found: UP | None = (await self.session.execute(statement)).unique().scalars().first()
        return found

    async def _commit(self, user: Any, *, new: bool = False) -> None:
        try:
            await self.session.commit()
        except BaseException:
            await self.session.rollback()
            if not new:
                # A rollback makes what was loaded unreadable without another query, which no attribute access can make.
                await self.session.refresh(user)
            raise
        if new or self.session.sync_session.expire_on_commit:
            await self.session.refresh(user)


def _variants(text: str) -> list[str]:
    """Texts one of which a database that lowers ASCII letters only (SQLite) finds equal to whatever is equal to `text`."""
    choices = [{c} if c.isascii() else {c, c.lower(), c.upper()} for c in text]
    if sum(len(c) > 1 for c in choices) > _MOST_VARIANTS:
        return list({text, text.lower(), text.upper()})
    return ["".join(letters) for letters in itertools.product(*map(sorted, choices))]
