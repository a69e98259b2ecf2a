"""A place for the secrets of factors that the library does not know."""

import sqlalchemy as sa
from alembic import context, op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column where it is missing. A version before this one may serve on: it leaves the column as it is."""
    name = context.config.attributes["names"]["user_secrets_table"]
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(name)}
    if "extra" not in there:
        op.add_column(name, sa.Column("extra", sa.Text))


def downgrade() -> None:
    """Drop the column, and the secrets in it."""
    with op.batch_alter_table(context.config.attributes["names"]["user_secrets_table"]) as table:
        table.drop_column("extra")
