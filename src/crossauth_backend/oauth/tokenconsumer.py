"""What accepts the tokens of one authorization server."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import Fetcher
from crossauth_backend.core.http_client import HttpClient, check_aiohttp
from crossauth_backend.core.jose import (
    JwtExpiredError,
    JwtInvalidError,
    UnknownKeyError,
    VerificationKeys,
    is_jwt,
    load_keys,
    read_unverified,
)
from crossauth_backend.core.options import read_options
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.oauth.resource.introspect import Introspector, introspection_methods
from crossauth_backend.oauth.resource.options import (
    COMPONENT,
    OAuthTokenConsumerOptions,
    TokenConsumerSettings,
    check_config,
    check_settings,
    local_keys,
    wrong,
)
from crossauth_backend.oauth.resource.parts import introspector, policies, remote_keys
from crossauth_backend.oauth.resource.stored import is_stored
from crossauth_backend.oauth.resource.verify_jwt import TokenKind, verify_jwt
from crossauth_backend.oauth.wire.bearer import MAX_BEARER_TOKEN
from crossauth_backend.oauth.wire.errors import InvalidToken, OAuthError, TemporarilyUnavailable
from crossauth_backend.oauth.wire.metadata import endpoint
from crossauth_backend.oauth.wire.text import is_b64token

__all__ = ["OAuthTokenConsumer", "OAuthTokenConsumerOptions"]
logger = logging.getLogger("crossauth.oauth")
_KINDS = ("access", "id", "refresh")


class OAuthTokenConsumer:
    """Accepts the tokens that one authorization server issued for this server.

    Keys come from the options or from the authorization server; then they are fetched when the first token arrives, and
    again when a token names a key that is not among them.

    Parameters:
        audience: what this server is called in tokens, one name or several; option `audience` where it is left out.
        options: see the reference page.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration`, naming the option.
    """

    def __init__(
        self,
        audience: str | Sequence[str] | None = None,
        options: OAuthTokenConsumerOptions | None = None,
        *,
        clock: Clock = utc_now,
    ) -> None:
        named = {} if audience is None else {"audience": audience if isinstance(audience, str) else list(audience)}
        settings = read_options(TokenConsumerSettings, {**(options or {}), **named}, component=COMPONENT)
        check_settings(settings)
        self._settings, self._clock = settings, clock
        self._local = local_keys(settings)
        if settings.fetcher is None and (self._local is None or settings.introspection != "never"):
            check_aiohttp()
        self._http = HttpClient()
        self._fetcher: Fetcher = settings.fetcher or self._http
        self._policies = policies(settings)
        self._remote = remote_keys(settings, self._fetcher, clock)
        self._introspector = introspector(settings, self._fetcher, clock)
        known = settings.oidc_config if settings.introspection_endpoint is None else None
        if self._introspector is not None and known is not None and endpoint(known, "introspection_endpoint") is None:
            raise wrong("option 'oidc_config' names no introspection_endpoint; set option 'introspection_endpoint'")
        self._asks_further = settings.persist_access_token or settings.introspection == "always"
        self.remembers = True
        """Whether it caches the claims of verified tokens; false where the caller caches them itself."""

    @property
    def auth_server_base_url(self) -> str:
        """The authorization server, as in `iss`."""
        return self._settings.auth_server_base_url

    @property
    def audience(self) -> str | list[str]:
        """What this server is called in tokens."""
        return self._settings.audience or ""

    @property
    def audiences(self) -> tuple[str, ...]:
        """The same, always as a tuple."""
        return self._settings.audiences()

    @property
    def standing_keys(self) -> VerificationKeys | None:
        """The keys by which access tokens are judged for now; `None` where they have to be fetched, or where more than keys and
        time decides: a storage, or the authorization server."""
        return None if self._asks_further else self._local or self._remote.standing

    def is_judged_by_keys(self, token: str) -> bool:
        """Whether a token is one that the keys decide about."""
        return self._introspector is None or is_jwt(token)

    def check_times(self, claims: Mapping[str, Any]) -> None:
        """Refuse the claims of a token that was accepted before, if it has expired since.

        Raises:
            JwtInvalidError: it has.
        """
        self._policies.typed.check_times(claims, self._clock().timestamp())

    @property
    def introspects_opaque_tokens(self) -> bool:
        """Whether it asks the authorization server about tokens that are no JWT."""
        return self._introspector is not None

    @property
    def oidc_config(self) -> Mapping[str, Any] | None:
        """The metadata of the authorization server, as far as it is known."""
        return self._remote.known_metadata

    @oidc_config.setter
    def oidc_config(self, config: Mapping[str, Any]) -> None:
        check_config(config, self.auth_server_base_url)
        self._remote.use_metadata(config)

    @property
    def keys(self) -> VerificationKeys | None:
        """The keys that verify tokens, as far as they are known."""
        return self._local or self._remote.known

    @keys.setter
    def keys(self, keys: VerificationKeys | Mapping[str, Any] | str) -> None:
        """Verify with these, and fetch none: keys, a JWK, a JWK set or PEM."""
        self._local = keys if isinstance(keys, VerificationKeys) else load_keys(keys)

    async def load_keys(self) -> None:
        """Load metadata and keys now, so that the first request need not wait; nothing where keys were given.

        Raises:
            CrossauthError: `Connection` where they cannot be had.
        """
        if self._local is None:
            await self._remote.load_keys()

    async def load_config(self, oidc_config: Mapping[str, Any] | None = None) -> None:
        """Take the metadata of the authorization server, or fetch it.

        Raises:
            CrossauthError: `Connection` where it cannot be had; `Configuration` where it is another server's.
        """
        if oidc_config is not None:
            self.oidc_config = oidc_config
        else:
            await self._remote.load_metadata()

    async def load_jwks(self, jwks: Mapping[str, Any] | None = None) -> None:
        """Take a JWK set, or fetch it.

        Raises:
            CrossauthError: `Connection` where it cannot be had; `Configuration` where it holds a key that cannot be used.
        """
        if jwks is not None:
            self.keys = jwks
        else:
            await self._remote.load_keys()

    async def token_authorized(self, token: str, token_type: TokenKind) -> dict[str, Any] | None:
        """The claims of a token; `None` where it is not accepted.

        Parameters:
            token: as it came.
            token_type: `access`, `id` or `refresh`; a token of another kind is not accepted.

        Raises:
            CrossauthError: `Connection` where the authorization server does not answer and nothing is known of the token.
        """
        try:
            return await self.authorize(token, token_type)
        except InvalidToken as e:
            logger.debug("%s token refused: %s", token_type, e.detail)
            return None
        except OAuthError as e:
            raise CrossauthError(ErrorCode.Connection, detail=e.detail) from e

    async def authorize(self, token: str, kind: TokenKind = "access") -> dict[str, Any]:
        """The claims of a token that is accepted.

        Parameters:
            token: as it came.
            kind: `access`, `id` or `refresh`.

        Raises:
            InvalidToken: it is not.
            TemporarilyUnavailable: the authorization server does not answer and nothing is known of the token.
            CrossauthError: `Configuration` for a kind of token that there is not.
        """
        if kind not in _KINDS:
            raise wrong(f"the type of a token must be one of {', '.join(_KINDS)}")
        if kind == "access" and self._introspector is not None and not is_jwt(token):
            return await self._introspected(self._introspector, token)
        try:
            claims = await self._verified(token, kind)
        except JwtExpiredError:
            raise InvalidToken(f"The {kind} token has expired", detail="exp") from None
        except JwtInvalidError as e:
            raise InvalidToken(f"The {kind} token is not valid", detail=str(e)) from None
        except CrossauthError as e:
            raise _as_unavailable(e) from None
        if kind == "access" and self._asks_further:
            await self._check_further(token, claims)
        return claims

    async def aclose(self) -> None:
        """Close connections; call it when the application stops."""
        await self._http.aclose()

    async def _verified(self, token: str, kind: TokenKind) -> dict[str, Any]:
        keys = self._local or await self._remote.keys()
        try:
            return verify_jwt(token, kind, keys, self._policies, self._clock(), remember=self.remembers)
        except UnknownKeyError:
            newer = keys if self._local else await self._remote.newer_keys()
            if newer.identity == keys.identity:
                raise
        return verify_jwt(token, kind, newer, self._policies, self._clock(), remember=self.remembers)

    async def _check_further(self, token: str, claims: dict[str, Any]) -> None:
        storage = self._settings.key_storage if self._settings.persist_access_token else None
        if storage is not None and not await is_stored(claims, storage, self._clock()):
            raise InvalidToken(detail="not in the key storage")
        if self._introspector is not None and self._settings.introspection == "always":
            await self._introspected(self._introspector, token)

    async def _introspected(self, asks: Introspector, token: str) -> dict[str, Any]:
        if len(token) > MAX_BEARER_TOKEN or not is_b64token(token):
            raise InvalidToken(detail="no bearer token")
        url, metadata = self._settings.introspection_endpoint, self._remote.known_metadata
        if url is None:
            try:
                metadata = await self._remote.load_metadata()
            except CrossauthError as e:
                raise _as_unavailable(e) from None
            url = endpoint(metadata, "introspection_endpoint")
        return await asks.introspect(token, url, introspection_methods(metadata))

    @staticmethod
    def decode_header(token: str) -> dict[str, Any]:
        """The header of a token that nobody has verified.

        Raises:
            CrossauthError: `InvalidToken` where it is no JWT.
        """
        try:
            return read_unverified(token)[0]
        except JwtInvalidError:
            raise CrossauthError(ErrorCode.InvalidToken) from None

    @staticmethod
    def hash(plaintext: str) -> str:
        """SHA-256, base64url: how a `jti` is looked up in the key storage."""
        return hash_token(plaintext)


def _as_unavailable(error: CrossauthError) -> Exception:
    return TemporarilyUnavailable(detail=error.detail) if error.code is ErrorCode.Connection else error
