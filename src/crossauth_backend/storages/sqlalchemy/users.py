"""Users in an SQL database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option_names, read_options
from crossauth_backend.core.records import bad_field, refuse_unstorable
from crossauth_backend.core.text import is_storable, normalize_address
from crossauth_backend.storages.fields import (
    OPTIONAL,
    USER_DEFAULTS,
    changed_user_values,
    new_user_values,
    secrets_from,
    user_from,
)
from crossauth_backend.storages.sqlalchemy.columnvalues import fitting
from crossauth_backend.storages.sqlalchemy.constraints import refused_deletion, refused_write, writes
from crossauth_backend.storages.sqlalchemy.owntable import check_table, unfit_fields, unique_columns
from crossauth_backend.storages.sqlalchemy.prepared import PreparedStorage
from crossauth_backend.storages.sqlalchemy.read import UserReader
from crossauth_backend.storages.sqlalchemy.salvage import salvaged_user, salvaged_users
from crossauth_backend.storages.sqlalchemy.schema import Prepared, Schema
from crossauth_backend.storages.sqlalchemy.secretvalues import (
    can_keep,
    checked_secrets,
    new_row,
    replace_secrets,
    secrets_of_row,
)
from crossauth_backend.storages.sqlalchemy.signups import ExpiredSignups, keep_in_step
from crossauth_backend.storages.sqlalchemy.stamps import stamped
from crossauth_backend.storages.sqlalchemy.tables import check_name, id_in, secrets_table, user_table
from crossauth_backend.storages.sqlalchemy.unreadable import is_unreadable, rows_of
from crossauth_backend.storages.sqlalchemy.useroptions import SqlAlchemyUserStorageOptions, SqlUserSettings, own_table
from crossauth_backend.users.capabilities import ReadUser
from crossauth_backend.users.credentials import credential_secrets
from crossauth_backend.users.options import UserStorageSettings
from crossauth_backend.users.reads import UserStorageGetOptions, or_none, refuse_inactive
from crossauth_backend.users.record import User, UserAndSecrets, UserId
from crossauth_backend.users.stamp import STAMP, is_digest, with_stamp
from crossauth_backend.users.states import UNFINISHED
from crossauth_backend.users.storage import UserStorage


class SqlAlchemyUserStorage(PreparedStorage, UserStorage):
    """Keeps users in an SQL database.

    Parameters:
        engine: the database, best from `open_engine`.
        options: see `SqlAlchemyUserStorageOptions`.

    Raises:
        CrossauthError: `Configuration` for names that cannot be, and for an own table that lacks what is needed.
    """

    def __init__(self, engine: AsyncEngine, options: SqlAlchemyUserStorageOptions | None = None) -> None:
        super().__init__(options)
        self.engine = engine
        own = read_options(
            SqlUserSettings, options or {}, component=type(self).__name__, also_known=option_names(UserStorageSettings)
        )
        self.record: type[User] = own.record
        for name in ("user_table", "user_secrets_table", "id_column", "userid_foreign_key_column"):
            check_name(getattr(own, name), name)
        self.id_name = own.id_column
        # In a table of the application's own without normalised addresses, the address itself is looked for.
        self._by_address = own.table is None or self.normalize_email
        self.table: sa.Table = own_table(own.table) if own.table is not None else user_table(
            own.user_table, own.id_column, own.extra_columns
        )  # fmt: skip
        check_table(self.table, own.id_column, self.settings)
        self.id = self.table.c[own.id_column]
        self._userid = own.userid_foreign_key_column
        self.secrets = secrets_table(own.user_secrets_table, self._userid, self.id.type)
        names = {
            "user_table": None if own.table is not None else own.user_table, "id_column": own.id_column,
            "user_secrets_table": own.user_secrets_table, "userid_column": self._userid, "userid_type": self.id.type,
        }  # fmt: skip
        self._reader: UserReader | None = None
        self._signups = ExpiredSignups(engine, self.table, self.id, self.secrets, self.userid_column)
        self._prepared = Prepared([
            Schema(
                engine=engine, kind="users", names=names, tables=(self.table, self.secrets), versioned=self.secrets,
                extra=tuple(own.extra_columns), migrate=own.migrate, own=own.table is not None,
                unique=unique_columns(self.table, self.settings),
            )
        ])  # fmt: skip

    def unfit_fields(self, wanted: Mapping[str, type]) -> list[str]:
        """As documented for `UserStorage`."""
        return unfit_fields(self.table, self.id_name, wanted)

    @classmethod
    def own_options(cls) -> Mapping[str, str]:
        """The options that only this class has."""
        return dict(option_names(SqlUserSettings))

    @property
    def userid_column(self) -> sa.Column[Any]:
        """The column of the table of secrets that says whose they are."""
        return self.secrets.c[self._userid]

    async def close(self) -> None:
        """As documented for `SupportsLifecycle`."""
        if self._reader is not None:
            await self._reader.close()
        await super().close()

    def user_reader(self) -> ReadUser:
        """As documented for `SupportsUserReader`."""
        self._reader = self._reader or UserReader(self)
        return self._reader.read

    def user_from_columns(self, values: Mapping[str, Any]) -> User:
        """The record for a row of the table of users."""
        renamed = {("id" if name == self.id_name else name): value for name, value in values.items()}
        return user_from(
            self.record, {n: v for n, v in renamed.items() if v is not None or n not in ("state", "factor1", "admin")}
        )

    async def get_user_by(self, field: str, value: Any, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """As documented for `UserStorage`."""
        return await self._get_user(field, value, options)

    async def get_user_by_email(self, email: str, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """As documented for `UserStorage`."""
        if self._by_address:
            requested = normalize_address(email) if self.normalize_email else email
            return await self._get_user("email_normalized", requested, options)
        finished = [self.table.c.state.not_in(UNFINISHED)] if "state" in self.table.c else []
        return await self._get_user("email", email, options, *finished)

    async def _get_user(
        self, field: str, value: Any, options: UserStorageGetOptions | None, *conditions: sa.ColumnElement[bool]
    ) -> UserAndSecrets:
        await self._prepared.once()
        column = self._column(field)
        provided = self.known_id(value) if field == "id" else value
        if not isinstance(provided, column.type.python_type) or (
            isinstance(provided, str) and not is_storable(provided)
        ):
            raise CrossauthError(ErrorCode.UserNotExist)
        joined = self.table.outerjoin(self.secrets, self.secrets.c[self._userid] == self.id)
        requested = (column == provided, *conditions)
        query = sa.select(self.table, self.secrets).select_from(joined).where(*requested).limit(2)
        try:
            rows = await rows_of(self.engine, query, ErrorCode.UserNotExist)
        except Exception as e:
            if not is_unreadable(e):
                raise
            found = await salvaged_user(self, requested)
            refuse_inactive(found.user.state, options)
            return found
        if len(rows) != 1:
            raise CrossauthError(ErrorCode.UserNotExist)
        count = len(self.table.c)
        user = self.user_from_columns(dict(zip(self.table.c.keys(), rows[0][:count], strict=True)))
        refuse_inactive(user.state, options)
        secrets = dict(zip(self.secrets.c.keys(), rows[0][count:], strict=True))
        secrets.pop(self._userid)
        stored = secrets_from({**secrets_of_row(secrets), "userid": user.id})
        return with_stamp(UserAndSecrets(user, stored), self.credentials)

    def can_keep_secret(self, name: str) -> bool:
        """Whether there is a place for it: any name that has no other meaning; see `secretvalues`."""
        return can_keep(name, self._userid)

    async def create_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> User:
        """As documented for `UserStorage`."""
        await self._prepared.once()
        values = self._columns(new_user_values(user, self.settings))
        own_secrets = self._secret_values(secrets)
        with writes(refused_write):
            async with self.engine.begin() as connection:
                key = (await connection.execute(self.table.insert().values(values))).inserted_primary_key
                id = key[0] if key else None
                await connection.execute(
                    self.secrets.insert().values({self._userid: id, **new_row(self.secrets, own_secrets)})
                )
        found = await self.get_user_by("id", id, {"skip_active_check": True, "skip_email_verified_check": True})
        return found.user

    async def update_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> None:
        """As documented for `UserStorage`."""
        await self._prepared.once()
        values = self._columns(changed_user_values(user, self.settings))
        own_secrets = self._secret_values(secrets)
        id = self.known_id(user["id"])
        if id is None:
            raise CrossauthError(ErrorCode.UserNotExist)
        with writes(refused_write):
            async with self.engine.begin() as connection:
                await self._update(connection, id, values, own_secrets)

    async def delete_user_by_id(self, id: UserId) -> None:
        """As documented for `UserStorage`."""
        await self._prepared.once()
        known = self.known_id(id)
        if known is None:
            return
        with writes(refused_deletion):
            async with self.engine.begin() as connection:
                # The user first, as in every write, so that two at once never wait for each other in a circle.
                await connection.execute(self.table.delete().where(self.id == known))
                await connection.execute(self.secrets.delete().where(self.secrets.c[self._userid] == known))

    async def expired_signups(self, now: datetime, limit: int, after: UserId | None = None) -> list[UserId]:
        """As documented for `SupportsSignupExpiry`."""
        await self._prepared.once()
        return await self._signups.find(now, limit, self.known_id(after))

    async def delete_expired_signup(self, id: UserId, now: datetime) -> bool:
        """As documented for `SupportsSignupExpiry`."""
        await self._prepared.once()
        return await self._signups.delete(self.known_id(id), now)

    async def get_users(self, skip: int | None = None, take: int | None = None) -> list[User]:
        """As documented for `UserStorage`."""
        await self._prepared.once()
        query = sa.select(self.table).order_by(self.id).offset(max(skip or 0, 0))
        if take is not None:
            query = query.limit(max(take, 0))
        try:
            rows = await rows_of(self.engine, query, ErrorCode.BadRequest)
        except Exception as e:
            if not is_unreadable(e):
                raise
            return await salvaged_users(self, query)
        return [self.user_from_columns(dict(zip(self.table.c.keys(), row, strict=True))) for row in rows]

    async def replace_secret(self, id: UserId, name: str, old: str | None, new: str | None) -> bool:
        """As documented for `SupportsSecretReplacement`."""
        return await self.replace_user(id, {}, {}, expected_secrets={name: old}, secrets={name: new})

    async def rewrite_secret(self, id: UserId, name: str, old: str | None, new: str | None) -> bool:
        """As documented for `UserStorage`."""
        await self._prepared.once()
        values, known = self._secret_values({name: new}), self.known_id(id)
        if known is None:
            return False
        with writes():
            async with self.engine.begin() as connection:
                return await replace_secrets(connection, self.userid_column, known, {name: old}, values)

    async def replace_user(
        self,
        id: UserId,
        expected: Mapping[str, Any],
        values: Mapping[str, Any],
        *,
        expected_secrets: Mapping[str, Any] | None = None,
        secrets: Mapping[str, Any] | None = None,
        stamp: str | None = None,
    ) -> bool:
        """As documented for `UserStorage`; one transaction."""
        await self._prepared.once()
        known = self.known_id(id)
        changed = self._columns(changed_user_values({**values, "id": id}, self.settings))
        new, old = self._secret_values(secrets), self._secret_values(expected_secrets)
        refuse_unstorable(expected)
        for name, value in expected.items():
            if not (name == STAMP and is_digest(value)):
                self._has(name, value)
        basis = await self._spelt_out(id, expected, old) if known is not None else None
        if basis is None:
            return False
        still = [self._has(name, value) for name, value in basis[0].items()]
        columns = stamped(self.table, changed, new, self.credentials, stamp) or {self.id_name: known}
        statement = self.table.update().where(self.id == known, *still).values(columns)
        with writes(refused_write):
            async with self.engine.connect() as connection:
                # The user's row first: whoever changes the same user waits for it, and then sees what was written here.
                done = (await connection.execute(statement)).rowcount == 1
                if done:
                    await self._keep_in_step(connection, known, values)
                if done and (basis[1] or new):
                    done = await replace_secrets(connection, self.userid_column, known, basis[1], new)
                await (connection.commit() if done else connection.rollback())
                return done

    async def _spelt_out(
        self, id: UserId, expected: Mapping[str, Any], old: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What is expected of user and secrets, with the credentials themselves in the place of a digest of them.

        `None` where they are others by now.
        """
        if not is_digest(expected.get(STAMP)):
            return dict(expected), old
        found = await or_none(
            self.get_user_by("id", id, {"skip_active_check": True, "skip_email_verified_check": True})
        )
        if found is None or found.user.security_stamp != expected[STAMP]:
            return None
        named = {name: found.user.get(name) for name in self.credentials if name in self.table.c}
        return {**named, **expected, STAMP: None}, {**credential_secrets(found.secrets), **old}

    def _has(self, name: str, value: Any) -> sa.ColumnElement[bool]:
        """Whether a user's record says `value`: for a column that an own table lacks or leaves empty, its default."""
        default = USER_DEFAULTS.get(name)
        if name not in self.table.c and name in User.__dataclass_fields__ and (name in USER_DEFAULTS or value is None):
            return sa.true() if value == default else sa.false()
        column = self._column(name)
        if value is None:
            return column.is_(None) if default is None else sa.false()
        same = column == (self.known_id(value) if name == "id" else value)
        return sa.or_(same, column.is_(None)) if default is not None and value == default else same

    async def _update(
        self, connection: AsyncConnection, id: Any, values: dict[str, Any], secrets: dict[str, Any]
    ) -> None:
        columns = stamped(self.table, values, secrets, self.credentials)
        change = self.table.update().where(self.id == id).values(columns or {self.id_name: id})
        if (await connection.execute(change)).rowcount != 1:
            raise CrossauthError(ErrorCode.UserNotExist)
        await self._keep_in_step(connection, id, values)
        if secrets:
            await replace_secrets(connection, self.userid_column, id, {}, secrets)

    async def _keep_in_step(self, connection: AsyncConnection, id: Any, changed: Mapping[str, Any]) -> None:
        if self._by_address:
            await keep_in_step(connection, self.table, self.id, id, changed, self.settings)

    def _column(self, field: str) -> sa.Column[Any]:
        name = self.id_name if field == "id" else field
        if name not in self.table.c:
            raise bad_field(field, "does not exist")
        return self.table.c[name]

    def known_id(self, value: Any) -> Any:
        """`value` as an id of the table's type; `None` where it cannot be one."""
        return id_in(self.id, value)

    def _columns(self, values: dict[str, Any]) -> dict[str, Any]:
        """`values` for the table's columns. A default for a column that an own table lacks is dropped; a given field is not."""
        refuse_unstorable(values)
        for name in values:
            if name not in self.table.c and name not in OPTIONAL and values[name] is not None:
                raise bad_field(name, "does not exist")
        left_out = () if self._by_address else ("email_normalized",)
        return {
            name: fitting(self.table.c[name], value, self.engine.dialect)
            for name, value in values.items()
            if name in self.table.c and name not in left_out
        }

    def _secret_values(self, secrets: Mapping[str, Any] | None) -> dict[str, Any]:
        return checked_secrets(self.secrets, self._userid, secrets)
