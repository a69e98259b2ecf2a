"""The session server as an application's own code asks it about a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, overload

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import start_hook
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.data import KeyDataEntry
from crossauth_backend.sessions.options import CookieOptions
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import as_reason, error_json
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._session import guards
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.editing import can_edit
from crossauth_fastapi.fastapiserverbase import FastApiServerBase, is_admin
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter


class AdminTest:
    """`is_admin(user)`: of a server, by its `is_admin_fn`; of the class, which has none, by the `admin` of the record."""

    def __get__(self, server: FastApiSessionServerBase | None, owner: type) -> Callable[[User], bool]:
        """The function.

        Raises:
            CrossauthError: `Configuration` when it is called for a server whose `is_admin_fn` is `async`.
        """
        if server is None:
            return default_is_admin_fn
        return partial(is_admin, server._ctx.settings.is_admin_fn)


class FastApiSessionServerBase(FastApiSessionAdapter):
    """The methods of `FastApiSessionServer` that are about one request."""

    _ctx: SessionContext

    def can_edit_user(self, request: HTTPConnection) -> bool:
        """Whether the request may edit the account it is made for: by session cookie, or by a token with `edit_user_scope`."""
        return can_edit(self._ctx.settings, state_of(request))

    def is_session_user(self, request: HTTPConnection) -> bool:
        """Whether a user is logged in by session cookie."""
        state = state_of(request)
        return state["user"] is not None and state["auth_type"] == "cookie"

    def get_user(self, request: HTTPConnection) -> User | None:
        """The user who is logged in."""
        return self.user(request)

    @staticmethod
    def user(request: HTTPConnection) -> User | None:
        """The user who is logged in."""
        user: User | None = state_of(request)["user"]
        return user

    @staticmethod
    def username(request: HTTPConnection) -> str | None:
        """The name of the user who is logged in."""
        user = FastApiSessionServerBase.user(request)
        return user.username if user else None

    is_admin = AdminTest()

    def csrf_protection_enabled(self) -> bool:
        """Always true."""
        return True

    def get_csrf_token(self, request: HTTPConnection) -> str | None:
        """The request's CSRF token: for a form on a page, or `None` where a changing request carried no valid one."""
        token: str | None = state_of(request)["csrf_token"]
        return token

    def validate_csrf_token(self, request: Request) -> str | None:
        """The CSRF cookie's value of a request that carried a valid token.

        Raises:
            CrossauthError: `InvalidCsrf`.
        """
        return guards.valid_csrf_cookie(self._ctx, request)

    async def csrf_token(
        self,
        request: Request,
        form: JsonOrFormData,
        headers: dict[str, str] | None = None,
        add_cookies: dict[str, tuple[str, CookieOptions]] | None = None,
        delete_cookies: set[str] | None = None,
        response: Response | None = None,
    ) -> str | None:
        """Check the token in a header or in the field `csrfToken` against the cookie; raises nothing.

        `request.state.csrf_token` is set if it is valid and cleared if not.

        Parameters:
            request: the request.
            form: its fields.
            headers: instead of the request's headers.
            add_cookies, delete_cookies, response: not needed; cookies travel with every response.

        Returns:
            The token, or `None`.
        """
        state = state_of(request)
        sent = guards.sent_csrf_token(self._ctx, form, headers or dict(request.headers))
        if not self._ctx.source.csrf.accept_token(state, sent):
            state["csrf_token"] = None
        return self.get_csrf_token(request)

    def get_csrf_cookie_value(self, request: HTTPConnection) -> str | None:
        """The CSRF cookie of the request's session, as the browser sent it."""
        return self._ctx.source.csrf.cookie_value(state_of(request))

    def get_session_cookie_value(self, request: HTTPConnection) -> str | None:
        """The session cookie as the browser sent it."""
        return state_of(request).signed_value(self._ctx.manager.session.cookie)

    def get_hash_of_session_id(self, request: HTTPConnection) -> str:
        """A hash of the session id, fit for a log; empty where there is no session."""
        session_id = state_of(request)["session_id"]
        return hash_token(session_id) if session_id else ""

    def get_hash_of_csrf_cookie(self, request: HTTPConnection) -> str:
        """A hash of the CSRF cookie, fit for a log; empty where there is none."""
        cookie = self.get_csrf_cookie_value(request)
        return hash_token(cookie) if cookie else ""

    async def create_anonymous_session(
        self, request: Request, response: Response, data: dict[str, Any] | None = None
    ) -> str:
        """Open a session of nobody, for state that must be kept before anybody logs in.

        Parameters:
            request: the request; its session from now on.
            response: not needed; the cookie travels with every response.
            data: session data to begin with; names the library keeps for itself are refused.

        Returns:
            The value of the session cookie.

        Raises:
            CrossauthError: `BadRequest` for a reserved name or a value that is not JSON.
        """
        return await guards.create_anonymous_session(self._ctx, request, data)

    async def update_session_data(self, request: HTTPConnection, name: str, value: Any) -> None:
        """See `FastApiSessionAdapter.update_session_data`."""
        await guards.update_session_data(self._ctx, request, [{"data_name": name, "value": value}])

    async def update_many_session_data(self, request: HTTPConnection, data_array: list[KeyDataEntry]) -> None:
        """See `FastApiSessionAdapter.update_many_session_data`."""
        await guards.update_session_data(self._ctx, request, data_array)

    async def delete_session_data(self, request: HTTPConnection, name: str) -> None:
        """See `FastApiSessionAdapter.delete_session_data`."""
        await guards.update_session_data(self._ctx, request, [{"data_name": name}])

    async def get_session_data(self, request: HTTPConnection, name: str) -> Any:
        """See `FastApiSessionAdapter.get_session_data`."""
        data: dict[str, Any] | None = await guards.get_session_data(self._ctx, request, name)
        return data

    async def login_with_user(
        self,
        user: User,
        bypass_2fa: bool,
        request: Request,
        resp: Response,
        success_fn: Callable[[Response, User], Response],
    ) -> Response:
        """Log in a user who has been proven by other means.

        Parameters:
            user: whom to sign in.
            bypass_2fa: whether the second factor has been proven too.
            request, resp: the request and the response so far.
            success_fn: makes the answer.

        Raises:
            CrossauthError: the reason for which the account's state refuses.
        """
        return await guards.login_with_user(self._ctx, user, bypass_2fa, request, resp, success_fn)

    def error_status(self, e: Exception) -> int:
        """The HTTP status of an exception: a `CrossauthError`'s own, else 500."""
        return CrossauthError.as_crossauth_error(e).http_status

    @overload
    def handle_error(
        self, e: Exception, request: Request, form: JsonOrFormData | None,
        error_fn: Callable[[dict[str, Any], CrossauthError], Response], password_invalid_ok: bool = False,
    ) -> Response: ...  # fmt: skip
    @overload
    def handle_error(
        self, e: Exception, request: Request, form: JsonOrFormData | None,
        error_fn: Callable[[dict[str, Any], CrossauthError], Awaitable[Response]], password_invalid_ok: bool = False,
    ) -> Awaitable[Response]: ...  # fmt: skip
    def handle_error(
        self,
        e: Exception,
        request: Request,
        form: JsonOrFormData | None,
        error_fn: Callable[[dict[str, Any], CrossauthError], Response | Awaitable[Response]],
        password_invalid_ok: bool = False,
    ) -> Response | Awaitable[Response]:
        """Log `e` and answer it by `error_fn(fields, error)`. Await the result where `error_fn` is `async`.

        `UserNotExist` and `PasswordInvalid` become `UsernameOrPasswordInvalid`, the latter unless `password_invalid_ok`.
        """
        keep = password_invalid_ok and isinstance(e, CrossauthError) and e.code is ErrorCode.PasswordInvalid
        reason = e if keep and isinstance(e, CrossauthError) else as_reason(e)
        answer: Response | Awaitable[Response] = start_hook(error_fn, form.to_dict() if form else {}, reason)
        return answer

    def send_json_error(
        self,
        request: Request,
        response: Response,
        status: int,
        error: str | None = None,
        e: Exception | None = None,
    ) -> Response:
        """Answer `e` (or the text `error`) as JSON with the HTTP status `status`, and log it."""
        reason = as_reason(e) if e else CrossauthError(ErrorCode.UnknownError, error)
        return error_json(CrossauthError(reason.code, reason.messages, status=status))

    def send_page_error(
        self,
        request: Request,
        response: Response,
        status: int,
        error: str | None = None,
        e: Exception | None = None,
    ) -> Response:
        """Answer `e` (or the text `error`) by the error page with the HTTP status `status`, and log it."""
        templates, page = self._ctx.pages.templates, self._ctx.settings.error_page
        return FastApiServerBase.send_page_error(templates, request, response, status, page, error, e)
