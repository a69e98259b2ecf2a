"""What follows a login: the claims of the user, the end of the session at the provider, and revocation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.texts import mark
from crossauth_backend.core.values import is_sound
from crossauth_backend.oauth.client.answers import Nonsense, failed, read_answer, unavailable, unusable
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.id_token_rules import MAX_SUB
from crossauth_backend.oauth.client.profile import read_profile
from crossauth_backend.oauth.client.requests import MAX_FIELD, auth_method, not_reached, post
from crossauth_backend.oauth.wire.errors import InvalidToken, TemporarilyUnavailable
from crossauth_backend.oauth.wire.text import is_b64token

_MAX_DEPTH: Final = 16
_HINTS: Final = (None, "access_token", "refresh_token")


async def fetch_user_info(connection: Connection, access_token: str, sub: str | None) -> dict[str, Any]:
    """The claims of the user (OpenID Connect Core §5.3), or an error."""
    if len(access_token) > MAX_FIELD or not is_b64token(access_token):
        return dict(failed("invalid_token", mark("The access token is invalid")))
    provider = connection.settings.provider
    try:
        if provider is not None and provider.profile is not None:
            profile = await read_profile(
                provider.profile, connection.issuers.published, access_token, connection.fetcher, connection.timeout
            )
            return _of(connection, profile, sub)
        url = await connection.endpoint("userinfo_endpoint")
        if url is None:
            connection.warn("%s has no userinfo_endpoint")
            return dict(failed("server_error", mark("The authorization server doesn't support this")))
        headers = {"Accept": "application/json", "Authorization": f"Bearer {access_token}"}
        claims = await _claims(connection, await connection.send(FetchRequest(url=url, headers=headers)))
    except CrossauthError as e:
        return dict(not_reached(connection, e))
    except TemporarilyUnavailable:
        return dict(unavailable())
    except (Nonsense, InvalidToken) as e:
        reason = e.detail if isinstance(e, InvalidToken) else e
        connection.warn("%s: no usable answer of userinfo_endpoint: %s", reason)
        return dict(unusable())
    return claims if is_error(claims) else _of(connection, claims, sub)


def is_error(claims: Mapping[str, Any]) -> bool:
    """Whether it is an error that `fetch_user_info` returned; claims always have a `sub`."""
    return "error" in claims and "sub" not in claims


async def end_session_url(
    connection: Connection, id_token_hint: str | None, post_logout_redirect_uri: str | None, state: str | None
) -> str | None:
    """Where to log out at the provider (OpenID Connect RP-Initiated Logout §2)."""
    try:
        url = await connection.endpoint("end_session_endpoint")
    except CrossauthError as e:
        not_reached(connection, e)
        return None
    if url is None:
        return None
    fields = {
        "client_id": connection.settings.client_id, "id_token_hint": id_token_hint,
        "post_logout_redirect_uri": post_logout_redirect_uri, "state": state,
    }  # fmt: skip
    query = urlencode({name: value for name, value in fields.items() if value is not None})
    return f"{url}{'&' if '?' in url else '?'}{query}"


async def revoke(connection: Connection, token: str, hint: str | None) -> bool:
    """Whether the provider revoked a token (RFC 7009 §2)."""
    fields = {"token": token} if hint not in _HINTS or hint is None else {"token": token, "token_type_hint": hint}
    if len(token) > MAX_FIELD or not token.isascii():
        return False
    try:
        metadata = await connection.metadata()
        url = await connection.endpoint("revocation_endpoint")
        method = auth_method(connection.settings, _as_token_endpoint(metadata))
        if url is None or method is None:
            return False
        response = await connection.send(post(connection.settings, url, fields, method))
    except CrossauthError as e:
        not_reached(connection, e)
        return False
    if response.status != 200:
        connection.warn("%s: revocation answers %d", response.status)
    return response.status == 200


def _as_token_endpoint(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """How clients authenticate for revocation, where it is said; otherwise as at the token endpoint."""
    declared = metadata.get("revocation_endpoint_auth_methods_supported")
    return {"token_endpoint_auth_methods_supported": declared} if isinstance(declared, list) else metadata


async def _claims(connection: Connection, response: FetchResponse) -> dict[str, Any]:
    if response.status in (401, 403):
        return dict(failed("invalid_token", "The access token is not accepted"))
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/jwt":
        if response.status != 200:
            raise Nonsense(f"status {response.status}")
        return await connection.id_tokens.verify_user_info(response.body.decode("ascii", "replace"))
    return dict(read_answer(response))


def _of(connection: Connection, claims: dict[str, Any], sub: str | None) -> dict[str, Any]:
    """Claims of another user are used for nothing (OpenID Connect Core §5.3.2)."""
    declared = claims.get("sub")
    if not isinstance(declared, str) or not 0 < len(declared) <= MAX_SUB or not is_sound(claims, _MAX_DEPTH):
        connection.warn("%s: no usable answer of userinfo_endpoint: %s", "sub")
        return dict(unusable())
    if sub is not None and declared != sub:
        connection.warn("%s: the claims of userinfo_endpoint are about another user than the ID token")
        return dict(failed("access_denied", mark("The user claims belong to another user")))
    return claims
