"""Token responses whose ID token was verified: no flow returns one that was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.jose import JwtInvalidError
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client.answers import failed, unavailable
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.id_token_rules import check_refreshed
from crossauth_backend.oauth.client.profile import read_profile
from crossauth_backend.oauth.client.requests import not_reached
from crossauth_backend.oauth.client.responses import OAuthTokenResponse
from crossauth_backend.oauth.client.userinfo import fetch_user_info, is_error
from crossauth_backend.oauth.wire.errors import OAuthError, TemporarilyUnavailable

# What the user-info endpoint says of the token is not its business (OpenID Connect Core §5.1 and §5.3.2).
_OF_THE_TOKEN: Final = frozenset({
    "iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "auth_time", "acr", "amr", "sid", "tid",
})  # fmt: skip
# What `…_verified` is about (OpenID Connect Core §5.1).
_PROVEN: Final = ("email", "phone_number")


async def with_payload(
    connection: Connection,
    response: OAuthTokenResponse,
    *,
    nonce: str | None = None,
    code: str | None = None,
    max_age: int | None = None,
    before: Mapping[str, Any] | None = None,
    needs_id_token: bool = False,
    is_login: bool = False,
) -> OAuthTokenResponse:
    """A token response with the verified claims of its ID token, or an error.

    Parameters:
        connection: of the client.
        response: of the token endpoint.
        nonce: what the ID token must hold.
        code: what it was exchanged for.
        max_age: seconds that the login may be ago.
        before: claims of the login that is refreshed.
        needs_id_token: whether a response without one is refused (OpenID Connect Core §3.1.3.3).
        is_login: whether a provider that issues no ID tokens is asked who the user is.
    """
    if "error" in response:
        return response
    token = response.get("id_token")
    if token is None:
        if not needs_id_token:
            return await _with_profile(connection, response) if is_login else response
        connection.warn("%s sent no ID token")
        return failed("access_denied", "The authorization server sent no ID token")
    try:
        claims = await connection.id_tokens.payload(
            token, nonce=nonce, access_token=response.get("access_token"), code=code, max_age=max_age, from_server=True
        )
        if before is not None:
            check_refreshed(claims, before)
    except TemporarilyUnavailable as e:
        connection.warn("%s: the keys of an ID token cannot be had: %s", e.detail)
        return unavailable()
    except (OAuthError, JwtInvalidError) as e:
        detail = e.detail if isinstance(e, OAuthError) else f"refreshed ID token: {e}"
        connection.warn("%s: %s is not valid", detail)
        return failed("access_denied", mark("The ID token is invalid"))
    return await _with_user_info(connection, {**response, "id_payload": claims})


async def _with_profile(connection: Connection, response: OAuthTokenResponse) -> OAuthTokenResponse:
    """The claims of a provider of which it is known that it has no ID tokens, and where it says who the user is."""
    provider = connection.settings.provider
    if provider is None or provider.profile is None:
        return response
    try:
        claims = await read_profile(
            provider.profile,
            connection.issuers.published,
            response["access_token"],
            connection.fetcher,
            connection.timeout,
        )
    except CrossauthError as e:
        return not_reached(connection, e)
    return {**response, "id_payload": claims}


async def _with_user_info(connection: Connection, response: OAuthTokenResponse) -> OAuthTokenResponse:
    if not connection.settings.oauth_use_user_info_endpoint:
        return response
    claims = response["id_payload"]
    declared = await fetch_user_info(connection, response["access_token"], claims["sub"])
    if is_error(declared):
        return failed(str(declared["error"]), str(declared.get("error_description", "")))
    response["id_payload"] = joined(claims, {n: v for n, v in declared.items() if n not in _OF_THE_TOKEN})
    return response


def joined(claims: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of an ID token, and what the user-info endpoint says besides.

    That an address is proven is taken from whoever names the address: users change theirs between the two, and what is proven
    of one address says nothing of another.

    Parameters:
        claims: of the ID token; they come first.
        said: by the user-info endpoint.
    """
    found = {**said, **claims}
    for name in _PROVEN:
        source, mark = (claims if name in claims else said), f"{name}_verified"
        if mark in found and said.get(name) != claims.get(name):
            del found[mark]
            found |= {mark: source[mark]} if mark in source else {}
    return found
