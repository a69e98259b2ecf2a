"""Security events."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table, unless it is there."""
    name = context.config.attributes["names"]["audit_table"]
    if name in sa.inspect(op.get_bind()).get_table_names():
        return
    op.create_table(
        name,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("userid", sa.String(64), index=True),
        sa.Column("username", sa.String(254)),
        sa.Column("actor", sa.String(64)),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(128), nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(context.config.attributes["names"]["audit_table"])
