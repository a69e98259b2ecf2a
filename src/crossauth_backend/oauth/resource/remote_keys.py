"""The keys of an authorization server, fetched when they are needed and no more often than they may be.

Whatever tokens arrive, there is one fetch at a time and at most one in each cool-down. What was fetched last stays good until
something better was fetched: an authorization server that is away takes nobody down with it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.clock import Clock
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import Fetcher, FetchRequest, FetchResponse, fetch_with, unavailable
from crossauth_backend.core.jose import VerificationKeys, read_jwks
from crossauth_backend.core.jose.verify import read_object
from crossauth_backend.core.single_flight import SingleFlight
from crossauth_backend.oauth.wire.metadata import check_metadata, endpoint, metadata_urls

MAX_DOCUMENT: Final = 256 * 1024
# Without any keys nothing works, so a first fetch that failed is tried again soon.
FIRST_COOLDOWN: Final = timedelta(seconds=3)
METADATA_MAX_AGE: Final = timedelta(hours=24)
logger = logging.getLogger("crossauth.oauth")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How often and how long is fetched.

    Parameters:
        cooldown: between two fetches of keys.
        max_age: after which keys are fetched anew.
        timeout: of each request.
    """

    cooldown: timedelta = timedelta(seconds=30)
    max_age: timedelta = timedelta(minutes=10)
    timeout: timedelta = timedelta(seconds=5)


class RemoteKeys:
    """Metadata and keys of one issuer.

    Parameters:
        issuer: its URL, exactly as in its tokens.
        fetcher: what sends requests.
        clock: what time it is.
        limits: how often and how long is fetched.
        metadata: instead of fetching it.
        discovery: what the well-known paths are appended to, where it is not the issuer.
    """

    def __init__(
        self,
        issuer: str,
        fetcher: Fetcher,
        clock: Clock,
        limits: FetchLimits,
        metadata: Mapping[str, Any] | None = None,
        *,
        discovery: str | None = None,
    ) -> None:
        self.issuer, self._discovery = issuer, discovery or issuer
        self._fetcher, self._clock, self._limits = fetcher, clock, limits
        self._metadata = metadata
        # Until when fetched metadata is good; `None` for metadata that was given, which stays.
        self._metadata_until: datetime | None = None
        self._keys: VerificationKeys | None = None
        self._fetched: datetime | None = None
        self._tried: datetime | None = None
        self._flight: SingleFlight[VerificationKeys] = SingleFlight()
        self._metadata_flight: SingleFlight[Mapping[str, Any]] = SingleFlight()

    @property
    def known(self) -> VerificationKeys | None:
        """The keys that were fetched last."""
        return self._keys

    @property
    def standing(self) -> VerificationKeys | None:
        """The same, unless they are so old that they are to be fetched again."""
        return None if self._is_old() else self._keys

    @property
    def known_metadata(self) -> Mapping[str, Any] | None:
        """The metadata that was given or fetched last."""
        return self._metadata

    async def keys(self) -> VerificationKeys:
        """The keys; fetched now where there are none, in the background where they are old.

        Raises:
            CrossauthError: `Connection` where there are none and none can be had.
        """
        if self._keys is None:
            return await self._refetched()
        if self._is_old() and self._may_fetch():
            self._flight.start("keys", self._fetch_keys)
        return self._keys

    async def newer_keys(self) -> VerificationKeys:
        """The keys after a token came whose key is not among them; the same ones during the cool-down.

        Raises:
            CrossauthError: `Connection` where there are none and none can be had.
        """
        return await self._refetched()

    async def load_metadata(self) -> Mapping[str, Any]:
        """The metadata, fetched where there is none or it is old.

        Raises:
            CrossauthError: `Connection` where there is none and none can be had.
        """
        until = self._metadata_until
        if self._metadata is not None and (until is None or self._clock() < until):
            return self._metadata
        try:
            return await self._metadata_flight.run("metadata", self._fetch_metadata)
        except CrossauthError:
            if self._metadata is None:
                raise
            return self._metadata

    async def load_keys(self) -> VerificationKeys:
        """The keys, fetched now whatever the cool-down says.

        Raises:
            CrossauthError: `Connection` where they cannot be had.
        """
        return await self._flight.run("keys", self._fetch_keys)

    def use_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Take metadata that was given instead of fetching it."""
        self._metadata, self._metadata_until = metadata, None

    async def _refetched(self) -> VerificationKeys:
        if self._flight or self._may_fetch():
            try:
                return await self._flight.run("keys", self._fetch_keys)
            except CrossauthError:
                if self._keys is None:
                    raise
        if self._keys is None:
            raise CrossauthError(
                ErrorCode.Connection, detail=f"no keys of {self.issuer} yet; waiting for the cool-down"
            )
        return self._keys

    def _is_old(self) -> bool:
        return self._fetched is None or self._clock() >= self._fetched + self._limits.max_age

    def _may_fetch(self) -> bool:
        cooldown = self._limits.cooldown if self._keys is not None else min(self._limits.cooldown, FIRST_COOLDOWN)
        # A clock that was set back must not stop fetching until it has caught up.
        return self._tried is None or not self._tried <= self._clock() < self._tried + cooldown

    async def _fetch_keys(self) -> VerificationKeys:
        self._tried = self._clock()
        try:
            metadata = await self.load_metadata()
            url = endpoint(metadata, "jwks_uri")
            if url is None:
                raise CrossauthError(ErrorCode.Connection, detail=f"the metadata of {self.issuer} has no 'jwks_uri'")
            request = self._request(url)
            keys = _as_keys(request, await fetch_with(self._fetcher, request))
        except CrossauthError as e:
            if self._metadata_until is not None:
                # The address of the keys may have changed.
                self._metadata_until = self._clock()
            logger.warning("keys of %s could not be fetched: %s", self.issuer, e.detail or e.message)
            raise
        self._keys, self._fetched = keys, self._clock()
        return keys

    async def _fetch_metadata(self) -> Mapping[str, Any]:
        for url in metadata_urls(self._discovery):
            request = self._request(url)
            response = await fetch_with(self._fetcher, request)
            if response.status == 404:
                continue
            document = read_document(request, response)
            try:
                check_metadata(document, self.issuer)
            except ValueError as e:
                raise unavailable(request, f"metadata: {e}") from None
            self._metadata, self._metadata_until = document, self._clock() + METADATA_MAX_AGE
            return document
        raise unavailable(request, "there is no metadata")

    def _request(self, url: str) -> FetchRequest:
        return FetchRequest(
            url=url, headers={"Accept": "application/json"}, timeout=self._limits.timeout, max_bytes=MAX_DOCUMENT
        )


def read_document(request: FetchRequest, response: FetchResponse) -> dict[str, Any]:
    """The JSON object in a response.

    Raises:
        CrossauthError: `Connection` for any status but 200 (a redirect is not followed), another content type, or no object.
    """
    if response.status != 200:
        raise unavailable(request, f"status {response.status}")
    if not response.is_json:
        raise unavailable(request, "the content type is not JSON")
    try:
        return read_object(response.body)
    except (ValueError, RecursionError) as e:
        raise unavailable(request, f"no JSON object ({type(e).__name__})") from None


def _as_keys(request: FetchRequest, response: FetchResponse) -> VerificationKeys:
    try:
        keys = read_jwks(read_document(request, response))
    except ValueError:
        raise unavailable(request, "no JWK set") from None
    if not keys:
        raise unavailable(request, "no key that can be used")
    return keys
