"""Users, and their accounts at providers, by the application's own SQLAlchemy session."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Generic

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.storages.sqlalchemy.columnvalues import fitting
from crossauth_backend.storages.sqlalchemy.unreadable import is_unreadable
from crossauth_fastapi._http.once import warn_once
from crossauth_fastapi.fastapi_users._addresses import MAX_ADDRESS, spellings
from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase
from crossauth_fastapi.fastapi_users.db.sqlalchemy.transactions import constraint_of, reads, short, writes
from crossauth_fastapi.fastapi_users.exceptions import UserNotExists
from crossauth_fastapi.fastapi_users.models import ID, UP

logger = logging.getLogger("crossauth.fastapi_users")


class SQLAlchemyUserDatabase(BaseUserDatabase[UP, ID], Generic[UP, ID]):
    """Users in the application's own tables. Every change is committed, and after every search the connection is given back.

    A database that does not answer, or does not take a value, is said as a `CrossauthError`; a constraint that is violated as
    `ConstraintViolated`, which is SQLAlchemy's `IntegrityError` too.

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

    @property
    def keeps_oauth_accounts(self) -> bool:
        """See `BaseUserDatabase`."""
        return self.oauth_account_table is not None

    async def get(self, id: ID) -> UP | None:
        """The user of this id."""
        return await self._first(_by_id(self.user_table), {"id": id})

    async def get_by_email(self, email: str) -> UP | None:
        """The user of this email address, whatever the case of its letters."""
        return await self.get_by_field("email", email)

    async def get_by_field(self, name: str, value: str) -> UP | None:
        """The user whose column `name` is `value`, whatever the case of its letters; exactly that one first."""
        if len(value) > MAX_ADDRESS:
            return None
        found = await self._all(_by_text(self.user_table, name), {"wanted": spellings(value)})
        # Databases differ in what they take for the lower case of a letter: what they found is looked at again.
        same = [user for user in found if same_mailbox(getattr(user, name), value)]
        return next((user for user in same if getattr(user, name) == value), same[0] if same else None)

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> UP | None:
        """The user who logs in with this account; the first, where a table from before has several."""
        account = self._accounts()
        statement = (
            sa.select(self.user_table)
            .join(account, account.user_id == self.user_table.id)
            .where(account.oauth_name == oauth, account.account_id == account_id)
            .order_by(account.id)
        )
        return await self._first(statement, {})

    async def create(self, create_dict: dict[str, Any]) -> UP:
        """Store a new user."""
        user: UP = self.user_table(**self._fitting(create_dict))
        self.session.add(user)
        await self._commit(user, new=True)
        return user

    async def create_with_oauth_account(self, create_dict: dict[str, Any], account_dict: dict[str, Any]) -> Any:
        """See `SupportsAccounts`."""
        user = self.user_table(**self._fitting(create_dict))
        user.oauth_accounts.append(self._accounts()(**account_dict))
        self.session.add(user)
        await self._commit(user, new=True)
        return user

    async def update(self, user: UP, update_dict: dict[str, Any]) -> UP:
        """Change a user."""
        for name, value in self._fitting(update_dict).items():
            setattr(user, name, value)
        self.session.add(user)
        await self._commit(user)
        return user

    async def replace(self, user: UP, expected: Mapping[str, Any], update_dict: Mapping[str, Any]) -> UP | None:
        """See `SupportsReplace`."""
        same = [getattr(self.user_table, name) == value for name, value in expected.items()]
        statement = (
            sa.update(self.user_table)
            .where(self.user_table.id == user.id, *same)
            .values(**self._fitting(update_dict))
            .execution_options(synchronize_session=False)
        )
        with writes():
            try:
                result: Any = await self.session.execute(statement)
                await self.session.commit()
            except BaseException:
                await self._roll_back(user)
                raise
            if result.rowcount != 1:
                if self.session.sync_session.expire_on_commit:
                    # Readable again, as it was: who gets no changed user goes on with this one.
                    with suppress(UserNotExists):
                        await self._refresh(user)
                return None
            await self._refresh(user)
        return user

    async def delete(self, user: UP) -> None:
        """Delete a user, and the accounts at providers."""
        with writes():
            try:
                for account in list(getattr(user, "oauth_accounts", None) or ()):
                    await self.session.delete(account)
                await self.session.delete(user)
                await self.session.commit()
            except StaleDataError as e:
                await self.session.rollback()
                raise UserNotExists from e
            except BaseException:
                await self._roll_back(user)
                raise

    def violated(self, error: Exception) -> str | None:
        """See `SupportsConstraints`."""
        return constraint_of(error)

    async def add_oauth_account(self, user: Any, create_dict: dict[str, Any]) -> Any:
        """Link an account at a provider to a user."""
        user.oauth_accounts.append(self._accounts()(**create_dict))
        self.session.add(user)
        await self._commit(user)
        return user

    async def update_oauth_account(self, user: Any, oauth_account: Any, update_dict: dict[str, Any]) -> Any:
        """Change a linked account."""
        self._accounts()
        for name, value in update_dict.items():
            setattr(oauth_account, name, value)
        self.session.add(oauth_account)
        await self._commit(user)
        return user

    async def remove_oauth_account(self, user: Any, oauth_account: Any) -> Any:
        """See `SupportsUnlink`."""
        self._accounts()
        with writes():
            try:
                await self.session.delete(oauth_account)
                await self.session.commit()
            except BaseException:
                await self._roll_back(user)
                raise
            await self._refresh(user)
        return user

    def _accounts(self) -> Any:
        if self.oauth_account_table is None:
            raise NotImplementedError("SQLAlchemyUserDatabase was made without an 'oauth_account_table'")
        return self.oauth_account_table

    def _fitting(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as the columns take them, without nulls for columns that take none: null means there what leaving it out
        means."""
        mapper = sa.inspect(self.user_table)
        columns, dialect = mapper.columns, self.session.get_bind(mapper).dialect
        return {
            name: fitting(columns[name], value, dialect) if name in columns else value
            for name, value in values.items()
            if value is not None or name not in columns or columns[name].nullable
        }

    async def _first(self, statement: sa.Select[Any], values: dict[str, Any]) -> UP | None:
        found = await self._all(statement, values)
        return found[0] if found else None

    async def _all(self, statement: sa.Select[Any], values: dict[str, Any]) -> list[UP]:
        try:
            with reads(ErrorCode.UserNotExist):
                async with short(self.session):
                    return list((await self.session.execute(statement, values)).unique().scalars())
        except CrossauthError as e:
            if e.code is not ErrorCode.UserNotExist:
                raise
            # A value that the database does not even take is nobody's.
            return []
        except Exception as e:
            if not is_unreadable(e):
                raise
            # Another program wrote a value that its column does not know: nobody can log in to such a row.
            warn_once(
                logger,
                f"a user in the table {self.user_table.__name__} cannot be read: {type(e).__name__}; correct the row",
            )
            return []

    async def _roll_back(self, user: Any) -> None:
        await self.session.rollback()
        # What was loaded is unreadable now without another query, which no attribute access can make.
        await self._refresh(user)

    async def _refresh(self, user: Any) -> None:
        try:
            async with short(self.session):
                await self.session.refresh(user)
        except sa.exc.PendingRollbackError:
            raise
        except (ObjectDeletedError, sa.exc.InvalidRequestError) as e:
            raise UserNotExists from e

    async def _commit(self, user: Any, *, new: bool = False) -> None:
        with writes():
            try:
                await self.session.commit()
            except StaleDataError as e:
                await self.session.rollback()
                raise UserNotExists from e
            except BaseException:
                await (self.session.rollback() if new else self._roll_back(user))
                raise
            if new or self.session.sync_session.expire_on_commit:
                await self._refresh(user)


# Built once for each table: building a statement costs as much as running it.
@lru_cache(maxsize=64)
def _by_id(table: Any) -> sa.Select[Any]:
    # Also over what the session has loaded before: who asks again wants to know what is stored now.
    return sa.select(table).where(table.id == sa.bindparam("id")).execution_options(populate_existing=True)


@lru_cache(maxsize=64)
def _by_text(table: Any, name: str) -> sa.Select[Any]:
    column = sa.func.lower(getattr(table, name))
    return sa.select(table).where(column.in_(sa.bindparam("wanted", expanding=True)))
