"""That a login at a provider has ended, as the provider said (OpenID Connect Back-Channel Logout §2.7).

The message comes from the provider, not from the browser, and names a session there, or a user. It is kept as a mark, which is
looked up wherever tokens of such a login are used: so it counts in every worker and for every session, whatever its id is by now.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, KeyWithUserReader
from crossauth_backend.oauth.client.logout import LogoutToken
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_backend.users.identities import Identity

# For so long a mark is kept, and no login at a provider is good for longer: what no mark speaks of any more has ended.
LASTS: Final = timedelta(days=400)
_SESSION, _USER, _UNNAMED = "sid", "sub", "sub without sid"


async def mark_logged_out(keys: KeyStorage, token: LogoutToken, now: datetime) -> None:
    """Keep what a verified logout token says.

    Parameters:
        keys: where it is kept.
        token: what the provider said. With `sid` it is about that session alone, otherwise about all of the user's.
        now: the time.
    """
    if token.sid is not None:
        await _mark(keys, _name(token.iss, _SESSION, token.sid), now)
        if token.sub is not None:
            # A login whose ID token did not say which session it is of may be that one.
            await _mark(keys, _name(token.iss, _UNNAMED, token.sub), now)
    elif token.sub is not None:
        await _mark(keys, _name(token.iss, _USER, token.sub), now)


async def mark_unlinked(keys: KeyStorage, identity: Identity, now: datetime) -> None:
    """Keep that an account at a provider is nobody's here any more: what it was logged in with ends, also a login under way.

    Parameters:
        keys: where it is kept.
        identity: the account.
        now: the time.
    """
    await _mark(keys, _name(identity.iss, _USER, identity.sub), now)


async def is_logged_out(read: KeyWithUserReader, tokens: TokenSet, clock: Clock = utc_now) -> bool:
    """Whether the provider has said that the login of these tokens has ended.

    Parameters:
        read: reads keys of where that is kept, as sessions are read: it is asked with every request that has tokens.
        tokens: of the login; without an ID token nothing can be known of them.
        clock: what time it is.
    """
    payload = tokens.id_payload
    if payload is None:
        return False
    if clock().timestamp() - tokens.saved_at > LASTS.total_seconds():
        return True
    issuer, sub, sid = (payload.get(name) for name in ("iss", "sub", "sid"))
    if not isinstance(issuer, str):
        return False
    # No session at a provider ends and then goes on; a user logs in again.
    if isinstance(sid, str) and await read(_name(issuer, _SESSION, sid)) is not None:
        return True
    if not isinstance(sub, str):
        return False
    kinds = (_USER,) if isinstance(sid, str) else (_USER, _UNNAMED)
    for kind in kinds:
        found = await read(_name(issuer, kind, sub))
        # Within one second it is not known what came first; then the login has ended.
        if found is not None and int(found[0].created.timestamp()) >= tokens.saved_at:
            return True
    return False


@lru_cache(maxsize=4096)
def _name(issuer: str, kind: str, value: str) -> str:
    """The name of a mark. As JSON, no two of them are the same, and hashed it says nothing of whom it is about."""
    return KeyPrefix.provider_logout + hash_token(json.dumps([issuer, kind, value]))


async def _mark(keys: KeyStorage, name: str, now: datetime) -> None:
    expires = now + LASTS
    try:
        await keys.save_key(None, name, now, expires)
    except CrossauthError as e:
        if e.code is not ErrorCode.KeyExists:
            raise
        await keys.update_key({"value": name, "created": now, "expires": expires})
