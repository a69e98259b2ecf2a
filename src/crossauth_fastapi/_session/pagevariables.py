"""What every page is given."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import Request

from crossauth_backend.users.record import User
from crossauth_fastapi._middleware.site import is_admin_now
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._pages.environment import stylesheet_url
from crossauth_fastapi._session.source import SessionSource

logger = logging.getLogger("crossauth.pages")


class LazyText:
    """Text that is made when a template prints it, so that a page without a form sets no CSRF cookie."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    def __str__(self) -> str:
        return self._make()


def page_variables(
    state: RequestState, prefix: str, endpoints: Iterable[str] = (), source: SessionSource | None = None
) -> dict[str, Any]:
    """The variables common to all pages: where things are, who is logged in, and a CSRF token for forms."""

    def token() -> str:
        found = state["csrf_token"]
        if not found and source is not None:
            found = source.new_token(state)
        return str(found or "")

    user = state["user"]
    return {
        "urlPrefix": state.url(prefix),
        "stylesheet": stylesheet_url(state.url(prefix)),
        "endpoints": frozenset(endpoints),
        "user": user,
        "sessionUser": user,
        "isAdministrator": user is not None and _is_administrator(state, user) is True,
        "csrfToken": LazyText(token),
    }


def awaited_variables(request: Request) -> Callable[[], Awaitable[dict[str, Any]]] | None:
    """What completes `page_variables`; `None` where nothing has to be awaited."""
    state = state_of(request)
    user: User | None = state["user"]
    if user is None or _is_administrator(state, user) is not None:
        return None

    async def complete() -> dict[str, Any]:
        try:
            return {"isAdministrator": await state.site.is_admin(user)}
        except Exception:
            _log_failure()
            return {}

    return complete


def _is_administrator(state: RequestState, user: User) -> bool | None:
    """Only whether a page shows links for administrators: where the application's function fails, it shows none."""
    try:
        return is_admin_now(state.site.is_admin_fn, user)
    except Exception:
        _log_failure()
        return False


def _log_failure() -> None:
    logger.exception("option 'is_admin_fn' failed; the page shows no links for administrators")
