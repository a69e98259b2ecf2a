"""Codes that are sent: what they are compared with, and the limits within which they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crossauth_backend.accounts.code_targets import count, is_reachable
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import masked
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.users.record import User

# Marks a challenge whose code was sent to nobody, and may say why: `LIMITED` or `UNREACHABLE`.
UNSENT: Final = "unsent"
LIMITED: Final = "limited"
UNREACHABLE: Final = "unreachable"
# Seconds after which a page suggests to send a code again.
RESEND_AFTER: Final = 30
# When a code was sent, and where to.
_SENT: Final = "sent"
UNREACHABLE_TEXT: Final = mark(
    "We couldn't send a code: this account has no valid phone number or email address. Use a recovery code."
)


async def one_time_secrets(
    accounts: Accounts, factor: Authenticator, user: User, origin: ClientInfo = UNKNOWN_CLIENT
) -> dict[str, Any]:
    """What the code of `user` will be compared with; a code that is sent is sent.

    Raises:
        CrossauthError: `TooManyAttempts`; `InvalidEmail` or `InvalidPhoneNumber`.
    """
    await count(accounts, factor, user, user, "login", origin)
    secrets = await factor.create_one_time_secrets(user)
    return {**secrets, **note_of_sending(accounts, factor, user)}


def note_of_sending(accounts: Accounts, factor: Authenticator, fields: Mapping[str, Any] | User) -> dict[str, Any]:
    """Return what is kept beside a code that was sent, for `sent_to` and `seconds_to_resend`; nothing for a factor that sends
    none.
    """
    if factor.mfa_type() != "oob":
        return {}
    to = next(iter(factor.where_to(fields).values()), "") if isinstance(factor, SentCodeAuthenticator) else ""
    return {_SENT: {"at": int(accounts.now.timestamp()), "to": masked(to) if to else ""}}


def sent_to(secrets: Mapping[str, Any]) -> str:
    """Return where the code of a challenge went, masked; empty where that is not known."""
    note = secrets.get(_SENT)
    return str(note.get("to", "")) if isinstance(note, Mapping) else ""


def seconds_to_resend(secrets: Mapping[str, Any], now: datetime) -> int:
    """Return how long the user of a challenge should wait for the code before asking for another; 0 where they need not.

    Asking sooner is not refused: how many codes are sent is for the limits to say.
    """
    note = secrets.get(_SENT)
    sent = note.get("at") if isinstance(note, Mapping) else None
    if not isinstance(sent, int):
        return 0
    return min(max(sent + RESEND_AFTER - int(now.timestamp()), 0), RESEND_AFTER)


async def login_secrets(
    accounts: Accounts, factor: Authenticator, user: User, origin: ClientInfo = UNKNOWN_CLIENT
) -> dict[str, Any]:
    """As `one_time_secrets`, for a login with a factor that sends its codes.

    Where the account has been sent as many codes as it may be, the login waits without one: whoever knows the password could
    else keep the owner from giving a recovery code. So it does where there is nothing that a code could be sent to.
    """
    try:
        return await secrets_if_reachable(accounts, factor, user, origin)
    except CrossauthError as e:
        if e.code is not ErrorCode.TooManyAttempts or not isinstance(factor, SentCodeAuthenticator):
            raise
        return {UNSENT: LIMITED}


async def secrets_if_reachable(
    accounts: Accounts, factor: Authenticator, user: User, origin: ClientInfo = UNKNOWN_CLIENT
) -> dict[str, Any]:
    """As `one_time_secrets`; where there is nothing that a code could be sent to, none is, and a recovery code is good.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    if not is_reachable(factor, user):
        return {UNSENT: UNREACHABLE}
    return await one_time_secrets(accounts, factor, user, origin)
