"""The option `oauth_log_fetch`: what is sent to the authorization server, as far as a log may hold it."""

from __future__ import annotations

import logging
import time
from urllib.parse import urlsplit

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.fetch import Fetcher, FetchRequest, FetchResponse
from crossauth_backend.core.http_client import HttpClient, check_aiohttp

logger = logging.getLogger("crossauth.oauth.fetch")


class LoggedFetcher:
    """Says which requests are sent, and what comes back: no query, header or body, for these hold secrets.

    Parameters:
        inner: sends them; our client where it is left out.
    """

    def __init__(self, inner: Fetcher | None = None) -> None:
        self._own: HttpClient | None = None
        if inner is None:
            check_aiohttp()
            inner = self._own = HttpClient()
        self._inner = inner

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """See `Fetcher.fetch`."""
        url, begun = urlsplit(request.url), time.monotonic()
        what = f"{request.method} {url.scheme}://{url.hostname}{url.path}"
        try:
            response = await self._inner.fetch(request)
        except CrossauthError as e:
            logger.info("%s: %s after %.0f ms", what, e.detail or e.code_name, 1000 * (time.monotonic() - begun))
            raise
        logger.info(
            "%s: %d, %d bytes, after %.0f ms",
            what,
            response.status,
            len(response.body),
            1000 * (time.monotonic() - begun),
        )
        return response

    async def aclose(self) -> None:
        """Close our own connections."""
        if self._own is not None:
            await self._own.aclose()
