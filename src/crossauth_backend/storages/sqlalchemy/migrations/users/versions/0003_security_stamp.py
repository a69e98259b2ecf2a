"""What says that a credential changed, and when an address was proven."""

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"

# Any value will do that the user does not get again.
_RANDOM = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "replace(gen_random_uuid()::text, '-', '')"}


def upgrade() -> None:
    """Add the columns where they are missing, and give every user a stamp.

    A table that an application hands in as its own is left as it is. A version before this one may serve on: it leaves the
    columns empty, and a digest takes the place of a missing stamp.
    """
    name, connection = context.config.attributes["names"]["user_table"], op.get_bind()
    if name is None:
        return
    there = {column["name"] for column in sa.inspect(connection).get_columns(name)}
    if "security_stamp" not in there:
        op.add_column(name, sa.Column("security_stamp", sa.String(64)))
    if "email_verified_at" not in there:
        op.add_column(name, sa.Column("email_verified_at", sa.DateTime(timezone=True)))
    random = _RANDOM.get(connection.dialect.name)
    if random is not None:
        users = sa.table(name, sa.column("security_stamp"))
        missing = users.c.security_stamp.is_(None)
        connection.execute(users.update().where(missing).values(security_stamp=sa.literal_column(random)))


def downgrade() -> None:
    """Drop the columns."""
    name = context.config.attributes["names"]["user_table"]
    if name is not None:
        with op.batch_alter_table(name) as table:
            table.drop_column("email_verified_at")
            table.drop_column("security_stamp")
