"""Which page a request comes from, as browsers say it: a cookie goes along with requests of pages from everywhere.

One rule for what a cookie alone may not do: open a WebSocket (RFC 6455 §10.2), and, where there is no CSRF token, change
something.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import idna

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.localhost import is_local_host

logger = logging.getLogger("crossauth.http")
_DEFAULT_PORTS: Final = {"https": ":443", "http": ":80"}
_LONGEST: Final = 300


def is_own_page(
    scheme: str | None,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    site_url: str | None = None,
    secure_cookie: bool = False,
    trusted: Collection[str] = (),
) -> bool:
    """Whether a request comes from a page of this site, or from no page at all.

    Browsers send `ClientInfo` with every request that is not GET or HEAD and with every WebSocket (Fetch §3.1), and most of them
    `Sec-Fetch-Site` as well. No page can choose either. Clients that are no browsers send neither, and hold no cookie that
    somebody else could use.

    `Sec-Fetch-Site` decides by itself where it names a page: the browser compares with the address that it knows, which a proxy
    may have hidden from us, and pages with `Referrer-Policy: no-referrer` send `Origin: null`. Without it the page must be of the
    origin of `site_url`; where that is not known, of the host and port that are asked for, and on https if the site is. A
    neighboring subdomain, or another port, is another site here.

    Parameters:
        scheme: of the request, as far as named proxies say.
        headers: of the request, names in lower case.
        site_url: where browsers find the site, if that is configured. One on this machine is for development: there a page of
            this machine may also be of the host that is asked for.
        secure_cookie: whether the cookie is `Secure`: then only https carries it, whatever a proxy says, but for this machine.
        trusted: origins of other pages that may use the cookie.
    """
    origin, host, fetch_site = _read(headers)
    if fetch_site == "same-origin" or (not origin and fetch_site in ("", "none")) or origin in trusted:
        return True
    # A Host that a proxy has written may equal the origin of another page: one on another port, or on plain http.
    if fetch_site not in ("", "none") or len(origin) > _LONGEST:
        return False
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    if page.scheme not in _DEFAULT_PORTS or not page.netloc:
        return False
    here = is_local_host(page.netloc.lower())
    if page.scheme == "http" and (scheme in ("https", "wss") or (secure_cookie and not here)):
        return False
    expected = _bare(page.scheme, page.netloc)
    own = _site(site_url) if site_url else None
    if own is not None and (page.scheme, expected) == own:
        return True
    return bool(expected) and expected == _bare(page.scheme, host) and (own is None or (here and is_local_host(own[1])))


def read_origins(option: str, given: Any, secure: bool) -> frozenset[str]:
    """Check a list of origins, as browsers write them: scheme, host and a port that is not the default one.

    Parameters:
        option: its name, for the error.
        given: the list.
        secure: whether what they may use is for https only; `http://` is then for this machine.

    Raises:
        CrossauthError: `Configuration` for what no browser sends as an `ClientInfo`, or would be unsafe.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise _wrong(option, given, "is no list")
    origins = tuple(given)
    for origin in origins:
        if not isinstance(origin, str) or not _is_origin(origin):
            raise _wrong(option, origin, "is no origin")
        if secure and origin.startswith("http://") and not is_local_host(urlsplit(origin).netloc):
            raise _wrong(option, origin, "is on plain http, where anybody on the way can change the page")
    return frozenset(origins)


def _wrong(option: str, value: object, problem: str) -> CrossauthError:
    text = f"Option {option!r}: {str(value)[:100]!r} {problem}; write ['https://app.example.com']"
    return CrossauthError(ErrorCode.Configuration, text)


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    # What a browser writes is in lower case, without user, path or default port (RFC 6454 §6.2).
    written = f"{parts.scheme}://[{host}]" if ":" in host else f"{parts.scheme}://{host}"
    written += "" if port is None else f":{port}"
    plain = bool(host) and "*" not in host and text.isascii() and text == written
    return plain and parts.scheme in _DEFAULT_PORTS and not text.endswith(_DEFAULT_PORTS[parts.scheme])


@lru_cache(maxsize=16)
def _site(url: str) -> tuple[str, str]:
    """Scheme and host of a site as an `ClientInfo` has them (RFC 6454 §6.2), without a default port."""
    try:
        parts = urlsplit(url)
        host = parts.netloc
        if not host.isascii():
            name = idna.encode(parts.hostname or "", uts46=True).decode()
            host = name if parts.port is None else f"{name}:{parts.port}"
    except ValueError:
        host = ""
    if not host:
        logger.warning(
            "Option 'site_url' names no host, so no page is one of this site; write it as https://example.com"
        )
        return "", ""
    return parts.scheme, _bare(parts.scheme, host)


def _read(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str, str]:
    """Origin, Host and Sec-Fetch-Site; several of one name are one text, which equals nothing."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in (b"origin", b"host", b"sec-fetch-site"):
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found.get(b"origin", ""), found.get(b"host", ""), found.get(b"sec-fetch-site", "")


def _bare(scheme: str, host: str) -> str:
    return host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))
