"""An account whose sign-up is unfinished holds no email address, and its name only for a while.

Uniqueness of addresses rests on `email_normalized`, which is empty while the address waits for its verification.
"""

import re

import sqlalchemy as sa
from alembic import context, op

from crossauth_backend.core.text import normalize_address

revision = "0004"
down_revision = "0003"

_UNFINISHED = ("awaitingtwofactorsetup", "awaitingemailverification", "awaitingtwofactorsetupandemailverification")
_NEEDED = {"state", "email", "email_normalized"}


def upgrade() -> None:
    """Add the column, let addresses repeat, and give back those that nobody has verified.

    A table that an application hands in as its own is left as it is.
    """
    names, connection = context.config.attributes["names"], op.get_bind()
    name = names["user_table"]
    if name is None:
        return
    there = {column["name"] for column in sa.inspect(connection).get_columns(name)}
    if "signup_expires" not in there:
        op.add_column(name, sa.Column("signup_expires", sa.DateTime(timezone=True)))
        op.create_index(None, name, ["signup_expires"])
    if there >= _NEEDED:
        _let_addresses_repeat(connection, name)
        _give_addresses_back(connection, name, names["id_column"])


def downgrade() -> None:
    """Drop the column. Addresses that repeat by now may go on repeating."""
    name = context.config.attributes["names"]["user_table"]
    if name is not None:
        op.drop_index(f"ix_{name}_signup_expires", name)
        with op.batch_alter_table(name) as table:
            table.drop_column("signup_expires")


def _let_addresses_repeat(connection: sa.Connection, name: str) -> None:
    """Drop the unique constraint on `email`, as migration 0001 made it."""
    if connection.dialect.name == "sqlite":
        _rebuild_without_constraint(connection, name)
        return
    for constraint in sa.inspect(connection).get_unique_constraints(name):
        if constraint["column_names"] == ["email"] and constraint["name"] is not None:
            op.drop_constraint(constraint["name"], name, type_="unique")


def _rebuild_without_constraint(connection: sa.Connection, name: str) -> None:
    """SQLite cannot drop a constraint: make the table anew, with all that is in it and on it."""
    master = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND"
    before = connection.execute(sa.text(f"{master} type = 'table' AND name = :name"), {"name": name}).scalar_one()
    unique = re.compile(r",\s*UNIQUE \(\"?email\"?\)")
    if "AUTOINCREMENT" not in before.upper() or len(unique.findall(before)) != 1:
        return
    new = f"crossauth_new_{name}"
    after = unique.sub("", before)
    after = re.sub(r"^CREATE TABLE\s+(\"[^\"]+\"|\w+)", f'CREATE TABLE "{new}"', after, count=1, flags=re.IGNORECASE)
    on_it = f"{master} type IN ('index', 'trigger') AND tbl_name = :name"
    belongings = connection.execute(sa.text(on_it), {"name": name}).scalars().all()
    sequence = connection.execute(
        sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": name}
    ).scalar()
    columns = ", ".join(f'"{row.name}"' for row in connection.exec_driver_sql(f'PRAGMA table_info("{name}")'))
    connection.exec_driver_sql(after)
    connection.exec_driver_sql(f'INSERT INTO "{new}" ({columns}) SELECT {columns} FROM "{name}"')  # noqa: S608
    connection.exec_driver_sql(f'DROP TABLE "{name}"')
    connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
    connection.exec_driver_sql(f'ALTER TABLE "{new}" RENAME TO "{name}"')
    connection.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
    for statement in belongings:
        connection.exec_driver_sql(statement)
    if sequence is not None:
        # The ids of users that are gone stay used.
        provided = {"seq": sequence, "name": name}
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), provided)
        connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), provided)


def _give_addresses_back(connection: sa.Connection, name: str, id_column: str) -> None:
    """Empty the normal form of what nobody has verified, and fill it where it is an address's own.

    Earlier versions took accents away; and where `normalize_email` was off, they left the normal form empty.
    """
    users = sa.table(name, *map(sa.column, (id_column, *_NEEDED)))
    unfinished = users.c.state.in_(_UNFINISHED)
    connection.execute(users.update().where(unfinished).values(email_normalized=None))
    form = users.c.email_normalized
    wrong = sa.and_(users.c.email.is_not(None), sa.or_(form.is_(None), form != sa.func.lower(users.c.email)))
    query = sa.select(users.c[id_column], users.c.email, form).where(~unfinished, wrong)
    other = users.alias("other")
    for id, email, before in connection.execute(query).all():
        # An address that was compared as it is keeps its case.
        after = email if before is None else normalize_address(email)
        taken = sa.select(sa.literal(1)).select_from(other).where(other.c.email_normalized == after).exists()
        connection.execute(users.update().where(users.c[id_column] == id, ~taken).values(email_normalized=after))
