"""What is believed of proxies: those that were named, and what an address, a scheme or a host is in what they say."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.address import (
    FOR,
    FORWARDED,
    Address,
    address_text,
    header_values,
    mentions,
    peer_of,
    read_address,
)
from crossauth_fastapi._http.once import warn_once

logger = logging.getLogger("crossauth.http")
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_BLANK: Final = " \t"
_LOOPBACK: Final = tuple(map(ipaddress.ip_address, ("127.0.0.1", "::1")))
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_SECURE: Final = {"http": "https", "ws": "wss", "https": "https", "wss": "wss"}
_PLAIN: Final = {"http": "http", "ws": "ws", "https": "http", "wss": "ws"}


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies of the option `trusted_proxies`, as networks."""

    networks: tuple[Network, ...]

    def judge(self, scope: Any) -> tuple[str, bool]:
        """The address of whoever is asking, and whether a named proxy passed the request on."""
        host, no_port, peer = peer_of(scope)
        declared = header_values(scope, FOR)
        if peer is None:
            return (FORWARDED if declared and host else ""), False
        hops = [hop.strip(_BLANK) for hop in declared.split(",")] if declared else []
        last = self._last_hop(hops)
        if self._has(peer):
            # Without its own proxy being named, uvicorn may have put the nearest hop here, for anybody to choose.
            if not self._names_loopback() and _nearest(hops) == peer:
                return _not_named()
            return address_text(last or peer), True
        if not no_port and not mentions(declared, host, peer):
            return address_text(peer), False
        # Either a visitor sends a header with its own address, or the server has put a hop in the place of the proxy.
        if self._names_loopback() and last == peer:
            return address_text(peer), True
        return _not_named()

    def _last_hop(self, hops: Sequence[str]) -> Address | None:
        """The first hop from the right that is no named proxy; where the rest is no address, the last proxy before it."""
        found: Address | None = None
        for hop in reversed(hops):
            address = read_address(hop)
            if address is None:
                break
            found = address
            if not self._has(address):
                break
        return found

    def _names_loopback(self) -> bool:
        return any(self._has(address) for address in _LOOPBACK)

    def _has(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _nearest(hops: Sequence[str]) -> Address | None:
    """The hop that uvicorn would take: the first from the right that is not its own machine."""
    for hop in reversed(hops):
        address = read_address(hop)
        if address not in _LOOPBACK:
            return address
    return None


def _not_named() -> tuple[str, bool]:
    warn_once(
        logger,
        "The server has replaced the address of a proxy by what X-Forwarded-For says, so that nobody can tell which proxy "
        "wrote it. Run uvicorn with --no-proxy-headers; until then such visitors count as one and the same to the limits",
    )
    return FORWARDED, False


def read_proxies(given: Iterable[str]) -> TrustedProxies | None:
    """The proxies of the option `trusted_proxies`; `None` where none is named.

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
    return TrustedProxies(tuple(networks)) if networks else None


def believe_proxies(scope: Any, trusted: TrustedProxies | None) -> None:
    """Set scheme and host of `scope` to what a named proxy says of them, so that URLs are made as the browser writes them.

    `X-Forwarded-Proto` and `X-Forwarded-Host` of anybody else are left alone, and so is what is no scheme or host.
    """
    if trusted is None or not trusted.judge(scope)[1]:
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
