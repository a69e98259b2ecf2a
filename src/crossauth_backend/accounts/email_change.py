"""Proving an e-mail address: a new account's, or one that replaces another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossauth_backend.accounts.context import NOWHERE, Accounts, Origin
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState

_AFTER = {
    UserState.awaiting_email_verification: UserState.active,
    UserState.awaiting_two_factor_setup_and_email_verification: UserState.awaiting_two_factor_setup,
}


@dataclass(frozen=True, slots=True)
class Verified:
    """Whose address was proven, and whether the account waited for that."""

    user: User
    waited: bool


async def verify_email(accounts: Accounts, token: str, origin: Origin = NOWHERE) -> Verified:
    """Apply a token that came by e-mail.

    Raises:
        CrossauthError: `InvalidKey`, `Expired`, `TooManyAttempts`; `UserExists` where another account has the address by now.
    """
    async with accounts.limited(origin, None, token_credential=hash_token(token), token_address=origin.address):
        proven = await accounts.need_emails().take_email_verification_token(token)
        try:
            user = await accounts.user(proven.userid)
        except CrossauthError as e:
            raise CrossauthError(ErrorCode.InvalidKey) from e
    state = _AFTER.get(user.state, user.state)
    changes = {"state": state} if state != user.state else {}
    if proven.new_email:
        stored = await _change(accounts, user, {**changes, "email": proven.new_email})
        await (accounts.email_tokens or accounts.keys).delete_all_for_user(user.id, KeyPrefix.password_reset_token)
        accounts.events.tell(EventName.email_changed, user, address=origin.address)
        if user.email:
            accounts.need_emails().send_change_notice(user, user.email, changed=True)
    else:
        stored = await _change(accounts, user, changes)
        accounts.events.tell(EventName.email_verified, user, address=origin.address)
    return Verified(stored, waited=bool(changes))


async def _change(accounts: Accounts, user: User, changes: dict[str, Any]) -> User:
    """Only if the account still is as it was: an administrator's decision meanwhile is not undone."""
    return await accounts.replace(user, changes, refusal=ErrorCode.InvalidKey)


async def request_change(accounts: Accounts, user: User, new_email: str, origin: Origin = NOWHERE) -> None:
    """Send a link to the address that `user` wants, and a note to the one it would replace; nothing is changed yet.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    await accounts.limits.reserve({"verification_account": str(user.id)})
    emails = accounts.need_emails()
    emails.send_email_verification_token(user.id, new_email)
    if user.email:
        emails.send_change_notice(user, user.email, changed=False)
    accounts.events.tell(EventName.email_change_requested, user, address=origin.address)
