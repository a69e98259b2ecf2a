"""The address of whoever is asking.

A forwarded header counts only where it comes from a proxy that was named in `trusted_proxies`, see `proxies`. Nothing but an
address leaves this module, or `FORWARDED`, which is one and the same for all whose address is not known.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from typing import Any, Final, Protocol, TypeAlias

from crossauth_fastapi._http.once import warn_once

logger = logging.getLogger("crossauth.http")
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
FORWARDED: Final = "forwarded"
FOR: Final = b"x-forwarded-for"
# In brackets with or without a port, or IPv4 with a port, as proxies of clouds write hops.
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.ASCII)
_NAME_IT: Final = (
    "name the proxy in the option 'trusted_proxies', and run uvicorn with --no-proxy-headers; until then whoever comes "
    "through it counts as one and the same visitor to the limits, and the log does not know their addresses"
)


def read_address(text: str) -> Address | None:
    """The address in a text such as `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:80`.

    An IPv4 address in IPv6 form is that IPv4 address. A zone (`fe80::1%eth0`) could be any text, so it is no part of an address.
    """
    match = _WITH_PORT.fullmatch(text)
    bare = (match.group(1) or match.group(2)) if match else text
    try:
        address = ipaddress.ip_address(bare) if "%" not in bare else None
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Proxies(Protocol):
    """The proxies of the option `trusted_proxies`, see `proxies.TrustedProxies`."""

    def judge(self, scope: Any) -> tuple[str, bool]:
        """The address of whoever is asking, and whether a named proxy passed the request on."""
        ...


def peer_address(scope: Any, trusted: Proxies | None) -> str:
    """The address of whoever is asking.

    That is the peer of the connection; behind proxies that are all named, the last hop that is not one of them, from the right,
    as far as they wrote `X-Forwarded-For` (RFC 7239 §8.1). A server that reads the header by itself (uvicorn with
    `proxy_headers`, for peers in a list of its own) leaves the text of a hop in the place of the peer: that counts where a
    named proxy must have written it, and else as `FORWARDED`.

    Parameters:
        scope: the ASGI scope.
        trusted: the proxies that are named; `None` where none is.

    Returns:
        An address, `FORWARDED`, or an empty text where the connection has no address.
    """
    if trusted is not None:
        return trusted.judge(scope)[0]
    host, no_port, peer = peer_of(scope)
    declared, said_otherwise = header_values(scope, FOR), header_values(scope, b"forwarded")
    if declared or said_otherwise:
        warn_once(logger, f"A request carries X-Forwarded-For or Forwarded, which is not believed: {_NAME_IT}")
    rewritten = bool(host) and (no_port or mentions(f"{declared},{said_otherwise}", host, peer))
    return FORWARDED if rewritten else address_text(peer)


def peer_of(scope: Any) -> tuple[str, bool, Address | None]:
    """The peer of the connection: as the server has it, whether without a port, and its address where it is one."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    # No connection has the port 0; it is what a server writes beside a hop that has none.
    # The zone of a link-local peer is the socket's, and no part of its address.
    return host, bool(client) and not client[1], read_address(host.partition("%")[0])


def mentions(text: str, host: str, peer: Address | None) -> bool:
    """Whether forwarded headers hold the peer, in whatever way a server may read them."""
    return host in text or (peer is not None and any(read_address(hop.strip()) == peer for hop in text.split(",")))


def header_values(scope: Any, wanted: bytes) -> str:
    """All values of a header, one after the other."""
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == wanted)


def address_text(address: Address | None) -> str:
    """An address as text; empty where there is none."""
    return "" if address is None else str(address)
