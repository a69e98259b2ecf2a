"""What a token by email is, and when it is good. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.core.texts import mark
from crossauth_backend.delivery.lines import one_line
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.users.credentials import credential_stamp
from crossauth_backend.users.record import User, UserAndSecrets, UserId
from crossauth_backend.users.rules import is_address, name_for_strangers, valid_email
from crossauth_backend.users.stamp import same_stamp
from crossauth_backend.users.states import UNFINISHED, UserState

TOKEN_BYTES: Final = 32
MAX_TOKEN: Final = 200
BAD_LINK: Final = mark("This link is invalid or has already been used")
EXPIRED_LINK: Final = mark("This link has expired")
# Of a name in a mail.
MAX_SHOWN: Final = 100
RESETTABLE: Final = (
    UserState.active,
    UserState.password_reset_needed,
    UserState.password_and_factor2_reset_needed,
)


@dataclass(frozen=True, slots=True)
class EmailToken:
    """What a token was made for.

    Parameters:
        userid: whose it is.
        sent_to: the address it was sent to.
        new_email: the same, where it would replace the user's address.
        stamp: the user's security stamp when it was made; the token is void when the user has another one.
    """

    userid: UserId
    sent_to: str
    new_email: str = ""
    stamp: str = ""


def stored_value(prefix: str, token: str) -> str:
    """Under what a token is stored.

    Raises:
        CrossauthError: `InvalidKey` for what can be no token.
    """
    if not token or len(token) > MAX_TOKEN:
        raise CrossauthError(ErrorCode.InvalidKey, BAD_LINK)
    return prefix + hash_token(token)


def encode(token: EmailToken) -> str:
    """The data of the key."""
    return json.dumps({"sent_to": token.sent_to, "new_email": token.new_email, "stamp": token.stamp})


def has_expired(key: Key, now: datetime) -> bool:
    """Whether a token's time is up."""
    return key.expires is not None and key.expires <= now


def decode(key: Key) -> EmailToken:
    """What a stored token was made for, whether or not its time is up.

    Raises:
        CrossauthError: `InvalidKey` for one that belongs to nobody.
    """
    if key.userid is None:
        raise CrossauthError(ErrorCode.InvalidKey, BAD_LINK)
    data = json.loads(key.data or "{}")
    return EmailToken(key.userid, *(str(data.get(name, "")) for name in ("sent_to", "new_email", "stamp")))


def is_email_change(key: Key) -> bool:
    """Whether a stored key is one that would give its user another address."""
    return key.value.startswith(KeyPrefix.email_verification_token) and bool(get_json_data(key).get("new_email"))


def is_void(token: EmailToken, found: UserAndSecrets, credentials: Sequence[str]) -> bool:
    """Whether password, second factor, state, username, address or another of the fields `credentials` have changed since the
    token was made."""
    return not same_stamp(token.stamp, credential_stamp(found, credentials))


def is_verified(token: EmailToken, user: User) -> bool:
    """Whether the address that a token was sent to is the user's, of an account that no longer waits for it."""
    return user.state not in UNFINISHED and same_mailbox(token.sent_to, contact_address(user) or "")


def is_named_for_mailbox(user: User) -> bool:
    """Whether `user` is a sign-up that is not finished and whose name is its address: the name is the mailbox's owner's."""
    return user.state in UNFINISHED and is_named_for_address(user)


def is_named_for_address(user: User) -> bool:
    """Whether the username is the user's email address. It changes with it then: left behind, it would keep the next owner of the
    mailbox from signing up."""
    return is_address(user.username) and same_mailbox(user.username, contact_address(user) or "")


def can_reset(user: User) -> bool:
    """Whether a user may choose a new password by mail.

    So may whoever owns the mailbox for which an unfinished sign-up is named: anybody could have begun it.
    """
    return user.state in RESETTABLE or is_named_for_mailbox(user)


def is_verified_address(user: User, to: str) -> bool:
    """Whether an address is verified as the user's."""
    return user.email_verified_at is not None and same_mailbox(user.email or "", to)


def name_in_mail(user: User, to: str) -> str:
    """What mail to an address may call the user: the username where the address is verified as the user's. Otherwise somebody
    else may read it, and it is said only where it carries nothing; else it is empty."""
    if is_verified_address(user, to):
        return one_line(user.username, MAX_SHOWN)
    return name_for_strangers(user.username)


def contact_address(user: User) -> str | None:
    """Where mail for `user` goes: the email address, else a username that is one."""
    if user.email:
        return user.email
    try:
        return valid_email(user.username)
    except CrossauthError:
        return None
