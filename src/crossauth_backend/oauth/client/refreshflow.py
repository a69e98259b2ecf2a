"""Refreshing (RFC 6749 §6) and client credentials (§4.4): the flows without a user at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.responses import OAuthTokenResponse


async def client_credentials(connection: Connection, scope: str | None) -> OAuthTokenResponse:
    """Tokens of the client's own."""
    raise NotImplementedError


async def refresh(
    connection: Connection, refresh_token: str, id_payload: Mapping[str, Any] | None, scope: str | None
) -> OAuthTokenResponse:
    """New tokens for a refresh token."""
    raise NotImplementedError
