"""The OAuth client: every flow of one authorization server, without the web.

A failure is returned as `{"error", "error_description"}`. What the authorization server says is bounded and filtered; where it
does not answer, or answers nonsense, the error is `temporarily_unavailable` or `server_error`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jose import JwtInvalidError, read_unverified
from crossauth_backend.core.options import read_options
from crossauth_backend.core.secrets import hash_token, random_value
from crossauth_backend.oauth.client.authcode import (
    AuthorizationAnswer,
    AuthorizationRequest,
    finish_authorization,
    start_authorization,
)
from crossauth_backend.oauth.client.connection import Connection
from crossauth_backend.oauth.client.deviceflow import poll_device, start_device
from crossauth_backend.oauth.client.logout import LogoutToken
from crossauth_backend.oauth.client.options import COMPONENT, ClientSettings, OAuthClientOptions, check_settings
from crossauth_backend.oauth.client.passwordflow import (
    mfa_authenticators,
    mfa_by_oob,
    mfa_by_otp,
    mfa_challenge,
    password_grant,
)
from crossauth_backend.oauth.client.refreshflow import client_credentials, refresh_grant
from crossauth_backend.oauth.client.responses import (
    AuthorizationUrl,
    OAuthDeviceAuthorizationResponse,
    OAuthMfaAuthenticatorsResponse,
    OAuthMfaChallengeResponse,
    OAuthTokenResponse,
)
from crossauth_backend.oauth.client.userinfo import end_session_url, fetch_user_info, revoke
from crossauth_backend.oauth.wire.errors import OAuthError


class OAuthClient:
    """A client of one authorization server.

    Metadata and keys are fetched when they are first needed, and kept for a while.

    Parameters:
        auth_server_base_url: exactly what the server's metadata and tokens call it; option where it is left out.
        options: see the reference page.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration`, naming the option.
    """

    def __init__(
        self,
        auth_server_base_url: str | None = None,
        options: OAuthClientOptions | None = None,
        *,
        clock: Clock = utc_now,
    ) -> None:
        named = {} if auth_server_base_url is None else {"auth_server_base_url": auth_server_base_url}
        settings = read_options(ClientSettings, {**(options or {}), **named}, component=COMPONENT)
        check_settings(settings)
        self._connection = Connection(settings, clock)

    @property
    def settings(self) -> ClientSettings:
        """The options, parsed."""
        return self._connection.settings

    @property
    def auth_server_base_url(self) -> str:
        """The authorization server, as it was configured."""
        return self.settings.auth_server_base_url

    @property
    def issuer(self) -> str:
        """The authorization server, as its metadata names it; with several tenants, with `{tenantid}`."""
        return self._connection.issuers.published

    @property
    def issuers(self) -> tuple[str, ...]:
        """What `iss` of its tokens may be: one, or one for each tenant."""
        return self._connection.issuers.accepted

    @property
    def client_id(self) -> str:
        """What the authorization server calls this client."""
        return self.settings.client_id

    @property
    def is_confidential(self) -> bool:
        """Whether it has a secret."""
        return self.settings.is_confidential

    async def aclose(self) -> None:
        """Close connections; call it when the application stops."""
        await self._connection.aclose()

    # Metadata

    async def load_config(self, oidc_config: Mapping[str, Any] | None = None) -> None:
        """Take the metadata of the authorization server, or fetch it.

        Raises:
            CrossauthError: `Connection` where it cannot be had; `Configuration` where it is another server's.
        """
        await self._connection.load_config(oidc_config)

    def get_oidc_config(self) -> Mapping[str, Any] | None:
        """The metadata of the authorization server, as far as it is known."""
        return self._connection.known_metadata

    async def metadata(self) -> Mapping[str, Any]:
        """The metadata, fetched where it is not known.

        Raises:
            CrossauthError: `Connection` where it cannot be had.
        """
        return await self._connection.metadata()

    # Values

    @staticmethod
    def random_value(n_bytes: int) -> str:
        """`n_bytes` of randomness as base64url."""
        return random_value(n_bytes)

    @staticmethod
    def sha256(plaintext: str) -> str:
        """SHA-256, base64url: a PKCE challenge (RFC 7636 §4.2)."""
        return hash_token(plaintext)

    def random_state(self) -> str:
        """A new `state`, of `state_length` random bytes."""
        return random_value(self.settings.state_length)

    def code_challenge_and_verifier(self) -> tuple[str, str]:
        """A new PKCE challenge and its verifier, in this order (RFC 7636 §4.1 and §4.2)."""
        verifier = random_value(self.settings.verifier_length)
        return (verifier if self.settings.code_challenge_method == "plain" else self.sha256(verifier)), verifier

    # Authorization code

    async def start_authorization_code_flow(
        self,
        state: str,
        scope: str | None = None,
        code_challenge: str | None = None,
        pkce: bool = False,
        *,
        nonce: str | None = None,
        redirect_uri: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> AuthorizationUrl:
        """Where to send the browser (RFC 6749 §4.1.1).

        Parameters:
            state: comes back unchanged; the caller binds it to the browser.
            scope: what is asked for.
            code_challenge: of `code_challenge_and_verifier`.
            pkce: whether the flow needs one.
            nonce: what the ID token must hold; for OpenID Connect.
            redirect_uri: in the place of the option.
            extra: further parameters, such as `prompt` or `resource`; none that the flow itself sets.

        Returns:
            `url`, or an error.

        Raises:
            CrossauthError: `Configuration` for a further parameter that the flow itself sets, and without a redirect URI.
        """
        request = AuthorizationRequest(
            state=state, scope=scope, code_challenge=code_challenge, pkce=pkce, nonce=nonce, redirect_uri=redirect_uri,
            extra=extra or {},
        )  # fmt: skip
        return await start_authorization(self._connection, request)

    async def redirect_endpoint(
        self,
        code: str | None = None,
        state: str | None = None,
        code_verifier: str | None = None,
        error: str | None = None,
        error_description: str | None = None,
        *,
        nonce: str | None = None,
        iss: str | None = None,
        redirect_uri: str | None = None,
        max_age: int | None = None,
    ) -> OAuthTokenResponse:
        """What to do with what the browser brought back: exchange the code, and verify the ID token.

        That `state` is the one of this browser is for the caller to find out, before this is called.

        Parameters:
            code: as it came.
            state: as it came; without one nothing is done.
            code_verifier: of the PKCE challenge that the flow began with.
            error: as it came.
            error_description: as it came.
            nonce: that the flow began with; an ID token is then required, and must hold it.
            iss: as it came: who answers (RFC 9207).
            redirect_uri: that the flow began with, in the place of the option.
            max_age: that the flow began with; the ID token must then say when the user logged in.

        Returns:
            The tokens, with `id_payload` for the verified claims of an ID token, or an error.
        """
        answer = AuthorizationAnswer(
            code=code, state=state, code_verifier=code_verifier, error=error, error_description=error_description,
            nonce=nonce, iss=iss, redirect_uri=redirect_uri, max_age=max_age,
        )  # fmt: skip
        return await finish_authorization(self._connection, answer)

    # Client credentials and refresh

    async def client_credentials_flow(self, scope: str | None = None) -> OAuthTokenResponse:
        """Tokens of the client's own (RFC 6749 §4.4)."""
        return await client_credentials(self._connection, scope)

    async def refresh_token_flow(
        self, refresh_token: str, *, id_payload: Mapping[str, Any] | None = None, scope: str | None = None
    ) -> OAuthTokenResponse:
        """New tokens (RFC 6749 §6).

        Parameters:
            refresh_token: as it came.
            id_payload: claims of the ID token of the login; a new one must be about the same (OpenID Connect Core §12.2).
            scope: less than was granted.
        """
        return await refresh_grant(self._connection, refresh_token, id_payload, scope)

    # Password and second factor

    async def password_flow(self, username: str, password: str, scope: str | None = None) -> OAuthTokenResponse:
        """Tokens for a password (RFC 6749 §4.3); error `mfa_required` with `mfa_token` where a second factor is needed."""
        return await password_grant(self._connection, username, password, scope)

    async def mfa_authenticators(self, mfa_token: str) -> OAuthMfaAuthenticatorsResponse:
        """The second factors of the user whom an `mfa_token` is about."""
        return await mfa_authenticators(self._connection, mfa_token)

    async def mfa_otp_request(self, mfa_token: str, authenticator_id: str) -> OAuthMfaChallengeResponse:
        """Begin with a factor whose codes the user has."""
        return await mfa_challenge(self._connection, "otp", mfa_token, authenticator_id)

    async def mfa_otp_complete(self, mfa_token: str, otp: str, scope: str | None = None) -> OAuthTokenResponse:
        """Tokens for a code that the user had."""
        return await mfa_by_otp(self._connection, mfa_token, otp, scope)

    async def mfa_oob_request(self, mfa_token: str, authenticator_id: str) -> OAuthMfaChallengeResponse:
        """Begin with a factor whose codes are sent."""
        return await mfa_challenge(self._connection, "oob", mfa_token, authenticator_id)

    async def mfa_oob_complete(
        self, mfa_token: str, oobCode: str, bindingCode: str, scope: str | None = None
    ) -> OAuthTokenResponse:
        """Tokens for a code that was sent.

        Parameters:
            mfa_token: as the password flow returned it.
            oobCode: `oob_code` as `mfa_oob_request` returned it.
            bindingCode: what the user received.
            scope: what is asked for.
        """
        return await mfa_by_oob(self._connection, mfa_token, oobCode, bindingCode, scope)

    # Device code

    async def start_device_code_flow(
        self, url: str | None = None, scope: str | None = None
    ) -> OAuthDeviceAuthorizationResponse:
        """Begin the device code flow (RFC 8628 §3.1).

        Parameters:
            url: of the device authorization endpoint, where it is neither configured nor in the metadata.
            scope: what is asked for.
        """
        return await start_device(self._connection, url, scope)

    async def poll_device_code_flow(self, device_code: str) -> OAuthTokenResponse:
        """Tokens, or `authorization_pending` or `slow_down` while the user has not decided (RFC 8628 §3.4)."""
        return await poll_device(self._connection, device_code)

    # What tokens say

    async def user_info_endpoint(self, access_token: str, *, sub: str | None = None) -> dict[str, Any]:
        """What the provider says of the user (OpenID Connect Core §5.3), or an error.

        Parameters:
            access_token: of the user.
            sub: of the ID token; an answer about anybody else is refused.
        """
        return await fetch_user_info(self._connection, access_token, sub)

    async def id_token_payload(
        self,
        id_token: str,
        *,
        nonce: str | None = None,
        access_token: str | None = None,
        code: str | None = None,
        max_age: int | None = None,
    ) -> dict[str, Any]:
        """The claims of an ID token that is accepted (OpenID Connect Core §3.1.3.7).

        Parameters:
            id_token: as it came.
            nonce: what it must hold.
            access_token: that came with it, for `at_hash`.
            code: that it was exchanged for, for `c_hash`.
            max_age: seconds that the login may be ago.

        Raises:
            InvalidToken: it is not.
            TemporarilyUnavailable: the keys cannot be had.
        """
        return await self._connection.id_tokens.payload(
            id_token, nonce=nonce, access_token=access_token, code=code, max_age=max_age
        )

    async def validate_id_token(self, token: str) -> dict[str, Any] | None:
        """The claims of an ID token; `None` where it is not accepted, or its keys cannot be had."""
        try:
            return await self.id_token_payload(token)
        except OAuthError:
            return None

    async def id_token_authorized(self, id_token: str) -> dict[str, Any] | None:
        """The same as `validate_id_token`."""
        return await self.validate_id_token(id_token)

    @staticmethod
    def get_token_payload(token: str) -> dict[str, Any]:
        """The claims of a JWT that nobody has verified: for display, and for nothing else.

        Raises:
            CrossauthError: `InvalidToken` where it is no JWT.
        """
        try:
            return read_unverified(token)[1]
        except JwtInvalidError:
            raise CrossauthError(ErrorCode.InvalidToken) from None

    # Logout

    async def verify_logout_token(self, token: str) -> LogoutToken:
        """What a logout token says (OpenID Connect Back-Channel Logout §2.6).

        Raises:
            InvalidRequest: it is not valid.
            TemporarilyUnavailable: the keys cannot be had.
        """
        return await self._connection.id_tokens.logout_token(token)

    async def end_session_url(
        self,
        *,
        id_token_hint: str | None = None,
        post_logout_redirect_uri: str | None = None,
        state: str | None = None,
    ) -> str | None:
        """Where to send the browser to log out at the provider (OpenID Connect RP-Initiated Logout §2).

        Parameters:
            id_token_hint: who is to be logged out. It is a token in a URL, so left out unless the provider needs it.
            post_logout_redirect_uri: where to send the browser afterwards.
            state: comes back with it.

        Returns:
            `None` where the provider has no such endpoint, or does not answer.
        """
        return await end_session_url(self._connection, id_token_hint, post_logout_redirect_uri, state)

    async def revoke(self, token: str, hint: str | None = None) -> bool:
        """Revoke a token (RFC 7009); whether the provider said that it did. Nothing is raised.

        Parameters:
            token: as it came.
            hint: `access_token` or `refresh_token`.
        """
        return await revoke(self._connection, token, hint)
