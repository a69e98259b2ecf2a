"""Facade: an OAuth client on a FastAPI application, and the backend-for-frontend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.templating import Jinja2Templates
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.options import option_names, read_options
from crossauth_backend.oauth.client.client import OAuthClient
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.client.responses import (
    OAuthDeviceResponse,
    OAuthTokenResponse,
    OAuthTokenResponseWithExpiry,
)
from crossauth_fastapi._actions.accounts import accounts_on
from crossauth_fastapi._http.router import ExactRouter, include
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client import answers, assembly
from crossauth_fastapi._oauth_client.bodies import (
    DeviceCodeBodyType,
    DeviceCodeFlowResponse,
    DeviceCodePollBodyType,
)
from crossauth_fastapi._oauth_client.checks import check_site, names_given
from crossauth_fastapi._oauth_client.context import ClientContext, TokenAnswer
from crossauth_fastapi._oauth_client.decoded import decode_payload, string_is_true
from crossauth_fastapi._oauth_client.logfetch import LoggedFetcher
from crossauth_fastapi._oauth_client.options import (
    COMPONENT,
    BffEndpoint,
    ClientServerSettings,
    FastApiOAuthClientOptions,
    of_this_table,
    wrong,
)
from crossauth_fastapi._oauth_client.users.create import embedUserCreateFn, idTokenUserCreateFn, mergeUserCreateFn
from crossauth_fastapi._pages.brand import brand_of
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._session.pagevariables import awaited_variables, page_variables
from crossauth_fastapi._session.routes import static_routes
from crossauth_fastapi.fastapiserverbase import FastApiServerBase

__all__: Final = [
    "BffEndpoint", "DeviceCodeBodyType", "DeviceCodeFlowResponse", "DeviceCodePollBodyType", "FastApiOAuthClient",
    "FastApiOAuthClientOptions", "OAuthTokenResponseWithExpiry", "decode_payload", "embedUserCreateFn",
    "idTokenUserCreateFn", "json_error", "log_tokens", "mergeUserCreateFn", "page_error", "save_in_session_and_load",
    "save_in_session_and_redirect", "send_in_page", "send_json", "string_is_true", "update_session_data",
]  # fmt: skip


class FastApiOAuthClient(OAuthClient):
    """Logs users in at an authorization server, keeps their tokens on the server, and calls resource servers with them.

    `FastApiServer` creates it, for `oauth_client` and `oauth_clients` of its parameters.

    Parameters:
        server: the server that it is a part of.
        auth_server_base_url: exactly what the authorization server calls itself.
        options: see `FastApiOAuthClientOptions`.
        have_session_server: whether there is a session server; what is said here is checked, and changes nothing.

    Raises:
        CrossauthError: `Configuration`, naming the option, what was wrong with it and what would be right.
    """

    def __init__(
        self,
        server: FastApiServerBase,
        auth_server_base_url: str,
        options: FastApiOAuthClientOptions | None = None,
        have_session_server: bool = False,
    ) -> None:
        if not isinstance(server, FastApiServerBase):
            raise wrong("it is created by FastApiServer: give {'oauth_client': {…}} in its parameters")
        if have_session_server and not server.have_session_server:
            raise wrong("argument 'have_session_server' is true, and there is no session server")
        provided: Mapping[str, Any] = options or {}
        protocol = option_names(ClientSettings)
        settings = read_options(ClientServerSettings, provided, component=COMPONENT, also_known=protocol)
        check_site(settings)
        accounts = accounts_on(server.app)
        theirs: Any = _protocol_options(provided, settings)
        super().__init__(auth_server_base_url, theirs, clock=assembly.clock_of(accounts))
        self._server = server
        pages = _pages(settings, server.app.title) if accounts is None else accounts.context.pages
        if accounts is not None and provided.get("template_dir") is not None:
            pages = pages.in_folder(settings.template_dir)
        self._ctx = assembly.build(self, server, settings, accounts, pages, names_given(provided))
        router = ExactRouter()
        assembly.attach(server.app, router, self._ctx)
        if accounts is None:
            # Pages of ours need it, and there is no session server that has it.
            static_routes(router, self._ctx.prefix, pages.brand)
        include(server.app, router)

    @property
    def context(self) -> ClientContext:
        """What its endpoints work with."""
        return self._ctx

    @property
    def server(self) -> FastApiServerBase:
        """The server that it is a part of."""
        return self._server

    @property
    def templates(self) -> Jinja2Templates:
        """The templates, the application's and ours."""
        return self._ctx.pages.templates

    @property
    def session_data_name(self) -> str:
        """The name in the session data under which tokens are kept."""
        return self._ctx.name

    @property
    def authorized_page(self) -> str:
        """Template of the page after a flow."""
        return self._ctx.options.authorized_page

    @property
    def authorized_url(self) -> str:
        """Where a browser goes after a flow."""
        return self._ctx.options.authorized_url

    @property
    def error_page(self) -> str:
        """Template of error messages."""
        return self._ctx.options.error_page

    @property
    def password_flow_page(self) -> str:
        """Template of the page of the password flow."""
        return self._ctx.options.password_flow_page

    @property
    def mfa_otp_page(self) -> str:
        """Template of the page that asks for a one-time code."""
        return self._ctx.options.mfa_otp_page

    @property
    def mfa_oob_page(self) -> str:
        """Template of the page that asks for an out-of-band code."""
        return self._ctx.options.mfa_oob_page

    @property
    def device_code_flow_page(self) -> str:
        """Template of the page of the device code flow."""
        return self._ctx.options.device_code_flow_page

    @property
    def delete_tokens_page(self) -> str:
        """Template of the page to delete tokens."""
        return self._ctx.options.delete_tokens_page

    @property
    def delete_tokens_get_url(self) -> str | None:
        """URL of that page."""
        return self._ctx.options.delete_tokens_get_url

    @property
    def delete_tokens_post_url(self) -> str | None:
        """URL to which its form is sent."""
        return self._ctx.options.delete_tokens_post_url

    @property
    def api_delete_tokens_post_url(self) -> str | None:
        """URL that deletes tokens and answers with JSON."""
        return self._ctx.options.api_delete_tokens_post_url

    @property
    def user_creation_type(self) -> str:
        """How `request.state.user` is made of an ID token."""
        return self._ctx.options.user_creation_type

    @property
    def user_match_field(self) -> str:
        """Field of users that `id_token_match_field` equals."""
        return self._ctx.options.user_match_field or "username"

    @property
    def id_token_match_field(self) -> str:
        """Claim of the ID token by which users are found."""
        return self._ctx.options.id_token_match_field or "sub"

    @property
    def jwt_tokens(self) -> list[str]:
        """Tokens that are shown decoded."""
        return list(self._ctx.options.jwt_tokens)

    async def store_session_data(
        self, session_data: dict[str, Any], request: Request, response: Response | None = None
    ) -> None:
        """Keep a token response in the session, encrypted. Where there is no session, one is opened.

        Parameters:
            session_data: the token response.
            request: the request.
            response: not needed; cookies travel with every response.

        Raises:
            CrossauthError: the response is an error, or there are no sessions.
        """
        provided: Any = session_data
        await answers.keep(self._ctx, request, TokenAnswer(provided, answers.ANY_FLOW))

    async def aclose(self) -> None:
        """Close connections; the application does when it ends."""
        await super().aclose()
        if isinstance(self.settings.fetcher, LoggedFetcher):
            await self.settings.fetcher.aclose()


