"""The one query that every request with a session makes: a key and its user, in one round trip; or the user alone, where keys
are kept elsewhere.

SQLAlchemy compiles it once; the driver runs it. SQLAlchemy's asynchronous execution costs several times as much as the query
itself, and this is the only place where that is paid per request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend.keys.reading import find_user
from crossauth_backend.keys.record import Key
from crossauth_backend.keys.storage import KeyWithUser
from crossauth_backend.storages.sqlalchemy.converters import Converter, converter_of
from crossauth_backend.storages.sqlalchemy.drivers import Driver, SqlAlchemyDriver, driver_for
from crossauth_backend.storages.sqlalchemy.schema import Prepared
from crossauth_backend.storages.sqlalchemy.unreadable import is_unreadable
from crossauth_backend.users.credentials import BOOKKEEPING, credential_digest
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import STAMP

if TYPE_CHECKING:
    from crossauth_backend.storages.sqlalchemy.users import SqlAlchemyUserStorage

_KEY_COLUMNS: Final = ("value", "created", "expires", "lastactive", "data", "stamp")


class UnreadableRow(Exception):
    """A row of which a part cannot be read."""


class RowReader:
    """Runs one query of one parameter, again and again.

    Parameters:
        engine: the database.
        columns: what is read.
        source: where from.
        wanted: the column that the parameter is compared with.
        prepare: makes sure that the tables are there.
        where: what else a row has to be.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        columns: Sequence[sa.Column[Any]],
        source: sa.FromClause,
        wanted: sa.Column[Any],
        prepare: Callable[[], Awaitable[None]],
        *where: sa.ColumnElement[bool],
    ) -> None:
        self._engine, self._prepare, self._prepared = engine, prepare, False
        is_wanted = wanted == sa.bindparam("wanted", type_=wanted.type)
        self._query = sa.select(*columns).select_from(source).where(is_wanted, *where)
        bind = wanted.type.dialect_impl(engine.dialect).bind_processor(engine.dialect)
        self._drivers: WeakKeyDictionary[asyncio.AbstractEventLoop, Driver] = WeakKeyDictionary()
        self.sql = self._query.compile(dialect=engine.dialect).string
        self._open = driver_for(engine, self.sql)
        raw = self._open is not None
        self._bind: Converter | None = bind if raw else None
        converters = [converter_of(c, engine.dialect) for c in columns]
        self._busy = [(i, f) for i, f in enumerate(converters) if f is not None and raw]

    async def row(self, wanted: Any) -> list[Any] | None:
        """The row, as SQLAlchemy would give it; `None` where there is none.

        Raises:
            UnreadableRow: a value that is stored is not of its column's type.
        """
        if not self._prepared:
            await self._prepare()
            self._prepared = True
        loop = asyncio.get_running_loop()
        driver = self._drivers.get(loop)
        if driver is None:
            driver = self._drivers[loop] = self._open() if self._open else SqlAlchemyDriver(self._engine, self._query)
        try:
            row = await driver.fetch(wanted if self._bind is None else self._bind(wanted))
            if row is None:
                return None
            values = list(row)
            for place, convert in self._busy:
                if values[place] is not None:
                    values[place] = convert(values[place])
        except Exception as e:
            if is_unreadable(e):
                raise UnreadableRow from e
            raise
        return values

    async def close(self) -> None:
        """Release this event loop's connections."""
        driver = self._drivers.pop(asyncio.get_running_loop(), None)
        if driver is not None:
            await driver.close()


