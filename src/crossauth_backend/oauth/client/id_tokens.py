"""Verifying ID tokens and logout tokens of one authorization server."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from crossauth_backend.core.clock import Clock
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jose import (
    ASYMMETRIC_ALGORITHMS,
    JwtExpiredError,
    JwtInvalidError,
    UnknownKeyError,
    VerificationKeys,
    VerificationPolicy,
    is_symmetric,
    load_keys,
    read_unverified,
    verify,
)
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client.id_token_rules import Expected, check_id_token
from crossauth_backend.oauth.client.logout import LogoutToken, read_logout_claims
from crossauth_backend.oauth.client.options import COMPONENT, ClientSettings
from crossauth_backend.oauth.client.tenants import Issuers
from crossauth_backend.oauth.resource.options import local_keys
from crossauth_backend.oauth.resource.remote_keys import RemoteKeys
from crossauth_backend.oauth.wire.errors import InvalidRequest, InvalidToken, TemporarilyUnavailable

_NO_KEYS: Final = VerificationKeys(())
_ID_TYPES: Final = ("jwt", "")
_LOGOUT_TYPES: Final = ("logout+jwt", "jwt", "")


class IdTokens:
    """Verifies what an authorization server says of its users.

    Parameters:
        settings: of the client.
        issuers: who may have issued them.
        remote: the keys and metadata of the server.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration` for a key that cannot be used.
    """

    def __init__(self, settings: ClientSettings, issuers: Issuers, remote: RemoteKeys, clock: Clock) -> None:
        self._settings, self._issuers, self._remote, self._clock = settings, issuers, remote, clock
        self._local = local_keys(settings, COMPONENT)
        self._secrets = _secrets(settings)
        named = settings.id_token_algorithms
        self._algorithms = tuple(named) if named else None
        if self._local is not None:
            self._algorithms = (settings.jwt_key_type,)

    async def payload(
        self,
        token: str,
        *,
        nonce: str | None = None,
        access_token: str | None = None,
        code: str | None = None,
        max_age: int | None = None,
        from_server: bool = False,
    ) -> dict[str, Any]:
        """The claims of an ID token that is accepted (OpenID Connect Core §3.1.3.7).

        Parameters:
            token: as it came.
            nonce, access_token, code, max_age: what it is compared with; see `Expected`.
            from_server: whether it came from the token endpoint itself. Keys are then fetched for it whatever the cool-down
                says, which is against tokens that anybody can send.

        Raises:
            InvalidToken: it is not.
            TemporarilyUnavailable: the keys cannot be had.
        """
        expected = Expected(
            client_id=self._settings.client_id, nonce=nonce, access_token=access_token, code=code, max_age=max_age,
            leeway=self._settings.clock_tolerance, issuer_of_tenant=self._template(),
        )  # fmt: skip
        try:
            claims = await self._verified(token, _ID_TYPES, ("exp", "iat", "sub"), from_server)
            check_id_token(claims, read_unverified(token)[0]["alg"], expected, self._clock().timestamp())
        except JwtExpiredError:
            raise InvalidToken("The ID token has expired", detail="ID token: exp") from None
        except JwtInvalidError as e:
            raise InvalidToken(mark("The ID token is invalid"), detail=f"ID token: {e}") from None
        return claims

    async def logout_token(self, token: str) -> LogoutToken:
        """What a logout token says (OpenID Connect Back-Channel Logout §2.6).

        Raises:
            InvalidRequest: it is not valid.
            TemporarilyUnavailable: the keys cannot be had.
        """
        try:
            return read_logout_claims(await self._verified(token, _LOGOUT_TYPES, ("exp", "iat", "jti")))
        except JwtInvalidError as e:
            raise InvalidRequest(mark("The logout token is invalid"), detail=f"logout token: {e}") from None

    async def verify_user_info(self, token: str) -> dict[str, Any]:
        """The claims of a signed answer of the user-info endpoint (OpenID Connect Core §5.3.2).

        Raises:
            InvalidToken: it is not valid.
            TemporarilyUnavailable: the keys cannot be had.
        """
        try:
            return await self._verified(token, None, ("iss", "aud", "sub"))
        except JwtInvalidError as e:
            raise InvalidToken(mark("The user claims are invalid"), detail=f"user info: {e}") from None

    def _template(self) -> str | None:
        return None if len(self._issuers.accepted) == 1 else self._issuers.published

    async def _verified(
        self, token: str, types: tuple[str, ...] | None, required: tuple[str, ...], from_server: bool = False
    ) -> dict[str, Any]:
        try:
            policy = _policy(
                await self._accepted_algorithms(), self._issuers.accepted, self._settings.client_id, types,
                self._settings.clock_tolerance, required,
            )  # fmt: skip
            keys = await self._keys(policy)
            try:
                return verify(token, keys, policy, self._clock())
            except UnknownKeyError:
                newer = await self._newer_keys(policy, from_server)
                if newer.identity == keys.identity:
                    raise
            return verify(token, newer, policy, self._clock())
        except CrossauthError as e:
            if e.code is not ErrorCode.Connection:
                raise
            raise TemporarilyUnavailable(
                mark("The authorization server's keys can't be loaded"), detail=e.detail
            ) from None

    async def _accepted_algorithms(self) -> tuple[str, ...]:
        """Those of the option; else what the metadata says that this server signs with, of what has a public key."""
        if self._algorithms is not None:
            return self._algorithms
        declared = (await self._remote.load_metadata()).get("id_token_signing_alg_values_supported")
        if not isinstance(declared, list):
            return ASYMMETRIC_ALGORITHMS
        return tuple(algorithm for algorithm in ASYMMETRIC_ALGORITHMS if algorithm in declared)

    async def _keys(self, policy: VerificationPolicy) -> VerificationKeys:
        if self._local is not None:
            return self._local
        return self._joined(await self._remote.keys()) if _needs_remote(policy) else self._secrets

    async def _newer_keys(self, policy: VerificationPolicy, now: bool) -> VerificationKeys:
        if self._local is not None:
            return self._local
        if not _needs_remote(policy):
            return self._secrets
        return self._joined(await (self._remote.load_keys() if now else self._remote.newer_keys()))

    def _joined(self, remote: VerificationKeys) -> VerificationKeys:
        return VerificationKeys((*self._secrets.keys, *remote.keys)) if self._secrets else remote


def _needs_remote(policy: VerificationPolicy) -> bool:
    return not all(is_symmetric(algorithm) for algorithm in policy.algorithms)


@lru_cache(maxsize=64)
def _policy(
    algorithms: tuple[str, ...],
    issuers: tuple[str, ...],
    client_id: str,
    types: tuple[str, ...] | None,
    leeway: int,
    required: tuple[str, ...],
) -> VerificationPolicy:
    return VerificationPolicy(
        algorithms=algorithms, issuers=issuers, audiences=(client_id,), types=types, leeway=timedelta(seconds=leeway),
        required=required,
    )  # fmt: skip


def _secrets(settings: ClientSettings) -> VerificationKeys:
    """The client's secret as a key (OpenID Connect Core §10.1), for the algorithms that were named."""
    named = [name for name in settings.id_token_algorithms or () if is_symmetric(name)]
    if not named or settings.client_secret is None:
        return _NO_KEYS
    try:
        return VerificationKeys(key for name in named for key in load_keys(settings.client_secret, name).keys)
    except CrossauthError as e:
        raise CrossauthError(
            ErrorCode.Configuration, f"{COMPONENT}: option 'client_secret' cannot verify {named[0]}: {e.message}"
        ) from None
