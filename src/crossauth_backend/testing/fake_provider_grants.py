"""The token endpoint of a provider for tests: one function for each grant type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from crossauth_backend.core.secrets import digest, equal, to_base64url
from crossauth_backend.testing.fake_provider_base import Grant, ProviderBase, failed
from crossauth_backend.testing.fake_provider_faults import ProviderFault
from crossauth_backend.testing.provider import AnyFault
from crossauth_backend.testing.wire import Received, Reply

GrantType = Callable[[ProviderBase, Received, str, AnyFault | None], Reply]
_CODE_LIFETIME: Final = 60
_GARBAGE: Final = "<script>alert(1)</script>\r\n\x00\x1b[31m" + "x" * 4000


def answer(
    provider: ProviderBase, received: Received, fault: AnyFault | None, grants: Mapping[str, GrantType]
) -> Reply:
    """Answer a token request.

    Parameters:
        provider: whose endpoint it is.
        received: the request.
        fault: what to do wrong.
        grants: what it can do, by grant type.
    """
    errors = {
        ProviderFault.ERROR: failed("invalid_request", _GARBAGE),
        ProviderFault.ERROR_AS_SUCCESS: failed(
            "bad_verification_code", "The code passed is incorrect or expired.", 200
        ),
        ProviderFault.UNNAMED_ERROR: Reply(400, {}),
        ProviderFault.WRONG_SECRET: failed("invalid_client", "unknown client", 401),
    }
    if isinstance(fault, ProviderFault) and fault in errors:
        return errors[fault]
    client = provider.client_of(received)
    if isinstance(client, Reply):
        return client
    handler = grants.get(received.fields.get("grant_type", ""))
    return failed("unsupported_grant_type") if handler is None else handler(provider, received, client, fault)


def exchange_code(provider: ProviderBase, received: Received, client: str, fault: AnyFault | None) -> Reply:
    """Exchange an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.6)."""
    sent = received.fields.get("code", "")
    grant = provider.codes.pop(sent, None)
    if grant is None:
        return _used_again(provider, sent)
    provider.used[sent] = grant
    late = (provider.now - grant.issued.timestamp()) > _CODE_LIFETIME
    if late or grant.client_id != client or received.fields.get("redirect_uri") != grant.redirect_uri:
        return failed("invalid_grant", "the code is another's, or expired")
    if not _proven(grant, received.fields.get("code_verifier")):
        return failed("invalid_grant", "the code verifier does not fit")
    return _tokens(provider.token_response(grant, fault))


def use_refresh_token(provider: ProviderBase, received: Received, client: str, fault: AnyFault | None) -> Reply:
    """Use a refresh token (RFC 6749 §6)."""
    sent = received.fields.get("refresh_token", "")
    grant = provider.refresh_tokens.get(sent)
    if grant is None:
        return _used_again(provider, sent)
    if grant.client_id != client:
        return failed("invalid_grant", "the refresh token is another client's")
    if provider.settings.rotate:
        del provider.refresh_tokens[sent]
        provider.used[sent] = grant
    return _tokens(provider.token_response(grant, fault, refreshed=True))


def client_credentials(provider: ProviderBase, received: Received, client: str, fault: AnyFault | None) -> Reply:
    """A token for the client itself (RFC 6749 §4.4)."""
    if not provider.clients[client]:
        return failed("unauthorized_client", "a public client has no credentials")
    fields = received.fields
    grant = provider.grant(client, None, fields.get("scope", ""), fields.get("resource") or fields.get("audience"))
    return _tokens(provider.token_response(grant, fault))


def _tokens(document: object) -> Reply:
    return Reply(200, document, {"Cache-Control": "no-store"})


def _used_again(provider: ProviderBase, sent: str) -> Reply:
    """Whoever has a code or token that was used already may be a thief (RFC 9700 §4.14.2)."""
    grant = provider.used.get(sent)
    if grant is not None:
        provider.revoke(grant)
    return failed("invalid_grant", "unknown, used, expired or revoked")


def _proven(grant: Grant, verifier: str | None) -> bool:
    if grant.challenge is None:
        return verifier is None
    return verifier is not None and equal(to_base64url(digest(verifier.encode())), grant.challenge)
