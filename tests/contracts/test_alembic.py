"""An application's own Alembic in the same database: it leaves the library's tables alone, or makes them."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from crossauth_backend import (
    SqlAlchemyAuditStorage,
    SqlAlchemyIdentityStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    alembic_include_name,
    metadata,
    metadata_of,
    open_engine,
)
from crossauth_backend.core.clock import utc_now

ENV = """
import asyncio

from alembic import context

from crossauth_backend import alembic_include_name, alembic_include_object, open_engine

attributes = context.config.attributes


def migrate(connection):
    context.configure(connection=connection, target_metadata=attributes["target"], **attributes["options"])
    with context.begin_transaction():
        context.run_migrations()


async def run():
    engine = open_engine(attributes["url"])
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(run())
"""
SCRIPT = """
import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


class Alembic:
    """That of an application."""

    def __init__(self, folder: Path, url: str, target: sa.MetaData, **options: Any) -> None:
        self._folder = folder / "alembic"
        (self._folder / "versions").mkdir(parents=True)
        (self._folder / "env.py").write_text(ENV)
        (self._folder / "script.py.mako").write_text(SCRIPT)
        self._config = Config()
        self._config.set_main_option("script_location", str(self._folder))
        self._config.set_main_option("path_separator", "os")
        self._config.attributes.update(url=url, target=target, options=options)

    def propose(self, number: int) -> str:
        """`alembic revision --autogenerate`: what the new migration does; empty for nothing."""
        command.revision(self._config, autogenerate=True, rev_id=f"{number:04}")
        (found,) = self._folder.glob(f"versions/{number:04}*.py")
        written = found.read_text().partition("def upgrade():")[2]
        return written if "op." in written else ""

    def upgrade(self) -> None:
        """`alembic upgrade head`."""
        command.upgrade(self._config, "head")


def orders(users: sa.Table | None = None) -> sa.MetaData:
    """An application's tables, one of which refers to the library's users."""
    found = sa.MetaData()
    owner = []
    if users is not None:
        users.to_metadata(found)
        owner = [sa.ForeignKey("User.id", ondelete="CASCADE")]
    sa.Table("order", found, sa.Column("id", sa.Integer, primary_key=True), sa.Column("owner", sa.Integer, *owner))
    return found


async def start(url: str) -> None:
    """What an application's start does."""
    engine = open_engine(url)
    for storage in (SqlAlchemyUserStorage, SqlAlchemyKeyStorage, SqlAlchemyAuditStorage, SqlAlchemyIdentityStorage):
        made = storage(engine)
        await made.start()
    await SqlAlchemyKeyStorage(engine, {"key_table": "app_keys"}).start()
    await engine.dispose()


@pytest.mark.parametrize("option", ["include_object", "include_name"])
def test_autogenerate_drops_nothing_of_ours(tmp_path: Path, url: str, option: str) -> None:
    """Nor does it find anything to change, before and after the first start; without the filter it would drop it all."""
    import asyncio

    import crossauth_backend

    theirs = Alembic(tmp_path, url, orders(), **{option: getattr(crossauth_backend, f"alembic_{option}")})
    assert "create_table('order'" in theirs.propose(1)
    theirs.upgrade()
    asyncio.run(start(url))
    assert theirs.propose(2) == ""
    theirs.upgrade()
    without = Alembic(tmp_path / "without", url, orders(), version_table="other")
    dropped = without.propose(1)
    assert all(
        f"drop_table('{name}')" in dropped
        for name in ("User", "UserSecrets", "Key", "app_keys", "CrossauthAudit", "CrossauthIdentity")
    )


def test_a_table_of_the_applications_may_be_called_as_one_of_ours(tmp_path: Path, url: str) -> None:
    """And Alembic goes on with it: what is in the application's own `MetaData` is its own."""
    from crossauth_backend import alembic_include_object

    def tables(*columns: sa.Column[Any]) -> sa.MetaData:
        found = sa.MetaData()
        sa.Table("Key", found, sa.Column("id", sa.Integer, primary_key=True), *columns)
        return found

    first = Alembic(tmp_path, url, tables(), include_object=alembic_include_object)
    assert "create_table('Key'" in first.propose(1)
    first.upgrade()
    second = Alembic(
        tmp_path / "more", url, tables(sa.Column("more", sa.Text)), include_object=alembic_include_object,
        version_table="other",
    )  # fmt: skip
    assert "add_column('Key'" in second.propose(2)
    assert not alembic_include_name("Key", "table", {})
    assert alembic_include_name("Keys", "table", {})


def test_an_application_can_refer_to_our_users(tmp_path: Path, url: str) -> None:
    """By putting our table into its own `MetaData`."""
    import asyncio

    from crossauth_backend import alembic_include_object

    asyncio.run(start(url))
    theirs = Alembic(tmp_path, url, orders(metadata.tables["User"]), include_object=alembic_include_object)
    proposed = theirs.propose(1)
    assert "drop" not in proposed
    assert proposed.count("create_table") == 1
    theirs.upgrade()
    assert theirs.propose(2) == ""

    async def leave() -> int | None:
        engine = open_engine(url)
        users = SqlAlchemyUserStorage(engine)
        made = await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"})
        order = sa.table("order", sa.column("owner"))
        async with engine.begin() as connection:
            await connection.execute(order.insert().values(owner=made.id))
        await users.delete_user_by_id(made.id)
        async with engine.begin() as connection:
            left = (await connection.execute(sa.select(sa.func.count()).select_from(order))).scalar()
        await users.close()
        return left

    assert asyncio.run(leave()) == 0


def test_the_applications_alembic_can_own_our_tables(tmp_path: Path, url: str) -> None:
    """With `migrate` off everywhere; both from the defaults and from storages with names of their own."""
    import asyncio

    engine = open_engine(url)
    off: Any = {"migrate": False}
    users = SqlAlchemyUserStorage(engine, off)
    keys = SqlAlchemyKeyStorage(engine, {"key_table": "keys", **off})
    audit = SqlAlchemyAuditStorage(engine, off)
    identities = SqlAlchemyIdentityStorage(engine, off)
    theirs = Alembic(tmp_path, url, metadata_of(users, keys, audit, identities))
    proposed = theirs.propose(1)
    theirs.upgrade()
    assert proposed.count("create_table") == 5
    assert theirs.propose(2) == ""

    async def use() -> None:
        made = await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"})
        await keys.save_key(made.id, "s:1", utc_now())
        assert await audit.latest() == []
        assert await identities.link("https://issuer.example", "alice", made.id)
        for storage in (users, keys, audit, identities):
            await storage.close()

    asyncio.run(use())
    assert set(metadata.tables) == {"User", "UserSecrets", "Key", "CrossauthAudit", "CrossauthIdentity"}
