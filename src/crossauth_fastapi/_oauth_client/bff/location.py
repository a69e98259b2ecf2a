"""Where a redirect of the API leads, as the browser has to write it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from crossauth_fastapi._oauth_client.bff.paths import MAX_URL, AllowedPath, is_allowed, is_query

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def rewritten(location: bytes, asked: str, base: str, here: str, allowed: Collection[AllowedPath]) -> bytes | None:
    """A `Location` of the API as a path of this site; `None` where it leads to what is not served here.

    Parameters:
        location: as the API sent it.
        asked: the URL that was asked for there.
        base: the URL of the API, without a slash at its end.
        here: the path below which it is served here, likewise.
        allowed: the paths that are served.
    """
    if (
        len(location) > MAX_URL
        or not location.isascii()
        or b"\\" in location
        or any(c <= 32 or c == 127 for c in location)
    ):
        return None
    try:
        parts, own = urlsplit(urljoin(asked, location.decode("ascii"))), urlsplit(base)
        same = _origin(parts) == _origin(own)
    except ValueError:
        return None
    if not same or "@" in parts.netloc or not parts.path.startswith(own.path + "/"):
        return None
    path = parts.path[len(own.path) :]
    if not is_allowed(path, allowed) or not is_query(parts.query.encode()):
        return None
    query, fragment = f"?{parts.query}" if parts.query else "", f"#{parts.fragment}" if parts.fragment else ""
    return f"{here}{path}{query}{fragment}".encode()


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
