"""Tables of users as an earlier version left them, made by its own migrations."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

NAMES: Any = {
    "user_table": "User", "user_secrets_table": "UserSecrets", "id_column": "id", "userid_column": "userid",
    "userid_type": sa.Integer(),
}  # fmt: skip


async def make_tables(connection: AsyncConnection, revision: str) -> None:
    """Run the migrations of the users up to `revision`."""

    def upgrade(connection: sa.Connection) -> None:
        from alembic import command
        from alembic.config import Config

        from crossauth_backend.storages.sqlalchemy.schema import _MIGRATIONS

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS / "users"))
        config.set_main_option("path_separator", "os")
        config.attributes.update(connection=connection, version_table="crossauth_UserSecrets_version", names=NAMES)
        command.upgrade(config, revision)

    await connection.run_sync(upgrade)
