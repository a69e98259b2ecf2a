"""Codes that are sent to a user: within limits, and to nobody where nobody asked for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from crossauth_backend.accounts.context import NOWHERE, Accounts, Origin
from crossauth_backend.accounts.pending import (
    HELD_REQUEST,
    LOOK_VISIT,
    PENDING,
    VISIT,
    Pending,
    read_pending,
    renewed,
    seal,
)
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import normalize
from crossauth_backend.email_tokens.rules import address_of
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.keys.record import Key
from crossauth_backend.limits.rules import mailbox_of
from crossauth_backend.users.record import User
from crossauth_backend.users.storage import SupportsSignupExpiry

# Marks a challenge whose code was sent to nobody.
UNSENT: Final = "unsent"
_LIMITS: Final = {"email": "mail_target", "phone": "sms_target"}


def targets(factor: Authenticator, fields: Mapping[str, Any] | User) -> dict[str, str]:
    """Where the factor's code would go, by the name of the limit that counts it; empty where none is sent.

    Raises:
        CrossauthError: `InvalidEmail` or `InvalidPhoneNumber` where it cannot go anywhere.
    """
    if not isinstance(factor, SentCodeAuthenticator):
        return {}
    where = factor.where_to(fields)
    return {_LIMITS[name]: mailbox_of(to) if name == "email" else to for name, to in where.items() if name in _LIMITS}


async def _count(
    accounts: Accounts, factor: Authenticator, user: User | None, fields: Mapping[str, Any] | User, purpose: str,
    origin: Origin,
) -> bool:  # fmt: skip
    """Count a code, once, for the account and by where it goes; every code that is sent passes here.

    A sign-up is counted by its name, so that one which makes no account counts like any other.

    Returns:
        Whether the code is to be sent. For a sign-up where addresses are verified, nothing may say that it is not: who has
        written to a mailbox how often depends on whether it has an account.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    if factor.mfa_type() != "oob":
        return True
    account = f"name {normalize(str(fields['username']))}" if purpose == "signup" else str(user.id if user else "")
    await accounts.counted(origin, user, code_account=account)
    to = targets(factor, fields)
    try:
        await accounts.counted(origin, user, **to)
    except CrossauthError as e:
        if e.code is not ErrorCode.TooManyAttempts:
            raise
        if user is not None and await _may_be_own(accounts, user, purpose, to, origin):
            return True
        if purpose != "signup" or not accounts.verify_email or "mail_target" not in to:
            raise
        return False
    return True


async def _may_be_own(accounts: Accounts, user: User, purpose: str, to: Mapping[str, str], origin: Origin) -> bool:
    """Whether a code goes to what is known to be the user's, or, for a number, may be.

    Strangers can reach the limit of a mailbox or a number; its owner is not to be kept from logging in by that. A number that was
    changed in a profile is not known to be the user's, so the codes of all logins that go there have a limit of their own.
    """
    if purpose == "signup":
        return False
    if "sms_target" in to:
        return purpose == "login" and await accounts.allowed(origin, user, sms_login_target=to["sms_target"])
    known = isinstance(accounts.users, SupportsSignupExpiry)
    return accounts.verify_email or user.email_verified_at is not None or (not known and purpose == "login")


async def one_time_secrets(
    accounts: Accounts, factor: Authenticator, user: User, origin: Origin = NOWHERE
) -> dict[str, Any]:
    """What the code of `user` will be compared with; a code that is sent is sent.

    Raises:
        CrossauthError: `TooManyAttempts`; `InvalidEmail` or `InvalidPhoneNumber`.
    """
    await _count(accounts, factor, user, user, "login", origin)
    return await factor.create_one_time_secrets(user)


async def login_secrets(
    accounts: Accounts, factor: Authenticator, user: User, origin: Origin = NOWHERE
) -> dict[str, Any]:
    """As `one_time_secrets`, for a login.

    Where the account has been sent as many codes as it may be, the login waits without one: whoever knows the password could
    else keep the owner from giving a recovery code.
    """
    try:
        return await one_time_secrets(accounts, factor, user, origin)
    except CrossauthError as e:
        if e.code is not ErrorCode.TooManyAttempts or not isinstance(factor, SentCodeAuthenticator):
            raise
        return {UNSENT: True}


