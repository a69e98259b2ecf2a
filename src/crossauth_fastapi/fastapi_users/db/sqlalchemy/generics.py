"""Column types of the tables that applications have."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CHAR, TIMESTAMP, Dialect, TypeDecorator
from sqlalchemy.dialects.postgresql import UUID

from crossauth_backend.core.clock import as_utc, utc_now

__all__ = ["GUID", "TIMESTAMPAware", "now_utc"]


class GUID(TypeDecorator[uuid.UUID]):
    """A UUID: PostgreSQL's own type, elsewhere text of 36 characters."""

    impl = CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """The column's type."""
        return dialect.type_descriptor(UUID() if dialect.name == "postgresql" else CHAR(36))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """What is sent to the database."""
        if value is None or dialect.name == "postgresql":
            return value
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        """What came from the database."""
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class TIMESTAMPAware(TypeDecorator[datetime]):
    """A time with its zone, on databases too that forget it."""

    impl = TIMESTAMP
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is sent to the database: UTC."""
        return value if value is None else as_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What came from the database."""
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


def now_utc() -> datetime:
    """The time."""
    return utc_now()
