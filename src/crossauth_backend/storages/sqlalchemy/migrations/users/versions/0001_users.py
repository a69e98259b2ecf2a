"""Users and their secrets."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is not there yet; a table that the application made is left as it is."""
    names = context.config.attributes["names"]
    present = sa.inspect(op.get_bind()).get_table_names()
    if names["user_table"] is not None and names["user_table"] not in present:
        op.create_table(
            names["user_table"],
            sa.Column(names["id_column"], sa.Integer, primary_key=True, autoincrement=True),
            sa.Column("username", sa.String(254), nullable=False, unique=True),
            sa.Column("username_normalized", sa.String(1024), unique=True),
            sa.Column("email", sa.String(320), unique=True),
            sa.Column("email_normalized", sa.String(1024), unique=True),
            sa.Column("state", sa.String(64), nullable=False),
            sa.Column("factor1", sa.String(64), nullable=False),
            sa.Column("factor2", sa.String(64)),
            sa.Column("admin", sa.Boolean, nullable=False),
            sa.Column("phone", sa.String(32)),
            sqlite_autoincrement=True,
        )
    if names["user_secrets_table"] not in present:
        op.create_table(
            names["user_secrets_table"],
            sa.Column(names["userid_column"], names["userid_type"], primary_key=True, autoincrement=False),
            sa.Column("password", sa.Text),
            sa.Column("totpsecret", sa.Text),
            sa.Column("otp", sa.Text),
            sa.Column("expiry", sa.BigInteger),
        )


def downgrade() -> None:
    """Drop the tables."""
    names = context.config.attributes["names"]
    op.drop_table(names["user_secrets_table"])
    if names["user_table"] is not None:
        op.drop_table(names["user_table"])
