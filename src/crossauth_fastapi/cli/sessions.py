"""`crossauth sessions`: where a user is logged in."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.sessions import end_other_sessions, end_session, list_sessions
from crossauth_fastapi.cli.output import TAKES_IDS, AsJson, Refused, show, table
from crossauth_fastapi.cli.people import ById, Who, find
from crossauth_fastapi.cli.target import COMMAND_LINE, App, run_accounts

COLUMNS: Final = ("handle", "created", "last_active", "browser", "address")
sessions = typer.Typer(
    no_args_is_help=True, help="List and revoke the sessions of a user, by handles that cannot be used as a cookie."
)


@sessions.command("list")
def list_(app: App, user: Who, by_id: ById = False, as_json: AsJson = False) -> None:
    """List where a user is logged in, the latest used session first."""

    async def act(accounts: Accounts) -> list[dict[str, Any]]:
        found = await list_sessions(accounts, await find(accounts, user, by_id), None)
        return [{name: getattr(session, name) for name in COLUMNS} for session in found]

    rows = run_accounts(app, act)
    show(rows, as_json, table(rows, COLUMNS) if rows else "No sessions")


@sessions.command("revoke", context_settings=TAKES_IDS)
def revoke(
    app: App, user: Who,
    handle: Annotated[str | None, typer.Argument(help="The session's handle in the list.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Revoke every session of the user.")] = False,
    by_id: ById = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Revoke one session of a user, or all of them with --all."""
    if every == (handle is not None):
        raise typer.BadParameter("give either a handle from 'crossauth sessions list' or --all")

    async def act(accounts: Accounts) -> int:
        found = await find(accounts, user, by_id)
        there = await list_sessions(accounts, found, None)
        if handle is None:
            await end_other_sessions(accounts, found, None, COMMAND_LINE)
            return len(there)
        matching = [session.handle for session in there if session.handle == handle]
        if not matching:
            raise Refused("There is no such session; it may have ended already")
        await end_session(accounts, found, handle, COMMAND_LINE)
        return 1

    revoked = run_accounts(app, act)
    show({"revoked": revoked}, as_json, f"Revoked {revoked} session{'' if revoked == 1 else 's'}")
