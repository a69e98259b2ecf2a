"""Whether a request is for http://localhost, and from this machine; for where the configuration does not say so."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from crossauth_fastapi._http.address import read_address
from crossauth_fastapi._http.once import warn_once

logger = logging.getLogger("crossauth.http")
_PASSED_ON: Final = (b"forwarded", b"via")
# What is remembered of requests is no longer than the longest name with a port (RFC 1035 §2.3.4).
_LONGEST: Final = 261


def is_local(
    scheme: str | None, http_version: str, client: Any, headers: Iterable[tuple[bytes, bytes]], any_origin: bool = False
) -> bool:
    """Whether a request is for http://localhost, and from this machine; for where the configuration does not say so.

    A proxy on this machine asks for `localhost` too. It gives itself away by what it adds to a request, or by speaking
    HTTP/1.0 or closing the connection, as nginx does unless told otherwise and no browser does; and its visitors by an
    `ClientInfo` that is elsewhere.

    Parameters:
        scheme: of the request.
        http_version: as the ASGI scope has it.
        client: the peer of the connection, `(host, port)`.
        headers: of the request, names in lower case.
        any_origin: whether the `ClientInfo` is left out of account: a page elsewhere may call an API on this machine.
    """
    if scheme not in ("http", "ws"):
        return False
    host, origin, connection, forwarded = _told(headers)
    if not is_local_host(host.decode("latin-1")):
        return False
    if forwarded:
        reason = "a proxy has forwarded it"
    elif not client or not _is_loopback(str(client[0])[:_LONGEST]):
        reason = "the connection comes from another machine"
    elif http_version == "1.0" or connection.lower() == b"close" or (not any_origin and not _is_here(origin)):
        reason = "a proxy seems to have forwarded it"
    else:
        return True
    warn_once(
        logger,
        f"A request for http://localhost gets Secure cookies, for {reason}. Set the option 'site_url': to the address that "
        "browsers use, such as https://example.com, or in development to http://localhost:8000",
    )
    return False


def _told(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bytes, bool]:
    """Host, Origin and Connection of a request, and whether it says that it was forwarded; the first of a header."""
    host = origin = connection = b""
    forwarded = False
    for name, value in headers:
        if name == b"host":
            host = host or value
        elif name == b"origin":
            origin = origin or value
        elif name == b"connection":
            connection = connection or value
        elif name in _PASSED_ON or name.startswith(b"x-forwarded-"):
            forwarded = True
    return host, origin, connection, forwarded


def _is_here(origin: bytes) -> bool:
    """Whether a page of this machine sent the request, or nobody says."""
    return origin in (b"", b"null") or is_local_host(origin.decode("latin-1").partition("://")[2])


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    address = read_address(host)
    # Starlette's TestClient calls itself so.
    return address.is_loopback if address is not None else host == "testclient"


def is_local_host(host: str) -> bool:
    """Whether a host name, with its port or without, stands for the machine itself."""
    return len(host) <= _LONGEST and _is_local_name(host)


@lru_cache(maxsize=256)
def _is_local_name(host: str) -> bool:
    name = host if host == "::1" else re.sub(r":[0-9]+\Z", "", host)
    return name in ("localhost", "127.0.0.1", "::1", "[::1]") or name.endswith(".localhost")
