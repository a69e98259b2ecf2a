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
from crossauth_backend.core.options import read_options
from crossauth_fastapi._http.errors import error_json
from crossauth_fastapi._middleware.order import attach_source, tell_site
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_resource.shared import split_options
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._serveroptions import (
    COMPONENT,
    ApiKeyParams,
    FastApiApiKeyServerParams,
    FastApiOAuthClientParams,
    FastApiOAuthResServerParams,
    FastApiServerOptions,
    FastApiServerParams,
    FastApiSessionServerParams,
    ResServerParams,
    SessionParams,
    api_key_options,
    read_params,
    read_server_options,
    session_options,
    shared_settings,
)
from crossauth_fastapi._session.adaptersource import AdapterSource, PlainAdapter
from crossauth_fastapi._session.pagevariables import awaited_variables, error_page, page_variables
from crossauth_fastapi.fastapiapikey import FastApiApiKeyServer
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
        params: FastApiServerParams | Mapping[str, Any],
        options: FastApiServerOptions | Mapping[str, Any] | None = None,
    ) -> None:
        parsed = read_params(params)
        self._settings, merged = read_server_options(parsed, options or {})
        self._app = self._settings.app or FastAPI()
        self.is_admin_fn = self._settings.is_admin_fn
        self._session_server: FastApiSessionServer | None = None
        self._session_adapter = parsed.session_adapter
        self._api_key_server: FastApiApiKeyServer | None = None
        if parsed.session is not None:
            session = read_options(SessionParams, parsed.session, component=f"{COMPONENT} params 'session'")
            if session.key_storage is None:
                raise CrossauthError(
                    ErrorCode.Configuration, f"{COMPONENT} params 'session': 'key_storage' is required"
                )
            own = session_options(session, merged)
            # A component's own options override those of the server, for the one site that both are about.
            self._settings = shared_settings(self._settings, own)
            self.is_admin_fn = self._settings.is_admin_fn
            self._session_server = FastApiSessionServer(
                self._app, session.key_storage, self._settings.authenticators, own
            )
            self._session_adapter = self._session_server
        elif parsed.session_adapter is not None:
            attach_source(self._app, AdapterSource(PlainAdapter(parsed.session_adapter)))
        if parsed.api_key is not None:
            self._create_api_key_server(parsed.api_key, merged)
        self._oauth_resserver = self._create_resource_server(parsed.oauth_resserver, merged)
        remember_server(self._app, self)
        self._pages = self._session_server.pages if self._session_server else self._bare_pages()
        tell_site(self._app, is_admin_fn=self.is_admin_fn)
        if self._session_server is None:
            tell_site(self._app, error_page=self._error_page)

    def _create_api_key_server(self, params: Mapping[str, Any], merged: Mapping[str, Any]) -> None:
        parsed = read_options(ApiKeyParams, params, component=f"{COMPONENT} params 'api_key'")
        if parsed.key_storage is None:
            raise CrossauthError(ErrorCode.Configuration, f"{COMPONENT} params 'api_key': 'key_storage' is required")
        session = self._session_server
        events = None if session is None else session.session_manager.events
        self._api_key_server = FastApiApiKeyServer(
            self._app, parsed.key_storage, api_key_options(parsed, merged), events
        )

    def _create_resource_server(
        self, params: Mapping[str, Any] | None, merged: Mapping[str, Any]
    ) -> FastApiOAuthResourceServer | None:
        if params is None:
            return None
        parsed = read_options(ResServerParams, params, component=f"{COMPONENT} params 'oauth_resserver'")
        consumers, options = split_options(parsed.options, merged)
        adapter = {} if self._session_adapter is None else {"session_adapter": self._session_adapter}
        return FastApiOAuthResourceServer(self._app, consumers, {**adapter, **options})

    @property
    def app(self) -> FastAPI:
        """The application."""
        return self._app

    @property
    def error_page(self) -> str:
        """Template of error messages."""
        return self._settings.error_page

    @property
    def templates(self) -> Jinja2Templates:
        """The templates, the application's and ours."""
        return self._pages.templates

    @property
    def session_server(self) -> FastApiSessionServer | None:
        """The session server."""
        return self._session_server

    @property
    def session_adapter(self) -> FastApiSessionAdapter | None:
        """The sessions: the session server, or the adapter that was given."""
        return self._session_adapter

    @property
    def have_session_server(self) -> bool:
        """Whether there is a session server."""
        return self._session_server is not None

    @property
    def have_session_adapter(self) -> bool:
        """Whether there are sessions, ours or an adapter's."""
        return self._session_adapter is not None

    @property
    def api_key_server(self) -> FastApiApiKeyServer | None:
        """The server for API keys."""
        return self._api_key_server

    @property
    def oauth_client(self) -> None:
        """No OAuth client was created."""
        return None

    @property
    def oauth_clients(self) -> None:
        """No OAuth clients were created."""
        return None

    @property
    def oauth_resserver(self) -> FastApiOAuthResourceServer | None:
        """The resource server."""
        return self._oauth_resserver

    async def create_anonymous_session(
        self, request: Request, response: Response, data: dict[str, Any] | None = None
    ) -> str | None:
        """See `FastApiSessionServer.create_anonymous_session`; `None` where there is only a session adapter.

        Raises:
            CrossauthError: `Configuration` where there is neither.
        """
        if self._session_server is None:
            self._require_adapter()
            return None
        return await self._session_server.create_anonymous_session(request, response, data)

    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        """See `FastApiSessionAdapter.update_session_data`."""
        await call_hook(self._require_adapter().update_session_data, request, name, value)

    async def delete_session_data(self, request: Request, name: str) -> None:
        """See `FastApiSessionAdapter.delete_session_data`."""
        await call_hook(self._require_adapter().delete_session_data, request, name)

    async def get_session_data(self, request: Request, name: str) -> dict[str, Any] | None:
        """See `FastApiSessionAdapter.get_session_data`."""
        found: dict[str, Any] | None = await call_hook(self._require_adapter().get_session_data, request, name)
        return found

    def get_session_cookie_value(self, request: Request) -> str | None:
        """See `FastApiSessionServer.get_session_cookie_value`; `None` where there is only a session adapter."""
        return self._session_server.get_session_cookie_value(request) if self._session_server else None

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
        return Pages(
            self._settings.template_dir, lambda request: page_variables(state_of(request), "/"), awaited_variables
        )

    def _error_page(self, connection: HTTPConnection, e: CrossauthError) -> Response:
        return error_page(self._pages, self._settings.error_page, connection, e)

    def _require_adapter(self) -> FastApiSessionAdapter:
        if self._session_adapter is None:
            raise CrossauthError(
                ErrorCode.Configuration, f"{COMPONENT}: neither 'session' nor 'session_adapter' was given"
            )
        return self._session_adapter
