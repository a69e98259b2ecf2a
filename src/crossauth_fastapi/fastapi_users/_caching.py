"""Responses that depend on a cookie are stored by no cache: no proxy on the way, no browser for the next person who uses it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders

from crossauth_fastapi._middleware.state import RequestState

_PERSONAL: Final = "crossauth_fastapi.fastapi_users.personal"
_COOKIE: Final = {"cookie", "*"}


def depends_on_cookie(scope: MutableMapping[str, Any]) -> None:
    """Note that the response to a request depends on a cookie."""
    scope[_PERSONAL] = True
    state = scope.get("state")
    if isinstance(state, RequestState):
        # The middleware of a session server on the same application sees every response, whoever makes it.
        state.personal = True


def keep_private(headers: MutableHeaders) -> None:
    """Say in a response that it depends on a cookie. What is said there already about caching counts."""
    headers.setdefault("Cache-Control", "no-store")
    _vary(headers)


def keep_response_private(scope: MutableMapping[str, Any], headers: MutableHeaders) -> None:
    """As `keep_private`, where the response depends on a cookie; one that only sets a cookie is not stored either."""
    if scope.get(_PERSONAL, False):
        keep_private(headers)
    elif "set-cookie" in headers:
        headers.setdefault("Cache-Control", "no-store")


def private_refusal(scope: MutableMapping[str, Any], headers: Any) -> dict[str, str] | None:
    """The headers of an `HTTPException`, as `keep_response_private` leaves them."""
    stored = MutableHeaders(headers or {})
    keep_response_private(scope, stored)
    return {**(headers or {}), **{name: stored[name] for name in ("Cache-Control", "Vary") if name in stored}} or None


def _vary(headers: MutableHeaders) -> None:
    if not _COOKIE & {part.strip().lower() for line in headers.getlist("vary") for part in line.split(",")}:
        headers.add_vary_header("Cookie")
