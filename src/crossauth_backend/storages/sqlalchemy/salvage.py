"""Users of whose rows a part cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.storages.fields import USER_DEFAULTS, secrets_from, user_from
from crossauth_backend.storages.sqlalchemy.secretvalues import secrets_of_row
from crossauth_backend.storages.sqlalchemy.unreadable import Salvaged, rows_of, salvage
from crossauth_backend.users.record import User, UserAndSecrets
from crossauth_backend.users.stamp import with_stamp
from crossauth_backend.users.states import UNREADABLE

if TYPE_CHECKING:
    from crossauth_backend.storages.sqlalchemy.users import SqlAlchemyUserStorage


async def salvaged_users(users: SqlAlchemyUserStorage, query: sa.Select[Any]) -> list[User]:
    """Return the users whom `query` finds; those of whom a part cannot be read are in the state `UNREADABLE`."""
    rows = await rows_of(users.engine, query.with_only_columns(users.id), ErrorCode.BadRequest)
    found = await salvage(users.engine, list(users.table.c), users.id, [row[0] for row in rows])
    return [_record(users, one) for one in found]


async def salvaged_user(users: SqlAlchemyUserStorage, wanted: tuple[sa.ColumnElement[bool], ...]) -> UserAndSecrets:
    """Return the one user for whom the conditions `wanted` hold, with the secrets; in the state `UNREADABLE` as above.

    Raises:
        CrossauthError: `UserNotExist` where there is none, or more than one.
    """
    ids = [
        row[0]
        for row in await rows_of(users.engine, sa.select(users.id).where(*wanted).limit(2), ErrorCode.UserNotExist)
    ]
    found = await salvage(users.engine, list(users.table.c), users.id, ids) if len(ids) == 1 else []
    if len(found) != 1:
        raise CrossauthError(ErrorCode.UserNotExist)
    user = _record(users, found[0])
    secrets = await salvage(users.engine, list(users.secrets.c), users.userid_column, ids)
    values = {n: v for n, v in secrets[0].values.items() if n != users.userid_column.key} if secrets else {}
    if secrets and secrets[0].unreadable:
        user = replace(user, state=UNREADABLE)
    return with_stamp(
        UserAndSecrets(user, secrets_from({**secrets_of_row(values), "userid": user.id})), users.credentials
    )


def _record(users: SqlAlchemyUserStorage, found: Salvaged) -> User:
    if not found.unreadable:
        return users.user_from_columns(found.values)
    values = found.values | {"state": UNREADABLE, "username": found.values["username"] or ""}
    try:
        return users.user_from_columns(values)
    except Exception:
        # A record of the application's may not take an empty field.
        values["id"] = values.pop(users.id_name)
        return user_from(User, {n: v for n, v in values.items() if v is not None or n not in USER_DEFAULTS})
