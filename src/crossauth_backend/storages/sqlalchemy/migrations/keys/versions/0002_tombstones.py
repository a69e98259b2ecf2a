"""Keys that were consumed stay as tombstones; keys know the security stamp that they rest on."""

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns that are not there; both may be empty, so a table that the application made can have them too."""
    table = context.config.attributes["names"]["key_table"]
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in (sa.Column("consumed", sa.DateTime(timezone=True)), sa.Column("stamp", sa.String(64))):
        if column.name not in there:
            op.add_column(table, column)


def downgrade() -> None:
    """Drop the columns."""
    table = context.config.attributes["names"]["key_table"]
    op.drop_column(table, "stamp")
    op.drop_column(table, "consumed")
