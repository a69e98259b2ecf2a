"""What the flows of a client give, as types. A failure has `error` and `error_description`, and is returned, not raised."""

from __future__ import annotations

from typing import Any, TypedDict


class OAuthTokenResponse(TypedDict, total=False):
    """The answer of a token endpoint (RFC 6749 §5.1 and §5.2), and what a second factor adds to it."""

    access_token: str
    refresh_token: str
    id_token: str
    id_payload: dict[str, Any]
    token_type: str
    expires_in: int
    error: str
    error_description: str
    scope: str
    mfa_token: str
    oob_channel: str
    oob_code: str
    challenge_type: str
    binding_method: str
    name: str


class OAuthTokenResponseWithExpiry(OAuthTokenResponse, total=False):
    """A token response, and when its access token ends, in seconds since the epoch."""

    expires_at: int


class OAuthMfaAuthenticator(TypedDict, total=False):
    """One second factor of a user."""

    authenticator_type: str
    id: str
    active: bool
    oob_channel: str
    name: str
    error: str
    error_description: str


class OAuthMfaAuthenticatorsResponse(TypedDict, total=False):
    """The second factors of a user."""

    authenticators: list[OAuthMfaAuthenticator]
    error: str
    error_description: str


class OAuthMfaChallengeResponse(TypedDict, total=False):
    """That a code was sent, or is expected."""

    challenge_type: str
    oob_code: str
    oob_channel: str
    binding_method: str
    name: str
    error: str
    error_description: str


class OAuthDeviceAuthorizationResponse(TypedDict, total=False):
    """The answer of a device authorization endpoint (RFC 8628 §3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int
    error: str
    error_description: str


class OAuthDeviceResponse(TypedDict, total=False):
    """What a page says on which a user allows a device."""

    client_id: str
    scope_authorization_needed: bool
    scope: str
    error: str
    error_description: str


class AuthorizationUrl(TypedDict, total=False):
    """Where to send a browser, or why not."""

    url: str
    error: str
    error_description: str


class IdTokenReturn(TypedDict, total=False):
    """The claims of an ID token, or why it is not accepted."""

    id_payload: dict[str, Any]
    error: str
    error_description: str