def _protocol_options(given: Mapping[str, Any], settings: ClientServerSettings) -> dict[str, Any]:
    """The options of the client without the web, with what follows from those of the web."""
    theirs = of_this_table(given, option_names(ClientSettings))
    # Read once more below, where its variable of the environment counts too.
    named = read_options(ClientSettings, {**_UNASKED, **theirs}, component=COMPONENT)
    theirs.pop("auth_server_base_url", None)
    theirs["redirect_uri"] = assembly.redirect_uri_of(settings, named.redirect_uri)
    if settings.oauth_log_fetch:
        theirs["fetcher"] = LoggedFetcher(theirs.get("fetcher"))
    return theirs


# What is required elsewhere, and not needed to find out about the redirect URI.
_UNASKED: Final = {"auth_server_base_url": "https://unasked.invalid", "client_id": "unasked"}


def _pages(settings: ClientServerSettings, title: str) -> Pages:
    brand = brand_of(settings, COMPONENT, settings.site_name, settings.site_url, title)

    def common(request: Request) -> dict[str, Any]:
        return page_variables(state_of(request), settings.prefix, brand)

    return Pages(settings.template_dir, common, awaited_variables, brand)


async def json_error(server: FastApiServerBase, request: Request, response: Response, ce: CrossauthError) -> Response:
    """Answer an error as JSON.

    Parameters:
        server: the server.
        request, response: not needed.
        ce: the error.
    """
    return answers.error_json(ce)


