"""Events know the OAuth client, and old ones are found by an index."""

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what is not there."""
    table = context.config.attributes["names"]["audit_table"]
    inspector = sa.inspect(op.get_bind())
    if "client" not in {column["name"] for column in inspector.get_columns(table)}:
        op.add_column(table, sa.Column("client", sa.String(255)))
    if not any(index["column_names"][:1] == ["at"] for index in inspector.get_indexes(table)):
        op.create_index(None, table, ["at"])


def downgrade() -> None:
    """Drop the index and the column."""
    table = context.config.attributes["names"]["audit_table"]
    op.drop_index(f"ix_{table}_at", table)
    op.drop_column(table, "client")
