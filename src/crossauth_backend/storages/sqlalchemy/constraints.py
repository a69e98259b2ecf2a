"""What a database refuses because of a constraint or a trigger: which one it was, for the log, and what may be said of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, IntegrityError

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.storages.fields import name_taken
from crossauth_backend.storages.sqlalchemy.engine import is_raised, refusals

logger = logging.getLogger("crossauth.storage")
_KINDS = {"23505": "UNIQUE", "23502": "NOT NULL", "23503": "FOREIGN KEY", "23514": "CHECK"}
_SQLITE = re.compile(r"(UNIQUE|NOT NULL|FOREIGN KEY|CHECK) constraint failed(?:: (.*))?")
# PostgreSQL's detail, in whatever language: (column, column)=(value, value).
_COLUMNS = re.compile(r"\((.*?)\)=\(")
# What makes two users one: columns whose value is taken by somebody.
_NAMES = re.compile(r"username|email", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Violation:
    """What was violated.

    Parameters:
        kind: `UNIQUE`, `NOT NULL`, `FOREIGN KEY`, `CHECK`, or nothing where that is not known.
        name: the constraint's name, or what it is about, without any value.
        columns: the columns, where they are known.
    """

    kind: str
    name: str
    columns: str


def violation(e: DBAPIError) -> Violation:
    """What a database's exception is about. No value that was to be stored is in it, nor the text of a trigger, which may be."""
    found = _SQLITE.search(str(e.orig))
    if found is not None:
        name = found.group(2) or ""
        columns = ", ".join(part.rpartition(".")[2] for part in name.split(", "))
        return Violation(
            found.group(1), name, "" if found.group(1) == "CHECK" or name.startswith("index ") else columns
        )
    orig = e.orig.__cause__ if e.orig is not None and e.orig.__cause__ is not None else e.orig
    # psycopg has a place of its own for these.
    told = getattr(orig, "diag", orig)
    table, name = (str(getattr(told, part, None) or "") for part in ("table_name", "constraint_name"))
    column = str(getattr(told, "column_name", None) or "")
    if not column:
        detail = getattr(told, "detail", None) or getattr(told, "message_detail", None)
        about = _COLUMNS.search(str(detail or ""))
        column = about.group(1) if about else ""
    whole = f"{table}.{name or column}" if table or name or column else ""
    return Violation(_KINDS.get(str(getattr(orig, "sqlstate", "")), ""), whole, column)


def refused_write(e: DBAPIError) -> CrossauthError:
    """The refusal of a user that is to be stored.

    `UserExists` where a username or an email address is taken, or what is taken is a unique index whose columns are not known;
    `ConstraintViolation` for whatever else the application's tables forbid: 409 for a value that is taken or refers to nothing
    and for what a trigger refuses, 400 for a value that is missing or not allowed.
    """
    found = violation(e)
    if found.kind == "UNIQUE" and found.name and (not found.columns or _NAMES.search(f"{found.columns} {found.name}")):
        return name_taken(f"{found.columns} {found.name}", f"{found.kind} {found.name}")
    texts = {
        "UNIQUE": f"Field {found.columns!r} has a value that is taken" if found.columns else "A value is taken",
        "NOT NULL": f"Field {found.columns!r} is required",
        "FOREIGN KEY": "A field refers to something that does not exist",
    }
    return _refusal(found, texts.get(found.kind), 400 if found.kind in ("NOT NULL", "CHECK") else 409)


def refused_key(e: DBAPIError) -> CrossauthError:
    """The refusal of a key that is to be stored: `KeyExists` where its value is taken, otherwise `ConstraintViolation`, 409."""
    found = violation(e)
    if found.kind == "UNIQUE" and found.columns == "value":
        return CrossauthError(ErrorCode.KeyExists, detail=f"{found.kind} {found.name}")
    return _refusal(found, None, 409)


def refused_change(e: DBAPIError) -> CrossauthError:
    """The refusal of any other change: `ConstraintViolation`, 409."""
    return _refusal(violation(e), None, 409)


def refused_deletion(e: DBAPIError) -> CrossauthError:
    """The refusal to delete a user to whom rows of the application's refer: `ConstraintViolation`, 409."""
    return _refusal(violation(e), mark("This account can't be deleted: other data still belongs to it"), 409)


def _refusal(found: Violation, text: str | None, status: int) -> CrossauthError:
    which = (
        f"constraint {found.kind} {found.name}" if found.kind or found.name else "a trigger, or an unknown constraint"
    )
    logger.warning("the database refuses a change: %s", which)
    return CrossauthError(ErrorCode.ConstraintViolation, text, detail=which, status=status)


@contextmanager
def writes(
    refused: Callable[[DBAPIError], CrossauthError] = refused_change, bad_data: ErrorCode = ErrorCode.BadRequest
) -> Iterator[None]:
    """As `refusals` for a write, also for what a constraint forbids or a trigger of the application's.

    Parameters:
        refused: makes the reason for these.
        bad_data: see `refusals`.
    """
    with refusals(bad_data):
        try:
            yield
        except DBAPIError as e:
            if not isinstance(e, IntegrityError) and not is_raised(e):
                raise
            raise refused(e) from e
