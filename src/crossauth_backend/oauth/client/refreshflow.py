"""Refreshing (RFC 6749 §6) and client credentials (§4.4): the flows without a user at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.oauth.client.answers import failed
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.requests import token_request
from crossauth_backend.oauth.client.responses import OAuthTokenResponse
from crossauth_backend.oauth.client.verified import with_payload


async def client_credentials(connection: Connection, scope: str | None) -> OAuthTokenResponse:
    """Tokens of the client's own."""
    if not connection.settings.is_confidential:
        return failed("unauthorized_client", "A client without a secret has no credentials")
    return await with_payload(connection, await token_request(connection, "client_credentials", {"scope": scope}))


async def refresh_grant(
    connection: Connection, refresh_token: str, id_payload: Mapping[str, Any] | None, scope: str | None
) -> OAuthTokenResponse:
    """New tokens for a refresh token."""
    if not refresh_token:
        return failed("invalid_request", "There is no refresh token")
    response = await token_request(connection, "refresh_token", {"refresh_token": refresh_token, "scope": scope})
    found = await with_payload(connection, response, before=id_payload)
    if "error" in found and "error" not in response and found["error"] != "access_denied":
        # Keys or claims cannot be had, and the old refresh token may be spent: the tokens count, and nothing that could not
        # be verified. Who the user is was verified at the login.
        response.pop("id_token", None)
        return response
    return found
