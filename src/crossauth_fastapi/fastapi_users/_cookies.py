"""Cookies of a request, read by the rules of the session server."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.requests import HTTPConnection

from crossauth_fastapi._http.cookies import cookies_named, parse_cookies
from crossauth_fastapi._http.once import warn_once

logger = logging.getLogger("crossauth.fastapi_users")


def cookie_values(connection: HTTPConnection, name: str) -> Sequence[str]:
    """Every value of a cookie, in the order in which they came; see `cookies_named`.

    Starlette's own reading takes more off a name than space and tab, so that `\\xa0__Host-x` would pass for `__Host-x`.
    """
    return cookies_named(parse_cookies("; ".join(connection.headers.getlist("cookie"))), name)


def cookie_value(connection: HTTPConnection, name: str) -> str:
    """The value of a cookie; empty where there is none, or more than one.

    A browser sends two of a name where they differ by path or domain, in an order that any neighbouring subdomain can choose
    (RFC 6265 §5.4, §8.6): nobody can tell which of them is ours.
    """
    values = cookie_values(connection, name)
    if len(values) > 1:
        warn_once(
            logger,
            f"A request has several cookies {name!r}, so that none counts. Another application on the host or a neighbouring "
            "domain may use the name, or an older version used another path: give the cookie a name of its own; none but this "
            "host can set one that begins with __Host-",
        )
    return values[0] if len(values) == 1 else ""
