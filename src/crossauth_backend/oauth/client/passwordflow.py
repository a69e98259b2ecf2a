"""The password grant (RFC 6749 §4.3) and its second factors, as Auth0 shapes them."""

from __future__ import annotations

from typing import Final, Literal, cast

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.fetch import FetchRequest
from crossauth_backend.oauth.client.answers import (
    Nonsense,
    decrypt,
    failed,
    read_answer,
    read_authenticators,
    unusable,
)
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.deviceflow import below
from crossauth_backend.oauth.client.options import TokenAuthMethod
from crossauth_backend.oauth.client.requests import MAX_FIELD, ask, not_reached, token_request
from crossauth_backend.oauth.client.responses import (
    OAuthMfaAuthenticatorsResponse,
    OAuthMfaChallengeResponse,
    OAuthTokenResponse,
)
from crossauth_backend.oauth.client.verified import with_payload
from crossauth_backend.oauth.wire.text import is_b64token

_OTP: Final = "http://auth0.com/oauth/grant-type/mfa-otp"
_OOB: Final = "http://auth0.com/oauth/grant-type/mfa-oob"
_AUTHENTICATORS: Final = "mfa/authenticators"
_CHALLENGE: Final = "mfa/challenge"


async def password_grant(connection: Connection, username: str, password: str, scope: str | None) -> OAuthTokenResponse:
    """Tokens for a password, or `mfa_required`."""
    fields = {"username": username, "password": password, "scope": scope}
    return await with_payload(connection, await token_request(connection, "password", fields))


async def mfa_authenticators(connection: Connection, mfa_token: str) -> OAuthMfaAuthenticatorsResponse:
    """The second factors of a user."""
    if len(mfa_token) > MAX_FIELD or not is_b64token(mfa_token):
        return cast(OAuthMfaAuthenticatorsResponse, failed("invalid_request", "There is no MFA token"))
    url = below(connection.issuers.discovery, _AUTHENTICATORS)
    headers = {"Accept": "application/json", "Authorization": f"Bearer {mfa_token}"}
    try:
        answer = read_answer(await connection.send(FetchRequest(url=url, headers=headers)), may_be_list=True)
        if "error" in answer:
            return cast(OAuthMfaAuthenticatorsResponse, answer)
        return read_authenticators(answer.get("list"))
    except CrossauthError as e:
        return cast(OAuthMfaAuthenticatorsResponse, not_reached(connection, e))
    except Nonsense as e:
        connection.warn("%s: no usable answer of mfa/authenticators: %s", e)
        return cast(OAuthMfaAuthenticatorsResponse, unusable())


async def mfa_challenge(
    connection: Connection, kind: Literal["otp", "oob"], mfa_token: str, authenticator_id: str
) -> OAuthMfaChallengeResponse:
    """Begin with one of them."""
    fields = {"challenge_type": kind, "mfa_token": mfa_token, "authenticator_id": authenticator_id}
    url = below(connection.issuers.discovery, _CHALLENGE)
    return await ask(connection, _CHALLENGE, fields, decrypt, url=url, method=_method(connection))


async def mfa_by_otp(connection: Connection, mfa_token: str, otp: str, scope: str | None) -> OAuthTokenResponse:
    """Tokens for a code that the user had."""
    fields = {"mfa_token": mfa_token, "otp": otp, "scope": scope}
    return await with_payload(connection, await token_request(connection, _OTP, fields))


async def mfa_by_oob(
    connection: Connection, mfa_token: str, oob_code: str, binding_code: str, scope: str | None
) -> OAuthTokenResponse:
    """Tokens for a code that was sent; without one where the user confirms by what was sent."""
    code = binding_code or None
    fields = {"mfa_token": mfa_token, "oob_code": oob_code, "binding_code": code, "scope": scope}
    return await with_payload(connection, await token_request(connection, _OOB, fields))


def _method(connection: Connection) -> TokenAuthMethod:
    """Auth0 documents the client's secret in the body here, and nothing else."""
    if not connection.settings.is_confidential:
        return "none"
    return connection.settings.token_endpoint_auth_method or "client_secret_post"
