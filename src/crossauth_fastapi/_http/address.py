"""The address of whoever is asking."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from crossauth_backend.core.errors import CrossauthError, ErrorCode

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


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


def peer_address(scope: Any, trusted: Sequence[Network]) -> str:
    """The address of the peer; behind a trusted proxy that of the last hop which is not one; empty where there is none.

    `X-Forwarded-For` is believed only as far as trusted proxies wrote it: from the right (RFC 7239 §8.1). A server that reads the
    header by itself (uvicorn with `proxy_headers`, for peers in its own list) leaves port 0 behind; where no proxy is trusted
    here, such an address is not believed, and counts as one and the same for all.
    """
    client = scope.get("client")
    if not client:
        return ""
    address, port = str(client[0]), client[1]
    if not trusted:
        return address if port else "forwarded"
    if not port or not _is_trusted(address, trusted):
        return address
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for hop in reversed(",".join(headers).split(",")):
        hop = hop.strip()
        if not _is_address(hop):
            return address
        address = hop
        if not _is_trusted(hop, trusted):
            return hop
    return address


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    if not _is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in trusted)
