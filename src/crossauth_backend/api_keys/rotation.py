"""Giving a key another text, while the old one works a little longer.

The old row says until when it works. Setting that is one compare-and-set write, which decides between rotations at the same time.
The new row is stored after it, and is worth nothing until the old one was seen to be still there: otherwise somebody has revoked
the key meanwhile, or deleted the account. Whoever revokes looks again after deleting. So in whatever order the steps of the two
meet, the key ends.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from crossauth_backend.api_keys.record import ApiKey, KeyReturn, with_data
from crossauth_backend.api_keys.rows import TRIES, ApiKeyRows, RequestedBy, changed_meanwhile, newest_of, no_such_key
from crossauth_backend.api_keys.rules import MAX_GENERATIONS
from crossauth_backend.api_keys.token import hint_of, new_token, stored
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.users.record import UserId

logger = logging.getLogger("crossauth.api_keys")


async def rotate(rows: ApiKeyRows, userid: UserId | None, id: str, overlap: timedelta, by: RequestedBy) -> KeyReturn:
    """Rotate a key; see `ApiKeyManager.rotate_key`."""
    now = rows.clock()
    old = await _replaceable(rows, userid, id, now)
    until = min(now + overlap, old.expires) if old.expires is not None else now + overlap
    old, replaced = await _replace(rows, old, until)
    token = new_token(rows.settings.token_prefix, rows.settings.key_length)
    new = _successor(rows, old, token, now)
    try:
        async with rows.added(new):
            if await rows.storage.find_key(old.value) is None:
                raise no_such_key()
            await rows.check_still(new, by)
    except BaseException:
        await rows.storage.swap_data(old.value, replaced.data, old.data)
        raise
    try:
        # For those who throw away what has expired. Whether the old text works was decided above.
        await rows.storage.update_key({"value": old.value, "expires": until})
    except CrossauthError as e:
        # The new text must reach its owner all the same.
        logger.warning("the row of a rotated API key does not say when it ends: %s", e.detail or e.message)
    return KeyReturn(new, token)


async def _replaceable(rows: ApiKeyRows, userid: UserId | None, id: str, now: datetime) -> ApiKey:
    family = await rows.family(userid, id)
    old = newest_of(family)
    if old.ends is not None and old.ends <= now:
        raise CrossauthError(ErrorCode.Expired)
    alive = [key.ends for key in family if key.ends is not None and key.ends > now and key is not old]
    if len(alive) >= MAX_GENERATIONS - 1:
        wait = int((min(alive) - now).total_seconds()) + 1
        raise CrossauthError(
            ErrorCode.TooManyAttempts,
            mark("This API key was rotated too often. Try again later."),
            retry_after=wait,
        )
    return old


async def _replace(rows: ApiKeyRows, old: ApiKey, until: datetime) -> tuple[ApiKey, ApiKey]:
    """Say in the row that it works until then only; returns it as it was and as it is."""
    for attempt in range(TRIES):
        replaced = with_data(old, replaced_until=until)
        if await rows.storage.swap_data(old.value, old.data, replaced.data):
            return old, replaced
        # Another name does no harm; another rotation was faster.
        found = [key for key in await rows.family(old.userid, old.id) if key.value == old.value]
        if not found or found[0].replaced_until is not None:
            break
        old = found[0]
        await asyncio.sleep(0.001 * attempt)
    raise changed_meanwhile()


def _successor(rows: ApiKeyRows, old: ApiKey, token: str, now: datetime) -> ApiKey:
    new = replace(
        old,
        value=stored(rows.settings.prefix, token),
        created=now,
        expires=None if old.expires is None else now + (old.expires - old.created),
        lastactive=None,
    )
    return with_data(new, hint=hint_of(token, rows.settings.token_prefix), replaced_until=None)
