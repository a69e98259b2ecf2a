"""The password grant (RFC 6749 §4.3) and its second factors, as Auth0 shapes them."""

from __future__ import annotations

from typing import Literal

from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.responses import (
    OAuthMfaAuthenticatorsResponse,
    OAuthMfaChallengeResponse,
    OAuthTokenResponse,
)


async def password(connection: Connection, username: str, password: str, scope: str | None) -> OAuthTokenResponse:
    """Tokens for a password."""
    raise NotImplementedError


async def authenticators(connection: Connection, mfa_token: str) -> OAuthMfaAuthenticatorsResponse:
    """The second factors of a user."""
    raise NotImplementedError


async def challenge(
    connection: Connection, kind: Literal["otp", "oob"], mfa_token: str, authenticator_id: str
) -> OAuthMfaChallengeResponse:
    """Begin with one of them."""
    raise NotImplementedError


async def complete_otp(connection: Connection, mfa_token: str, otp: str, scope: str | None) -> OAuthTokenResponse:
    """Tokens for a code that the user had."""
    raise NotImplementedError


async def complete_oob(
    connection: Connection, mfa_token: str, oob_code: str, binding_code: str, scope: str | None
) -> OAuthTokenResponse:
    """Tokens for a code that was sent."""
    raise NotImplementedError
