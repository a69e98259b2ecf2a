"""What a database refuses because of a constraint: which one it was, for the log, and what may be said of it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from crossauth_backend.core.errors import CrossauthError, ErrorCode

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


def violation(e: IntegrityError) -> Violation:
    """What a database's exception is about. No value that was to be stored is in it."""
    found = _SQLITE.search(str(e.orig))
    if found is not None:
        name = found.group(2) or ""
        columns = ", ".join(part.rpartition(".")[2] for part in name.split(", "))
        return Violation(
            found.group(1), name, "" if found.group(1) == "CHECK" or name.startswith("index ") else columns
        )
    orig = e.orig.__cause__ if e.orig is not None and e.orig.__cause__ is not None else e.orig
    table, name = (str(getattr(orig, part, None) or "") for part in ("table_name", "constraint_name"))
    column = str(getattr(orig, "column_name", None) or "")
    if not column:
        about = _COLUMNS.search(str(getattr(orig, "detail", None) or ""))
        column = about.group(1) if about else ""
    return Violation(_KINDS.get(str(getattr(orig, "sqlstate", "")), ""), f"{table}.{name or column}", column)


def refused_write(e: IntegrityError) -> CrossauthError:
    """The refusal of a user that is to be stored.

    `UserExists` where a username or an email address is taken; `ConstraintViolation` for whatever else a constraint of
    the application's forbids: 409 for a value that is taken or refers to nothing, 400 for one that is missing or not allowed.
    """
    found = violation(e)
    if found.kind in ("UNIQUE", "") and (not found.columns or _NAMES.search(f"{found.columns} {found.name}")):
        return CrossauthError(ErrorCode.UserExists, detail=f"{found.kind} {found.name}")
    texts = {
        "UNIQUE": f"Field {found.columns!r} has a value that is taken",
        "NOT NULL": f"Field {found.columns!r} is required",
        "FOREIGN KEY": "A field refers to something that does not exist",
    }
    return _refusal(found, texts.get(found.kind), 400 if found.kind in ("NOT NULL", "CHECK") else 409)


def refused_deletion(e: IntegrityError) -> CrossauthError:
    """The refusal to delete a user to whom rows of the application's refer: `ConstraintViolation`, 409."""
    return _refusal(violation(e), "This account cannot be deleted: there is something that still belongs to it", 409)


def _refusal(found: Violation, text: str | None, status: int) -> CrossauthError:
    logger.warning("the database refuses a change: constraint %s %s", found.kind, found.name)
    return CrossauthError(ErrorCode.ConstraintViolation, text, detail=f"{found.kind} {found.name}", status=status)
