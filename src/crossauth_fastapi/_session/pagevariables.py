"""What every page is given."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.hooks import decide_now
from crossauth_backend.core.redaction import loggable
from crossauth_backend.users.record import User
from crossauth_fastapi._http.errors import error_variables, with_retry_after
from crossauth_fastapi._middleware.identity import OIDC
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._middleware.whereabouts import here
from crossauth_fastapi._pages.brand import Brand
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._pages.script import script_url
from crossauth_fastapi._session.source import SessionSource

logger = logging.getLogger("crossauth.pages")


class LazyText:
    """Text that is made when a template prints it, so that a page without a form sets no CSRF cookie."""

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    def __str__(self) -> str:
        return self._make()


def page_variables(
    state: RequestState,
    prefix: str,
    brand: Brand,
    endpoints: Iterable[str] = (),
    source: SessionSource | None = None,
) -> dict[str, Any]:
    """The variables common to all pages: where things are, who is logged in, and a CSRF token for forms."""

    def token() -> str:
        found = state["csrf_token"]
        if not found and source is not None:
            found = source.csrf.new_token(state)
        return str(found or "")

    user = state["user"]
    return {
        **brand.variables(state.url(prefix), state.url),
        "urlPrefix": state.url(prefix),
        "script": script_url(state.url(prefix)),
        "endpoints": frozenset(endpoints),
        "user": user,
        "sessionUser": None if user is not None and state["auth_type"] == OIDC else user,
        "isAdministrator": user is not None and _is_administrator(state, user) is True,
        "csrfToken": LazyText(token),
    }


def error_page(pages: Pages, template: str, connection: HTTPConnection, e: CrossauthError) -> Response:
    """The page of a refusal outside of our own routes."""
    request = Request(connection.scope)
    page = here(state_of(request), request) if request.method in ("GET", "HEAD") else ""
    variables = {**error_variables(e), "httpStatus": e.http_status, "next": page}
    return with_retry_after(pages.render(request, template, variables, e.http_status), e)


def awaited_variables(request: Request) -> Callable[[], Awaitable[dict[str, Any]]] | None:
    """What completes `page_variables`; `None` where nothing has to be awaited."""
    state = state_of(request)
    user: User | None = state["user"]
    if user is None or _is_administrator(state, user) is not None:
        return None

    async def complete() -> dict[str, Any]:
        try:
            state.administrator = await state.site.is_admin(user)
        except Exception as e:
            logger.exception(
                "option 'is_admin_fn' failed; the page shows no links for administrators", exc_info=loggable(e)
            )
        return {"isAdministrator": state.administrator is True}

    return complete


def _is_administrator(state: RequestState, user: User) -> bool | None:
    """Whether pages show links for administrators; `None` where the hook is `async` and was not asked yet.

    What is behind the links asks for itself.
    """
    hook = state.site.is_admin_fn
    if state.administrator is None and not inspect.iscoroutinefunction(hook):
        state.administrator = decide_now("is_admin_fn", hook, user)
    return state.administrator
