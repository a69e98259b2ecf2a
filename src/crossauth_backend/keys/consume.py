"""Using something once: what is no key of its own, such as a code or a challenge, leaves a mark among the keys."""

from __future__ import annotations

from datetime import datetime

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage


async def consume_once(storage: KeyStorage, name: str, now: datetime, expires: datetime) -> bool:
    """Mark something single-use as used; of any number of calls at once exactly one is told that it was the first.

    Parameters:
        storage: where the mark is kept. That its keys are unique is what decides.
        name: what is used; it is stored hashed.
        now: the time.
        expires: when the mark is no longer needed, because the thing itself has expired.
    """
    try:
        await storage.save_key(None, KeyPrefix.consumed + hash_token(name), now, expires)
    except CrossauthError as e:
        if e.code is not ErrorCode.KeyExists:
            raise
        return False
    return True
