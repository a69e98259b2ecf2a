"""Users in tables of the application's own, by its own SQLAlchemy session."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, has_inherited_table, mapped_column

from crossauth_fastapi.fastapi_users.db.sqlalchemy.generics import GUID
from crossauth_fastapi.fastapi_users.db.sqlalchemy.users import SQLAlchemyUserDatabase
from crossauth_fastapi.fastapi_users.models import ID

__all__ = [
    "UUID_ID", "SQLAlchemyBaseOAuthAccountTable", "SQLAlchemyBaseOAuthAccountTableUUID", "SQLAlchemyBaseUserTable",
    "SQLAlchemyBaseUserTableUUID", "SQLAlchemyUserDatabase",
]  # fmt: skip

UUID_ID: TypeAlias = uuid.UUID
# Which databases have indexes on an expression.
_DIALECTS = ("postgresql", "sqlite")


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

        @declared_attr.directive
        def __table_args__(cls) -> tuple[Any, ...]:
            """One user for one address, whatever the case of its letters; every search for an address uses it."""
            if has_inherited_table(cls):
                return ()
            index = sa.Index(f"ix_{cls.__tablename__}_email_lower", sa.text("lower(email)"), unique=True)
            return (index.ddl_if(dialect=_DIALECTS),)


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

        @declared_attr.directive
        def __table_args__(cls) -> tuple[Any, ...]:
            """One user for one account at a provider."""
            if has_inherited_table(cls):
                return ()
            return (sa.UniqueConstraint("oauth_name", "account_id", name=f"uq_{cls.__tablename__}_account"),)


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
