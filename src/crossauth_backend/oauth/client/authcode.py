"""The authorization code flow (RFC 6749 §4.1), with PKCE (RFC 7636) and OpenID Connect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import is_secure_url
from crossauth_backend.core.text import is_storable
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client.answers import failed, foreign_error
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.options import COMPONENT, ClientSettings, are_further
from crossauth_backend.oauth.client.requests import not_reached, token_request
from crossauth_backend.oauth.client.responses import AuthorizationUrl, OAuthTokenResponse
from crossauth_backend.oauth.client.verified import with_payload
from crossauth_backend.oauth.wire.metadata import endpoint
from crossauth_backend.oauth.wire.text import parse_scope

_MAX_STATE: Final = 2048


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


async def start_authorization(connection: Connection, request: AuthorizationRequest) -> AuthorizationUrl:
    """Where to send the browser."""
    redirect_uri = _redirect_uri(connection, request)
    scope = None if request.scope is None else request.scope.strip()
    if scope and " ".join(parse_scope(scope)) != " ".join(dict.fromkeys(scope.split())):
        return _failed("invalid_scope", "The scope is too long, or has characters that it cannot have")
    if not is_storable(request.state) or not 0 < len(request.state) <= _MAX_STATE:
        return _failed("invalid_request", "There is no state, or it is too long")
    if request.pkce and request.code_challenge is None:
        return _failed("invalid_request", "A flow with PKCE needs a code challenge")
    try:
        metadata = await connection.metadata()
    except CrossauthError as e:
        return _as_url(not_reached(connection, e))
    url = _authorization_endpoint(connection.settings, metadata)
    if url is None:
        connection.warn("%s has no authorization_endpoint")
        return _failed("server_error", mark("The authorization server doesn't support this"))
    if request.code_challenge is not None and not can_prove(connection.settings, metadata):
        connection.warn("%s does not do PKCE with S256; nothing was begun")
        return _failed("server_error", mark("The authorization server doesn't support PKCE with S256"))
    query = urlencode(_parameters(connection.settings, request, redirect_uri, scope))
    return {"url": f"{url}{'&' if '?' in url else '?'}{query}"}


async def finish_authorization(connection: Connection, answer: AuthorizationAnswer) -> OAuthTokenResponse:
    """The tokens for what the browser brought back."""
    try:
        metadata = await connection.metadata()
    except CrossauthError as e:
        return not_reached(connection, e)
    if not is_from(answer.iss, connection.issuers.accepted, metadata):
        # Whoever it is from, none of its words are shown (RFC 9207 §2.4).
        connection.warn("%s: an authorization response is from another server, or does not say from which")
        return failed("access_denied", mark("The response came from another authorization server"))
    if answer.error:
        return foreign_error(answer.error, answer.error_description)
    if not answer.state or not answer.code:
        return failed("invalid_request", "The authorization server sent no code, or no state")
    fields = {
        "code": answer.code, "redirect_uri": answer.redirect_uri or connection.settings.redirect_uri,
        "code_verifier": answer.code_verifier,
    }  # fmt: skip
    response = await token_request(connection, "authorization_code", fields)
    return await with_payload(
        connection, response, nonce=answer.nonce, code=answer.code, max_age=answer.max_age,
        needs_id_token=answer.nonce is not None, is_login=True,
    )  # fmt: skip


def is_from(iss: str | None, accepted: Sequence[str], metadata: Mapping[str, Any]) -> bool:
    """Whether an authorization response may be from these issuers (RFC 9207 §2.4).

    Compared as plain strings. A server that says that it names itself must; one that does not say so and does all the same must
    name itself right.

    Parameters:
        iss: as it came.
        accepted: the issuers.
        metadata: of the server.
    """
    if iss is None:
        return metadata.get("authorization_response_iss_parameter_supported") is not True
    return iss in accepted


def can_prove(settings: ClientSettings, metadata: Mapping[str, Any]) -> bool:
    """Whether PKCE does anything there: a server that lists its methods and has not S256 would ignore the challenge
    (RFC 9700 §2.1.1). `plain` is used where it was spelled out.
    """
    methods = metadata.get("code_challenge_methods_supported")
    return settings.code_challenge_method == "plain" or methods is None or _names(methods, "S256")


def _names(methods: object, name: str) -> bool:
    return isinstance(methods, list) and name in methods


def _parameters(
    settings: ClientSettings, request: AuthorizationRequest, redirect_uri: str, scope: str | None
) -> dict[str, str]:
    fields: dict[str, str | None] = {
        "response_type": "code", "client_id": settings.client_id, "redirect_uri": redirect_uri, "scope": scope or None,
        "state": request.state, "nonce": request.nonce, "code_challenge": request.code_challenge,
        "code_challenge_method": None if request.code_challenge is None else settings.code_challenge_method,
    }  # fmt: skip
    if not are_further(request.extra):
        raise _wrong("further parameters must be text, and none that the flow itself sets")
    sent = {name: value for name, value in fields.items() if value is not None}
    return {**sent, **settings.authorization_params, **request.extra}


def _redirect_uri(connection: Connection, request: AuthorizationRequest) -> str:
    uri = request.redirect_uri or connection.settings.redirect_uri
    if uri is None:
        raise _wrong("option 'redirect_uri' is needed for the authorization code flow")
    if not is_secure_url(uri):
        raise _wrong("'redirect_uri' must be an https URL without fragment, or http on localhost")
    return uri


def _authorization_endpoint(settings: ClientSettings, metadata: Mapping[str, Any]) -> str | None:
    url = endpoint(metadata, "authorization_endpoint")
    if url is None or settings.oauth_authorize_redirect is None:
        return url
    _, _, path, query, _ = urlsplit(url)
    return settings.oauth_authorize_redirect.rstrip("/") + path + (f"?{query}" if query else "")


def _failed(error: str, description: str) -> AuthorizationUrl:
    return {"error": error, "error_description": description}


def _as_url(response: OAuthTokenResponse) -> AuthorizationUrl:
    return _failed(response["error"], response["error_description"])


def _wrong(text: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"{COMPONENT}: {text}")
