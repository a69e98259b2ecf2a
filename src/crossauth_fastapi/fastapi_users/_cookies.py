"""Cookies of a request, read by the rules of the session server."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import HTTPConnection

from crossauth_fastapi._http.cookies import cookies_named, parse_cookies


def cookie_values(connection: HTTPConnection, name: str) -> Sequence[str]:
    """Every value of a cookie, in the order in which they came; see `cookies_named`.

    Starlette's own reading takes more off a name than space and tab, so that `\\xa0__Host-x` would pass for `__Host-x`.
    """
    return cookies_named(parse_cookies("; ".join(connection.headers.getlist("cookie"))), name)


def cookie_value(connection: HTTPConnection, name: str) -> str:
    """The value of a cookie, the last where several came; empty where none counts."""
    return next(reversed(cookie_values(connection, name)), "")
