"""The tables, with the names and extra columns an application gives them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from crossauth_backend.core.clock import as_utc
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.storages.fields import number_id
from crossauth_backend.storages.sqlalchemy.names import bounded_name
from crossauth_backend.users.identities import MAX_ISSUER, MAX_NAME, MAX_SUBJECT
from crossauth_backend.users.stamp import STAMP, STAMP_LENGTH

# Holds, as JSON, the secrets that have no column of their own: those of an application's factors.
EXTRA_SECRETS: Final = "extra"
_NAME = re.compile(r"[A-Za-z0-9_]{1,63}")


class AwareDateTime(sa.TypeDecorator[datetime]):
    """Times in UTC that come back aware, also from SQLite, which forgets the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """In UTC."""
        return None if value is None else as_utc(value)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Aware."""
        return None if value is None else as_utc(value)


def check_name(name: str, option: str) -> str:
    """`name`, if it is fit to be a table or column.

    Raises:
        CrossauthError: `Configuration`.
    """
    if not _NAME.fullmatch(name):
        raise CrossauthError(
            ErrorCode.Configuration, f"Option {option!r}: {name!r} must be letters, digits and underscores"
        )
    return name


def user_table(name: str, id_column: str, extra: Iterable[sa.Column[Any]]) -> sa.Table:
    """The table of users."""
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column(id_column, sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("username", sa.String(254), nullable=False, unique=True),
        sa.Column("username_normalized", sa.String(1024), unique=True),
        # Not unique: several sign-ups may hold an address that none of them has verified.
        sa.Column("email", sa.String(320)),
        sa.Column("email_normalized", sa.String(1024), unique=True),
        sa.Column("state", sa.String(64), nullable=False),
        sa.Column("factor1", sa.String(64), nullable=False),
        sa.Column("factor2", sa.String(64)),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("phone", sa.String(32)),
        sa.Column(STAMP, sa.String(STAMP_LENGTH)),
        sa.Column("email_verified_at", AwareDateTime),
        sa.Column("signup_expires", AwareDateTime, index=True),
        *(column._copy() for column in extra),
        # Or SQLite would give the id of a deleted user to the next one.
        sqlite_autoincrement=True,
    )


def secrets_table(name: str, userid_column: str, userid_type: sa.types.TypeEngine[Any]) -> sa.Table:
    """The table of users' secrets; one row a user."""
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column(userid_column, userid_type, primary_key=True, autoincrement=False),
        sa.Column("password", sa.Text),
        sa.Column("totpsecret", sa.Text),
        sa.Column("otp", sa.Text),
        sa.Column("expiry", sa.BigInteger),
        sa.Column(EXTRA_SECRETS, sa.Text),
    )


def key_table(
    name: str, userid_column: str, userid_type: sa.types.TypeEngine[Any], extra: Iterable[sa.Column[Any]]
) -> sa.Table:
    """The table of keys. Its users may be in another database, so `userid` is no foreign key."""
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("value", sa.String(255), nullable=False, unique=True),
        sa.Column(userid_column, userid_type, index=True),
        sa.Column("created", AwareDateTime, nullable=False),
        sa.Column("expires", AwareDateTime, index=True),
        sa.Column("lastactive", AwareDateTime),
        sa.Column("data", sa.Text, nullable=False, server_default=""),
        sa.Column("consumed", AwareDateTime),
        sa.Column("stamp", sa.String(64)),
        *(column._copy() for column in extra),
    )
    counters = is_counter(table)
    sa.Index(bounded_name("ix_", name, "_counters"), table.c.expires, sqlite_where=counters, postgresql_where=counters)
    return table


def is_counter(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a key is a count of attempts, in the very words of the index of these: with parameters it would not be used."""
    length, prefix = len(KeyPrefix.counter), KeyPrefix.counter
    begins = sa.func.substr(table.c.value, sa.literal_column("1"), sa.literal_column(str(length)))
    return begins == sa.literal_column(f"'{prefix}'")


def audit_table(name: str) -> sa.Table:
    """The table of security events. A user may be gone while its events stay, so `userid` is no foreign key."""
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("at", AwareDateTime, nullable=False, index=True),
        sa.Column("userid", sa.String(64), index=True),
        sa.Column("username", sa.String(254)),
        sa.Column("actor", sa.String(64)),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("client", sa.String(255)),
        sa.Column("reason", sa.String(128), nullable=False),
    )


def identity_table(name: str, userid_column: str, userid_type: sa.types.TypeEngine[Any]) -> sa.Table:
    """The table of accounts at other issuers. Its users may be in another database, so `userid` is no foreign key."""
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("iss", sa.String(MAX_ISSUER), nullable=False),
        sa.Column("sub", sa.String(MAX_SUBJECT), nullable=False),
        sa.Column(userid_column, userid_type, nullable=False, index=True),
        sa.Column("name", sa.String(MAX_NAME), nullable=False, server_default=""),
        sa.Column("created", AwareDateTime, nullable=False),
        sa.UniqueConstraint("iss", "sub"),
    )


def id_type(given: Any) -> sa.types.TypeEngine[Any]:
    """The type of users' ids that the option `userid_type` names.

    Raises:
        CrossauthError: `Configuration` for what is no type.
    """
    found = sa.types.to_instance(given or sa.Integer)
    if not isinstance(found, sa.types.TypeEngine):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"Option 'userid_type' must be a SQLAlchemy type, such as sqlalchemy.Uuid, not {type(given).__name__}",
        )
    return found


def id_in(column: sa.Column[Any], value: Any) -> Any:
    """`value` as an id of the column's type; `None` where it cannot be one."""
    expected = column.type.python_type
    if expected is int:
        return number_id(value)
    if expected is uuid.UUID and not isinstance(value, uuid.UUID):
        try:
            return uuid.UUID(str(value))
        except ValueError:
            return None
    return value if isinstance(value, expected) else None