class SessionReader:
    """Reads keys with their users.

    Parameters:
        engine: the database.
        keys: the table of keys.
        userid: its column that says whose a key is.
        users: the storage of users on the same engine.
        prepared: what makes sure that the tables are there.
    """

    def __init__(
        self, engine: AsyncEngine, keys: sa.Table, userid: str, users: SqlAlchemyUserStorage, prepared: Prepared
    ) -> None:
        extra = [c for c in keys.c if c.name not in ("id", "consumed", userid, *_KEY_COLUMNS)]
        found = _Users(users)
        columns = [*(keys.c[n] for n in _KEY_COLUMNS), keys.c[userid], *extra, *found.columns]
        joined = keys.outerjoin(found.source, keys.c[userid] == users.id)

        async def prepare() -> None:
            await prepared.once()
            await users.start()

        wanted, fresh = keys.c.value, keys.c.consumed.is_(None)
        self._rows = RowReader(engine, columns, joined, wanted, prepare, fresh)
        self._keys = RowReader(engine, columns[: -len(found.columns)], keys, wanted, prepare, fresh)
        self._users = users
        self._key_extra = [c.name for c in extra]
        self._first_user = len(_KEY_COLUMNS) + 1 + len(extra)
        self._id_at = self._first_user + found.id_at
        self._user = found.make

    async def read(self, value: str) -> KeyWithUser | None:
        """The key of this value and its user, see `SupportsKeyWithUser`."""
        try:
            values = await self._rows.row(value)
        except UnreadableRow:
            return await self._read_apart(value)
        if values is None:  # gone, or consumed
            return None
        first = self._first_user
        return self._key(values), None if values[self._id_at] is None else self._user(values[first:])

    async def _read_apart(self, value: str) -> KeyWithUser | None:
        """The same with a query for each; whatever of the user can be read makes a record in the state `UNREADABLE`."""
        values = await self._keys.row(value)
        if values is None:
            return None
        key = self._key(values)
        return key, None if key.userid is None else await find_user(self._users, key.userid)

    def _key(self, values: list[Any]) -> Key:
        first = self._first_user
        return Key(
            value=values[0], created=values[1], expires=values[2], lastactive=values[3], data=values[4] or "",
            stamp=values[5], userid=values[6],
            extra=dict(zip(self._key_extra, values[len(_KEY_COLUMNS) + 1 : first], strict=True)) if self._key_extra else {},
        )  # fmt: skip

    async def close(self) -> None:
        """Release this event loop's connections."""
        await self._rows.close()
        await self._keys.close()


class UserReader:
    """Reads users by their ids, for sessions that are kept elsewhere.

    Parameters:
        users: the storage of users.
    """

    def __init__(self, users: SqlAlchemyUserStorage) -> None:
        found = _Users(users)
        self._rows = RowReader(users.engine, found.columns, found.source, users.id, users.start)
        self._user, self._id, self._users = found.make, users.known_id, users

    async def read(self, id: UserId) -> User | None:
        """The user of this id, see `SupportsUserReader`."""
        known = self._id(id)
        try:
            values = await self._rows.row(known) if known is not None else None
        except UnreadableRow:
            return await find_user(self._users, id)
        return None if values is None else self._user(values)

    async def close(self) -> None:
        """Release this event loop's connections."""
        await self._rows.close()


_PLAIN: Final = (
    "id", "username", "username_normalized", "email", "email_normalized", "state", "factor1", "factor2", "admin", "phone",
    "security_stamp", "email_verified_at", "signup_expires",
)  # fmt: skip


class _Users:
    """How users are read from rows: which columns, where from, and the record that they make.

    A table of the application's that has no column for the stamp is read with the secrets, of which the stamp is a digest then.
    """

    def __init__(self, users: SqlAlchemyUserStorage) -> None:
        table, secrets = users.table, users.secrets
        self.source: sa.FromClause = table
        self.columns: list[sa.Column[Any]] = list(table.c)
        self.id_at = self.columns.index(users.id)
        self.make = _user_maker(users)
        if STAMP in table.c:
            return
        userid = users.userid_column
        names = [c.name for c in secrets.c if c is not userid and c.name not in BOOKKEEPING]
        count, plain = len(self.columns), self.make
        self.columns += [secrets.c[name] for name in names]
        self.source = table.outerjoin(secrets, userid == users.id)

        def make(values: list[Any]) -> User:
            user = plain(values[:count])
            stored = dict(zip(names, values[count:], strict=True))
            return replace(user, security_stamp=credential_digest(user, stored, users.credentials))

        self.make = make


def _user_maker(users: SqlAlchemyUserStorage) -> Callable[[list[Any]], User]:
    """A function from a row's columns to a user; for plain `User`s on our own table without a detour by dictionaries."""
    names = tuple("id" if c is users.id else c.name for c in users.table.c)
    if names == _PLAIN and users.record is User:

        def quick(v: list[Any]) -> User:
            return User(
                id=v[0], username=v[1], username_normalized=v[2], email=v[3], email_normalized=v[4], state=v[5],
                factor1=v[6], factor2=v[7], admin=v[8], phone=v[9], security_stamp=v[10], email_verified_at=v[11],
                signup_expires=v[12],
            )  # fmt: skip

        return quick
    columns = users.table.c.keys()
    return lambda v: users.user_from_columns(dict(zip(columns, v, strict=True)))
