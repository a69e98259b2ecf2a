"""The address of whoever is asking, and what is believed of proxies on the way.

A forwarded header counts only where it comes from a proxy that was named in `trusted_proxies`, and then only what is an
address in it. Nothing but an address leaves this module, or `FORWARDED`, which is one and the same for all whose address is
not known.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from crossauth_fastapi._http.once import warn_once

logger = logging.getLogger("crossauth.http")
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
FORWARDED: Final = "forwarded"
_FOR: Final = b"x-forwarded-for"
_BLANK: Final = " \t"
# In brackets with or without a port, or IPv4 with a port, as proxies of clouds write hops.
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.ASCII)
_LOOPBACK: Final = tuple(map(ipaddress.ip_address, ("127.0.0.1", "::1")))
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


def peer_address(scope: Any, trusted: Sequence[Network]) -> str:
    """The address of whoever is asking.

    That is the peer of the connection; behind proxies that are all named, the last hop that is not one of them, from the right,
    as far as they wrote `X-Forwarded-For` (RFC 7239 §8.1). A server that reads the header by itself (uvicorn with
    `proxy_headers`, for peers in a list of its own) leaves the text of a hop in the place of the peer: that counts where a
    named proxy must have written it, and else as `FORWARDED`.

    Parameters:
        scope: the ASGI scope.
        trusted: the networks of the proxies that are named.

    Returns:
        An address, `FORWARDED`, or an empty text where the connection has no address.
    """
    return judge(scope, trusted)[0]


def judge(scope: Any, trusted: Sequence[Network]) -> tuple[str, bool]:
    """The address of whoever is asking, and whether a named proxy passed the request on."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    # No connection has the port 0; it is what a server writes beside a hop that has none.
    no_port = bool(client) and not client[1]
    # The zone of a link-local peer is the socket's, and no part of its address.
    peer = read_address(host.partition("%")[0])
    said = header_values(scope, _FOR)
    said_otherwise = header_values(scope, b"forwarded")
    if not trusted:
        if said or said_otherwise:
            warn_once(logger, f"A request carries X-Forwarded-For or Forwarded, which is not believed: {_NAME_IT}")
        rewritten = bool(host) and (no_port or _mentions(f"{said},{said_otherwise}", host, peer))
        return (FORWARDED if rewritten else _text(peer)), False
    if peer is None:
        return (FORWARDED if said and host else ""), False
    hops = [hop.strip(_BLANK) for hop in said.split(",")] if said else []
    last = _last_hop(hops, trusted)
    if _is_trusted(peer, trusted):
        # Without its own proxy being named, uvicorn may have put the nearest hop here, for anybody to choose.
        if not _names_loopback(trusted) and _nearest(hops) == peer:
            return _not_named()
        return _text(last or peer), True
    if not no_port and not _mentions(said, host, peer):
        return _text(peer), False
    # Either a visitor sends a header with its own address, or the server has put a hop in the place of the proxy.
    if _names_loopback(trusted) and last == peer:
        return _text(peer), True
    return _not_named()


def _not_named() -> tuple[str, bool]:
    warn_once(
        logger,
        "The server has replaced the address of a proxy by what X-Forwarded-For says, so that nobody can tell which proxy "
        "wrote it. Run uvicorn with --no-proxy-headers; until then such visitors count as one and the same to the limits",
    )
    return FORWARDED, False


def _last_hop(hops: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The first hop from the right that is no named proxy; where the rest is no address, the last proxy before it."""
    found: Address | None = None
    for hop in reversed(hops):
        address = read_address(hop)
        if address is None:
            break
        found = address
        if not _is_trusted(address, trusted):
            break
    return found


def _nearest(hops: Sequence[str]) -> Address | None:
    """The hop that uvicorn would take: the first from the right that is not its own machine."""
    for hop in reversed(hops):
        address = read_address(hop)
        if address not in _LOOPBACK:
            return address
    return None


def _mentions(text: str, host: str, peer: Address | None) -> bool:
    """Whether forwarded headers hold the peer, in whatever way a server may read them."""
    return host in text or (peer is not None and any(read_address(hop.strip()) == peer for hop in text.split(",")))


def _names_loopback(trusted: Sequence[Network]) -> bool:
    return any(_is_trusted(address, trusted) for address in _LOOPBACK)


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def header_values(scope: Any, wanted: bytes) -> str:
    """All values of a header, one after the other."""
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == wanted)


def _text(address: Address | None) -> str:
    return "" if address is None else str(address)
