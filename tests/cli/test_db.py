"""`crossauth db`: on SQLite and on PostgreSQL."""

import json
import secrets
from pathlib import Path

import pytest
import sqlalchemy as sa

from crossauth_backend import open_engine
from tests.cli.support import invoke, unwrapped


async def statement(url: str, text: str) -> None:
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.execute(sa.text(text))
    await engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, shop: Path) -> str:
    """The URL of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{shop}/{secrets.token_hex(4)}.db"
    url: str = request.getfixturevalue("postgres").create_database()
    return url


async def test_an_empty_database_is_behind_and_is_upgraded(shop: Path, database: str) -> None:
    def run(*arguments: str, **variables: str) -> tuple[int, str]:
        done = invoke(shop, "db", *arguments, DATABASE_URL=database, **variables)
        return done.exit_code, done.stdout

    code, text = run("current", "shop")
    assert (code, text.count("behind")) == (0, 3), text
    code, text = run("check", "shop")
    assert code == 1
    assert "Table 'User' does not exist" in text
    assert text.endswith("Run: crossauth db upgrade shop\n")
    # Also where the application is not to do it by itself.
    code, text = run("upgrade", "shop:app", MIGRATE="no")
    assert (code, text.count("up to date")) == (0, 3), text
    assert run("check", "shop")[0] == 0
    told = json.loads(run("check", "shop", "--json")[1])
    assert told["up_to_date"] is True
    assert {one["kind"] for one in told["storages"]} == {"users", "keys", "audit"}
    assert all(one["current"] == one["head"] and one["missing"] == [] for one in told["storages"])
    assert run("upgrade", "shop")[0] == 0


async def test_an_older_version_and_a_missing_column_are_behind(shop: Path, database: str) -> None:
    assert invoke(shop, "db", "upgrade", "shop", DATABASE_URL=database).exit_code == 0
    await statement(database, "UPDATE \"crossauth_UserSecrets_version\" SET version_num = '0002'")
    await statement(database, 'ALTER TABLE "CrossauthAudit" DROP COLUMN client')
    done = invoke(shop, "db", "check", "shop", "--json", DATABASE_URL=database)
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    behind = {one["kind"]: one["missing"] for one in told["storages"] if one["state"] == "behind"}
    assert behind == {"users": [], "audit": ["Table 'CrossauthAudit' lacks the columns client"]}
    # Looking changed nothing.
    again = json.loads(invoke(shop, "db", "current", "shop", "--json", DATABASE_URL=database).stdout)
    assert {one["kind"] for one in again if one["state"] == "behind"} == {"users", "audit"}


def test_a_database_that_is_away_is_said(shop: Path) -> None:
    url = "postgresql://nobody:hunter2hunter2@127.0.0.1:1/none"
    for command in ("current", "check", "upgrade"):
        done = invoke(shop, "db", command, "shop", DATABASE_URL=url)
        assert done.exit_code == 2
        assert done.stdout == ""
        assert "cannot be reached" in unwrapped(done.stderr)
        assert "hunter2" not in done.output


def test_nothing_to_upgrade(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("from crossauth_fastapi import FastApiServer\nserver = FastApiServer({}, {})")
    done = invoke(tmp_path, "db", "check", "bare")
    assert done.exit_code == 2
    assert "nothing to upgrade" in unwrapped(done.stderr)
