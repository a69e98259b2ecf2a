"""Cookies on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict

from starlette.responses import Response

from crossauth_backend.sessions.cookie import CookieOptions


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


def parse_cookies(header: str) -> dict[str, str]:
    """Names and values of a Cookie header (RFC 6265 §5.4); of a repeated name the first counts."""
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            cookies.setdefault(name.strip(), value.strip().strip('"'))
    return cookies
