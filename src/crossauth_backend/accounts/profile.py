"""Changing what is known of a user, and deleting an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from crossauth_backend.accounts.changes import check_still, replace_checked
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.email_change import forget_links, request_change
from crossauth_backend.accounts.forget import forget_user
from crossauth_backend.accounts.form_fields import refusal
from crossauth_backend.accounts.signup import checked_user
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.core.texts import mark
from crossauth_backend.core.values import differs
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.events.record import EventName
from crossauth_backend.users.record import User

_DERIVED = (
    "id", "username_normalized", "email_normalized", "security_stamp", "email_verified_at", "signup_expires",
)  # fmt: skip


class Updated(NamedTuple):
    """A changed user, and whether a link was sent to the address that is to be the new one."""

    user: User
    email_sent: bool = False


async def update_profile(
    accounts: Accounts, current: User, changed: User | Mapping[str, Any], origin: ClientInfo = UNKNOWN_CLIENT,
    skip_email_verification: bool = False,
) -> Updated:  # fmt: skip
    """Store the fields in which `changed` differs from `current`.

    Where addresses are proven, a new one is not stored yet: a link goes to it, and a note to the old one.

    Raises:
        CrossauthError: `FormEntry`, `InvalidEmail`, `UserExists`, `BadRequest` for a field the storage does not have;
            `InvalidSession` where the account was changed since `current` was read.
    """
    provided = changed.to_dict() if isinstance(changed, User) else dict(changed)
    unverified = accounts.verify_email and not skip_email_verification
    requested = await checked_user(accounts, current.to_dict() | provided, current, trusted=not unverified)
    fields = {n: v for n, v in requested.items() if n not in _DERIVED and differs(v, current.get(n))}
    new_email = None
    if unverified:
        if "username" in fields and contact_address(current) == current.username:
            raise refusal("username", mark("This username is an email address. You can't change it here."))
        if fields.get("email") and not same_mailbox(fields["email"], current.email or ""):
            new_email = fields.pop("email")
        elif "email" in fields and not fields["email"]:
            raise refusal("email", mark("Enter an email address"))
    if fields:
        current = await replace_checked(accounts, current, _keeping_verification(current, fields))
        accounts.events.emit(EventName.user_updated, current, address=origin.address)
    if "email" in fields:
        # Whoever reads the old mailbox must not be able to choose a new password, nor a link that waits to move the address.
        await forget_links(accounts, current)
    if new_email:
        await request_change(accounts, current, new_email, origin)
    return Updated(current, bool(new_email))


def _keeping_verification(current: User, fields: dict[str, Any]) -> dict[str, Any]:
    """`fields`, where another spelling of an address that is verified stays verified."""
    if fields.get("email") and current.email_verified_at and same_mailbox(fields["email"], current.email or ""):
        return {**fields, "email_verified_at": current.email_verified_at}
    return fields


async def delete_account(
    accounts: Accounts, user: User, origin: ClientInfo = UNKNOWN_CLIENT, actor: User | None = None
) -> None:
    """Delete the user, the secrets, and every key of the user: sessions, tokens, API keys.

    The application's hook `before_delete_user` is called first, to clear away what belongs to the user.

    Raises:
        CrossauthError: `ConstraintViolation` (409) where rows of the application's still refer to the user; `InvalidSession`,
            `UserNotActive` where the account of whoever asks was changed meanwhile. Nothing is deleted then.
        Exception: whatever the hook raises; nothing is deleted.
    """
    if accounts.before_delete_user is not None:
        await call_hook(accounts.before_delete_user, user)
    await check_still(accounts, actor or user)
    # The user goes first: a session whose user is gone signs nobody in, even if the second step is never reached.
    await accounts.users.delete_user_by_id(user.id)
    await forget_user(accounts, user.id)
    accounts.events.emit(EventName.user_deleted, user, address=origin.address, actor=actor)
