"""The OAuth client without the web: every flow, and what verifies what comes back."""

from crossauth_backend.oauth.client.client import OAuthClient
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_backend.oauth.client.logout import LogoutToken
from crossauth_backend.oauth.client.options import OAuthClientOptions
from crossauth_backend.oauth.client.responses import (
    AuthorizationUrl,
    IdTokenReturn,
    OAuthDeviceAuthorizationResponse,
    OAuthDeviceResponse,
    OAuthMfaAuthenticator,
    OAuthMfaAuthenticatorsResponse,
    OAuthMfaChallengeResponse,
    OAuthTokenResponse,
    OAuthTokenResponseWithExpiry,
)
from crossauth_backend.oauth.client.token_set import TokenSet, is_final
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer, OAuthTokenConsumerOptions

__all__ = [
    "AuthorizationUrl",
    "IdTokenReturn",
    "LogoutToken",
    "OAuthClient",
    "OAuthClientOptions",
    "OAuthDeviceAuthorizationResponse",
    "OAuthDeviceResponse",
    "OAuthFlows",
    "OAuthMfaAuthenticator",
    "OAuthMfaAuthenticatorsResponse",
    "OAuthMfaChallengeResponse",
    "OAuthTokenConsumer",
    "OAuthTokenConsumerOptions",
    "OAuthTokenResponse",
    "OAuthTokenResponseWithExpiry",
    "TokenSet",
    "is_final",
]
