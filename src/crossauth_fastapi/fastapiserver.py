"""Door: every server of this package on one application, from one configuration. Assembly only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.templating import Jinja2Templates
from starlette.requests import HTTPConnection
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.sessionmanager import SessionManager
from crossauth_fastapi._assembly.components import Assembly, assemble
from crossauth_fastapi._assembly.options import (
    COMPONENT,
    FastApiApiKeyServerParams,
    FastApiOAuthClientParams,
    FastApiOAuthResServerParams,
    FastApiServerOptions,
    FastApiServerParams,
    FastApiSessionServerParams,
    read_params,
)
from crossauth_fastapi._assembly.unread import read_server_options
from crossauth_fastapi._http.errors import error_json
from crossauth_fastapi._middleware.languages import languages_of
from crossauth_fastapi._middleware.order import set_site_facts
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._pages.brand import brand_of
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._session.adaptersource import PlainAdapter
from crossauth_fastapi._session.pagevariables import awaited_variables, error_page, page_variables
from crossauth_fastapi._session.routes import static_routes
from crossauth_fastapi.fastapiapikey import FastApiApiKeyServer
from crossauth_fastapi.fastapioauthclient import FastApiOAuthClient
from crossauth_fastapi.fastapiresserver import FastApiOAuthResourceServer
from crossauth_fastapi.fastapiserverbase import FastApiErrorFn, FastApiServerBase, MaybeErrorResponse
from crossauth_fastapi.fastapisession import FastApiSessionServer
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter

__all__: Final = [
    "FastApiApiKeyServerParams",
    "FastApiOAuthClientParams", "FastApiOAuthResServerParams", "FastApiServer", "FastApiServerOptions",
    "FastApiServerParams", "FastApiSessionServerParams",
]  # fmt: skip


_SERVERS: Final = "crossauth_servers"


def servers_of(app: FastAPI) -> list[FastApiServer]:
    """The servers that were put onto `app`, in their order."""
    found: list[FastApiServer] = getattr(app.state, _SERVERS, [])
    return list(found)


def remember_server(app: FastAPI, server: FastApiServer) -> None:
    """Let `servers_of` find it: commands are given an application."""
    setattr(app.state, _SERVERS, [*servers_of(app), server])


class FastApiServer(FastApiServerBase):
    """Puts the servers that `params` name onto one application.

    Parameters:
        params: which servers to create, see `FastApiServerParams`.
        options: options for all of them, see `FastApiServerOptions`; a component's own options override these.

    Raises:
        CrossauthError: `Configuration`, naming the option, what was wrong with it and what would be right;
            `NotImplemented` for a component that is not in this version.
    """

    def __init__(
        self,
        params: FastApiServerParams,
        options: FastApiServerOptions | None = None,
    ) -> None:
        parsed = read_params(params)
        settings, shared = read_server_options(parsed, options or {})
        # There from now on: an OAuth client asks the server that it is a part of.
        self._made = Assembly(self, settings.app or FastAPI(), settings, shared)
        assemble(self._made, parsed)
        self.is_admin_fn = self._made.settings.is_admin_fn
        remember_server(self.app, self)
        self._pages = self.session_server.pages if self.session_server else self._bare_pages()
        set_site_facts(self.app, is_admin_fn=self.is_admin_fn, **languages_of(self._made.settings, COMPONENT))
        if self.session_server is None:
            set_site_facts(self.app, error_page=self._error_page)
            static_routes(self.app.router, "/", self._pages.brand)

    @property
    def app(self) -> FastAPI:
        """The application."""
        return self._made.app

    @property
    def error_page(self) -> str:
        """Template of error messages."""
        return self._made.settings.error_page

    @property
    def templates(self) -> Jinja2Templates:
        """The templates, the application's and ours."""
        return self._pages.templates

    @property
    def session_server(self) -> FastApiSessionServer | None:
        """The session server."""
        return self._made.session_server

    @property
    def session_adapter(self) -> FastApiSessionAdapter | None:
        """The sessions: the session server, or the adapter that was given."""
        return self._made.session_adapter

    @property
    def session_manager(self) -> SessionManager:
        """The session manager of the session server.

        Raises:
            CrossauthError: `Configuration` where this application has no session server.
        """
        if self.session_server is None:
            raise CrossauthError(
                ErrorCode.Configuration,
                "FastApiServer: there is no session server; give 'session': {'key_storage': ...}",
            )
        return self.session_server.session_manager

    @property
    def have_session_server(self) -> bool:
        """Whether there is a session server."""
        return self._made.session_server is not None

    @property
    def have_session_adapter(self) -> bool:
        """Whether there are sessions, ours or an adapter's."""
        return self._made.session_adapter is not None

    @property
    def api_key_server(self) -> FastApiApiKeyServer | None:
        """The server for API keys."""
        return self._made.api_key_server

    @property
    def oauth_client(self) -> FastApiOAuthClient | None:
        """The OAuth client; `None` where there is none, or where there are several."""
        return self._made.oauth_clients[0] if len(self._made.oauth_clients) == 1 else None

    @property
    def oauth_clients(self) -> list[FastApiOAuthClient] | None:
        """The OAuth clients, where there are any."""
        return list(self._made.oauth_clients) or None

    @property
    def oauth_resserver(self) -> FastApiOAuthResourceServer | None:
        """The resource server."""
        return self._made.oauth_resserver

    async def create_anonymous_session(
        self, request: Request, response: Response, data: dict[str, Any] | None = None
    ) -> str | None:
        """See `FastApiSessionServer.create_anonymous_session`; `None` where there is only a session adapter.

        Raises:
            CrossauthError: `Configuration` where there is neither.
        """
        if self.session_server is None:
            self._require_adapter()
            return None
        return await self.session_server.create_anonymous_session(request, response, data)

    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        """See `FastApiSessionAdapter.update_session_data`."""
        await call_hook(self._require_adapter().update_session_data, request, name, value)

    async def delete_session_data(self, request: Request, name: str) -> None:
        """See `FastApiSessionAdapter.delete_session_data`."""
        await call_hook(self._require_adapter().delete_session_data, request, name)

    async def get_session_data(self, request: Request, name: str) -> Any:
        """See `FastApiSessionAdapter.get_session_data`."""
        return await call_hook(self._require_adapter().get_session_data, request, name)

    def get_session_cookie_value(self, request: Request) -> str | None:
        """See `FastApiSessionServer.get_session_cookie_value`; `None` where there is only a session adapter."""
        return self.session_server.get_session_cookie_value(request) if self.session_server else None

    async def error_if_csrf_invalid(
        self, request: Request, response: Response, error_fn: FastApiErrorFn | None
    ) -> MaybeErrorResponse:
        """Use this to require a CSRF token in an endpoint of your own.

        Parameters:
            request: the request.
            response: the response so far.
            error_fn: makes the answer to a request without a valid token; JSON with status 403 where it is `None`.

        Returns:
            `response` and `False`, or the refusal and `True`.
        """
        adapter = PlainAdapter(self._require_adapter())
        if not adapter.csrf_protection_enabled() or adapter.csrf_token(request):
            return MaybeErrorResponse(response, False)
        error = CrossauthError(ErrorCode.InvalidCsrf)
        if error_fn is None:
            return MaybeErrorResponse(error_json(error), True)
        return MaybeErrorResponse(await call_hook(error_fn, self, request, response, error), True)

    def render(
        self, request: Request, template: str, variables: Mapping[str, Any] | None = None, status: int = 200
    ) -> Response:
        """A page of the application's own, with the variables and the safe headers that the account pages have.

        Parameters:
            request: the request.
            template: a file in `template_dir`, or one of the pages that come with the package.
            variables: what it shows, besides `urlPrefix`, `csrfToken`, `user`, `stylesheet` and `endpoints`.
            status: the HTTP status.
        """
        return self._pages.render(request, template, variables, status)

    def _bare_pages(self) -> Pages:
        settings = self._made.settings
        brand = brand_of(settings, COMPONENT, settings.site_name, None, self.app.title)

        def common(request: Request) -> dict[str, Any]:
            return page_variables(state_of(request), "/", brand)

        return Pages(settings.template_dir, common, awaited_variables, brand)

    def _error_page(self, connection: HTTPConnection, e: CrossauthError) -> Response:
        return error_page(self._pages, self.error_page, connection, e)

    def _require_adapter(self) -> FastApiSessionAdapter:
        if self.session_adapter is None:
            raise CrossauthError(
                ErrorCode.Configuration, f"{COMPONENT}: neither 'session' nor 'session_adapter' was given"
            )
        return self.session_adapter
