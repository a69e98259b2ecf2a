"""Codes that are sent to a user: within limits, and to nobody where nobody asked for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

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
from crossauth_backend.accounts.stages import Ask
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import normalize
from crossauth_backend.email_tokens.rules import address_of
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.keys.record import Key, get_json_data
from crossauth_backend.limits.rules import mailbox_of
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import is_address
from crossauth_backend.users.storage import SupportsSignupExpiry, or_none

# Marks a challenge whose code was sent to nobody, and may say why: `LIMITED` or `UNREACHABLE`.
UNSENT: Final = "unsent"
LIMITED: Final = "limited"
UNREACHABLE: Final = "unreachable"
UNREACHABLE_TEXT: Final = (
    "No code was sent: this account has no valid phone number or email address to send it to. Use a recovery code."
)
_UNUSABLE: Final = (ErrorCode.InvalidEmail, ErrorCode.InvalidPhoneNumber)
_RIGHT: Final = {
    ErrorCode.InvalidEmail: "Email address: enter one such as name@example.com, for login codes are sent there",
    ErrorCode.InvalidPhoneNumber: "Phone number: enter it with its country code, such as +441632960961, for login codes are "
    "sent there",
}
_SEPARATORS: Final = re.compile(r"[\s()./-]")


class Target(NamedTuple):
    """Where a code goes.

    Parameters:
        field: the field of the user that says so.
        limit: the limit that counts what goes there: every code has one, whatever the field is called.
        subject: what is counted under it.
    """

    field: str
    limit: str
    subject: str


def targets(factor: Authenticator, fields: Mapping[str, Any] | User) -> list[Target]:
    """Where the factor's code would go; empty where none is sent.

    Raises:
        CrossauthError: `InvalidEmail` or `InvalidPhoneNumber` where it cannot go anywhere.
    """
    if isinstance(factor, SentCodeAuthenticator):
        return [_target(factor, name, to) for name, to in factor.where_to(fields).items()]
    names = factor.user_fields() if factor.mfa_type() == "oob" else []
    return [_target(factor, name, str(fields.get(name))) for name in names if fields.get(name)]


def _target(factor: Authenticator, field: str, to: str) -> Target:
    if field == "email" or (field != "phone" and factor.mfa_channel() == "email"):
        return Target(field, "mail_target", mailbox_of(to))
    # Another spelling of a number is the same telephone.
    return Target(field, "sms_target", to if field == "phone" else _SEPARATORS.sub("", normalize(to)))


def is_reachable(factor: Authenticator, fields: Mapping[str, Any] | User) -> bool:
    """Whether the factor's codes can go anywhere; true of a factor that sends none."""
    try:
        targets(factor, fields)
    except CrossauthError as e:
        if e.code not in _UNUSABLE:
            raise
        return False
    return True


def check_reachable(accounts: Accounts, fields: Mapping[str, Any], current: User | None = None) -> None:
    """Refuse values that the second factor in `fields` could not send its codes to: their user could not log in any more.

    Parameters:
        accounts: the account services.
        fields: the user, as it is to be.
        current: the user as stored, if there is one. What stays as it is keeps nobody from changing something else.

    Raises:
        CrossauthError: `InvalidEmail` or `InvalidPhoneNumber`, naming the field and what would be right.
    """
    name = str(fields.get("factor2") or "")
    factor = accounts.factors.get(name)
    if not isinstance(factor, SentCodeAuthenticator) or (current is None and name not in accounts.allowed_factor2):
        return
    names = {"factor2", *factor.user_fields()}
    if "email" in names and not fields.get("email"):
        # Codes go to the username then.
        names.add("username")
    if current is not None and all((fields.get(name) or None) == (current.get(name) or None) for name in names):
        return
    try:
        targets(factor, fields)
    except CrossauthError as e:
        raise CrossauthError(e.code, _RIGHT[e.code]) if e.code in _UNUSABLE else e from e


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
        for target in to:
            await accounts.counted(origin, user, **{target.limit: target.subject})
    except CrossauthError as e:
        if e.code is not ErrorCode.TooManyAttempts:
            raise
        if user is not None and await _may_be_own(accounts, user, purpose, to, origin):
            return True
        if purpose != "signup" or not accounts.verify_email or all(target.limit != "mail_target" for target in to):
            raise
        return False
    return True


