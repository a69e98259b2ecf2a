"""Access tokens that must also be in the key storage, so that deleting them there revokes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage


async def is_stored(claims: Mapping[str, Any], storage: KeyStorage, now: datetime) -> bool:
    """Whether the token with this `jti` is in the key storage, not consumed and not expired."""
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        return False
    key = await storage.find_key(KeyPrefix.access_token + hash_token(token_id))
    return key is not None and key.consumed is None and (key.expires is None or key.expires > now)
