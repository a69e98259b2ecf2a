"""Accounts at other issuers in an SQL database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option, read_options
from crossauth_backend.core.records import bad_field
from crossauth_backend.storages.sqlalchemy.constraints import writes
from crossauth_backend.storages.sqlalchemy.engine import refusals
from crossauth_backend.storages.sqlalchemy.prepared import PreparedStorage
from crossauth_backend.storages.sqlalchemy.schema import Prepared, Schema
from crossauth_backend.storages.sqlalchemy.tables import check_name, id_in, id_type, identity_table
from crossauth_backend.storages.sqlalchemy.users import SqlAlchemyUserStorage
from crossauth_backend.users.identities import Identity, check_identity, is_identity, stored_name, taken
from crossauth_backend.users.record import UserId
from crossauth_backend.users.storage import UserStorage


class SqlAlchemyIdentityStorageOptions(TypedDict, total=False):
    """Options of `SqlAlchemyIdentityStorage`."""

    identity_table: str
    userid_foreign_key_column: str
    userid_type: Any
    migrate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlIdentitySettings:
    """`SqlAlchemyIdentityStorageOptions`, parsed."""

    identity_table: str = option("CrossauthIdentity", env="IDENTITY_TABLE", doc="Table of accounts at other issuers.")
    userid_foreign_key_column: str = option(
        "userid", env="USER_ID_FOREIGN_KEY_COLUMN", doc="Column that says whose an account is."
    )
    userid_type: Any = option(
        None, kind="SQLAlchemy type", doc="Type of users' ids, where an own table has others.", shown="Integer"
    )
    migrate: bool = option(True, doc="Whether to create and upgrade the table when the application starts.")


class SqlAlchemyIdentityStorage(PreparedStorage):
    """Keeps them in an SQL database. See `IdentityStorage`.

    Parameters:
        engine: the database, best from `open_engine`.
        options: see `SqlAlchemyIdentityStorageOptions`.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration` for names that cannot be.
    """

    def __init__(
        self, engine: AsyncEngine, options: SqlAlchemyIdentityStorageOptions | None = None, clock: Clock = utc_now
    ) -> None:
        own = read_options(SqlIdentitySettings, options or {}, component=type(self).__name__)
        self.engine, self._clock = engine, clock
        column, kind = check_name(own.userid_foreign_key_column, "userid_foreign_key_column"), id_type(own.userid_type)
        self.table = identity_table(check_name(own.identity_table, "identity_table"), column, kind)
        self.userid = self.table.c[column]
        names = {"identity_table": own.identity_table, "userid_column": column, "userid_type": kind}
        self._prepared = Prepared(
            [Schema(engine=engine, kind="identities", names=names, tables=(self.table,), migrate=own.migrate)]
        )

    def unfit_users(self, users: UserStorage) -> list[str]:
        """As documented for `SupportsUserCheck`: their ids must be of the type that the option `userid_type` names."""
        if not isinstance(users, SqlAlchemyUserStorage):
            return []
        own, theirs = self.userid.type, users.id.type
        if own.python_type is theirs.python_type:
            return []
        return [
            f"the ids of table {users.table.name!r} are {theirs!r}, but column {self.userid.name!r} of table "
            f"{self.table.name!r} is {own!r}: give SqlAlchemyIdentityStorage the option 'userid_type'"
        ]

    async def find(self, iss: str, sub: str) -> Identity | None:
        """As documented for `IdentityStorage`."""
        found = await self._read(*self._same(iss, sub)) if is_identity(iss, sub) else []
        return found[0] if found else None

    async def link(self, iss: str, sub: str, userid: UserId, name: str = "") -> bool:
        """As documented for `IdentityStorage`."""
        check_identity(iss, sub)
        known = id_in(self.userid, userid)
        if known is None:
            raise bad_field(self.userid.name, "is no id of a user")
        await self._prepared.once()
        values = {
            "iss": iss,
            "sub": sub,
            self.userid.name: known,
            "name": stored_name(name),
            "created": self._clock(),
        }
        try:
            with writes(lambda e: taken()):
                async with self.engine.begin() as connection:
                    await connection.execute(self.table.insert().values(values))
        except CrossauthError as e:
            if e.code is not ErrorCode.ConstraintViolation:
                raise
            found = await self.find(iss, sub)
            if found is None or found.userid != known:
                raise
            return False
        return True

    async def unlink(self, iss: str, sub: str, userid: UserId, *, keep_last: bool = False) -> bool:
        """As documented for `IdentityStorage`."""
        known = id_in(self.userid, userid)
        if known is None or not is_identity(iss, sub):
            return False
        await self._prepared.once()
        which = [*self._same(iss, sub), self.userid == known]
        with writes():
            async with self.engine.begin() as connection:
                if keep_last:
                    # Two at once take turns, and the second sees what the first has left. (SQLite has one writer at a time.)
                    own = sa.select(self.table.c.id).where(self.userid == known).order_by(self.table.c.id)
                    await connection.execute(own.with_for_update())
                    other = self.table.alias()
                    count = sa.select(sa.func.count()).where(other.c[self.userid.name] == known)
                    which.append(count.scalar_subquery() > 1)
                return (await connection.execute(self.table.delete().where(*which))).rowcount == 1

    async def of_user(self, userid: UserId) -> list[Identity]:
        """As documented for `IdentityStorage`."""
        known = id_in(self.userid, userid)
        return [] if known is None else await self._read(self.userid == known)

    async def delete_all_for_user(self, userid: UserId) -> None:
        """As documented for `IdentityStorage`."""
        known = id_in(self.userid, userid)
        if known is None:
            return
        await self._prepared.once()
        with writes():
            async with self.engine.begin() as connection:
                await connection.execute(self.table.delete().where(self.userid == known))

    def _same(self, iss: str, sub: str) -> list[sa.ColumnElement[bool]]:
        return [self.table.c.iss == iss, self.table.c.sub == sub]

    async def _read(self, *which: sa.ColumnElement[bool]) -> list[Identity]:
        await self._prepared.once()
        query = sa.select(self.table).where(*which).order_by(self.table.c.id)
        with refusals(ErrorCode.BadRequest):
            async with self.engine.connect() as connection:
                rows = (await connection.execute(query)).mappings().all()
        return [
            Identity(iss=r["iss"], sub=r["sub"], userid=r[self.userid.name], name=r["name"], created=r["created"])
            for r in rows
        ]
