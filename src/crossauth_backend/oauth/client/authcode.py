"""The authorization code flow (RFC 6749 §4.1), with PKCE (RFC 7636) and OpenID Connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.responses import AuthorizationUrl, OAuthTokenResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What is asked for; see `OAuthClient.start_authorization_code_flow`."""

    state: str = field(repr=False)
    scope: str | None = None
    code_challenge: str | None = None
    pkce: bool = False
    nonce: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationAnswer:
    """What the browser brought back, and what the flow began with; see `OAuthClient.redirect_endpoint`."""

    code: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    code_verifier: str | None = field(default=None, repr=False)
    error: str | None = None
    error_description: str | None = None
    nonce: str | None = field(default=None, repr=False)
    iss: str | None = None
    redirect_uri: str | None = None
    max_age: int | None = None


async def start(connection: Connection, request: AuthorizationRequest) -> AuthorizationUrl:
    """Where to send the browser."""
    raise NotImplementedError


async def finish(connection: Connection, answer: AuthorizationAnswer) -> OAuthTokenResponse:
    """The tokens for what the browser brought back."""
    raise NotImplementedError
