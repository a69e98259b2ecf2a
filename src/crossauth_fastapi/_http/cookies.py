"""Cookies on the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypedDict

from starlette.responses import Response

from crossauth_backend.sessions.options import CookieOptions

_BLANK: Final = " \t"
_PREFIXES: Final = ("__Host-", "__Secure-")
# Whatever is no letter of a token, which a cookie's name is (RFC 6265 §4.1.1, RFC 9110 §5.6.2).
_NO_TOKEN: Final = re.compile(r"[^!#$%&'*+.^_`|~0-9a-z-]")


class FastApiCookieOptions(TypedDict, total=False):
    """The keyword arguments of `Response.set_cookie`."""

    max_age: int | None
    expires: Any
    path: str
    domain: str | None
    secure: bool
    httponly: bool
    samesite: Literal["lax", "strict", "none"]


def toFastApiCookieOptions(options: CookieOptions) -> FastApiCookieOptions:
    """The keyword arguments of `Response.set_cookie` for `options`."""
    return {
        "max_age": options.get("maxAge"),
        "expires": options.get("expires"),
        "path": options.get("path", "/"),
        "domain": options.get("domain"),
        "secure": bool(options.get("secure", True)),
        "httponly": options.get("httpOnly", True),
        "samesite": options.get("sameSite", "lax"),
    }


def cookie_headers(
    to_set: Mapping[str, tuple[str, FastApiCookieOptions]],
    to_delete: Iterable[tuple[str, FastApiCookieOptions]],
) -> list[tuple[bytes, bytes]]:
    """The Set-Cookie headers for cookies to set and cookies to delete."""
    response = Response()
    for name, (value, options) in to_set.items():
        response.set_cookie(name, value, **options)
    for name, options in to_delete:
        gone: FastApiCookieOptions = {**options, "max_age": 0, "expires": 0}
        response.set_cookie(name, "", **gone)
    return [header for header in response.raw_headers if header[0] == b"set-cookie"]


def cookie_header(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """All that a request says of cookies: one header, or several where HTTP/2 splits it (RFC 9113 §8.2.3); empty without any."""
    found = b""
    for name, value in headers:
        if name == b"cookie":
            found = found + b"; " + value if found else value
    return found


def parse_cookies(header: str) -> dict[str, list[str]]:
    """Names and values of a Cookie header, every value of a name in the order in which they came.

    Only space and tab are taken away (RFC 6265 §5.4). `str.strip` takes more, such as the byte A0: then a name that no browser
    protects, because it begins with that byte, would pass for one that begins with `__Host-`.

    Parameters:
        header: the header, decoded as Latin-1, so that no byte is lost.
    """
    cookies: dict[str, list[str]] = {}
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            name, value = name.strip(_BLANK), value.strip(_BLANK)
            if value[:1] == '"' == value[-1:] and len(value) > 1:
                value = value[1:-1]
            if name in cookies:
                cookies[name].append(value)
            else:
                cookies[name] = [value]
    return cookies


def cookies_named(cookies: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    """The values of a cookie.

    A browser holds one cookie of a name with the prefix `__Host-` or `__Secure-` that we set. A header with two of them, or
    with another name that only looks like it (case, control characters, other bytes), was put together by somebody else, so
    that none of them counts.

    Parameters:
        cookies: what `parse_cookies` found.
        name: the name of the cookie.
    """
    values = cookies.get(name, ())
    if values and name.startswith(_PREFIXES):
        if len(values) > 1:
            return ()
        bare = name.lower()
        for other in cookies:
            if bare in (lower := other.lower()) and other != name and _NO_TOKEN.sub("", lower) == bare:
                return ()
    return values
