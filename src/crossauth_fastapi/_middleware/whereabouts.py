"""Where a request is, as its browser writes it, and where it comes from."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from starlette.requests import HTTPConnection

from crossauth_fastapi._http.origins import is_own_page
from crossauth_fastapi._middleware.state import RequestState

_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"


def here(state: RequestState, connection: HTTPConnection) -> str:
    """The URL of the request itself, from the host on, as the browser wrote it.

    `connection.url.path` is not that: where a proxy strips the root path and the application only knows of it, it lacks it.
    """
    path = quote(state.link(connection.scope["path"]), safe=_PATH_SAFE)
    query = connection.scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


def login_url(state: RequestState) -> str | None:
    """Where browsers log in; `None` where there is no login page."""
    path = state.site.login_path
    return None if path is None else state.url(path)


def is_from_this_site(state: RequestState) -> bool:
    """Whether a WebSocket is opened by a page of this site, see `is_own_page`.

    Browsers send cookies along from a neighbouring subdomain or another port of the same host too, and no CSRF token.
    """
    return is_own_page(state.scheme, state.headers, site_url=state.site.public_url)


def is_plain_http(state: RequestState) -> bool:
    """Whether the request came over plain http, as far as is known. Only for advice: what a proxy says is not checked."""
    return state.scheme in ("http", "ws") and state.header(b"x-forwarded-proto") != "https"


def connection_of(scope: Any) -> HTTPConnection:
    """The request, or the WebSocket's handshake, that a hook is given."""
    return Request(scope) if scope["type"] == "http" else HTTPConnection(scope)
