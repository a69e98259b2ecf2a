"""Keys."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table unless the application made it."""
    names = context.config.attributes["names"]
    table, userid = names["key_table"], names["userid_column"]
    if table in sa.inspect(op.get_bind()).get_table_names():
        return
    op.create_table(
        table,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("value", sa.String(255), nullable=False, unique=True),
        sa.Column(userid, names["userid_type"]),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True)),
        sa.Column("lastactive", sa.DateTime(timezone=True)),
        sa.Column("data", sa.Text, nullable=False, server_default=""),
    )
    # Named as SQLAlchemy names them, so that a long name is cut in the same way.
    op.create_index(None, table, [userid])
    op.create_index(None, table, ["expires"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(context.config.attributes["names"]["key_table"])
