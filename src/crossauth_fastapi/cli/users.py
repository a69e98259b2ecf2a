"""`crossauth users`: the accounts of an application."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from crossauth_backend.accounts import admin, password
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.sessions import list_sessions
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState
from crossauth_fastapi.cli.output import AsJson, Refused, show, table
from crossauth_fastapi.cli.people import SHOWN, ById, Who, find, public
from crossauth_fastapi.cli.target import COMMAND_LINE, App, run_accounts

MOST: Final = 1000
users = typer.Typer(
    no_args_is_help=True, help="List, show, disable and enable accounts, and send password reset links."
)


@users.command("list")
def list_(
    app: App,
    search: Annotated[str, typer.Option(help="Only the user of exactly this username or email address.")] = "",
    skip: Annotated[int, typer.Option(min=0, help="How many to leave out at the start.")] = 0,
    take: Annotated[int, typer.Option(min=1, max=MOST, help="How many to print.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List accounts in the order of their ids."""

    async def act(accounts: Accounts) -> list[dict[str, Any]]:
        return [public(user) for user in await admin.find_users(accounts, search, skip, take)]

    rows = run_accounts(app, act)
    show(rows, as_json, table(rows, SHOWN) if rows else "No users found")


@users.command("show")
def show_(app: App, user: Who, by_id: ById = False, as_json: AsJson = False) -> None:
    """Show one account and how many sessions it has."""

    async def act(accounts: Accounts) -> dict[str, Any]:
        found = await find(accounts, user, by_id)
        return {**public(found), "sessions": len(await list_sessions(accounts, found, None))}

    told = run_accounts(app, act)
    show(told, as_json, [f"{name}: {'-' if value in (None, '') else value}" for name, value in told.items()])


@users.command("set-state")
def set_state(
    app: App, user: Who, state: Annotated[str, typer.Argument(help=f"One of {', '.join(admin.STATES)}.")],
    by_id: ById = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Set the state of an account and log it out everywhere.

    States that need a new password send a link to choose one, where password reset is enabled.
    """
    _change(app, user, by_id, state, as_json)


@users.command("disable")
def disable(app: App, user: Who, by_id: ById = False, as_json: AsJson = False) -> None:
    """Disable an account and log it out everywhere."""
    _change(app, user, by_id, UserState.disabled, as_json)


@users.command("enable")
def enable(app: App, user: Who, by_id: ById = False, as_json: AsJson = False) -> None:
    """Let a disabled account log in again."""
    _change(app, user, by_id, UserState.active, as_json)


@users.command("reset")
def reset(app: App, user: Who, by_id: ById = False, as_json: AsJson = False) -> None:
    """Send a link to choose a new password. The account stays as it is until the link is used."""

    async def act(accounts: Accounts) -> dict[str, Any]:
        found = await find(accounts, user, by_id)
        address = contact_address(found)
        if not accounts.reset_password:
            raise Refused("This application sends no reset links: set 'enable_password_reset' and a mail server")
        if address is None:
            raise Refused(f"{found.username} has no email address to send a link to")
        if found.state == UserState.disabled:
            raise Refused(f"{found.username} is disabled: enable the account first")
        await password.request_reset(accounts, address, COMMAND_LINE)
        return {**public(found), "sent_to": address}

    told = run_accounts(app, act)
    show(told, as_json, f"Sent a password reset link to {told['sent_to']}")


def _change(app: str, who: str, by_id: bool, state: str, as_json: bool) -> None:
    """Set the state of one user, as an administrator does."""

    async def act(accounts: Accounts) -> tuple[User, bool]:
        found = await find(accounts, who, by_id)
        if found.state == state:
            return found, False
        return await admin.update_user(accounts, None, found, {"state": state}, COMMAND_LINE)

    user, reset_sent = run_accounts(app, act)
    sent = "; sent a password reset link" if reset_sent else ""
    show({**public(user), "reset_sent": reset_sent}, as_json, f"{user.username} is {user.state}{sent}")
