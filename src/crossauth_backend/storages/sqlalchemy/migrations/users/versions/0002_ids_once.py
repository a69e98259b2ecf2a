"""SQLite gives an id to one user only.

Without AUTOINCREMENT it gives the id of the last user to the next one, once the last user is deleted, and with it whatever
somebody else still keeps under that id. Other databases count on anyway.
"""

import re

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table anew, with all that is in it and on it; one that the application made another way is left as it is."""
    names, connection = context.config.attributes["names"], op.get_bind()
    name, id_column = names["user_table"], names["id_column"]
    if name is None or connection.dialect.name != "sqlite":
        return
    master = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND"
    before = connection.execute(sa.text(f"{master} type = 'table' AND name = :name"), {"name": name}).scalar_one()
    primary = re.compile(rf'\bPRIMARY KEY \("?{id_column}"?\)')
    if "AUTOINCREMENT" in before.upper() or len(primary.findall(before)) != 1:
        return
    new = f"crossauth_new_{name}"
    # Nothing else of the definition is touched: columns that were added, constraints, defaults and collations stay as they are.
    after = primary.sub(f'PRIMARY KEY ("{id_column}" AUTOINCREMENT)', before)
    after = re.sub(r"^CREATE TABLE\s+(\"[^\"]+\"|\w+)", f'CREATE TABLE "{new}"', after, count=1, flags=re.IGNORECASE)
    on_it = f"{master} type IN ('index', 'trigger') AND tbl_name = :name"
    belongings = connection.execute(sa.text(on_it), {"name": name}).scalars().all()
    # Generated columns are not in this list, and are not to be written.
    columns = ", ".join(f'"{row.name}"' for row in connection.exec_driver_sql(f'PRAGMA table_info("{name}")'))
    connection.exec_driver_sql(after)
    connection.exec_driver_sql(f'INSERT INTO "{new}" ({columns}) SELECT {columns} FROM "{name}"')  # noqa: S608
    connection.exec_driver_sql(f'DROP TABLE "{name}"')
    # Views and triggers of the application's may name the table that is not there at this moment.
    connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
    connection.exec_driver_sql(f'ALTER TABLE "{new}" RENAME TO "{name}"')
    connection.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
    for statement in belongings:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Nothing: a table that counts on serves the version before as well."""
