"""What follows a login: the claims of the user, the end of the session at the provider, and revocation."""

from __future__ import annotations

from typing import Any

from crossauth_backend.oauth.client.connection import Connection


async def fetch(connection: Connection, access_token: str, sub: str | None) -> dict[str, Any]:
    """The claims of the user."""
    raise NotImplementedError


async def end_session_url(
    connection: Connection, id_token_hint: str | None, post_logout_redirect_uri: str | None, state: str | None
) -> str | None:
    """Where to log out at the provider."""
    raise NotImplementedError


async def revoke(connection: Connection, token: str, hint: str | None) -> bool:
    """Whether the provider revoked a token."""
    raise NotImplementedError
