"""The servers that `FastApiServer` can create, one row each: what creates it, and which options it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fastapi import FastAPI

from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option_names, overridden, read_options
from crossauth_backend.events.listeners import Events
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.resource.options import ResourceServerSettings, TokenConsumerSettings
from crossauth_fastapi._api_keys.options import ApiKeyServerSettings
from crossauth_fastapi._assembly.options import (
    COMPONENT,
    ApiKeyParams,
    OAuthClientParams,
    ResServerParams,
    ServerParams,
    ServerSettings,
    SessionParams,
)
from crossauth_fastapi._middleware.order import attach_source
from crossauth_fastapi._oauth_client.checks import check_several
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._oauth_resource.options import FastApiResourceServerSettings
from crossauth_fastapi._oauth_resource.shared import split_options
from crossauth_fastapi._session.adaptersource import AdapterSource, PlainAdapter
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi.fastapiapikey import FastApiApiKeyServer
from crossauth_fastapi.fastapioauthclient import FastApiOAuthClient
from crossauth_fastapi.fastapiresserver import FastApiOAuthResourceServer
from crossauth_fastapi.fastapiserverbase import FastApiServerBase
from crossauth_fastapi.fastapisession import FastApiSessionServer
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter


@dataclass(slots=True)
class Assembly:
    """What is put onto one application: its options, and the servers that were created so far.

    Parameters:
        server: the server that is assembled.
        app: the application.
        settings: the options of `FastApiServer` itself.
        shared: the options that all servers share.
    """

    server: FastApiServerBase
    app: FastAPI
    settings: ServerSettings
    shared: Mapping[str, Any]
    session_server: FastApiSessionServer | None = None
    session_adapter: FastApiSessionAdapter | None = None
    api_key_server: FastApiApiKeyServer | None = None
    oauth_resserver: FastApiOAuthResourceServer | None = None
    oauth_clients: list[FastApiOAuthClient] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One server.

    Parameters:
        param: its key among the parameters.
        noun: what messages call it.
        example: the parameters that create it.
        create: creates it from the value of that key.
        tables: what its options are parsed by.
        server_options: the options of `FastApiServer` that count for it alone.
        apart: options that are given in its own options only, for elsewhere the name means something else.
    """

    param: str
    noun: str
    example: str
    create: Callable[[Assembly, Any], None]
    tables: tuple[type, ...] = ()
    server_options: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    def shared_names(self) -> dict[str, str]:
        """The options of `FastApiServer` that it reads, in every spelling, and what each expects."""
        names = {name: what for table in self.tables for name, what in option_names(table).items()}
        own = {name: option_names(ServerSettings)[name] for name in self.server_options}
        return {name: what for name, what in names.items() if name not in self.apart} | own

    def own_options(self, shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        """Its options: the shared ones that it reads, and above them its own."""
        names = self.shared_names().keys() - set(self.server_options)
        return overridden(self.tables, {name: value for name, value in shared.items() if name in names}, own)


def _create_session_server(assembly: Assembly, given: Mapping[str, Any]) -> None:
    params = read_options(SessionParams, given, component=f"{COMPONENT} params 'session'")
    own: Any = SESSION.own_options(assembly.shared, params.options)
    # A component's own options override those of the server, for the one site that both are about.
    names = option_names(ServerSettings)
    declared = {name: value for name, value in own.items() if name in names and value is not None}
    assembly.settings = replace(assembly.settings, **declared)
    factors = assembly.settings.authenticators
    server = FastApiSessionServer(assembly.app, params.key_storage, factors, own)
    assembly.session_server = assembly.session_adapter = server


def _use_session_adapter(assembly: Assembly, adapter: FastApiSessionAdapter) -> None:
    attach_source(assembly.app, AdapterSource(PlainAdapter(adapter)))
    assembly.session_adapter = adapter


def _create_api_key_server(assembly: Assembly, given: Mapping[str, Any]) -> None:
    params = read_options(ApiKeyParams, given, component=f"{COMPONENT} params 'api_key'")
    own: Any = API_KEY.own_options(assembly.shared, params.options)
    assembly.api_key_server = FastApiApiKeyServer(assembly.app, params.key_storage, own, _events(assembly))


def _events(assembly: Assembly) -> Events | None:
    """Those of the session server, where there is one."""
    sessions = assembly.session_server
    return None if sessions is None else sessions.session_manager.events


def _create_resource_server(assembly: Assembly, given: Mapping[str, Any]) -> None:
    params = read_options(ResServerParams, given, component=f"{COMPONENT} params 'oauth_resserver'")
    own = params.options
    if assembly.session_server is None and assembly.api_key_server is None:
        # Nobody else reads it; beside others the users may be theirs alone.
        users = {name: value for name, value in assembly.shared.items() if name == "user_storage"}
        own = overridden(RESOURCE_SERVER.tables, users, own)
    consumers, options = split_options(own, assembly.shared)
    adapter = {} if assembly.session_adapter is None else {"session_adapter": assembly.session_adapter}
    every: Any = {**adapter, **options}
    assembly.oauth_resserver = FastApiOAuthResourceServer(assembly.app, consumers, every, _events(assembly))


def _create_oauth_client(assembly: Assembly, given: Mapping[str, Any]) -> None:
    _create_client(assembly, given, "oauth_client")


def _create_oauth_clients(assembly: Assembly, given: Sequence[Mapping[str, Any]]) -> None:
    if not given:
        raise CrossauthError(ErrorCode.Configuration, f"{COMPONENT} params 'oauth_clients' must not be empty")
    for number, one in enumerate(given):
        _create_client(assembly, one, f"oauth_clients[{number}]")
    check_several([client.context for client in assembly.oauth_clients])


def _create_client(assembly: Assembly, given: Mapping[str, Any], name: str) -> None:
    options = given.get("options")
    url = options.get(_URL) if isinstance(options, Mapping) else None
    declared = {**given, _URL: given.get(_URL) or url or assembly.shared.get(_URL)}
    params = read_options(OAuthClientParams, declared, component=f"{COMPONENT} params {name!r}")
    own: Any = OAUTH_CLIENT.own_options(assembly.shared, params.options)
    has_sessions = assembly.session_server is not None
    client = FastApiOAuthClient(assembly.server, params.auth_server_base_url, own, has_sessions)
    assembly.oauth_clients.append(client)


_URL: Final = "auth_server_base_url"
# For the other servers these say something else: who tokens are for, and which keys are kept where.
_OWN_ONLY: Final = ("audience", "key_storage", "persist_access_token")
SESSION: Final = Component(
    param="session",
    noun="a session server",
    example="{'session': {'key_storage': …}}",
    create=_create_session_server,
    tables=(SessionServerSettings,),
    server_options=("authenticators",),
)
SESSION_ADAPTER: Final = Component(
    param="session_adapter", noun="a session adapter", example="{'session_adapter': …}", create=_use_session_adapter
)
API_KEY: Final = Component(
    param="api_key",
    noun="a server for API keys",
    example="{'api_key': {'key_storage': …}}",
    create=_create_api_key_server,
    tables=(ApiKeySettings, ApiKeyServerSettings),
    apart=("prefix",),
)
RESOURCE_SERVER: Final = Component(
    param="oauth_resserver",
    noun="a resource server",
    example="{'oauth_resserver': {}}",
    create=_create_resource_server,
    tables=(FastApiResourceServerSettings, ResourceServerSettings, TokenConsumerSettings),
    apart=("session_adapter",),
)
OAUTH_CLIENT: Final = Component(
    param="oauth_client",
    noun="an OAuth client",
    example="{'oauth_client': {'auth_server_base_url': …}}",
    create=_create_oauth_client,
    tables=(ClientServerSettings, ClientSettings),
    apart=_OWN_ONLY,
)
OAUTH_CLIENTS: Final = Component(
    param="oauth_clients",
    noun="several OAuth clients",
    example="{'oauth_clients': [{'auth_server_base_url': …}, …]}",
    create=_create_oauth_clients,
    tables=(ClientServerSettings, ClientSettings),
    apart=_OWN_ONLY,
)
COMPONENTS: Final = (SESSION, SESSION_ADAPTER, API_KEY, OAUTH_CLIENT, OAUTH_CLIENTS, RESOURCE_SERVER)
"""In the order in which they are created: a later one finds the earlier ones."""


def present(params: ServerParams) -> tuple[Component, ...]:
    """The components that the parameters ask for."""
    return tuple(row for row in COMPONENTS if getattr(params, row.param) is not None)


def assemble(assembly: Assembly, params: ServerParams) -> None:
    """Create the servers that the parameters ask for.

    Parameters:
        assembly: gets them.
        params: which ones.

    Raises:
        CrossauthError: `Configuration`, naming the option, what was wrong with it and what would be right.
    """
    for row in present(params):
        row.create(assembly, getattr(params, row.param))
