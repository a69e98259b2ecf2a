"""Providers by name, in place of a client of httpx-oauth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.oauth.client.emails import proven_email
from crossauth_backend.oauth.client.provider_settings import FLOW_OPTIONS, provider_options
from crossauth_backend.oauth.client.providers import Provider

__all__ = ["Provider", "ProviderClient", "ProviderError", "provider_options"]
_TENANT: Final = "tid"


class ProviderError(Exception):
    """A provider refused, or answered what cannot be accepted. The text is a code, never what the provider said."""


class ProviderClient:
    """A provider for `get_oauth_router` and `get_oauth_associate_router`, with the methods of httpx-oauth's `BaseOAuth2`.

    What httpx-oauth leaves out is done: the ID token is verified, `nonce` and `iss` (RFC 9207) included, PKCE is always used, and
    an email address counts as proven only by rules that fit the provider.

    Parameters:
        provider: one of `PROVIDERS` by name, a `Provider`, or what `provider_options` returned.
        name: what its accounts are stored under; the provider's name where it is left out.
        clock: what time it is.
        settings: as for `provider_options`.

    Raises:
        CrossauthError: `Configuration`, naming the setting.
    """

    def __init__(
        self,
        provider: str | Provider | Mapping[str, Any],
        *,
        name: str | None = None,
        clock: Clock = utc_now,
        **settings: Any,
    ) -> None:
        options = {**provider, **settings} if isinstance(provider, Mapping) else provider_options(provider, **settings)
        row = options.get("provider")
        if not isinstance(row, Provider):
            raise CrossauthError(
                ErrorCode.Configuration, "OAuth: make the options of a provider by provider_options('google', …)"
            )
        self.name = name or row.name
        self._scope: str = options.get("default_scope") or row.scope
        self._gives_id_tokens, self._has_tenants, self._clock = row.openid, row.tenants, clock
        of_client: Any = {n: v for n, v in options.items() if n not in FLOW_OPTIONS}
        self._client = OAuthClient(options=of_client, clock=clock)
        self.base_scopes = self._scope.split()

    def __eq__(self, other: object) -> bool:
        """Whether both are the same client of the same provider, so that two routers may have the same name for it."""
        if not isinstance(other, ProviderClient):
            return NotImplemented
        return (self.name, self.issuer, self.client_id) == (other.name, other.issuer, other.client_id)

    def __hash__(self) -> int:
        return hash((self.name, self.issuer, self.client_id))

    @property
    def client_id(self) -> str:
        """What the provider calls the application."""
        return self._client.client_id

    @property
    def issuer(self) -> str:
        """The provider, as in `iss`."""
        return self._client.issuer

    @property
    def posts_back(self) -> bool:
        """Whether the provider sends the browser back by a form (OAuth 2.0 Form Post Response Mode)."""
        return self._client.settings.authorization_params.get("response_mode") == "form_post"

    async def get_authorization_url(
        self,
        redirect_uri: str,
        state: str | None = None,
        scope: Sequence[str] | None = None,
        code_challenge: str | None = None,
        code_challenge_method: str | None = None,
        extras_params: Mapping[str, str] | None = None,
        *,
        nonce: str | None = None,
    ) -> str:
        """Where to send the user.

        Parameters:
            redirect_uri: where the provider sends the user back to.
            state: comes back unchanged.
            scope: what is asked for, instead of what is usual.
            code_challenge, code_challenge_method: of PKCE; the method is S256.
            extras_params: further parameters.
            nonce: what the ID token must hold.

        Raises:
            ProviderError: the provider cannot be reached.
        """
        if code_challenge_method not in (None, "S256"):
            raise ValueError("the method of the code challenge is S256")
        asked = list(scope or self.base_scopes)
        if "openid" in self.base_scopes and "openid" not in asked:
            asked.insert(0, "openid")
        answer = await self._client.start_authorization_code_flow(
            state or "", " ".join(asked), code_challenge, pkce=code_challenge is not None,
            nonce=nonce if self._gives_id_tokens else None, redirect_uri=redirect_uri, extra=extras_params,
        )  # fmt: skip
        if "url" not in answer:
            raise ProviderError(answer.get("error", "server_error"))
        return answer["url"]

    async def get_access_token(
        self,
        code: str,
        redirect_uri: str,
        code_verifier: str | None = None,
        *,
        state: str = "-",
        nonce: str | None = None,
        iss: str | None = None,
    ) -> dict[str, Any]:
        """The tokens for a code, and in `id_payload` the verified claims of who has logged in.

        Parameters:
            code: as it came.
            redirect_uri: that the flow began with.
            code_verifier: of PKCE.
            state: as it came; the caller has checked it.
            nonce: that the flow began with.
            iss: as it came.

        Raises:
            ProviderError: the provider refuses, or answers what cannot be accepted.
        """
        answer = await self._client.redirect_endpoint(
            code,
            state,
            code_verifier,
            nonce=nonce if self._gives_id_tokens else None,
            iss=iss,
            redirect_uri=redirect_uri,
        )
        return self._tokens(answer)

    async def refresh_token(self, refresh_token: str) -> dict[str, Any]:
        """New tokens.

        Raises:
            ProviderError: the provider refuses.
        """
        return self._tokens(await self._client.refresh_token_flow(refresh_token))

    async def revoke_token(self, token: str, token_type_hint: str | None = None) -> None:
        """Revoke a token at the provider, if it can."""
        await self._client.revoke(token, token_type_hint)

    async def get_profile(self, token: str) -> dict[str, Any]:
        """What the provider says of the user of an access token.

        Raises:
            ProviderError: it says nothing.
        """
        claims = await self._client.user_info_endpoint(token)
        if "error" in claims:
            raise ProviderError("server_error")
        return claims

    async def get_id_email(self, token: str) -> tuple[str, str | None]:
        """Id and address of the user of an access token.

        Raises:
            ProviderError: the provider does not say.
        """
        return self.account({**await self.get_profile(token), "iss": self.issuer})

    def account(self, claims: Mapping[str, Any]) -> tuple[str, str | None]:
        """Id and address in verified claims.

        Where a provider has tenants, each is an issuer of its own, and so the id has the tenant in it (OpenID Connect Core §2).
        """
        tenant, subject, email = claims.get(_TENANT), claims.get("sub"), claims.get("email")
        if not isinstance(subject, str) or (self._has_tenants and not isinstance(tenant, str)):
            raise ProviderError("invalid_token")
        return (f"{tenant}/{subject}" if self._has_tenants else subject), email if isinstance(email, str) else None

    @staticmethod
    def proven_email(claims: Mapping[str, Any]) -> str | None:
        """The address in verified claims, if the provider has proven it."""
        return proven_email(claims)

    async def start(self) -> None:
        """Nothing is fetched before it is needed."""

    async def close(self) -> None:
        """Close connections; routers do when their application ends."""
        await self._client.aclose()

    def _tokens(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        if "error" in answer or "access_token" not in answer:
            raise ProviderError(str(answer.get("error", "server_error")))
        found = dict(answer)
        if isinstance(seconds := answer.get("expires_in"), int):
            found["expires_at"] = int(self._clock().timestamp()) + seconds
        return found


def as_client(client: Any) -> Any:
    """The client of a router: what `provider_options` returned becomes one.

    Raises:
        CrossauthError: `Configuration`, as for `ProviderClient`.
    """
    return ProviderClient(client) if isinstance(client, Mapping) else client
