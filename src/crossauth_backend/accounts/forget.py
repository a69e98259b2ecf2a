"""What goes with a user who is gone."""

from __future__ import annotations

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.users.record import UserId


async def forget_user(accounts: Accounts, userid: UserId) -> None:
    """Throw away what is kept of a user who is gone: every key, such as sessions, tokens, API keys, and accounts at providers."""
    for keys in {id(s): s for s in (accounts.keys, accounts.email_tokens or accounts.keys)}.values():
        await keys.delete_all_for_user(userid, "")
    for identities in accounts.identities:
        await identities.delete_all_for_user(userid)
