"""Which headers are passed on, to the API and back. Pure.

The API gets what describes the request, and nothing by which a browser, or whoever sends in its name, could be taken for a proxy
or for somebody else. The browser gets what describes the response, and nothing that would act on this site: to a browser, what
the API says comes from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

Headers = Iterable[tuple[bytes, bytes]]
# RFC 9110 §7.6.1, RFC 9112 §7; and what is between two servers only.
_HOP_BY_HOP: Final = frozenset(
    (
        "connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "http2-settings", "expect",
        "max-forwards", "via", "alt-svc", "alt-used",
    )
)  # fmt: skip
_NOT_TO_API: Final = _HOP_BY_HOP | {
    # Where the body ends is said by whoever sends it on; a handshake of a WebSocket has none.
    "content-length",
    # The browser's credentials are for this site.
    "host", "cookie", "cookie2", "authorization", "dpop",
    # Who asks, and for what, is not said by the browser.
    "forwarded", "from", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-remote-user", "client-cert",
    "client-cert-chain",
    # A gateway interface takes it for the setting of that name (httpoxy).
    "proxy",
    "x-http-method", "x-http-method-override", "x-method-override", "x-host", "x-ssl",
    # What a page of this site is to this site, it is not to the API.
    "origin", "referer",
}  # fmt: skip
_NOT_TO_API_PREFIXES: Final = (
    "x-forwarded", "x-original-", "x-rewrite-", "x-envoy-", "x-amzn-", "x-ssl-", "cf-", "fastly-", "proxy-", "sec-",
    "access-control-", "x-crossauth-",
    # How proxies that log in, and those that end TLS, name the user and the certificate.
    "remote-", "ssl-client-", "x-arr-", "x-auth-request-", "x-authenticated-", "x-client-cert", "x-consumer-",
    "x-goog-authenticated-user-", "x-ms-client-principal", "x-webauth-",
)  # fmt: skip
_NOT_TO_BROWSER: Final = _HOP_BY_HOP | {
    # The server of this application says its own.
    "date", "server",
    # State of this site.
    "set-cookie", "set-cookie2", "clear-site-data", "set-login", "service-worker-allowed", "refresh", "authentication-info",
    "activate-storage-access",
    # Rules of this site, for this and later responses.
    "content-security-policy", "content-security-policy-report-only", "x-frame-options", "x-content-type-options",
    "x-xss-protection", "referrer-policy", "permissions-policy", "feature-policy", "document-policy", "integrity-policy",
    "origin-agent-cluster", "strict-transport-security", "public-key-pins", "expect-ct", "nel", "report-to",
    "reporting-endpoints", "timing-allow-origin", "accept-ch", "critical-ch", "speculation-rules", "supports-loading-mode",
    "sourcemap", "x-sourcemap", "use-as-dictionary", "no-vary-search", "content-location", "x-permitted-cross-domain-policies",
    "x-dns-prefetch-control", "x-ua-compatible", "observe-browsing-topics", "set-attribution",
    # Orders to caches and servers in front of this one.
    "surrogate-control", "surrogate-key", "edge-control",
}  # fmt: skip
_NOT_TO_BROWSER_PREFIXES: Final = (
    "access-control-", "cross-origin-", "proxy-", "sec-", "secure-session-", "attribution-reporting-", "x-accel-",
    "x-crossauth-", "x-sendfile", "x-lighttpd-", "x-litespeed-", "x-reproxy-",
)  # fmt: skip
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
# A challenge at which a browser asks for a name and a password, or sends those of the machine (RFC 9110 §11.6.1: a list).
_ASKS: Final = re.compile(rb"(?:^|,)[ \t]*(?:basic|digest|negotiate|ntlm)(?![^\s,])", re.IGNORECASE)
_NOT_A_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Whatever the API sends is not a page, a script or a picture of this site to other pages.
_NOT_SNIFFED: Final = (b"x-content-type-options", b"nosniff")
_SAME_ORIGIN: Final = (b"cross-origin-resource-policy", b"same-origin")
_SANDBOX: Final = (
    b"content-security-policy",
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
)
_NO_FRAMES: Final = (b"content-security-policy", b"frame-ancestors 'self'")


class ResponseHeaders:
    """Headers of a response of the API, as they are passed back.

    Parameters:
        raw: as the API sent them.
        dropped: further names, in lower case, that are not passed back.
    """

    __slots__ = ("location", "passed")

    def __init__(self, raw: Headers, dropped: Sequence[bytes] = ()) -> None:
        self.passed: list[tuple[bytes, bytes]] = []
        self.location: bytes | None = None
        """Not among those that are passed: it has to be rewritten."""
        caching: list[bytes] = []
        named: frozenset[bytes] = frozenset(dropped)
        for name, value in raw:
            lower = name.lower()
            if lower == b"connection":
                named |= named_in(value)
            elif lower == b"transfer-encoding":
                # The length is that of the message, whatever else is said (RFC 9112 §6.3).
                named |= {b"content-length"}
            elif lower == b"cache-control":
                caching.append(value)
            elif lower == b"location":
                self.location = value
            elif _goes_to_browser(lower) and _is_harmless(lower, value):
                self.passed.append((lower, value))
        if named:
            self.passed = [header for header in self.passed if header[0] not in named]
        self.passed += _NOT_SNIFFED, _SAME_ORIGIN, _sandbox(self.passed)
        self.passed.append((b"cache-control", caching_of_one(b", ".join(caching))))


def _sandbox(headers: Headers) -> tuple[bytes, bytes]:
    """What a response may do where a browser shows it. A viewer of PDF does not work in a sandbox, and has one of its own.

    Of several types, in one header or in two, a browser takes the last (Fetch §3.5): then it is not known to be PDF.
    """
    kinds = [value for name, value in headers if name == b"content-type"]
    is_pdf = len(kinds) == 1 and b"," not in kinds[0]
    return _NO_FRAMES if is_pdf and kinds[0].partition(b";")[0].strip().lower() == b"application/pdf" else _SANDBOX


def challenge_of(raw: Headers) -> bytes:
    """What a response with status 401 says of the access token (RFC 6750 §3); empty where it says nothing."""
    return b", ".join(value for name, value in raw if name.lower() == b"www-authenticate")


def _is_harmless(name: bytes, value: bytes) -> bool:
    """Whether a value can be sent, and has no browser ask for a name and a password: at other challenges than these they do."""
    if _NOT_A_VALUE.search(value):
        return False
    return name != b"www-authenticate" or (value[:6].lower() == b"bearer" and not _ASKS.search(value))


def request_headers(raw: Headers, dropped: Sequence[bytes] = ()) -> list[tuple[str, str]]:
    """Headers of a browser's request, as they are passed to the API.

    Parameters:
        raw: as the browser sent them, names in lower case.
        dropped: further names that are not passed on.
    """
    passed: list[tuple[str, str]] = []
    named: frozenset[bytes] = frozenset(dropped)
    for name, value in raw:
        if name == b"connection":
            named |= named_in(value)
            continue
        known = _goes_to_api(name)
        if known is not None and not _NOT_A_VALUE.search(value):
            text = _text(value)
            if text is not None:
                passed.append((known, text))
    if named:
        passed = [header for header in passed if header[0].encode() not in named]
    return passed


def named_in(connection: bytes) -> frozenset[bytes]:
    """The headers that a `Connection` header names: they go no further than it (RFC 9110 §7.6.1)."""
    names = frozenset(part.strip() for part in connection.lower().split(b","))
    return names - {b"", b"close", b"keep-alive", b"upgrade", b"content-length", b"content-type", b"content-encoding"}


@lru_cache(maxsize=256)
def caching_of_one(value: bytes) -> bytes:
    """What may be kept of a response that is for one browser, where the API says `value` of it.

    Where it says nothing: nothing. What it allows to every cache is allowed to the browser alone.
    """
    directives = [part.strip() for part in value.lower().split(b",") if part.strip()]
    if not directives or b'"' in value or b"no-store" in directives or _NOT_A_VALUE.search(value):
        return b"no-store"
    stored = [d for d in directives if d not in (b"public", b"private") and not d.startswith(b"s-maxage")]
    return b", ".join([b"private", *stored])


@lru_cache(maxsize=1024)
def _goes_to_api(name: bytes) -> str | None:
    """The name as text where the header is passed on. One with an underscore is not: to some servers it is another one."""
    lower = name.lower()
    if not _TOKEN.fullmatch(lower):
        return None
    text = lower.decode("ascii")
    return None if text in _NOT_TO_API or text.startswith(_NOT_TO_API_PREFIXES) else text


@lru_cache(maxsize=1024)
def _goes_to_browser(name: bytes) -> bool:
    if not _TOKEN.fullmatch(name):
        return False
    text = name.decode("ascii")
    is_for_caches = text.endswith("-cache-control")
    return not is_for_caches and text not in _NOT_TO_BROWSER and not text.startswith(_NOT_TO_BROWSER_PREFIXES)


def _text(value: bytes) -> str | None:
    """A value as text that is sent as the same bytes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None
