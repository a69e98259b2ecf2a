"""Values that a database does not take: that it is a value, and of which column."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy.exc import StatementError

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.records import bad_field
from crossauth_backend.core.redaction import refused_parameter, sqlstate_of

_WHY: Final = "has a value that its column does not take"
# A row that is larger than an index, or a page, has room for.
_TOO_LARGE: Final = "54000"
_NAME: Final = r'(?:"(?:[^"]|"")+"|[^\W\d]\w*)'
_INSERT: Final = re.compile(rf"\s*INSERT INTO [^(]+\(({_NAME}(?:, {_NAME})*)\) VALUES (\(.*)", re.DOTALL)  # noqa: S608  # reads one


def is_bad_value(e: BaseException | None) -> bool:
    """Whether a driver's exception is about a value.

    It is of SQLSTATE class 22, or could not even be sent; or the database says that it read a parameter. Types with a language
    of their own (`tsquery`, `jsonpath`, `regclass`, `xml`) have syntax errors and names that do not exist, as statements have.
    """
    if e is None:
        return False
    state = sqlstate_of(e)
    named = "DataError" in f"{type(e).__name__} {type(e.__cause__).__name__}"
    return named or state.startswith("22") or state == _TOO_LARGE or refused_parameter(e.__cause__ or e) is not None


def bad_value(e: BaseException, code: ErrorCode) -> CrossauthError:
    """The refusal of a value; in a write that is the field's where it is known. The value itself is not in it.

    Parameters:
        e: SQLAlchemy's exception, or the driver's.
        code: the reason.
    """
    orig = getattr(e, "orig", None) or e
    column = _column(e) if isinstance(e, StatementError) else None
    what = f"{type(orig.__cause__ or orig).__name__} {sqlstate_of(orig)}".strip()
    detail = f"{what} in column {column!r}" if column else what
    if code is not ErrorCode.BadRequest:
        return CrossauthError(code, detail=detail)
    text = bad_field(column, _WHY).message if column else f"A field {_WHY}"
    return CrossauthError(code, text, detail=detail)


def _column(e: StatementError) -> str | None:
    """The column whose value was refused, as the statement names it."""
    orig, statement = e.orig, e.statement or ""
    number = refused_parameter(orig.__cause__ or orig) if orig is not None else None
    if number is None:
        return None
    insert = _INSERT.match(statement)
    if insert is not None:
        names = re.findall(_NAME, insert.group(1))
        numbers = re.findall(r"\$(\d+)", insert.group(2))
        # Where each column has one.
        found = dict(zip(numbers, names, strict=True)).get(str(number)) if len(numbers) == len(names) else None
    else:
        change = re.search(rf"({_NAME})\s*=\s*\${number}(?!\d)", statement)
        found = change.group(1) if change else None
    return found.strip('"').replace('""', '"') if found else None
