"""Door: what the component servers need of the server that assembles them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.templating import Jinja2Templates
from jinja2 import TemplateNotFound
from starlette.responses import HTMLResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import decide, decide_now, must_be_plain
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._http.errors import as_reason, error_variables
from crossauth_fastapi._pages.environment import SAFE_HEADERS

FastApiErrorFn = Callable[["FastApiServerBase", Request, Response, CrossauthError], Response | Awaitable[Response]]


class MaybeErrorResponse(NamedTuple):
    """An answer, and whether it is a refusal."""

    response: Response
    error: bool


class FastApiServerBase(ABC):
    """Base of `FastApiServer`; it exists so that the component servers need not import it."""

    is_admin_fn: Callable[[User], bool | Awaitable[bool]] = staticmethod(default_is_admin_fn)

    @property
    @abstractmethod
    def app(self) -> FastAPI:
        """The application."""

    @property
    @abstractmethod
    def error_page(self) -> str:
        """Template of error messages."""

    @property
    @abstractmethod
    def templates(self) -> Jinja2Templates:
        """The templates, the application's and ours."""

    @property
    @abstractmethod
    def have_session_server(self) -> bool:
        """Whether there is a session server."""

    @property
    @abstractmethod
    def have_session_adapter(self) -> bool:
        """Whether there are sessions, ours or an adapter's."""

    @abstractmethod
    async def create_anonymous_session(
        self, request: Request, response: Response, data: dict[str, Any] | None = None
    ) -> str | None:
        """Open a session of nobody."""

    @abstractmethod
    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        """Set one entry of the session data."""

    @abstractmethod
    async def delete_session_data(self, request: Request, name: str) -> None:
        """Remove one entry of the session data."""

    @abstractmethod
    async def get_session_data(self, request: Request, name: str) -> Any:
        """One entry of the session data."""

    @abstractmethod
    async def error_if_csrf_invalid(
        self, request: Request, response: Response, error_fn: FastApiErrorFn | None
    ) -> MaybeErrorResponse:
        """Answer a request without a valid CSRF token."""

    def is_admin(self, user: User) -> bool:
        """Whether `user` is an administrator, as the option `is_admin_fn` says.

        Parameters:
            user: the user to test.

        Raises:
            CrossauthError: `Configuration` where the option is an `async` function; use `AdminUser`, or await `is_administrator`.
        """
        return is_admin(self.is_admin_fn, user)

    async def is_administrator(self, user: User) -> bool:
        """As `is_admin`, for an `is_admin_fn` that may be `async`.

        Parameters:
            user: the user to test.

        Raises:
            CrossauthError: `Configuration` where the hook returns anything but a `bool`.
        """
        return await decide("is_admin_fn", self.is_admin_fn, user)

    @staticmethod
    def send_page_error(
        templates: Jinja2Templates,
        request: Request,
        reply: Response,
        status: int,
        error_page: str | None = None,
        error: str | None = None,
        e: Any | None = None,
    ) -> Response:
        """Answer with the error page, or with a plain one where there is none.

        Parameters:
            templates: where the page is looked up.
            request: the request.
            reply: not used.
            status: the HTTP status.
            error_page: the template.
            error: what went wrong, for people; not used where `e` is given.
            e: an exception; it is logged, and its public text shown.
        """
        reason = as_reason(e) if isinstance(e, Exception) else CrossauthError(_code(status), error)
        variables = {**error_variables(reason), "msg": reason.message, "httpStatus": status}
        try:
            return templates.TemplateResponse(
                request, error_page or "error.jinja2", variables, status, headers=SAFE_HEADERS
            )
        except TemplateNotFound:
            title = CrossauthError.http_status_name(status)
            return HTMLResponse(f"<!doctype html><title>{title}</title><h1>{title}</h1>", status, SAFE_HEADERS)


def is_admin(hook: Callable[[User], bool | Awaitable[bool]], user: User) -> bool:
    """Whether `user` is an administrator, as the plain function `hook` says.

    Raises:
        CrossauthError: `Configuration` where it is `async`.
    """
    must_be_plain(
        "is_admin(user) cannot await: use the dependency AdminUser, or `await server.is_administrator(user)`; "
        "otherwise option 'is_admin_fn'",
        hook,
    )
    return decide_now("is_admin_fn", hook, user)


def _code(status: int) -> ErrorCode:
    known = {400: ErrorCode.BadRequest, 401: ErrorCode.Unauthorized, 403: ErrorCode.Forbidden}
    return known.get(status, ErrorCode.UnknownError)


__all__ = ["FastApiErrorFn", "FastApiServerBase", "MaybeErrorResponse", "default_is_admin_fn"]
