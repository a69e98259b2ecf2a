"""One stored key of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from crossauth_backend.core.records import ItemReads
from crossauth_backend.users.record import UserId


class KeyPrefix:
    """What kind of key a stored value is; the value is the prefix and a hash."""

    session: Final = "s:"
    password_reset_token: Final = "p:"
    email_verification_token: Final = "e:"
    api_key: Final = "api:"
    authorization_code: Final = "authz:"
    access_token: Final = "access:"
    refresh_token: Final = "refresh:"
    mfa_token: Final = "omfa:"
    device_code: Final = "dc:"
    user_code: Final = "uc:"
    trusted_device: Final = "kd:"
    recovery_code: Final = "rc:"
    oauth_link: Final = "ol:"
    grant: Final = "grant:"
    authorization_request: Final = "areq:"
    oauth_access_token: Final = "oat:"
    own_password: Final = "pw:"
    provider_logout: Final = "plo:"
    consumed: Final = "spent:"
    counter: Final = "n:"
    message: Final = "mail:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(ItemReads):
    """A stored key.

    `value` is prefix and hash, never what the client holds. `data` is JSON text (for email tokens, plain text).
    `consumed` is when a single-use key was used: what is left is a tombstone. `stamp` is the security stamp of the user's that
    the key rests on. `extra` holds further columns of the application's table.
    """

    value: str = field(repr=False)
    created: datetime
    expires: datetime | None = None
    userid: UserId | None = None
    lastactive: datetime | None = None
    data: str = field(default="", repr=False)
    consumed: datetime | None = None
    stamp: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Consumed:
    """A single-use key that was presented.

    Parameters:
        key: the key; its `consumed` says when it was used first.
        first: whether that was now. If not, it is a replay.
    """

    key: Key
    first: bool
