"""Finding a user, and what is printed of one."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from crossauth_backend.accounts.admin import find_users
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User, UserId
from crossauth_fastapi.cli.output import Refused

Who = Annotated[str, typer.Argument(metavar="USER", help="Username or email address; with --id the id.")]
ById = Annotated[bool, typer.Option("--id", help="USER is the id of the account.")]
# An application's other columns may hold what is nobody's to read, such as a hash.
SHOWN: Final = ("id", "username", "email", "state", "factor1", "factor2", "admin")


async def find(accounts: Accounts, who: str, by_id: bool) -> User:
    """The one user of this username or email address.

    Parameters:
        accounts: the account services.
        who: what was typed.
        by_id: whether that is an id.

    Raises:
        Refused: there is none, or there are two.
    """
    if by_id:
        number = int(who) if who.isascii() and who.isdecimal() and len(who) < 19 else None
        tried: list[UserId] = [who] if number is None else [number, who]
        found = [user for id in tried if (user := await or_none(accounts.user(id))) is not None][:1]
    else:
        found = await find_users(accounts, who, 0, 2)
    if len(found) == 1:
        return found[0]
    if found:
        ids = " and ".join(str(user.id) for user in found)
        raise Refused(f"{who!r} is the name of one user and the email address of another: use --id with {ids}")
    raise Refused(f"There is no user {who!r}")


def public(user: User) -> dict[str, Any]:
    """What commands print of a user: the documented fields."""
    return {name: user.get(name) for name in SHOWN}
