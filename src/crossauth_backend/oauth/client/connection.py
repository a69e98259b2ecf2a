"""What the flows of a client share: its options, the metadata and keys of its server, and what sends requests."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.clock import Clock
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import Fetcher, FetchRequest, FetchResponse, fetch_with
from crossauth_backend.core.http_client import HttpClient, check_aiohttp
from crossauth_backend.oauth.client.id_tokens import IdTokens
from crossauth_backend.oauth.client.options import COMPONENT, ClientSettings
from crossauth_backend.oauth.client.tenants import issuers
from crossauth_backend.oauth.resource.remote_keys import FetchLimits, RemoteKeys
from crossauth_backend.oauth.wire.metadata import check_metadata, endpoint

MAX_RESPONSE: Final = 256 * 1024
WARN_EVERY: Final = timedelta(seconds=30)
logger = logging.getLogger("crossauth.oauth")


class Connection:
    """A client's line to its authorization server.

    Parameters:
        settings: the options, checked.
        clock: what time it is.
    """

    def __init__(self, settings: ClientSettings, clock: Clock) -> None:
        if settings.fetcher is None:
            check_aiohttp()
        self.settings, self.clock = settings, clock
        self.issuers = issuers(settings.auth_server_base_url, settings.tenants)
        self.timeout = timedelta(seconds=settings.fetch_timeout)
        self._http = HttpClient()
        self._warned: dict[str, datetime] = {}
        self._fetcher: Fetcher
        self.fetcher: Fetcher
        self._fetcher = self.fetcher = settings.fetcher or self._http
        if settings.auth_server_headers:
            self._fetcher = _WithHeaders(self._fetcher, settings.auth_server_headers)
        limits = FetchLimits(
            cooldown=timedelta(seconds=settings.jwks_cooldown), max_age=timedelta(seconds=settings.jwks_max_age),
            timeout=self.timeout,
        )  # fmt: skip
        if settings.oidc_config is not None:
            self._check(settings.oidc_config)
        self._remote = RemoteKeys(
            self.issuers.published, self._fetcher, clock, limits, settings.oidc_config, discovery=self.issuers.discovery
        )
        self.id_tokens = IdTokens(settings, self.issuers, self._remote, clock)

    @property
    def known_metadata(self) -> Mapping[str, Any] | None:
        """The metadata that was given or fetched last."""
        return self._remote.known_metadata

    async def metadata(self) -> Mapping[str, Any]:
        """The metadata, fetched where there is none or it is old.

        Raises:
            CrossauthError: `Connection` where it cannot be had.
        """
        return await self._remote.load_metadata()

    async def load_config(self, config: Mapping[str, Any] | None) -> None:
        """Take metadata, or fetch it.

        Raises:
            CrossauthError: `Connection` where it cannot be had; `Configuration` where it is another server's.
        """
        if config is None:
            await self._remote.load_metadata()
        else:
            self._check(config)
            self._remote.use_metadata(config)

    async def endpoint(self, name: str) -> str | None:
        """The URL of an endpoint that the metadata names.

        Raises:
            CrossauthError: `Connection` where there is no metadata.
        """
        return endpoint(await self.metadata(), name)

    async def send(self, request: FetchRequest) -> FetchResponse:
        """Send a request, within the limits of the client.

        Raises:
            CrossauthError: `Connection` where there is no complete response.
        """
        return await fetch_with(self._fetcher, replace(request, timeout=self.timeout, max_bytes=MAX_RESPONSE))

    def warn(self, text: str, *args: object) -> None:
        """Log what is wrong with the server; each text now and then, for anybody who has a browser can cause it.

        Parameters:
            text: what is wrong, with a place for the issuer at its beginning.
            args: for its other places.
        """
        now, told = self.clock(), self._warned.get(text)
        if told is None or not told <= now < told + WARN_EVERY:
            self._warned[text] = now
            logger.warning(text, self.issuers.published, *args)

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    def _check(self, config: Mapping[str, Any]) -> None:
        try:
            check_metadata(config, self.issuers.published)
        except ValueError as e:
            raise CrossauthError(ErrorCode.Configuration, f"{COMPONENT}: option 'oidc_config': {e}") from None


class _WithHeaders:
    """A fetcher that adds headers to every request."""

    def __init__(self, fetcher: Fetcher, headers: Mapping[str, str]) -> None:
        self._fetcher, self._headers = fetcher, headers

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """See `Fetcher`."""
        return await self._fetcher.fetch(replace(request, headers={**self._headers, **request.headers}))
