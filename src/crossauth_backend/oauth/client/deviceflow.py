"""The device code flow (RFC 8628)."""

from __future__ import annotations

from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.responses import OAuthDeviceAuthorizationResponse, OAuthTokenResponse


async def start(connection: Connection, url: str | None, scope: str | None) -> OAuthDeviceAuthorizationResponse:
    """The codes."""
    raise NotImplementedError


async def poll(connection: Connection, device_code: str) -> OAuthTokenResponse:
    """The tokens, or that there are none yet."""
    raise NotImplementedError