async def page_error(server: FastApiServerBase, request: Request, response: Response, ce: CrossauthError) -> Response:
    """Answer an error by the error page of the server.

    Parameters:
        server: the server.
        request: the request.
        response: the response so far.
        ce: the error.
    """
    return server.send_page_error(server.templates, request, response, ce.http_status, server.error_page, e=ce)


async def send_json(
    oauth_response: OAuthTokenResponse | OAuthDeviceResponse,
    client: FastApiOAuthClient,
    request: Request,
    response: Response | None = None,
) -> Response | None:
    """Answer a token response as JSON. The browser gets the tokens.

    Parameters:
        oauth_response: the token response.
        client: the client.
        request: the request.
        response: not needed.
    """
    return await answers.show_json(*_answer(oauth_response, client, request))


async def send_in_page(
    oauth_response: OAuthTokenResponse | OAuthDeviceResponse,
    client: FastApiOAuthClient,
    request: Request,
    response: Response | None = None,
) -> Response | None:
    """Answer a token response by the page that the option `authorized_page` names, with the tokens as its variables.

    Parameters:
        oauth_response: the token response.
        client: the client.
        request: the request.
        response: not needed.
    """
    return await answers.show_page(*_answer(oauth_response, client, request))


async def save_in_session_and_load(
    oauth_response: OAuthTokenResponse | OAuthDeviceResponse,
    client: FastApiOAuthClient,
    request: Request,
    response: Response | None = None,
) -> Response | None:
    """Keep the tokens in the session, and answer by the page that the option `authorized_page` names.

    Parameters:
        oauth_response: the token response.
        client: the client.
        request: the request.
        response: not needed.
    """
    return await answers.save_and_load(*_answer(oauth_response, client, request))


async def save_in_session_and_redirect(
    oauth_response: OAuthTokenResponse | OAuthDeviceResponse,
    client: FastApiOAuthClient,
    request: Request,
    response: Response | None = None,
) -> Response | None:
    """Keep the tokens in the session, and send the browser to the URL that the option `authorized_url` names.

    Parameters:
        oauth_response: the token response.
        client: the client.
        request: the request.
        response: not needed.
    """
    return await answers.save_and_redirect(*_answer(oauth_response, client, request))


async def update_session_data(
    oauth_response: OAuthTokenResponse, client: FastApiOAuthClient, request: Request, response: Response | None = None
) -> None:
    """Keep the tokens in the session, encrypted.

    Parameters:
        oauth_response: the token response.
        client: the client.
        request: the request.
        response: not needed.
    """
    await answers.keep(*_answer(oauth_response, client, request))


def log_tokens(oauth_response: OAuthTokenResponse | OAuthDeviceResponse, client: FastApiOAuthClient) -> None:
    """Log which tokens came and what they say of, at level `DEBUG`: by a hash and the names of their claims, never a token.

    Parameters:
        oauth_response: the token response.
        client: the client.
    """
    answers.log_tokens_of(oauth_response)


def _answer(
    oauth_response: OAuthTokenResponse | OAuthDeviceResponse, client: FastApiOAuthClient, request: Request
) -> tuple[ClientContext, Request, TokenAnswer]:
    provided: Any = oauth_response
    return client.context.at(state_of(request).root_path), request, TokenAnswer(provided, answers.ANY_FLOW)
