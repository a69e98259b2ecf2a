"""What an API key may be, and whether it is good. Pure: records and a time in, a reason out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from crossauth_backend.api_keys.record import MAX_LIMIT, ApiKey
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.lookalikes import has_control_characters
from crossauth_backend.core.text import is_storable
from crossauth_backend.core.texts import mark
from crossauth_backend.limits.rules import Limit
from crossauth_backend.users.record import User
from crossauth_backend.users.states import refusal

MAX_NAME: Final = 100
MAX_SCOPES: Final = 100
MAX_DATA: Final = 16_384
# How many generations of a key may work at once: the newest, and those that were rotated and have time left.
MAX_GENERATIONS: Final = 5
# No key takes longer to be stored.
_MAKING: Final = timedelta(minutes=1)
# RFC 6749 §3.3
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")


def key_refusal(key: ApiKey, user: User | None, now: datetime, *, users_known: bool = True) -> ErrorCode | None:
    """Why `key` is refused, or `None` where it is good.

    A key ends at its expiry, at the end of the time it had left when it was rotated, and with its user; it is refused as long as
    its user's state is anything but active. A new password does not end it.

    Parameters:
        key: the key.
        user: whose it is; `None` where there is no such user.
        now: the time.
        users_known: whether users can be looked up at all.
    """
    if key.pending:
        return ErrorCode.InvalidKey
    expires, replaced = key.expires, key.replaced_until
    if (expires is not None and expires <= now) or (replaced is not None and replaced <= now):
        return ErrorCode.Expired
    if key.userid is None or not users_known:
        return None
    return ErrorCode.InvalidKey if user is None else refusal(user.state)


def missing_scopes(key: ApiKey, needed: Iterable[str]) -> list[str]:
    """Which of the scopes `needed` the key does not have."""
    return [scope for scope in needed if scope not in (key.scope or ())]


def checked_name(name: str) -> str:
    """`name`, if a key may have it.

    Raises:
        CrossauthError: `FormEntry`.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME or not is_storable(name) or has_control_characters(name):
        text = mark("Name the API key, in at most %(most)d characters, without line breaks", most=MAX_NAME)
        raise CrossauthError(ErrorCode.FormEntry, text, fields={"name": [text]})
    return name


def checked_scopes(scopes: Collection[str]) -> list[str]:
    """`scopes` without repetitions, if a key may have them.

    Raises:
        CrossauthError: `InvalidScope`.
    """
    if isinstance(scopes, str):
        raise CrossauthError(ErrorCode.InvalidScope, mark("The scopes of an API key are a list of names"))
    fits = len(scopes) <= MAX_SCOPES and all(isinstance(s, str) and _SCOPE.fullmatch(s) for s in scopes)
    if not fits:
        raise CrossauthError(
            ErrorCode.InvalidScope,
            mark(
                "An API key has at most %(most)d scopes, of printable ASCII characters without spaces, quotes and backslashes",
                most=MAX_SCOPES,
            ),
        )
    return list(dict.fromkeys(scopes))


def checked_limit(limit: Limit | tuple[int, int] | None) -> Limit | None:
    """A key's own limit: requests and seconds, both above 0.

    Raises:
        CrossauthError: `BadRequest`.
    """
    if limit is None:
        return None
    pair = (limit.attempts, limit.seconds) if isinstance(limit, Limit) else limit
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(type(n) is int and 0 < n <= MAX_LIMIT for n in pair)):
        raise CrossauthError(
            ErrorCode.BadRequest, mark("The limit of an API key is (requests, seconds), whole numbers above 0")
        )
    return Limit(*pair)


def is_current(key: ApiKey) -> bool:
    """Whether `key` is the newest generation, which can be rotated."""
    return key.replaced_until is None and not key.pending


def is_over(key: ApiKey, now: datetime) -> bool:
    """Whether the row of a key counts no more.

    One that was replaced counts a little longer than it works, for its successor is stored after that was decided. One that is
    still being made after so long never will be.
    """
    if key.replaced_until is not None:
        return key.replaced_until + _MAKING <= now
    return (key.expires is not None and key.expires <= now) or (key.pending and key.created + _MAKING <= now)


def count_keys(rows: Iterable[ApiKey], now: datetime) -> int:
    """How many keys there are in these rows, whatever the generations of each."""
    return len({key.id for key in rows if not is_over(key, now)})
