"""Where the codes that are sent to a user go, and how many are sent there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import normalize
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.limits.rules import mailbox_of
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.record import User

_UNUSABLE: Final = (ErrorCode.InvalidEmail, ErrorCode.InvalidPhoneNumber)
_RIGHT: Final = {
    ErrorCode.InvalidEmail: mark("Enter an email address such as name@example.com. We'll send login codes there."),
    ErrorCode.InvalidPhoneNumber: mark(
        "Enter a phone number with its country code, such as +441632960961. We'll send login codes there."
    ),
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


async def count(
    accounts: Accounts, factor: Authenticator, user: User | None, fields: Mapping[str, Any] | User, purpose: str,
    origin: ClientInfo,
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


async def _may_be_own(accounts: Accounts, user: User, purpose: str, to: list[Target], origin: ClientInfo) -> bool:
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
