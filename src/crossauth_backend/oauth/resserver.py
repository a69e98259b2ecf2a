"""What accepts access tokens at a resource server, from one authorization server or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jose import JwtInvalidError, is_jwt, read_unverified
from crossauth_backend.core.options import read_options
from crossauth_backend.oauth.resource.options import OAuthResourceServerOptions, ResourceServerSettings
from crossauth_backend.oauth.resource.scopes import require_scopes, scopes_of
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer
from crossauth_backend.oauth.wire.errors import InvalidToken, OAuthError
from crossauth_backend.oauth.wire.text import is_scope_token

__all__ = ["OAuthResourceServer", "OAuthResourceServerOptions"]
_COMPONENT = "OAuthResourceServer"


class OAuthResourceServer:
    """Accepts access tokens.

    Parameters:
        token_consumers: one per authorization server and name of this server; a token goes to the one whose
            `auth_server_base_url` is its `iss` and whose audience is in its `aud`.
        options: see the reference page.

    Raises:
        CrossauthError: `Configuration` where there is no consumer, or where it is not clear which one a token goes to.
    """

    def __init__(
        self, token_consumers: Sequence[OAuthTokenConsumer], options: OAuthResourceServerOptions | None = None
    ) -> None:
        self._settings = read_options(ResourceServerSettings, options or {}, component=_COMPONENT)
        provided: object = token_consumers
        if not isinstance(provided, Sequence):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{_COMPONENT}: token_consumers must be a list of OAuthTokenConsumer, not {type(provided).__name__}",
            )
        self._consumers = tuple(token_consumers)
        _check_consumers(self._consumers)
        _check_implied(self._settings.implied_scopes)

    @property
    def token_consumers(self) -> tuple[OAuthTokenConsumer, ...]:
        """The consumers, in their order."""
        return self._consumers

    async def access_token_authorized(self, token: str) -> dict[str, Any] | None:
        """The claims of an access token; `None` where it is not accepted.

        Raises:
            CrossauthError: `Connection` where the authorization server does not answer and nothing is known of the token.
        """
        try:
            return await self.authorize(token)
        except InvalidToken:
            return None
        except OAuthError as e:
            raise CrossauthError(ErrorCode.Connection, detail=e.detail) from e

    async def authorize(self, token: str) -> dict[str, Any]:
        """The claims of an access token that is accepted.

        Raises:
            InvalidToken: it is not.
            TemporarilyUnavailable: the authorization server does not answer and nothing is known of the token.
        """
        return await self._consumer_for(token).authorize(token, "access")

    def issuer_of(self, token: str, claims: Mapping[str, Any]) -> str:
        """Who issued a token that is accepted; an answer of introspection need not say so.

        Parameters:
            token: as it came.
            claims: of it.
        """
        issuer = claims.get("iss")
        return issuer if isinstance(issuer, str) else self._consumer_for(token).auth_server_base_url

    def scopes(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """The scopes that a token grants, as they are in it."""
        return scopes_of(claims)

    @property
    def implied_scopes(self) -> Mapping[str, Sequence[str]]:
        """Scopes that another scope includes."""
        return self._settings.implied_scopes

    def require_scopes(self, claims: Mapping[str, Any], needed: Sequence[str]) -> None:
        """Refuse a token that lacks a scope; scopes that another includes count.

        Raises:
            InsufficientScope: with all that is needed.
        """
        require_scopes(scopes_of(claims), needed, self._settings.implied_scopes)

    async def aclose(self) -> None:
        """Close connections; call it when the application stops."""
        for consumer in self._consumers:
            await consumer.aclose()

    def _consumer_for(self, token: str) -> OAuthTokenConsumer:
        """The consumer that a token goes to, by what it says itself; the consumer then verifies that."""
        if len(self._consumers) == 1:
            return self._consumers[0]
        if is_jwt(token):
            return self._by_issuer(token)
        for consumer in self._consumers:
            if consumer.introspects_opaque_tokens:
                return consumer
        raise InvalidToken(detail="no JWT")

    def _by_issuer(self, token: str) -> OAuthTokenConsumer:
        try:
            _, claims = read_unverified(token)
        except JwtInvalidError as e:
            raise InvalidToken(detail=str(e)) from None
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        for consumer in self._consumers:
            if consumer.auth_server_base_url == claims.get("iss") and any(a in named for a in consumer.audiences):
                return consumer
        raise InvalidToken(detail="no token consumer for its issuer and audience")


def _check_consumers(consumers: tuple[OAuthTokenConsumer, ...]) -> None:
    if not consumers:
        raise _wrong("there must be a token consumer")
    strange = [type(c).__name__ for c in consumers if not isinstance(c, OAuthTokenConsumer)]
    if strange:
        raise _wrong(f"every token consumer must be an OAuthTokenConsumer, not {strange[0]}")
    taken: set[tuple[str, str]] = set()
    for consumer in consumers:
        names = {(consumer.auth_server_base_url, audience) for audience in consumer.audiences}
        if names & taken:
            raise _wrong("two token consumers have the same 'auth_server_base_url' and audience; leave one of them out")
        taken |= names
    if sum(consumer.introspects_opaque_tokens for consumer in consumers) > 1:
        # A token must not be shown to a server that did not issue it.
        raise _wrong("only one token consumer may have 'introspection', because an opaque token names no issuer")


def _check_implied(implied: Mapping[str, Sequence[str]]) -> None:
    for scope, others in implied.items():
        if not isinstance(others, (list, tuple)) or not all(
            isinstance(s, str) and is_scope_token(s) for s in (scope, *others)
        ):
            raise _wrong(
                'option \'implied_scopes\' must map each scope to a list of scopes, such as {"write": ["read"]}'
            )


def _wrong(text: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"{_COMPONENT}: {text}")
