"""Keys in an SQL database."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypedDict

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option, read_options
from crossauth_backend.core.records import bad_field, refuse_unstorable
from crossauth_backend.core.text import is_storable
from crossauth_backend.keys.data import KeyDataEntry, changed_data
from crossauth_backend.keys.record import Consumed, Key, KeyPrefix
from crossauth_backend.keys.storage import Counter, KeyStorage, KeyWithUserReader
from crossauth_backend.storages.fields import number_id
from crossauth_backend.storages.sqlalchemy.batches import ROWS, delete_in_batches
from crossauth_backend.storages.sqlalchemy.constraints import refused_key, writes
from crossauth_backend.storages.sqlalchemy.counting import count_up, count_within, counter_rows
from crossauth_backend.storages.sqlalchemy.engine import refusals
from crossauth_backend.storages.sqlalchemy.prepared import PreparedStorage
from crossauth_backend.storages.sqlalchemy.read import SessionReader
from crossauth_backend.storages.sqlalchemy.schema import Prepared, Schema
from crossauth_backend.storages.sqlalchemy.tables import check_name, id_type, is_counter, key_table
from crossauth_backend.storages.sqlalchemy.users import SqlAlchemyUserStorage
from crossauth_backend.users.record import UserId
from crossauth_backend.users.storage import UserStorage

_TRIES: Final = 500
_OWN: Final = ("value", "created", "expires", "lastactive", "data", "consumed", "stamp")


class SqlAlchemyKeyStorageOptions(TypedDict, total=False):
    """Options of `SqlAlchemyKeyStorage`."""

    key_table: str
    userid_foreign_key_column: str
    userid_type: Any
    extra_columns: Sequence[sa.Column[Any]]
    migrate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlKeySettings:
    """`SqlAlchemyKeyStorageOptions`, parsed."""

    key_table: str = option("Key", env="KEY_STORAGE_TABLE", doc="Table of keys.")
    userid_foreign_key_column: str = option(
        "userid", env="USER_ID_FOREIGN_KEY_COLUMN", doc="Column that says whose a key is."
    )
    userid_type: Any = option(
        None, kind="SQLAlchemy type", doc="Type of users' ids, where an own table has others.", shown="Integer"
    )
    extra_columns: list[sa.Column[Any]] = option([], doc="Further `sqlalchemy.Column`s, for `add_to_session`.")
    migrate: bool = option(True, doc="Whether to create and upgrade the table when the application starts.")


class SqlAlchemyKeyStorage(PreparedStorage, KeyStorage):
    """Keeps keys in an SQL database.

    Parameters:
        engine: the database, best from `open_engine`.
        options: see `SqlAlchemyKeyStorageOptions`.

    Raises:
        CrossauthError: `Configuration` for names that cannot be.
    """

    def __init__(self, engine: AsyncEngine, options: SqlAlchemyKeyStorageOptions | None = None) -> None:
        own = read_options(SqlKeySettings, options or {}, component=type(self).__name__)
        self.engine = engine
        self._userid = check_name(own.userid_foreign_key_column, "userid_foreign_key_column")
        userid_type = id_type(own.userid_type)
        self.table = key_table(check_name(own.key_table, "key_table"), self._userid, userid_type, own.extra_columns)
        names = {"key_table": own.key_table, "userid_column": self._userid, "userid_type": userid_type}
        self._prepared = Prepared([
            Schema(
                engine=engine, kind="keys", names=names, tables=(self.table,),
                extra=tuple(own.extra_columns), migrate=own.migrate,
            )
        ])  # fmt: skip
        self._reader: SessionReader | None = None
        self._readers: dict[SqlAlchemyUserStorage, SessionReader] = {}
        self._names = {"userid": self._userid} | {
            c.name: c.name for c in self.table.c if c.name not in ("id", self._userid)
        }

    def takes_userid(self, kind: type) -> bool:
        """Whether ids of this Python type fit the column: `int` or `uuid.UUID` where it is one of these."""
        column = self.table.c[self._userid].type
        if isinstance(column, sa.Integer):
            return issubclass(kind, int)
        return not isinstance(column, sa.Uuid) or issubclass(kind, uuid.UUID)

    async def close(self) -> None:
        """As documented for `SupportsLifecycle`."""
        for reader in self._readers.values():
            await reader.close()
        await super().close()

    def unfit_users(self, users: UserStorage) -> list[str]:
        """As documented for `KeyStorage`: their ids must be of the type that the option `userid_type` names."""
        if not isinstance(users, SqlAlchemyUserStorage):
            return []
        own, theirs = self.table.c[self._userid].type, users.id.type
        if own.python_type is theirs.python_type:
            return []
        return [
            f"the ids of table {users.table.name!r} are {theirs!r}, but column {self._userid!r} of table {self.table.name!r} "
            f"is for {own!r}: name their type in the key storage's option 'userid_type'"
        ]

    def key_with_user_reader(self, users: UserStorage) -> KeyWithUserReader | None:
        """As documented for `SupportsKeyWithUser`."""
        if not isinstance(users, SqlAlchemyUserStorage) or users.engine is not self.engine:
            return None
        # Sessions and API keys share the connections.
        self._reader = self._readers.get(users) or SessionReader(
            self.engine, self.table, self._userid, users, self._prepared
        )
        self._readers[users] = self._reader
        return self._reader.read

    async def get_key(self, key: str) -> Key:
        """As documented for `KeyStorage`."""
        found = await self.find_key(key)
        if found is None or found.consumed is not None:
            raise CrossauthError(ErrorCode.InvalidKey)
        return found

    async def find_key(self, value: str) -> Key | None:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        if not is_storable(value):
            return None
        with refusals(ErrorCode.InvalidKey):
            async with self.engine.connect() as connection:
                row = (await connection.execute(sa.select(self.table).where(self.table.c.value == value))).first()
        return None if row is None else self._key(row)

    async def consume_key(self, value: str, now: datetime) -> Consumed | None:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        if not is_storable(value):
            return None
        table = self.table
        fresh = table.c.value == value, table.c.consumed.is_(None)
        use = table.update().where(*fresh).values(consumed=now).returning(*table.c)
        with writes(bad_data=ErrorCode.InvalidKey):
            async with self.engine.begin() as connection:
                row = (await connection.execute(use)).first()
        if row is not None:
            return Consumed(self._key(row), True)
        found = await self.find_key(value)
        return None if found is None else Consumed(found, False)

    async def swap_data(self, value: str, expected: str, new: str) -> bool:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        refuse_unstorable({"data": new})
        if not (is_storable(value) and is_storable(expected)):
            return False
        same = sa.func.coalesce(self.table.c.data, "") == expected
        return bool(await self._write(self.table.update().where(self.table.c.value == value, same).values(data=new)))

    async def save_key(
        self,
        userid: UserId | None,
        value: str,
        date_created: datetime,
        expires: datetime | None = None,
        data: str | None = None,
        extra_fields: Mapping[str, Any] | None = None,
    ) -> None:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        fields = {
            "userid": userid, "value": value, "created": date_created, "expires": expires, "data": data or "",
            **(extra_fields or {}),
        }  # fmt: skip
        values = self._columns(fields)
        with writes(refused_key):
            async with self.engine.begin() as connection:
                await connection.execute(self.table.insert().values(values))

    async def update_key(self, key: Mapping[str, Any]) -> None:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        if not isinstance(key.get("value"), str):
            raise bad_field("value", "is required")
        values = self._columns({name: value for name, value in key.items() if name != "value"})
        if values.get("data", "") is None:
            values["data"] = ""
        if values:
            await self._write(self.table.update().where(self.table.c.value == key["value"]).values(values))

    async def delete_key(self, value: str) -> None:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        await self._write(self.table.delete().where(self.table.c.value == _text(value)))

    async def delete_all_for_user(self, userid: UserId | None, prefix: str, except_key: str | None = None) -> None:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        table = self.table
        which = [self._is_of(userid), self._begins(prefix)]
        if except_key is not None:
            which.append(table.c.value != except_key)
        await self._write(table.delete().where(*which))

    async def delete_oldest_for_user(self, userid: UserId, prefix: str, keep: int) -> int:
        """As documented for `KeyStorage`; no more at once than a write may, for it is part of a login."""
        await self._prepared.once()
        table = self.table
        newest = table.c.created.desc(), table.c.value.desc()
        own = self._is_of(userid), table.c.consumed.is_(None), self._begins(prefix)
        query = sa.select(table.c.id).where(*own).order_by(*newest).offset(keep).limit(ROWS)
        with refusals(ErrorCode.BadRequest):
            async with self.engine.connect() as connection:
                old = (await connection.execute(query)).scalars().all()
        return await self._write(table.delete().where(table.c.id.in_(old))) if old else 0

    async def delete_matching(self, key: Mapping[str, Any]) -> None:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        if not key:
            raise CrossauthError(ErrorCode.BadRequest, "Name at least one field of the keys to delete")
        values = self._columns(key)
        which = [self.table.c[n].is_(None) if v is None else self.table.c[n] == v for n, v in values.items()]
        await self._write(self.table.delete().where(*which))

    async def get_all_for_user(self, userid: UserId | None = None, prefix: str = "") -> list[Key]:
        """As documented for `KeyStorage`."""
        await self._prepared.once()
        which = self._is_of(userid), self.table.c.consumed.is_(None), self._begins(prefix)
        query = sa.select(self.table).where(*which).order_by(self.table.c.id)
        with refusals(ErrorCode.InvalidKey):
            async with self.engine.connect() as connection:
                rows = (await connection.execute(query)).all()
        return [self._key(row) for row in rows]

    async def update_many_data(self, key_name: str, data_array: list[KeyDataEntry]) -> None:
        """As documented for `KeyStorage`."""
        for attempt in range(_TRIES):
            before = (await self.get_key(key_name)).data
            after = changed_data(before, data_array)
            if after == before:
                return
            # Written only if it still is what was read: whoever was faster is not overwritten but built upon.
            if await self.swap_data(key_name, before, after):
                return
            await asyncio.sleep(min(0.001 * attempt, 0.02))
        raise CrossauthError(ErrorCode.Connection, "The session is changed too often at once", status=503)

    async def take_key(self, value: str) -> Key:
        """As documented for `SupportsTake`."""
        await self._prepared.once()
        fresh = self.table.c.value == _text(value), self.table.c.consumed.is_(None)
        statement = self.table.delete().where(*fresh).returning(self.table)
        with writes(bad_data=ErrorCode.InvalidKey):
            async with self.engine.begin() as connection:
                row = (await connection.execute(statement)).first()
        if row is None:
            raise CrossauthError(ErrorCode.InvalidKey)
        return self._key(row)

    async def count_up(self, counters: Mapping[str, datetime], by: int = 1) -> dict[str, int]:
        """As documented for `SupportsCounting`; on SQLite and PostgreSQL.

        Raises:
            CrossauthError: `Configuration` on any other database.
        """
        await self._prepared.once()
        if not counters:
            return {}
        rows = counter_rows(counters, by, utc_now())
        if self.engine.dialect.use_insertmanyvalues:
            return await self._counts(self._count_up, rows)
        # The application has switched off what returns rows of a statement that is executed with several.
        return await self._counts(self._count_up.values(rows))

    async def count_within(self, first: Sequence[Counter], then: Sequence[Counter]) -> dict[str, int]:
        """As documented for `SupportsBoundedCounting`; one statement, on SQLite and PostgreSQL.

        Raises:
            CrossauthError: `Configuration` on any other database.
        """
        await self._prepared.once()
        return await self._counts(count_within(self.table, self.engine.dialect.name, first, then, utc_now()))

    @cached_property
    def _count_up(self) -> Any:
        return count_up(self.table, self.engine.dialect.name)

    async def _counts(self, statement: Any, rows: list[dict[str, Any]] | None = None) -> dict[str, int]:
        with writes():
            async with self.engine.begin() as connection:
                return {value: int(data) for value, data in (await connection.execute(statement, rows)).all()}

    async def touch_key(self, value: str, lastactive: datetime) -> None:
        """As documented for `SupportsTouch`."""
        await self._write(self.table.update().where(self.table.c.value == value).values(lastactive=lastactive))

    async def touch_keys(self, times: Mapping[str, datetime]) -> None:
        """As documented for `SupportsTouches`; all in one transaction."""
        await self._prepared.once()
        table = self.table
        older = sa.or_(
            table.c.lastactive.is_(None), table.c.lastactive < sa.bindparam("at", type_=table.c.lastactive.type)
        )
        change = (
            table.update().where(table.c.value == sa.bindparam("which"), older).values(lastactive=sa.bindparam("at"))
        )
        # In one order everywhere, so that two workers do not wait for each other in a circle.
        rows = [{"which": value, "at": time} for value, time in sorted(times.items())]
        with writes():
            async with self.engine.begin() as connection:
                await connection.execute(change, rows)

    async def purge_expired(self, now: datetime, prefix: str = "") -> int:
        """As documented for `SupportsPurge`."""
        await self._prepared.once()
        which = is_counter(self.table) if prefix == KeyPrefix.counter else self._begins(prefix)
        return await delete_in_batches(self.engine, self.table, self.table.c.expires < now, which)

    async def _write(self, statement: sa.Update | sa.Delete) -> int:
        with writes():
            async with self.engine.begin() as connection:
                return (await connection.execute(statement)).rowcount

    def _begins(self, prefix: str) -> sa.ColumnElement[bool]:
        # Not LIKE, whose case differs between databases, nor a range, whose end depends on the collation.
        return sa.func.substr(self.table.c.value, 1, len(prefix)) == prefix if prefix else sa.true()

    def _is_of(self, userid: UserId | None) -> sa.ColumnElement[bool]:
        column = self.table.c[self._userid]
        if userid is None:
            return column.is_(None)
        known = number_id(userid) if column.type.python_type is int else userid
        return sa.false() if known is None else column == known

    def _user(self, userid: UserId) -> Any:
        """A user's id as the column keeps it.

        Raises:
            CrossauthError: `Configuration` for an id of another type: SQLite would store it, and never find it again.
        """
        expected = self.table.c[self._userid].type.python_type
        known: Any = userid
        if expected is int:
            known = number_id(userid)
        elif expected is uuid.UUID and isinstance(userid, str):
            with suppress(ValueError):
                known = uuid.UUID(userid)
        if not isinstance(known, expected):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"SqlAlchemyKeyStorage: users' ids are {type(userid).__name__}, which does not fit the column "
                f"{self._userid!r}; name their SQLAlchemy type in the option 'userid_type'",
            )
        return known

    def _columns(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        refuse_unstorable(fields)
        for name in fields:
            if name not in self._names:
                raise bad_field(name, "does not exist")
        values = {self._names[name]: value for name, value in fields.items()}
        if values.get(self._userid) is not None:
            values[self._userid] = self._user(values[self._userid])
        return values

    def _key(self, row: Any) -> Key:
        values = dict(zip(self.table.c.keys(), row, strict=True))
        values.pop("id")
        userid = values.pop(self._userid)
        own = {name: values.pop(name) for name in _OWN}
        own["data"] = own["data"] or ""
        return Key(userid=userid, extra=values, **own)


def _text(value: str) -> str:
    try:
        refuse_unstorable({"value": value})
    except CrossauthError as e:
        raise CrossauthError(ErrorCode.InvalidKey) from e
    return value
