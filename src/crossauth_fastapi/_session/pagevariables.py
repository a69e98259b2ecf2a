"""What every page is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from crossauth_backend.core.hooks import decide_now
from crossauth_backend.users.record import User
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._pages.environment import stylesheet_url
from crossauth_fastapi._session.source import SessionSource


def _is_administrator(state: RequestState, user: User | None) -> bool:
    """Whether pages show links for administrators; what is behind them asks for itself.

    An `async` hook cannot be asked while a page is rendered: our own handlers ask it before.
    """
    if user is None:
        return False
    if state.administrator is None:
        state.administrator = decide_now("is_admin_fn", state.site.is_admin, user)
    return state.administrator


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
        "isAdministrator": _is_administrator(state, user),
        "csrfToken": LazyText(token),
    }
