"""Requests to other servers: what is asked for, what comes back, and what a client of ours must do.

Every request that leaves this server goes through a `Fetcher`, so that an application can put its own in the place of ours.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

from crossauth_backend.core.errors import CrossauthError, ErrorCode

MAX_URL: Final = 2048
_JSON_TYPES: Final = ("application/json", "text/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """One request.

    Parameters:
        url: absolute, `http` or `https`.
        method: `GET` or `POST`.
        headers: besides those that the client adds.
        body: what is posted.
        timeout: for the whole exchange, from the connection to the last byte.
        max_bytes: a longer response is refused.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=5)
    max_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResponse:
    """What came back.

    Parameters:
        status: the HTTP status.
        headers: names in lower case.
        body: all of it, without any content coding.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_json(self) -> bool:
        """Whether it says of itself that it is JSON (RFC 8259 §11, RFC 6839 §3.1)."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind in _JSON_TYPES or (kind.startswith("application/") and kind.endswith("+json"))


@runtime_checkable
class Fetcher(Protocol):
    """Sends requests.

    It follows no redirect, keeps no cookies, takes no proxy or credentials from the environment, and gives up at `timeout`
    and `max_bytes`.
    """

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Send it; a response of any status is returned.

        Raises:
            CrossauthError: `Connection` where there is no complete response within the limits.
        """
        ...


async def fetch_with(fetcher: Fetcher, request: FetchRequest) -> FetchResponse:
    """Send a request by any fetcher, also one of the application, and hold it to the limits.

    Raises:
        CrossauthError: `Connection` for whatever goes wrong; what the fetcher says of its configuration is passed on.
    """
    try:
        async with asyncio.timeout(request.timeout.total_seconds() + 1):
            response = await fetcher.fetch(request)
        if len(response.body) > request.max_bytes:
            raise unavailable(request, f"more than {request.max_bytes} bytes")
        return response
    except CrossauthError:
        raise
    except Exception as e:
        raise unavailable(request, type(e).__name__) from e


def unavailable(request: FetchRequest, reason: str) -> CrossauthError:
    """The error of a request that got no usable response. Only the host is named: paths and queries may hold secrets."""
    return CrossauthError(ErrorCode.Connection, detail=f"{_host(request.url)}: {reason}")


def is_secure_url(url: str) -> bool:
    """Whether nobody between us and `url` can read or change what is sent: `https`, or `http` to this machine.

    A URL with credentials, a fragment or a character that does not belong into one is not.
    """
    if len(url) > MAX_URL or not url.isascii() or any(c <= " " or c in '"\\<>\x7f' for c in url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.fragment or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"
