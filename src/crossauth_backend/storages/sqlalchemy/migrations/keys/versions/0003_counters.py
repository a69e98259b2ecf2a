"""Counts of attempts that have expired are found without a walk over everything else that has."""

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
_COUNTERS = sa.text("substr(value, 1, 2) = 'n:'")


def upgrade() -> None:
    """Add the index; a version before this one does without it."""
    table = context.config.attributes["names"]["key_table"]
    name = f"ix_{table}_counters"[:63]
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, ["expires"], sqlite_where=_COUNTERS, postgresql_where=_COUNTERS)


def downgrade() -> None:
    """Drop the index."""
    table = context.config.attributes["names"]["key_table"]
    op.drop_index(f"ix_{table}_counters"[:63], table)
