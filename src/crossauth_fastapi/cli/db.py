"""`crossauth db`: the tables of an application's storages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final, Protocol, runtime_checkable

import typer

from crossauth_backend.keys.storage import SupportsLifecycle
from crossauth_fastapi._middleware.order import servers_on
from crossauth_fastapi.cli.output import AsJson, Exit, Refused, show, table
from crossauth_fastapi.cli.target import App, load_server, run
from crossauth_fastapi.fastapiserver import FastApiServer

COLUMNS: Final = ("storage", "table", "current", "head", "state")
db = typer.Typer(no_args_is_help=True, help="Show, check and upgrade the database schema of every storage.")


@runtime_checkable
class SupportsMigration(SupportsLifecycle, Protocol):
    """A storage with tables in a database."""

    async def migrate(self) -> None:
        """Create and upgrade the tables now."""
        ...


@db.command("current")
def current(app: App, as_json: AsJson = False) -> None:
    """Show the version of each storage's tables, without changing anything."""
    rows = _with_storages(app, _versions)
    show(rows, as_json, table(rows, COLUMNS))


@db.command("check")
def check(app: App, as_json: AsJson = False) -> None:
    """Check that the tables are up to date; exit with 1 where they are not. Nothing is changed."""
    rows = _with_storages(app, _versions)
    behind = [row for row in rows if row["state"] == "behind"]
    problems = [text for row in behind for text in row["missing"]]
    last = "Run: crossauth db upgrade " + app if behind else "Up to date"
    show({"up_to_date": not behind, "storages": rows}, as_json, [*table(rows, COLUMNS), *problems, last])
    if behind:
        raise typer.Exit(Exit.found)


@db.command("upgrade")
def upgrade(app: App, as_json: AsJson = False) -> None:
    """Create and upgrade the tables, whatever the option 'migrate' of the storages says. Safe to run twice."""

    async def act(storages: list[SupportsMigration]) -> list[dict[str, Any]]:
        for storage in storages:
            await storage.migrate()
        return await _versions(storages)

    rows = _with_storages(app, act)
    show(rows, as_json, table(rows, COLUMNS))


def _with_storages(app: str, act: Callable[[list[SupportsMigration]], Awaitable[list[dict[str, Any]]]]) -> Any:
    """What `act` makes of the storages of an application that have tables. The application itself is not started."""
    storages = storages_of(load_server(app))
    if not storages:
        raise Refused(f"{app} keeps nothing in a database of SQLAlchemy, so there is nothing to upgrade")

    async def inner() -> list[dict[str, Any]]:
        try:
            return await act(storages)
        finally:
            for storage in reversed(storages):
                await storage.close()

    return run(inner())


def storages_of(server: FastApiServer) -> list[SupportsMigration]:
    """The storages of every server on an application that have tables, in the order in which they are opened."""
    return [part for part in servers_on(server.app).lifecycle.parts if isinstance(part, SupportsMigration)]


async def _versions(storages: list[SupportsMigration]) -> list[dict[str, Any]]:
    from crossauth_backend.storages.sqlalchemy.versions import schema_versions

    found = [(storage, one) for storage in storages for one in await schema_versions(storage)]
    return [
        {"storage": type(storage).__name__, **asdict(one), "state": "behind" if one.is_behind else "up to date"}
        for storage, one in found
    ]
