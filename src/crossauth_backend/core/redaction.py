"""Taking values out of exceptions before they are logged or passed on.

Parameters of statements hold hashes of passwords, secrets of second factors and addresses, and databases and validators repeat
what they were given.

Known are SQLAlchemy's exceptions, those of the drivers beneath, those of Redis, and errors of validation (Pydantic's and
FastAPI's). They are recognized by their attributes, so that none of these packages is needed. Types, SQLSTATEs and statements
stay, and names in a text that the statement has as well: what an operator needs to mend a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

HIDDEN: Final = "(the text is hidden, for it may hold values)"
_QUOTED: Final = re.compile("[\"'\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019`]")
_QUOTED_PART: Final = re.compile(
    "\"([^\"]*)\"|'([^']*)'|`([^`]*)`"
    "|[\u00ab\u00bb\u201e\u201c]([^\u00ab\u00bb\u201c\u201d\u201e]*)[\u00ab\u00bb\u201c\u201d]"
)
# SQLSTATEs of errors whose first line is about a value: class 22; and of triggers and rules of the application's.
_OF_VALUES: Final = ("22", "P0", "44", "45")
# In any language; the context of an error in a function quotes statements, which may have parameters of their own.
_PARAMETER: Final = re.compile('^[^"\n\u00ab\u00bb\u201c\u201d\u201e]*?\\$(\\d+)')
_ARGUMENT: Final = re.compile(r"argument \$(\d+): ")
_REDIS_CODES: Final = (
    "WRONGTYPE", "OOM", "MISCONF", "READONLY", "NOAUTH", "WRONGPASS", "NOPERM", "LOADING", "BUSY", "CLUSTERDOWN", "CROSSSLOT",
    "MASTERDOWN", "NOREPLICAS", "EXECABORT",
)  # fmt: skip
_NAMES: Final = ("table_name", "column_name", "constraint_name", "schema_name", "data_type_name")
_MAX_PLACES: Final = 10


class HiddenValues(Exception):
    """In the place of an error of validation, whose text cannot be changed: where which rule was broken."""


def loggable(e: BaseException) -> BaseException:
    """Return `e` for a log: itself, or what stands for it, after `hide_values`."""
    hide_values(e)
    return _without_validation(e, set())


def hide_values(e: BaseException) -> None:
    """Take values out of `e` and of every exception that it comes from; what is known of the driver's stays in its attributes."""
    _hide(e, "", set())


def refused_parameter(e: BaseException) -> int | None:
    """Return the number of the parameter that a driver's exception is about, from 1; `None` where it is about something else.

    PostgreSQL says it in the context of an error that it meets when it reads a parameter; asyncpg says it of an argument that it
    cannot send.
    """
    argument = _ARGUMENT.search(_first_argument(e)) if not _told(e, "severity") else None
    argument = argument or _PARAMETER.match(_told(e, "context"))
    return int(argument.group(1)) if argument else None


def sqlstate_of(e: BaseException) -> str:
    """Return the SQLSTATE of a driver's exception, or of the one that it was made from; nothing where it has none."""
    return str(getattr(e, "sqlstate", None) or getattr(e.__cause__, "sqlstate", None) or "")


def _hide(e: BaseException, statement: str, seen: set[int]) -> None:
    if id(e) in seen:
        return
    seen.add(id(e))
    of_sqlalchemy = hasattr(e, "hide_parameters") and hasattr(e, "statement")
    if of_sqlalchemy:
        statement = str(e.statement or "")  # type: ignore[attr-defined]
    for other in _linked(e):
        _hide(other, statement, seen)
    if of_sqlalchemy:
        _hide_parameters(e, statement)
    elif hasattr(e, "sqlstate"):
        _set_text(e, _safe_text(e, statement or str(getattr(e, "query", None) or "")))
    elif type(e).__module__.startswith("redis.") and _is_a(e, "ResponseError", "InvalidResponse"):
        # The client puts the command in front, and the server repeats the arguments of one that it does not know.
        text = _first_argument(e)
        _set_text(e, next((code for code in _REDIS_CODES if code in text), HIDDEN))


def _linked(e: BaseException) -> Iterator[BaseException]:
    for other in (getattr(e, "orig", None), e.__cause__, e.__context__, *getattr(e, "exceptions", ())):
        if isinstance(other, BaseException):
            yield other


def _hide_parameters(e: Any, statement: str) -> None:
    e.hide_parameters = True
    orig = e.orig
    if orig is None:
        return
    kind = type(orig)
    # What a type of the application's raises for a value has no statement of a database's, and any text.
    text = _safe_text(orig, statement) if _is_a(e, "DBAPIError") else HIDDEN
    _set_text(orig, text)
    e.args = (f"({kind.__module__}.{kind.__name__}) {text}", *e.args[1:])


def _is_a(e: BaseException, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(e).__mro__)


def _set_text(e: BaseException, text: str) -> None:
    with suppress(Exception):
        e.args = (text,)
    for name in ("detail", "hint"):
        if getattr(e, name, None):
            with suppress(Exception):
                setattr(e, name, None)


def _safe_text(e: BaseException, statement: str) -> str:
    """The first line of what a database says; nothing of it where it may repeat a value."""
    state, line = sqlstate_of(e), _first_argument(e).partition("\n")[0]
    if not state and "constraint failed" in line:
        # SQLite's, and made of the schema.
        return line
    told = e.__cause__ if e.__cause__ is not None and hasattr(e.__cause__, "sqlstate") else e
    raised = re.search(r"\bRAISE\b", _told(told, "context"))
    if state.startswith(_OF_VALUES) or raised or refused_parameter(told) is not None or _ARGUMENT.search(line):
        return f"{HIDDEN} {state}".strip()
    known = " ".join([statement, *(_told(told, name) for name in _NAMES)])
    unknown = [part for found in _QUOTED_PART.findall(line) for part in found if part and part not in known]
    if unknown or _QUOTED.search(_QUOTED_PART.sub("", line)):
        return f"{_QUOTED.split(line)[0]}\u2026"
    return line


def _first_argument(e: BaseException) -> str:
    return str(e.args[0]) if e.args else ""


def _told(e: BaseException, *names: str) -> str:
    """What a driver says of one of these; psycopg has a place of its own for it."""
    told = getattr(e, "diag", e)
    return next((str(value) for name in names if (value := getattr(told, name, None))), "")


def _without_validation(e: BaseException, seen: set[int]) -> BaseException:
    if id(e) in seen:
        return e
    seen.add(id(e))
    for name in ("__cause__", "__context__"):
        other = getattr(e, name)
        if other is not None:
            suppressed = e.__suppress_context__
            setattr(e, name, _without_validation(other, seen))
            e.__suppress_context__ = suppressed
    if not type(e).__name__.endswith("ValidationError") or not callable(getattr(e, "errors", None)):
        return e
    return _stand_in(e)


def _stand_in(e: Any) -> HiddenValues:
    places = []
    with suppress(Exception):
        for error in list(e.errors())[:_MAX_PLACES]:
            where = ".".join(str(part)[:64] for part in error["loc"])
            places.append(f"{where} ({error['type']})")
    made = HiddenValues(f"{type(e).__name__}: {', '.join(places)}")
    made.__cause__, made.__context__ = e.__cause__, e.__context__
    made.__suppress_context__ = e.__suppress_context__
    return made.with_traceback(e.__traceback__)
