"""The columns that follow from a change of a user, set within the statement that changes it: see `storages.fields.with_stamp`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crossauth_backend.storages.fields import VERIFIED
from crossauth_backend.users.credentials import replaces_credential
from crossauth_backend.users.stamp import STAMP, new_stamp


def stamped(
    table: sa.Table,
    values: Mapping[str, Any],
    secrets: Mapping[str, Any],
    credentials: Sequence[str],
    stamp: str | None = None,
) -> dict[str, Any]:
    """The columns that an update of a user writes.

    The database itself compares what is written with what there is, so that nothing can change in between.

    Parameters:
        table: the table of users; what follows from a change is left out where it has no such column.
        values: what the update writes.
        secrets: the secrets that are written with it.
        credentials: the fields that are credentials: `UserStorage.credentials`.
        stamp: the stamp to set; where none is given, a random one if a credential becomes another.
    """
    more: dict[str, Any] = {}
    if STAMP in table.c:
        if stamp is not None or replaces_credential(secrets):
            more[STAMP] = stamp or new_stamp()
        elif stored := [_stays(table.c[name], values[name]) for name in credentials if name in values]:
            more[STAMP] = sa.case((sa.and_(*stored), table.c[STAMP]), else_=new_stamp())
    if "email" in values and VERIFIED in table.c and VERIFIED not in values:
        more[VERIFIED] = sa.case((_stays(table.c.email, values["email"]), table.c[VERIFIED]), else_=sa.null())
    return {**values, **more}


def _stays(column: sa.Column[Any], value: Any) -> sa.ColumnElement[bool]:
    return column.is_not_distinct_from(value)
