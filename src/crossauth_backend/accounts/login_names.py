"""Which account a login means: by its username, by its email address, or by either."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.text import normalize, normalize_address, same_mailbox
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User, UserAndSecrets
from crossauth_backend.users.rules import is_address
from crossauth_backend.users.states import UNFINISHED

LoginBy: TypeAlias = Literal["username", "email", "username_or_email"]
BY_USERNAME: Final[LoginBy] = "username"
BY_EMAIL: Final[LoginBy] = "email"


async def find_for_login(accounts: Accounts, typed: str) -> UserAndSecrets | None:
    """Return the account that is meant by what was typed; `None` where there is none.

    What could be an address is looked up as an address and as a username, whatever is found: the time says nothing. The address
    comes first, so that nobody can stand in somebody's way with a username that is the other's address.
    """
    if accounts.login_by == BY_USERNAME:
        return await or_none(accounts.users.get_user_by_username(typed, ANY_STATE))
    address = typed.strip()
    if not is_address(address):
        named = await or_none(accounts.users.get_user_by_username(typed, ANY_STATE))
        return None if accounts.login_by == BY_EMAIL else named
    addressed = await or_none(accounts.users.get_user_by_email(address, ANY_STATE))
    named = await or_none(accounts.users.get_user_by_username(typed, ANY_STATE))
    return addressed if addressed is not None and counts(accounts, addressed.user, address) else named


def counts(accounts: Accounts, user: User, address: str) -> bool:
    """Whether the email address of `user` is one to log in by: that of a finished account, verified where addresses are."""
    if user.state in UNFINISHED or not same_mailbox(contact_address(user) or "", address):
        return False
    known = isinstance(accounts.users, SupportsSignupExpiry)
    return not accounts.verify_email or not known or user.email_verified_at is not None


def counted_name(accounts: Accounts, typed: str) -> str:
    """Return what attempts to log in with a name are counted under: the same however the name of one account is written."""
    if accounts.normalize_username:
        return normalize(typed)
    # Addresses are compared without case and blanks around them, also where usernames are not.
    return normalize_address(typed) if accounts.login_by != BY_USERNAME and is_address(typed.strip()) else typed
