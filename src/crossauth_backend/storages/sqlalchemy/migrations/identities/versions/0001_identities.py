"""Accounts at other issuers."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table, unless it is there."""
    names = context.config.attributes["names"]
    if names["identity_table"] in sa.inspect(op.get_bind()).get_table_names():
        return
    op.create_table(
        names["identity_table"],
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("iss", sa.String(512), nullable=False),
        sa.Column("sub", sa.String(255), nullable=False),
        sa.Column(names["userid_column"], names["userid_type"], nullable=False, index=True),
        sa.Column("name", sa.String(254), nullable=False, server_default=""),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("iss", "sub"),
    )


def downgrade() -> None:
    """Drop the table, and with it whose accounts these are."""
    op.drop_table(context.config.attributes["names"]["identity_table"])