async def _may_be_own(accounts: Accounts, user: User, purpose: str, to: list[Target], origin: Origin) -> bool:
    """Whether a code goes to what is known to be the user's, or, for a number, may be.

    Strangers can reach the limit of a mailbox or a number; its owner is not to be kept from logging in by that. A number that was
    changed in a profile is not known to be the user's, so the codes of all logins that go there have a limit of their own. So
    have those to a mailbox that is not the account's `email`.
    """
    if purpose == "signup":
        return False
    unknown = [target.subject for target in to if target.field != "email"]
    if unknown:
        if purpose != "login":
            return False
        return all([await accounts.allowed(origin, user, sms_login_target=subject) for subject in unknown])
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
    else keep the owner from giving a recovery code. So it does where there is nothing that a code could be sent to.
    """
    try:
        return await secrets_if_reachable(accounts, factor, user, origin)
    except CrossauthError as e:
        if e.code is not ErrorCode.TooManyAttempts or not isinstance(factor, SentCodeAuthenticator):
            raise
        return {UNSENT: LIMITED}


async def secrets_if_reachable(
    accounts: Accounts, factor: Authenticator, user: User, origin: Origin = NOWHERE
) -> dict[str, Any]:
    """As `one_time_secrets`; where there is nothing that a code could be sent to, none is, and a recovery code is good.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    if not is_reachable(factor, user):
        return {UNSENT: UNREACHABLE}
    return await one_time_secrets(accounts, factor, user, origin)


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
    names = dict.fromkeys(("email", "phone", *factor.user_fields()))
    kept = {name: pending.secrets[name] for name in names if name in pending.secrets}
    return {**kept, "username": pending.username, "factor2": pending.factor2}


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
    user = None if pending.userid is None else await or_none(accounts.user(pending.userid))
    if pending.userid is not None and (user is None or not pending.rests_on(user)):
        if not is_quiet(accounts, key, pending):
            raise CrossauthError(ErrorCode.InvalidSession)
        user = None
    if pending.purpose in ("signup", "setup"):
        secrets = await _anew(accounts, factor, user, pending, origin)
    elif user is not None:
        if not is_reachable(factor, user):
            raise CrossauthError(ErrorCode.BadRequest, UNREACHABLE_TEXT)
        secrets = {**pending.secrets, **await one_time_secrets(accounts, factor, user, origin)}
        if HELD_REQUEST in secrets:
            secrets[HELD_REQUEST] = {**secrets[HELD_REQUEST], "unsent": False}
    else:
        raise CrossauthError(ErrorCode.Unauthorized)
    pending = renewed(pending, secrets)
    return pending, {name: seal(pending, accounts.ring)}


def is_quiet(accounts: Accounts, key: Key | None, pending: Pending) -> bool:
    """Whether answers must not say that a set-up is void because its sign-up was changed or deleted since.

    The name of the sign-up may be that of an account. Then there is no sign-up, nothing of it changes, and the set-up goes on for
    nobody to its end; so it does here. Whoever has proven a password or a mailbox in this session is told.

    Parameters:
        accounts: the account services.
        key: the session.
        pending: the set-up.
    """
    named = accounts.verify_email and is_address(pending.username)
    known = key is None or key.userid is not None or Ask.FACTOR2_CHANGE.value in get_json_data(key)
    return pending.purpose == "signup" and named and not known


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
    # What else a factor of the application's reads is the user's; where the code went is kept with the set-up.
    fields = {**({} if user is None else user.to_dict()), **shown_again(factor, pending)}
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
