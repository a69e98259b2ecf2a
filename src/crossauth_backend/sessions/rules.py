"""Whether a session is still good. Pure: records and a time in, a reason out."""

from __future__ import annotations

from datetime import datetime, timedelta

from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User
from crossauth_backend.users.stamp import same_stamp
from crossauth_backend.users.states import refusal


def session_refusal(key: Key, user: User | None, now: datetime, idle: timedelta | None) -> ErrorCode | None:
    """Why `key` signs nobody in, or `None` where it is good.

    A session ends at its `expires`, after `idle` without a request (sessions of users only), with its user, as soon as its
    user's state is anything but active, and as soon as its user's security stamp is another than the one that the key records.
    """
    if key.expires is not None and key.expires <= now:
        return ErrorCode.Expired
    if key.userid is None:
        return None
    if idle is not None and (key.lastactive or key.created) + idle <= now:
        return ErrorCode.Expired
    if user is None:
        return ErrorCode.InvalidSession
    return refusal(user.state) or (None if same_stamp(key.stamp, user.security_stamp) else ErrorCode.InvalidSession)
