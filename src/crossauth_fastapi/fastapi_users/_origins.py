"""Which pages may use a cookie that says who is asking.

There is no CSRF token in the documented routes, and `SameSite` leaves out neighbouring subdomains and other ports of a host. So
browsers are asked whose page it is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any, Final

from fastapi import HTTPException
from fastapi.security import APIKeyCookie
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection

from crossauth_fastapi._http.once import warn_once
from crossauth_fastapi._http.origins import is_own_page
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState
from crossauth_fastapi.fastapi_users._errors import FurtherErrorCode, refused

logger = logging.getLogger("crossauth.fastapi_users")
_FOREIGN: Final = "crossauth_fastapi.fastapi_users.foreign_page"
_NOBODY: Final = "nobody.invalid"
_PORT: Final = re.compile(r"(?::[0-9]+)?\Z")


def may_use_cookie(connection: HTTPConnection, transport: Any, site_url: str | None) -> bool:
    """Whether a request may be made in the name of whom its cookie names; if not, that is noted.

    Requests that change nothing may (RFC 9110 §9.2.1): another page cannot read the answer.

    Parameters:
        connection: the request, or the WebSocket's handshake.
        transport: whose cookie it is.
        site_url: where browsers find the site, if that is configured.
    """
    scope = connection.scope
    return (scope["type"] == "http" and scope["method"] in SAFE_METHODS) or may_log_in(connection, transport, site_url)


def may_log_in(connection: HTTPConnection, transport: Any, site_url: str | None) -> bool:
    """As `may_use_cookie`, for a request that would set the cookie of a transport: no other page may log a browser in."""
    scope = connection.scope
    if not isinstance(transport.scheme, APIKeyCookie):
        return True
    state = scope.get("state")
    if isinstance(state, RequestState):
        site_url = site_url or state.site.public_url
    trusted = getattr(transport, "trusted_origins", ())
    secure = getattr(transport, "cookie_secure", False) is True
    own = is_own_page(scope["scheme"], scope["headers"], site_url=site_url, secure_cookie=secure, trusted=trusted)
    if own or _allows_by_cors(scope.get("app"), connection.headers.get("origin", "")):
        return True
    scope[_FOREIGN] = True
    warn_once(
        logger,
        f"A page of another origin asks for something by the cookie {transport.scheme.model.name!r}, and is refused. If it is "
        "yours, name it: CookieTransport(trusted_origins=['https://app.example.com']); a CORSMiddleware counts only where "
        "add_middleware() has put it on this very application, with allow_credentials. If it is of this site, a proxy hides the "
        "host, or 'site_url' is another address: set 'site_url' of FastAPIUsers to the one that browsers use",
    )
    return False


def foreign_page(connection: HTTPConnection) -> HTTPException | None:
    """The refusal of a request whose cookie did not count because of its page; `None` where that was not so."""
    return refused(FurtherErrorCode.CROSS_ORIGIN_REQUEST, 403) if connection.scope.get(_FOREIGN) else None


def _allows_by_cors(app: Any, origin: str) -> bool:
    """Whether the application has said of an origin that its pages may send cookies and read the answers.

    What allows every origin has said nothing of this one. Only a middleware of this very application is seen: one that is around
    it, or on an application in which it is mounted, leaves no trace in a request.
    """
    scheme, separator, host = origin.partition("://")
    if not separator:
        # `null` is the origin of every sandboxed page (HTML §7.1.1), and `*` of none.
        return False
    # The same origin, but for whose host it is.
    others = [f"{scheme}://{_NOBODY}", f"{scheme}://{_NOBODY}{_PORT.search(host)[0]}"]  # type: ignore[index]
    for options in _cors_options(app):
        named, pattern = options.get("allow_origins", ()), options.get("allow_origin_regex")
        if origin in ((named,) if isinstance(named, str) else named):
            return True
        if pattern and re.fullmatch(pattern, origin) and not any(re.fullmatch(pattern, other) for other in others):
            return True
    return False


def _cors_options(app: Any) -> Iterator[Any]:
    for middleware in getattr(app, "user_middleware", ()):
        cls, options = middleware.cls, middleware.kwargs
        if isinstance(cls, type) and issubclass(cls, CORSMiddleware) and options.get("allow_credentials"):
            yield options