async def prepare(
    accounts: Accounts, factor: Authenticator, user: User | None, fields: Mapping[str, Any], purpose: str,
    origin: Origin = NOWHERE,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """As `Authenticator.prepare_configuration`, within the limits of what is sent.

    In a sign-up no code goes to the address of somebody who has an account: the owner gets a note instead, and the answer is the
    same.

    Raises:
        CrossauthError: `TooManyAttempts`; `InvalidEmail` or `InvalidPhoneNumber`.
    """
    within = await _count(accounts, factor, user, fields, purpose, origin)
    address = await _known_address(accounts, factor, user, fields) if purpose == "signup" else None
    if not isinstance(factor, SentCodeAuthenticator) or (within and address is None):
        return await factor.prepare_configuration(fields) or {}
    if within and address is not None:
        accounts.need_emails().send_account_exists(address, counted=True)
    prepared = factor.prepare_unsent(fields)
    return {**prepared, "sessionData": {**prepared["sessionData"], UNSENT: True}}


def shown_again(factor: Authenticator, pending: Pending) -> dict[str, Any]:
    """What was shown when a code was sent, without sending another."""
    kept = {name: pending.secrets[name] for name in _LIMITS if name in pending.secrets}
    return {"username": pending.username, "factor2": pending.factor2, **kept}


async def resend(
    accounts: Accounts, key: Key | None, origin: Origin = NOWHERE, claims: Callable[[str], str | None] | None = None
) -> tuple[Pending, dict[str, Any]]:
    """Send a new code for what was asked for last in a session, and still waits: a login, a set-up or a request.

    Parameters:
        accounts: the account services.
        key: the session.
        origin: where the request comes from.
        claims: the claim of the browser to what waits under a name; where it is left out, any browser's counts.

    Returns:
        The challenge, which goes under a new name, and the session data to keep.

    Raises:
        CrossauthError: `Unauthorized` where nothing waits; `BadRequest` for a factor that sends nothing; `TooManyAttempts`;
            `Expired` and `InvalidSession` where what waits is no longer good.
    """
    name, pending = _newest(accounts, key, claims)
    factor = accounts.factors[pending.factor2]
    if factor.mfa_type() != "oob":
        raise CrossauthError(ErrorCode.BadRequest, "There is no code to send: your device makes it")
    if pending.is_expired(accounts.now):
        raise CrossauthError(ErrorCode.Expired, "This login took too long. Log in again.")
    user = None if pending.userid is None else await accounts.user(pending.userid)
    if user is not None and not pending.rests_on(user):
        raise CrossauthError(ErrorCode.InvalidSession)
    if pending.purpose in ("signup", "setup"):
        secrets = await _anew(accounts, factor, user, pending, origin)
    elif user is not None:
        secrets = {**pending.secrets, **await one_time_secrets(accounts, factor, user, origin)}
        if HELD_REQUEST in secrets:
            secrets[HELD_REQUEST] = {**secrets[HELD_REQUEST], "unsent": False}
    else:
        raise CrossauthError(ErrorCode.Unauthorized)
    pending = renewed(pending, secrets)
    return pending, {name: seal(pending, accounts.ring)}


def _newest(accounts: Accounts, key: Key | None, claims: Callable[[str], str | None] | None) -> tuple[str, Pending]:
    """What was asked for last and still waits, with its name; where nothing does, what was last given up."""
    found: list[tuple[str, Pending]] = []
    for name in (PENDING, VISIT, LOOK_VISIT):
        with suppress(CrossauthError):
            pending = read_pending(key, accounts.ring, name, "login", "signup", "setup", "visit")
            if claims is None or pending.is_claimed_by(claims(name)):
                found.append((name, pending))
    if not found:
        raise CrossauthError(ErrorCode.Unauthorized, "No second factor is being asked for")
    return max(found, key=lambda waiting: (not waiting[1].is_expired(accounts.now), waiting[1].begun))


async def _anew(
    accounts: Accounts, factor: Authenticator, user: User | None, pending: Pending, origin: Origin
) -> Mapping[str, Any]:
    fields = shown_again(factor, pending)
    if isinstance(factor, SentCodeAuthenticator):
        # Whether the address has an owner is judged again: it may have got one since.
        return (await prepare(accounts, factor, user, fields, pending.purpose, origin))["sessionData"]
    await _count(accounts, factor, user, fields, pending.purpose, origin)
    again = await factor.reprepare_configuration(pending.username, pending.secrets)
    new: Mapping[str, Any] = (again or {}).get("newSessionData", pending.secrets)
    return new


async def _known_address(
    accounts: Accounts, factor: Authenticator, user: User | None, fields: Mapping[str, Any]
) -> str | None:
    """Where the mail of the account goes that has the address to which the factor would send; `None` where none has."""
    if not accounts.verify_email or not isinstance(factor, SentCodeAuthenticator):
        return None
    to = factor.where_to(fields).get("email")
    owner = None if to is None else await accounts.need_emails().owner_of(to)
    return None if owner is None or (user is not None and owner.id == user.id) else address_of(owner)
