"""Asking the authorization server about a token (RFC 7662)."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from crossauth_backend.core.clock import Clock
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import Fetcher, FetchRequest, FetchResponse, fetch_with
from crossauth_backend.core.jose import CacheName, ClaimsCache, JwtInvalidError, VerificationPolicy
from crossauth_backend.core.jose.cache import copied, size_of
from crossauth_backend.core.single_flight import SingleFlight
from crossauth_backend.oauth.resource.remote_keys import read_document
from crossauth_backend.oauth.resource.verify_jwt import check_bearer, check_kind
from crossauth_backend.oauth.wire.errors import InvalidToken, TemporarilyUnavailable

MAX_RESPONSE: Final = 64 * 1024
# Anybody can send tokens that nobody has issued: so many are asked about at a time, and no more.
MAX_AT_ONCE: Final = 64
LOG_PAUSE: Final = timedelta(seconds=30)
logger = logging.getLogger("crossauth.oauth")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionPolicy:
    """What is asked, and what an answer must say.

    Parameters:
        client_id: this server as a client of the authorization server.
        client_secret: its secret; without one it only names itself.
        issuer: what `iss` must be, where it is there.
        audiences: of which `aud` must name one.
        needs_audience: whether an answer without `aud` is refused.
        leeway: by how much clocks may differ.
        cache_for: how long an active token is not asked about again; never past its `exp`.
        timeout: of a request.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    issuer: str
    audiences: tuple[str, ...]
    needs_audience: bool = True
    leeway: timedelta = timedelta(seconds=10)
    cache_for: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=5)


class Introspector:
    """Asks about tokens, and remembers for a moment which were active. That one was not is never remembered.

    Parameters:
        policy: what is asked, and what an answer must say.
        fetcher: what sends requests.
        clock: what time it is.
    """

    def __init__(self, policy: IntrospectionPolicy, fetcher: Fetcher, clock: Clock) -> None:
        self._policy, self._fetcher, self._clock = policy, fetcher, clock
        self._logged: datetime | None = None
        self._cache = ClaimsCache()
        self._flight: SingleFlight[dict[str, Any]] = SingleFlight()

        def claims_policy(audiences: tuple[str, ...] | None) -> VerificationPolicy:
            return VerificationPolicy(
                algorithms=(), issuers=None, audiences=audiences, types=None, leeway=policy.leeway, required=()
            )

        self._with_audience, self._without = claims_policy(policy.audiences), claims_policy(None)

    async def introspect(self, token: str, endpoint: str | None, methods: object = None) -> dict[str, Any]:
        """What the authorization server says of a token that is active and for us; a copy of its own for every caller.

        Parameters:
            token: as it came.
            endpoint: URL of the introspection endpoint; `None` where the authorization server has none.
            methods: `introspection_endpoint_auth_methods_supported` of its metadata.

        Raises:
            InvalidToken: it is not active, or not for us.
            TemporarilyUnavailable: there is no answer, or the authorization server offers none, or none to us.
        """
        if endpoint is None:
            self._log("the authorization server offers no introspection: set option 'introspection_endpoint'")
            raise TemporarilyUnavailable(detail="no introspection endpoint")
        name = ClaimsCache.name(token, endpoint)
        known = self._cache.get(name)
        if known is not None and known["until"] > self._clock().timestamp():
            claims: dict[str, Any] = known["claims"]
            return claims
        if len(self._flight) >= MAX_AT_ONCE:
            raise TemporarilyUnavailable(detail="too many introspections at once")
        # Everybody who waits for the same answer gets a copy of it.
        found = await self._flight.run(name, lambda: self._ask(name, token, endpoint, methods))
        return {name: copied(value) for name, value in found.items()}

    async def _ask(self, name: CacheName, token: str, endpoint: str, methods: object) -> dict[str, Any]:
        request = self._request(token, endpoint, methods)
        try:
            response = await fetch_with(self._fetcher, request)
            if response.status in (401, 403):
                self._log(
                    "the introspection endpoint refuses us with %d: check the introspection client", response.status
                )
                raise TemporarilyUnavailable(detail=f"introspection: status {response.status}")
            if response.status == 400:
                self._log("the introspection endpoint answers 400: check the introspection client")
                raise InvalidToken(detail="introspection: status 400")
            claims = _answer(request, response)
        except CrossauthError as e:
            if e.code is not ErrorCode.Connection:
                raise
            self._log("introspection failed: %s", e.detail)
            raise TemporarilyUnavailable(detail=e.detail) from None
        try:
            self._check(claims)
        except JwtInvalidError as e:
            raise InvalidToken(detail=f"introspection: {e}") from None
        now = self._clock().timestamp()
        until = min(now + self._policy.cache_for.total_seconds(), claims.get("exp", float("inf")))
        if until > now:
            self._cache.put(name, {"until": until, "claims": claims})
        return claims

    def _log(self, text: str, *args: object) -> None:
        """Anybody can cause this with any token, so it is said now and then, and not each time."""
        now = self._clock()
        if self._logged is None or not self._logged <= now < self._logged + LOG_PAUSE:
            self._logged = now
            logger.warning(text, *args)

    def _check(self, claims: dict[str, Any]) -> None:
        if "iss" in claims and claims["iss"] != self._policy.issuer:
            raise JwtInvalidError("iss")
        kind = claims.get("token_type", "Bearer")
        if not isinstance(kind, str) or kind.lower() not in ("bearer", "access_token"):
            raise JwtInvalidError("token_type")
        is_bound = self._policy.needs_audience or "aud" in claims
        policy = self._with_audience if is_bound else self._without
        policy.check_claims(claims, self._clock().timestamp())
        check_kind(claims, "access", needs_mark=False)
        check_bearer(claims)

    def _request(self, token: str, endpoint: str, methods: object) -> FetchRequest:
        policy, fields = self._policy, {"token": token, "token_type_hint": "access_token"}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if policy.client_secret is None:
            fields["client_id"] = policy.client_id
        elif isinstance(methods, list) and "client_secret_post" in methods and "client_secret_basic" not in methods:
            fields |= {"client_id": policy.client_id, "client_secret": policy.client_secret}
        else:
            headers["Authorization"] = basic_credentials(policy.client_id, policy.client_secret)
        return FetchRequest(
            url=endpoint, method="POST", headers=headers, body=urlencode(fields).encode("ascii"),
            timeout=policy.timeout, max_bytes=MAX_RESPONSE,
        )  # fmt: skip


def basic_credentials(client_id: str, client_secret: str) -> str:
    """An `Authorization` header by which a client authenticates (RFC 6749 §2.3.1): both parts are form-encoded first."""
    both = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {base64.b64encode(both.encode('ascii')).decode('ascii')}"


def _answer(request: FetchRequest, response: FetchResponse) -> dict[str, Any]:
    claims = read_document(request, response)
    if claims.get("active") is not True:
        raise InvalidToken(detail="introspection: not active")
    try:
        size_of(claims)
    except ValueError:
        raise InvalidToken(detail="introspection: claims that no token has") from None
    return {name: value for name, value in claims.items() if name != "active"}


def introspection_methods(metadata: Mapping[str, Any] | None) -> object:
    """How the metadata says that a client authenticates at the introspection endpoint (RFC 8414 §2)."""
    return None if metadata is None else metadata.get("introspection_endpoint_auth_methods_supported")
