"""The device code flow (RFC 8628)."""

from __future__ import annotations

from typing import Final, cast

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.oauth.client.answers import read_device_response
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.requests import ask, not_reached, token_request
from crossauth_backend.oauth.client.responses import OAuthDeviceAuthorizationResponse, OAuthTokenResponse
from crossauth_backend.oauth.client.verified import with_payload

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_DEFAULT_PATH: Final = "device_authorization"


async def start_device(connection: Connection, url: str | None, scope: str | None) -> OAuthDeviceAuthorizationResponse:
    """The codes (RFC 8628 §3.1)."""
    try:
        target = await _endpoint(connection, url)
    except CrossauthError as e:
        return cast(OAuthDeviceAuthorizationResponse, not_reached(connection, e))
    found = await ask(
        connection, "device_authorization_endpoint", {"scope": scope}, read_device_response, url=target
    )  # fmt: skip
    return cast(OAuthDeviceAuthorizationResponse, found)


async def poll_device(connection: Connection, device_code: str) -> OAuthTokenResponse:
    """The tokens, or that there are none yet (RFC 8628 §3.4)."""
    response = await token_request(connection, _GRANT, {"device_code": device_code})
    return await with_payload(connection, response, is_login=True)


async def _endpoint(connection: Connection, url: str | None) -> str:
    """The option first, then the metadata, then what the caller says, then the documented path."""
    named = connection.settings.device_authorization_url
    if named is not None:
        return below(connection.issuers.discovery, named)
    return await connection.endpoint("device_authorization_endpoint") or below(
        connection.issuers.discovery, url or _DEFAULT_PATH
    )


def below(base: str, url: str) -> str:
    """`url` as it is, or below the URL of the authorization server where it is a path."""
    return url if "://" in url else f"{base.rstrip('/')}/{url.lstrip('/')}"
