"""Door: the session server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.templating import Jinja2Templates
from starlette.responses import Response

from crossauth_backend.core.hooks import call_hook
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.rules import default_user_validator
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._actions.action import Action
from crossauth_fastapi._actions.forms import CsrfBody
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._actions.routes import api_routes, page_routes
from crossauth_fastapi._http.bodies import JsonOrFormData, get_body
from crossauth_fastapi._http.cookies import toFastApiCookieOptions
from crossauth_fastapi._http.replay import create_body, set_body
from crossauth_fastapi._http.router import ExactRouter, include
from crossauth_fastapi._middleware.order import servers_on
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._session import routes
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.assembly import attach, build_context, set_login_page
from crossauth_fastapi._session.codesfile import codes_file_route
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.forms import default_create_user, default_update_user
from crossauth_fastapi._session.login import LOGIN, LOGIN_FACTOR2
from crossauth_fastapi._session.logout import LOGOUT
from crossauth_fastapi._session.options import FastApiSessionServerOptions
from crossauth_fastapi._session.outbox import outbox_routes
from crossauth_fastapi._session.server import FastApiSessionServerBase
from crossauth_fastapi._session.signup import SIGNUP, AuthenticatorDetails, factor2_details
from crossauth_fastapi._session.stepupcode import CANCEL_FACTOR2, FACTOR2_CODE, cancel
from crossauth_fastapi._session.unread import check_unread

__all__: Final = [
    "AuthenticatorDetails", "FastApiSessionServer", "FastApiSessionServerOptions", "JsonOrFormData", "create_body",
    "default_create_user", "default_update_user", "default_user_validator", "get_body", "set_body",
    "toFastApiCookieOptions",
]  # fmt: skip


class FastApiSessionServer(FastApiSessionServerBase):
    """Signs users in by session cookie and serves the pages and JSON endpoints for it.

    It attaches itself to `app` when it is constructed: its endpoints, and the middleware that fills in `request.state.user`,
    `auth_type`, `session_id` and `csrf_token`.

    Parameters:
        app: the application.
        key_storage: where sessions are kept.
        authenticators: factors by name, such as `{"localpassword": LocalPasswordAuthenticator(user_storage)}`.
        options: see `FastApiSessionServerOptions`.

    Raises:
        CrossauthError: `Configuration`, naming the option, what was wrong with it and what would be right; `NotImplemented` for
            an option of a part that is not in this version.
    """

    def __init__(
        self,
        app: FastAPI,
        key_storage: KeyStorage,
        authenticators: Mapping[str, Authenticator],
        options: FastApiSessionServerOptions | None = None,
    ) -> None:
        self._app = app
        self._ctx = build_context(key_storage, authenticators, options or {}, getattr(app, "title", ""))
        self._added: set[str] = set()
        self._router = ExactRouter()
        attach(app, self._ctx, self._router)
        # Included first, so that our routes come before the application's; filled below, and later by `add_login_endpoints`:
        # an included router is looked up in as it is then.
        include(app, self._router)
        self.add_endpoints()
        servers_on(app).protections.add(partial(check_unread, app, self._ctx, options or {}))

    def add_endpoints(self) -> None:
        """Add every endpoint that the options switch on; called by the constructor."""
        self._add("static", lambda router, ctx: routes.static_routes(router, ctx.prefix, ctx.pages.brand))
        self._add("codesfile", codes_file_route)
        self.add_api_getcsrftoken_endpoints()
        if "api/userforsessionkey" in self._ctx.endpoints:
            self.add_api_user_for_session_key_endpoints()
        self._add("outbox", outbox_routes)
        for action in ACTIONS:
            if action.page_endpoint in self._ctx.endpoints:
                self._add_page(action)
            if action.api_endpoint in self._ctx.endpoints:
                self._add_api(action)

    def add_login_endpoints(self) -> None:
        """Add the login page."""
        self._add_page(LOGIN)

    def add_api_login_endpoints(self) -> None:
        """Add `api/login`."""
        self._add_api(LOGIN)

    def add_logout_endpoints(self) -> None:
        """Add the logout page."""
        self._add_page(LOGOUT)

    def add_api_logout_endpoints(self) -> None:
        """Add `api/logout`."""
        self._add_api(LOGOUT)

    def add_signup_endpoints(self) -> None:
        """Add the sign-up page."""
        self._add_page(SIGNUP)

    def add_api_signup_endpoints(self) -> None:
        """Add `api/signup`."""
        self._add_api(SIGNUP)

    def add_api_getcsrftoken_endpoints(self) -> None:
        """Add `api/getcsrftoken`."""
        self._add("api/getcsrftoken", routes.csrf_routes)

    def add_api_user_for_session_key_endpoints(self) -> None:
        """Add `api/userforsessionkey`."""
        self._add("api/userforsessionkey", routes.session_routes)

    def add_factor2_endpoints(self) -> None:
        """Add the page that asks for the second factor of a request that waits for it."""
        self._add_page(FACTOR2_CODE)

    def add_login_factor2_endpoints(self) -> None:
        """Add the page that asks for the second factor of a login."""
        self._add_page(LOGIN_FACTOR2)

    def add_api_login_factor2_endpoints(self) -> None:
        """Add `api/loginfactor2`."""
        self._add_api(LOGIN_FACTOR2)

    def add_api_cancel_factor2_endpoints(self) -> None:
        """Add `api/cancelfactor2`."""
        self._add_api(CANCEL_FACTOR2)

    async def cancel_factor2(
        self, request: Request, resp: Response, success_fn: Callable[[Response], Response]
    ) -> Response:
        """Cancel the pending two-factor challenge, and answer by `success_fn(resp)`.

        Raises:
            CrossauthError: `Unauthorized` where nothing waits.
        """
        await cancel(ActionRequest(self._ctx, request, JsonOrFormData(request, {}), False, CsrfBody))
        answer: Response = await call_hook(success_fn, resp)
        return answer

    @property
    def app(self) -> FastAPI:
        """The application."""
        return self._app

    @property
    def authenticators(self) -> dict[str, Authenticator]:
        """Factors by name."""
        return self._ctx.manager.authenticators

    @property
    def allowed_factor2(self) -> list[str]:
        """Names of the factors that may be second factors."""
        return self._ctx.manager.allowed_factor2

    @property
    def user_allowed_factor1(self) -> list[str]:
        """First factors that users may choose at sign-up."""
        return self._ctx.settings.user_allowed_factor1

    @property
    def admin_allowed_factor1(self) -> list[str]:
        """First factors that administrators may choose for new users."""
        return self._ctx.settings.admin_allowed_factor1

    @property
    def enable_csrf_protection(self) -> bool:
        """Always true."""
        return True

    @property
    def enable_email_verification(self) -> bool:
        """Whether email addresses must be verified."""
        return self._ctx.settings.enable_email_verification

    @property
    def error_page(self) -> str:
        """Template of error messages."""
        return self._ctx.settings.error_page

    @property
    def login_redirect(self) -> str:
        """Where to go after logging in."""
        return self._ctx.settings.login_redirect

    @property
    def session_manager(self) -> SessionManager:
        """Sessions and accounts without the web."""
        return self._ctx.manager

    @property
    def pages(self) -> Pages:
        """The pages, with what every one of them is given."""
        return self._ctx.pages

    @property
    def templates(self) -> Jinja2Templates:
        """The templates, the application's and ours."""
        return self._ctx.pages.templates

    @property
    def user_storage(self) -> UserStorage | None:
        """Where users are."""
        return self._ctx.manager.user_storage

    def allowed_factor2_details(self) -> list[AuthenticatorDetails]:
        """The factors that may be second factors, as a page offers them."""
        return factor2_details(self._ctx.manager)

    def _add_page(self, action: Action[SessionContext, Any]) -> None:
        if action is LOGIN:
            set_login_page(self._app, self._ctx)
        self._ctx.endpoints.add(action.page_endpoint)
        self._add(action.page_endpoint, lambda router, ctx: page_routes(router, ctx, action))

    def _add_api(self, action: Action[SessionContext, Any]) -> None:
        self._ctx.endpoints.add(action.api_endpoint)
        self._add(action.api_endpoint, lambda router, ctx: api_routes(router, ctx, action))

    def _add(self, name: str, add: Callable[[ExactRouter, SessionContext], None]) -> None:
        if name not in self._added:
            self._added.add(name)
            add(self._router, self._ctx)
