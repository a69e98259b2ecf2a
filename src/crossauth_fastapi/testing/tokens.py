"""Make access tokens that a resource server accepts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import SigningKey, SigningKeys, TokenType, generate_signing_key, sign
from crossauth_backend.core.secrets import random_value
from crossauth_backend.users.record import User
from crossauth_fastapi._oauth_resource.source import BearerSource
from crossauth_fastapi.testing.applications import app_of, source_of

_MINUTE: Final = timedelta(minutes=1)
# The key that signs the tokens of tests; made when it is first needed, and of no worth in another process.
_keys: list[SigningKey] = []


def issue_token(
    target: Any, user: User | None = None, *, scope: str = "", lifetime: timedelta = 5 * _MINUTE, **claims: Any
) -> str:
    """Return an access token (RFC 9068) that the resource server of an application accepts, and no other process does.

    From the first call on the resource server verifies tokens with a key of this process, and fetches none.

    Parameters:
        target: the application, or a client of it.
        user: whose token it is; without one it is that of a client that acts for itself.
        scope: its scopes, with blanks between.
        lifetime: until it expires.
        claims: further claims, or other values; `None` leaves a claim out. `iss` chooses among several token consumers.

    Raises:
        CrossauthError: `Configuration` where the application has no resource server.
    """
    app = app_of(target)
    source = source_of(app, BearerSource, "resource server")
    requested = claims.get("iss")
    consumers = source.server.token_consumers
    consumer = next((c for c in consumers if c.auth_server_base_url == requested), consumers[0])
    if not _keys:
        _keys.append(generate_signing_key("ES256"))
    consumer.keys = dict(SigningKeys((_keys[0],)).jwks())
    now = int(utc_now().timestamp())
    payload = {
        "iss": consumer.auth_server_base_url, "aud": consumer.audiences[0], "client_id": "test", "sub": "test",
        "iat": now, "exp": now + int(lifetime.total_seconds()), "jti": random_value(16), "scope": scope or None,
        **({} if user is None else source.users.claims_of(user, consumer.auth_server_base_url)), **claims,
    }  # fmt: skip
    return sign({name: value for name, value in payload.items() if value is not None}, _keys[0], TokenType.ACCESS)
