"""Counts of attempts that have expired are found without a walk over everything else that has."""

import sqlalchemy as sa
from alembic import context, op

from crossauth_backend.storages.sqlalchemy.names import bounded_name

revision = "0003"
down_revision = "0002"
_COUNTERS = sa.text("substr(value, 1, 2) = 'n:'")


def upgrade() -> None:
    """Add the index; a version before this one does without it. What a table of somebody else's lacks is said afterwards."""
    table = context.config.attributes["names"]["key_table"]
    name, inspector = bounded_name("ix_", table, "_counters"), sa.inspect(op.get_bind())
    fits = {"value", "expires"} <= {column["name"] for column in inspector.get_columns(table)}
    if fits and name not in {index["name"] for index in inspector.get_indexes(table)}:
        op.create_index(name, table, ["expires"], sqlite_where=_COUNTERS, postgresql_where=_COUNTERS)


def downgrade() -> None:
    """Drop the index."""
    table = context.config.attributes["names"]["key_table"]
    op.drop_index(bounded_name("ix_", table, "_counters"), table)
