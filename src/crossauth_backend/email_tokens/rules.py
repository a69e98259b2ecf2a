"""What a token by e-mail is, and when it is good. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.keys.record import Key, KeyPrefix, get_json_data
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.rules import valid_email

TOKEN_BYTES: Final = 32
MAX_TOKEN: Final = 200


@dataclass(frozen=True, slots=True)
class EmailToken:
    """What a token was made for: a user, the address it was sent to, and whether that address is new."""

    userid: UserId
    sent_to: str
    new_email: str = ""


def stored_value(prefix: str, token: str) -> str:
    """Under what a token is stored.

    Raises:
        CrossauthError: `InvalidKey` for what can be no token.
    """
    if not token or len(token) > MAX_TOKEN:
        raise CrossauthError(ErrorCode.InvalidKey)
    return prefix + hash_token(token)


def encode(token: EmailToken) -> str:
    """The data of the key."""
    return json.dumps({"sent_to": token.sent_to, "new_email": token.new_email})


def decode(key: Key, now: datetime) -> EmailToken:
    """What a stored token was made for.

    Raises:
        CrossauthError: `Expired`; `InvalidKey` for one that belongs to nobody.
    """
    if key.userid is None:
        raise CrossauthError(ErrorCode.InvalidKey)
    if key.expires is not None and key.expires <= now:
        raise CrossauthError(ErrorCode.Expired, "The link has expired")
    data = json.loads(key.data or "{}")
    return EmailToken(key.userid, str(data.get("sent_to", "")), str(data.get("new_email", "")))


def moves_address(key: Key) -> bool:
    """Whether a stored key is one that would give its user another address."""
    return key.value.startswith(KeyPrefix.email_verification_token) and bool(get_json_data(key).get("new_email"))


def check_still_his(token: EmailToken, user: User) -> None:
    """Refuse a token that was sent to an address the user no longer has: whoever reads that mailbox is somebody else now.

    Raises:
        CrossauthError: `InvalidKey`.
    """
    if not same_mailbox(token.sent_to, address_of(user) or ""):
        raise CrossauthError(ErrorCode.InvalidKey)


def address_of(user: User) -> str | None:
    """Where mail for `user` goes: the e-mail address, else a username that is one."""
    if user.email:
        return user.email
    try:
        return valid_email(user.username)
    except CrossauthError:
        return None
