"""The content security policy of our pages (W3C CSP Level 3): strict, and as much wider for one page as that page says.

A page that leaves for another site by a form, as consent to a client does, names where it goes: browsers hold the whole chain
of redirects after a form to `form-action`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import SplitResult, urlsplit

from crossauth_backend.core.errors import CrossauthError, ErrorCode

# What no page can change: nothing is loaded that is not named, no page is framed, no relative URL leads elsewhere.
_ALWAYS: Final = {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'"}
# What every page has. Whatever is missing here falls back to `default-src`.
_EVERY_PAGE: Final = {"style-src": "'self'", "img-src": "'self'", "script-src": "'self'", "form-action": "'self'"}
_ORDER: Final = (
    "default-src", "style-src", "img-src", "script-src", "font-src", "connect-src", "form-action", "base-uri",
    "frame-ancestors",
)  # fmt: skip
SELF: Final = "'self'"
_HASH: Final = re.compile(r"'sha(256|384|512)-[A-Za-z0-9+/]{43,86}={0,2}'")
_NAME: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_MAX_NAME: Final = 253
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
# Schemes by which a form would run something, or show what nobody sent.
_NO_TARGET: Final = frozenset({"javascript", "data", "blob", "filesystem", "about", "vbscript", "file", "ws", "wss"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePolicy:
    """What a page needs beyond what every page has. It only widens, and never to everything.

    Parameters:
        form_action: URLs that a form may lead to, at its end as well: `http`, `https`, or a scheme of an application's own, as
            redirect URIs of clients are (RFC 8252 §7).
        script_src: `https` URLs of scripts, `'self'` for our own, or hashes such as `'sha256-…'` for one in the page.
        style_src: the same for styles.
        img_src: `https` URLs of images.
        font_src: `https` URLs of fonts, or `'self'`.
        connect_src: `https` URLs that a script may send requests to, or `'self'`.

    Raises:
        CrossauthError: `Configuration` for a source that is none of these; `'unsafe-inline'`, `*` and whole schemes are not.
    """

    form_action: tuple[str, ...] = ()
    script_src: tuple[str, ...] = ()
    style_src: tuple[str, ...] = ()
    img_src: tuple[str, ...] = ()
    font_src: tuple[str, ...] = ()
    connect_src: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for f in fields(self):
            values = getattr(self, f.name)
            if not isinstance(values, (tuple, list)) or not all(isinstance(value, str) for value in values):
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"PagePolicy: {f.name} must be a tuple of texts, such as ('https://example.com',), not {values!r:.80}",
                )
        self._widened()

    def __or__(self, other: PagePolicy) -> PagePolicy:
        """Return the policy that allows what either allows."""
        return PagePolicy(**{f.name: (*getattr(self, f.name), *getattr(other, f.name)) for f in fields(self)})

    @property
    def header(self) -> str:
        """The value of `Content-Security-Policy`."""
        sources = {**_ALWAYS, **_EVERY_PAGE}
        for directive, more in self._widened().items():
            sources[directive] = " ".join(dict.fromkeys((*sources.get(directive, "").split(), *more)))
        return "; ".join(f"{directive} {sources[directive]}" for directive in _ORDER if directive in sources)

    def _widened(self) -> dict[str, list[str]]:
        provided = {f.name.replace("_", "-"): getattr(self, f.name) for f in fields(self)}
        return {name: [_source(name, value) for value in values] for name, values in provided.items() if values}


EVERY_PAGE: Final = PagePolicy()


def _source(directive: str, value: str) -> str:
    """The source expression (CSP3 §2.3.1) for one value of a directive."""
    if value == SELF or (directive in ("script-src", "style-src") and _HASH.fullmatch(value)):
        return value
    found = _form_target(value) if directive == "form-action" else _origin(value, ("https",))
    if found is None:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"The policy of a page: {directive} takes {_EXPECTED.get(directive, _URLS)}; {value[:80]!r} is none",
        )
    return found


_URLS: Final = "https URLs and 'self'"
_EXPECTED: Final = {
    "form-action": "URLs that begin with https, http or an application's own scheme",
    "script-src": f"{_URLS}, and hashes",
    "style-src": f"{_URLS}, and hashes",
}


def _form_target(url: str) -> str | None:
    parts = _split(url)
    if parts is None or parts.scheme in _NO_TARGET or not _SCHEME.fullmatch(parts.scheme):
        return None
    if parts.scheme not in ("http", "https"):
        return f"{parts.scheme}:"
    # A policy can name no address but this one (CSP3 §6.7.2.8), and an IPv6 address not even in form.
    return f"{parts.scheme}:" if _is_address(parts.hostname) else _origin(url, ("https", "http"))


def _origin(url: str, schemes: tuple[str, ...]) -> str | None:
    """Scheme, host and port of a URL; `None` where it has another scheme, or a host that a policy cannot name."""
    parts = _split(url)
    if parts is None or parts.scheme not in schemes or "@" in parts.netloc:
        return None
    host, port = parts.hostname or "", parts.port
    if len(host) > _MAX_NAME or not _NAME.fullmatch(host) or _is_address(host):
        return None
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def _is_address(host: str | None) -> bool:
    """Whether it is an IP address that a policy cannot name."""
    try:
        return str(ipaddress.ip_address(host or "")) != "127.0.0.1"
    except ValueError:
        return False


def _split(url: str) -> SplitResult | None:
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
