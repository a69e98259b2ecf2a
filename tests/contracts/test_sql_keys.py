"""The table of keys that an earlier version or the application made, brought up to date."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from crossauth_backend import CrossauthError, ErrorCode, SqlAlchemyKeyStorage, open_engine

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
BEFORE = sa.Table(
    "Key", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("value", sa.String(255), nullable=False, unique=True), sa.Column("userid", sa.Integer, index=True),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False), sa.Column("expires", sa.DateTime(timezone=True)),
    sa.Column("lastactive", sa.DateTime(timezone=True)), sa.Column("data", sa.Text, nullable=False),
)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.mark.parametrize("made_by", ["us", "the application"])
async def test_a_table_of_the_version_before_gets_its_columns(url: str, made_by: str) -> None:
    """And what is in it stays."""
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(BEFORE.metadata.create_all)
        await connection.execute(BEFORE.insert().values(value="s:1", userid=1, created=NOW, data="{}"))
        if made_by == "us":
            await connection.exec_driver_sql('CREATE TABLE "crossauth_Key_version" (version_num VARCHAR(32) NOT NULL)')
            await connection.exec_driver_sql("INSERT INTO \"crossauth_Key_version\" VALUES ('0001')")
    keys = SqlAlchemyKeyStorage(engine)
    await keys.start()
    assert (await keys.get_key("s:1")).stamp is None
    used = await keys.consume_key("s:1", NOW)
    assert used is not None
    assert used.first
    await keys.close()


async def test_without_migrate_the_start_says_which_columns_are_missing(url: str) -> None:
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(BEFORE.metadata.create_all)
    keys = SqlAlchemyKeyStorage(engine, {"migrate": False})
    with pytest.raises(CrossauthError, match=r"'Key' lacks the columns consumed, stamp.*storage\.migrate") as refused:
        await keys.start()
    assert refused.value.code is ErrorCode.Configuration
    await keys.migrate()
    await keys.start()
    await keys.close()
