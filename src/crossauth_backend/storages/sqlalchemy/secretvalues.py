"""Secrets in the table of secrets: the library's in columns of their own, those of an application's factors together as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from crossauth_backend.core.records import bad_field, refuse_unstorable
from crossauth_backend.core.text import is_storable
from crossauth_backend.core.values import differs
from crossauth_backend.storages.fields import MAX_ID, number_id
from crossauth_backend.storages.sqlalchemy.tables import EXTRA_SECRETS

# More than any factor needs; a row of secrets is read at every login.
MAX_LENGTH: Final = 65_536


def can_keep(name: str, userid_column: str) -> bool:
    """Whether a secret may have this name: any that is not a column with another meaning."""
    return name not in ("userid", userid_column, EXTRA_SECRETS) and is_storable(name)


def checked_secrets(table: sa.Table, userid_column: str, secrets: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the secrets that are to be written, by name; `userid` is left out.

    Raises:
        CrossauthError: `BadRequest`, naming the secret, for a name or a value that cannot be stored.
    """
    values = {name: value for name, value in (secrets or {}).items() if name != "userid"}
    refuse_unstorable(values)
    for name, value in values.items():
        if not can_keep(name, userid_column):
            raise bad_field(name, "does not exist")
        if name in table.c:
            continue
        if value is not None and not isinstance(value, (str, int, float)):
            raise bad_field(name, "must be text, a number, or true or false")
        if isinstance(value, str) and len(value) > MAX_LENGTH:
            raise bad_field(name, f"must have at most {MAX_LENGTH} characters")
        if isinstance(value, int) and abs(value) > MAX_ID:
            raise bad_field(name, f"must be a number up to {MAX_ID}")
    if number_id(values.get("expiry") or 0) is None:
        raise bad_field("expiry", "must be a whole number")
    return values


def secrets_of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the secrets by name, from the columns of a row."""
    return {**_parsed(row.get(EXTRA_SECRETS)), **{n: v for n, v in row.items() if n != EXTRA_SECRETS}}


def new_row(table: sa.Table, secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a new row."""
    columns, extra = _split(table, secrets)
    return {**columns, **({EXTRA_SECRETS: _text(extra)} if extra else {})}


async def replace_secrets(
    connection: AsyncConnection, userid: sa.Column[Any], id: Any, old: Mapping[str, Any], new: Mapping[str, Any]
) -> bool:
    """Write the secrets `new` of one user where they still are `old`; whether they were.

    Parameters:
        connection: a connection in a transaction, which the caller commits or rolls back.
        userid: the column of the table of secrets that says whose they are.
        id: whose.
        old: what the secrets named must still be.
        new: what to write.
    """
    table = userid.table
    assert isinstance(table, sa.Table)
    own = userid == id
    (saved, kept_extra), (columns, extra) = _split(table, old), _split(table, new)
    if kept_extra or extra:
        # Locks the row, so that nobody changes the JSON between the reading and the writing of it.
        await connection.execute(table.update().where(own).values({userid.name: id}))
        stored = _parsed(await connection.scalar(sa.select(table.c[EXTRA_SECRETS]).where(own)))
        if any(differs(stored.get(name), value) for name, value in kept_extra.items()):
            return False
        if extra:
            columns[EXTRA_SECRETS] = _text({**stored, **extra})
    same = [table.c[n].is_(None) if value is None else table.c[n] == value for n, value in saved.items()]
    change = table.update().where(own, *same).values(columns or {userid.name: id})
    if (await connection.execute(change)).rowcount == 1:
        return True
    if any(value is not None for value in old.values()):
        return False
    if (await connection.execute(sa.select(userid).where(own))).first() is not None:
        return False
    # A user of the application's own table may have no row of secrets yet.
    await connection.execute(table.insert().values({userid.name: id, **columns}))
    return True


def _split(table: sa.Table, secrets: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those with a column of their own, and all others."""
    own = {name: value for name, value in secrets.items() if name in table.c}
    return own, {name: value for name, value in secrets.items() if name not in table.c}


def _parsed(text: object) -> dict[str, Any]:
    """What another program wrote there and is no object of secrets holds none: whoever needs one cannot log in by it."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    values = found if isinstance(found, dict) else {}
    return {name: value for name, value in values.items() if isinstance(value, (str, int, float))}


def _text(extra: Mapping[str, Any]) -> str | None:
    left = {name: value for name, value in extra.items() if value is not None}
    return json.dumps(left, ensure_ascii=False, sort_keys=True) if left else None
