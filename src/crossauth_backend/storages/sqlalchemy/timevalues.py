"""Dates, times and durations, as columns take them. Text is ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import sqlalchemy as sa

from crossauth_backend.core.clock import as_utc
from crossauth_backend.core.records import bad_field

_MAX_TEXT: Final = 64
_DURATION: Final = re.compile(
    r"(?P<sign>-?)P(?=.)(?:(?P<days>\d{1,9})D)?(?:T(?=.)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9}(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)
_SECONDS: Final = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?", re.ASCII)


def read_date(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> date:
    """A date."""
    if isinstance(value, datetime):
        return value.date()
    found = value if isinstance(value, date) else _parsed(date.fromisoformat, value)
    if not isinstance(found, date):
        raise bad_field(name, "must be a date, such as 2026-12-31")
    return found


def read_moment(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> datetime:
    """A date with a time; in a column without a time zone it is in UTC. Without an offset it is taken for UTC."""
    found = value if isinstance(value, datetime) else _parsed(datetime.fromisoformat, value)
    if not isinstance(found, datetime) and isinstance(value, date):
        found = datetime(value.year, value.month, value.day)  # the zone is added below
    try:
        moment = as_utc(found) if isinstance(found, datetime) else None
    except OverflowError:
        moment = None
    if moment is None:
        raise bad_field(name, "must be a date and time, such as 2026-12-31T23:59:00Z")
    return moment if kind.timezone else moment.replace(tzinfo=None)


def read_time(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> time:
    """A time of the day; with an offset only in a column that keeps one."""
    found = value if isinstance(value, time) else _parsed(time.fromisoformat, value)
    if not isinstance(found, time) or (found.tzinfo is not None and not kind.timezone):
        offset = "+01:00" if kind.timezone else ""
        raise bad_field(name, f"must be a time, such as 23:59:00{offset}")
    return found.replace(tzinfo=UTC) if kind.timezone and found.tzinfo is None else found


def read_duration(name: str, kind: Any, value: Any, dialect: sa.Dialect) -> timedelta:
    """A duration: a number of seconds, or text such as `P1DT2H`."""
    found = value
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found = timedelta(seconds=value)
        elif isinstance(value, str):
            found = _duration(value.strip())
        if isinstance(found, timedelta):
            # SQLite and others keep it as the time that it is after 1970.
            _ = datetime(1970, 1, 1, tzinfo=UTC) + found
            return found
    except (OverflowError, ValueError):
        pass
    raise bad_field(name, "must be a duration: a number of seconds, or text such as P1DT2H30M")


def _duration(text: str) -> timedelta | None:
    if len(text) <= _MAX_TEXT and _SECONDS.fullmatch(text):
        return timedelta(seconds=float(text))
    found = _DURATION.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if found is None:
        return None
    parts = {
        part: float(provided) for part, provided in found.groupdict().items() if part != "sign" and provided is not None
    }
    return timedelta(**parts) * (-1 if found["sign"] else 1)


def _parsed(parse: Any, value: Any) -> Any:
    try:
        return parse(value.strip()) if isinstance(value, str) and len(value) <= _MAX_TEXT else None
    except (ValueError, OverflowError):
        return None
