"""How logins end at a provider for tests: by the browser, by a logout token, by revocation of a token."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.http_client import HttpClient
from crossauth_backend.core.jose import JwtInvalidError, TokenType, read_unverified
from crossauth_backend.core.secrets import random_value
from crossauth_backend.testing.fake_provider_base import ProviderBase
from crossauth_backend.testing.fake_provider_faults import LOGOUT_EVENT
from crossauth_backend.testing.provider import AnyFault
from crossauth_backend.testing.wire import Received, Reply

_LIFETIME: Final = 120
_TIMEOUT: Final = timedelta(seconds=10)


def logout_token(
    provider: ProviderBase,
    client_id: str,
    sub: str | None,
    sid: str | None,
    fault: AnyFault | None,
    claims: dict[str, Any],
) -> str:
    """A logout token (OpenID Connect Back-Channel Logout §2.4)."""
    declared = {
        "iss": provider.url, "aud": client_id, "iat": provider.now, "exp": provider.now + _LIFETIME, "jti": random_value(16),
        "events": {LOGOUT_EVENT: {}}, "sub": sub, "sid": sid, **claims,
    }  # fmt: skip
    return provider.sign(declared, TokenType.LOGOUT, fault)


async def post_logout_token(url: str, token: str) -> FetchResponse:
    """Send a logout token to a client (§2.5)."""
    client = HttpClient()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"logout_token": token}).encode()
    try:
        return await client.fetch(FetchRequest(url=url, method="POST", headers=kind, body=body, timeout=_TIMEOUT))
    finally:
        await client.aclose()


async def end_session(provider: ProviderBase, received: Received) -> Reply:
    """The end session endpoint (OpenID Connect RP-Initiated Logout §2): logs the user of the browser out, and tells clients."""
    asked, allowed = received.parameters, provider.settings.post_logout_redirect_uris
    claims = _hinted(asked.get("id_token_hint", ""))
    user = claims.get("sub") or provider.user
    back = asked.get("post_logout_redirect_uri")
    if isinstance(user, str):
        await log_out(provider, user)
    known = bool(claims) or asked.get("client_id") in provider.clients
    if not back or not known or (allowed is not None and back not in allowed):
        return Reply(200, "<p>You are logged out.</p>")
    state = f"{'&' if '?' in back else '?'}{urlencode({'state': asked['state']})}" if "state" in asked else ""
    return Reply(302, "", {"Location": f"{back}{state}"})


async def log_out(provider: ProviderBase, user: str) -> None:
    """End the session of a user's browser, and tell every client that wants to know."""
    sid = provider.sessions.pop(user, None)
    tokens = {
        url: logout_token(provider, client, user, sid, None, {})
        for client, url in provider.settings.backchannel_logout.items()
    }
    # A client that does not answer does not keep the user logged in.
    await asyncio.gather(*(_tell(url, token) for url, token in tokens.items()))


def revocation(provider: ProviderBase, received: Received) -> Reply:
    """Revoke a token (RFC 7009 §2); one that is not known is revoked as well."""
    client = provider.client_of(received)
    if isinstance(client, Reply):
        return client
    token = received.fields.get("token", "")
    grant = provider.refresh_tokens.get(token)
    if grant is not None and grant.client_id == client:
        provider.revoke(grant)
    access = provider.access_tokens.get(token)
    if access is not None and access.client_id == client:
        del provider.access_tokens[token]
        provider.tokens.pop(token, None)
    return Reply(200, {})


async def _tell(url: str, token: str) -> None:
    try:
        await post_logout_token(url, token)
    except CrossauthError:
        return


def _hinted(id_token: str) -> dict[str, Any]:
    try:
        return read_unverified(id_token)[1]
    except JwtInvalidError:
        return {}
