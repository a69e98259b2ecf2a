"""What is believed of proxies: those that were named, and of them scheme and host; of addresses see `address`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.address import Network, header_values, judge

_BLANK: Final = " \t"
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_SECURE: Final = {"http": "https", "ws": "wss", "https": "https", "wss": "wss"}
_PLAIN: Final = {"http": "http", "ws": "ws", "https": "http", "wss": "ws"}


def read_proxies(given: Iterable[str]) -> tuple[Network, ...]:
    """The networks of the option `trusted_proxies`.

    Raises:
        CrossauthError: `Configuration` for what is no address or network.
    """
    networks = []
    for text in given:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError as e:
            raise CrossauthError(
                ErrorCode.Configuration,
                f"Option 'trusted_proxies': {text!r} is no address or network, such as 10.0.0.5 or 10.0.0.0/8",
            ) from e
    return tuple(networks)


def believe_proxies(scope: Any, trusted: Sequence[Network]) -> None:
    """Set scheme and host of `scope` to what a named proxy says of them, so that URLs are made as the browser writes them.

    `X-Forwarded-Proto` and `X-Forwarded-Host` of anybody else are left alone, and so is what is no scheme or host.
    """
    if not trusted or not judge(scope, trusted)[1]:
        return
    scheme = _last(scope, b"x-forwarded-proto").lower()
    known: str = scope.get("scheme", "http")
    if scheme in ("https", "wss"):
        scope["scheme"] = _SECURE.get(known, known)
    elif scheme in ("http", "ws"):
        scope["scheme"] = _PLAIN.get(known, known)
    host = _last(scope, b"x-forwarded-host")
    if len(host) <= 261 and _HOST.fullmatch(host):
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [(b"host", host.encode("ascii")), *others]


def _last(scope: Any, name: bytes) -> str:
    """What the nearest proxy said: of a list, the last."""
    return header_values(scope, name).rpartition(",")[2].strip(_BLANK)
