"""Requests to an authorization server: how they are written, and how the client authenticates (RFC 6749 §2.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import FetchRequest
from crossauth_backend.core.text import is_storable
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client.answers import (
    Nonsense,
    failed,
    read_answer,
    read_token_response,
    unavailable,
    unusable,
)
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.options import ClientSettings, TokenAuthMethod
from crossauth_backend.oauth.client.responses import OAuthTokenResponse
from crossauth_backend.oauth.resource.introspect import basic_credentials

# A token may be as long as any; nothing else that is sent is longer.
MAX_FIELD: Final = 16 * 1024
T = TypeVar("T")
Fields = Mapping[str, str | None]


async def token_request(connection: Connection, grant_type: str, fields: Fields) -> OAuthTokenResponse:
    """Ask the token endpoint (RFC 6749 §3.2).

    Parameters:
        connection: of the client.
        grant_type: what for.
        fields: of the grant; those that are `None` are left out.

    Returns:
        The tokens, of which nothing is verified yet, or an error.
    """
    return await ask(
        connection, "token_endpoint", {"grant_type": grant_type, **fields}, read_token_response
    )  # fmt: skip


async def ask(
    connection: Connection,
    endpoint: str,
    fields: Fields,
    read: Callable[[Mapping[str, Any]], T],
    *,
    url: str | None = None,
    method: TokenAuthMethod | None = None,
) -> T | OAuthTokenResponse:
    """Post to an endpoint, authenticated as the client, and read the answer.

    Parameters:
        connection: of the client.
        endpoint: what the metadata calls it.
        fields: what is posted; those that are `None` are left out.
        read: reads the JSON object of a good answer; may raise `Nonsense`.
        url: of the endpoint, where the metadata does not count.
        method: how the client authenticates, where the metadata does not count.

    Returns:
        What `read` returned, or an error.
    """
    sent = {name: value for name, value in fields.items() if value is not None}
    if not all(len(value) <= MAX_FIELD and is_storable(value) for value in sent.values()):
        return failed("invalid_request", "A value is too long, or has characters that cannot be sent")
    try:
        metadata = {} if url is not None and method is not None else await connection.metadata()
        target = url or metadata.get(endpoint)
        if not isinstance(target, str):
            connection.warn("%s has no %s", endpoint)
            return failed("server_error", mark("The authorization server doesn't support this"))
        how = method or auth_method(connection.settings, metadata)
        if how is None:
            connection.warn("%s takes no client secret, neither by Basic nor in the body")
            return failed("server_error", "The authorization server does not accept how this client authenticates")
        response = await connection.send(post(connection.settings, target, sent, how))
        document = read_answer(response)
        return document if "error" in document else read(document)  # type: ignore[return-value]
    except CrossauthError as e:
        return not_reached(connection, e)
    except Nonsense as e:
        connection.warn("%s: no usable answer of %s: %s", endpoint, e)
        return unusable()


def not_reached(connection: Connection, error: CrossauthError) -> OAuthTokenResponse:
    """What a flow returns where a server does not answer.

    Parameters:
        connection: of the client.
        error: why.

    Raises:
        CrossauthError: any but `Connection`.
    """
    if error.code is not ErrorCode.Connection:
        raise error
    connection.warn("%s does not answer: %s", error.detail or error.message)
    return unavailable()


def auth_method(settings: ClientSettings, metadata: Mapping[str, Any]) -> TokenAuthMethod | None:
    """How the client authenticates: as configured, otherwise by what the metadata says, which is Basic where it says nothing
    (RFC 8414 §2). `None` where the server takes no secret.
    """
    if not settings.is_confidential:
        return "none"
    if settings.token_endpoint_auth_method is not None:
        return settings.token_endpoint_auth_method
    declared = metadata.get("token_endpoint_auth_methods_supported")
    if not isinstance(declared, list) or "client_secret_basic" in declared:
        return "client_secret_basic"
    return "client_secret_post" if "client_secret_post" in declared else None


def post(settings: ClientSettings, url: str, fields: Mapping[str, str], method: TokenAuthMethod) -> FetchRequest:
    """A request that is authenticated as the client, in one way and not in two (RFC 6749 §2.3).

    Parameters:
        settings: of the client.
        url: where to.
        fields: what is posted.
        method: how the client authenticates.
    """
    headers, sent = {"Accept": "application/json"}, dict(fields)
    secret = None if method == "none" else settings.secret
    if method == "client_secret_basic" and secret is not None:
        headers["Authorization"] = basic_credentials(settings.client_id, secret)
    else:
        sent["client_id"] = settings.client_id
    if method == "client_secret_post" and secret is not None:
        sent["client_secret"] = secret
    if settings.oauth_post_type == "json":
        headers["Content-Type"] = "application/json"
        body = json.dumps(sent).encode("ascii")
    else:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(sent).encode("ascii")
    return FetchRequest(url=url, method="POST", headers=headers, body=body)
