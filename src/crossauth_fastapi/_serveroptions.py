"""The options and parameters of `FastApiServer`, and how they reach its component servers."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Required, TypedDict

from fastapi import FastAPI

from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import ENV_PREFIX, option, option_names, read_options
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumerOptions
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._oauth_resource.options import FastApiOAuthResourceServerOptions
from crossauth_fastapi._oauth_resource.shared import known_options, known_variables
from crossauth_fastapi._session.options import (
    FastApiSessionServerOptions,
    SessionServerSettings,
)
from crossauth_fastapi.fastapiapikey import FastApiApiKeyServerOptions
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter

COMPONENT: Final = "FastApiServer"
# What the variables of the OAuth components begin with.
_UNREAD_VARIABLES: Final = (f"{ENV_PREFIX}OAUTH_", f"{ENV_PREFIX}JWT_")
_WHO_READS_IT: Final = (
    "nothing here reads it. Options of a resource server need {'oauth_resserver': {}} in the parameters; an OAuth client is not "
    "available in this version"
)
Tokens = Literal[
    "access_token", "refresh_token", "id_token", "have_access_token", "have_refresh_token", "have_id_token"
]


class FastApiServerOptions(
    FastApiSessionServerOptions, FastApiOAuthResourceServerOptions, OAuthTokenConsumerOptions, total=False
):
    """Options of `FastApiServer`: its own, and those of every component server, which the components' own options override.

    Those of the OAuth client are not available in this version: giving one is an error that says so.
    """

    api_delete_tokens_post_url: str
    app: FastAPI
    authenticators: Mapping[str, Authenticator]
    authorized_page: str
    authorized_url: str
    bff_base_url: str
    bff_endpoint_name: str
    bff_endpoints: list[Any]
    client_id: str
    client_secret: str
    code_challenge_method: Literal["plain", "S256"]
    delete_tokens_get_url: str
    delete_tokens_page: str
    delete_tokens_post_url: str
    device_authorization_url: str
    device_code_flow_page: str
    device_code_flow_url: str
    device_code_poll_url: str
    error_fn: Callable[..., Any]
    error_response_type: Literal["json_error", "page_error", "custom"]
    id_token_match_field: str
    jwt_tokens: list[Literal["access", "id", "refresh"]]
    mfa_oob_page: str
    mfa_otp_page: str
    oauth_authorize_redirect: str | None
    oauth_post_type: Literal["json", "form"]
    oauth_use_user_info_endpoint: bool
    password_flow_page: str
    password_flow_url: str
    password_oob_url: str
    password_otp_url: str
    receive_token_fn: Callable[..., Any]
    redirect_uri: str
    state_length: int
    token_endpoints: list[Tokens]
    token_response_type: Literal[
        "send_json", "save_in_session_and_load", "save_in_session_and_redirect", "send_in_page", "custom"
    ]
    user_creation_fn: Callable[..., Any]
    user_creation_type: Literal["idToken", "merge", "embed", "custom"]
    valid_flows: list[str]
    verifier_length: int


class FastApiSessionServerParams(TypedDict, total=False):
    """What creates a session server."""

    key_storage: Required[KeyStorage]
    options: FastApiSessionServerOptions


class FastApiOAuthClientParams(TypedDict, total=False):
    """What will create an OAuth client. Not available in this version."""

    auth_server_base_url: Required[str]
    options: Mapping[str, Any]


class FastApiOAuthResServerOptions(FastApiOAuthResourceServerOptions, OAuthTokenConsumerOptions, total=False):
    """Options of a resource server, and of the token consumer that is made for it."""


class FastApiOAuthResServerParams(TypedDict, total=False):
    """What creates an OAuth resource server."""

    options: FastApiOAuthResServerOptions


class FastApiApiKeyServerParams(TypedDict, total=False):
    """What creates a server for API keys."""

    key_storage: Required[KeyStorage]
    options: FastApiApiKeyServerOptions


class FastApiServerParams(TypedDict, total=False):
    """Which servers to create."""

    api_key: FastApiApiKeyServerParams

    session: FastApiSessionServerParams
    session_adapter: FastApiSessionAdapter
    oauth_client: FastApiOAuthClientParams
    oauth_clients: list[FastApiOAuthClientParams]
    oauth_resserver: FastApiOAuthResServerParams
    options: FastApiServerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParams:
    """`FastApiServerParams`, parsed."""

    session: dict[str, Any] | None = option(None, doc="Creates a session server.")
    session_adapter: FastApiSessionAdapter | None = option(None, doc="Sessions that are not ours.")
    options: dict[str, Any] = option({}, doc="Options for every component.")
    oauth_client: dict[str, Any] | None = option(None, doc="Not available in this version.")
    oauth_clients: list[Any] | None = option(None, doc="Not available in this version.")
    oauth_resserver: dict[str, Any] | None = option(None, doc="Creates a resource server.")
    oauth_auth_server: dict[str, Any] | None = option(None, doc="Not available in this version.")
    api_key: dict[str, Any] | None = option(None, doc="Creates a server for API keys.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParams:
    """`FastApiSessionServerParams`, parsed."""

    key_storage: KeyStorage | None = option(None, doc="Where sessions are kept. Required.")
    options: dict[str, Any] = option({}, doc="Options of the session server.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyParams:
    """`FastApiApiKeyServerParams`, parsed."""

    key_storage: KeyStorage | None = option(None, doc="Where API keys are kept. Required.")
    options: dict[str, Any] = option({}, doc="Options of the server for API keys.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResServerParams:
    """`FastApiOAuthResServerParams`, parsed."""

    options: dict[str, Any] = option({}, doc="Options of the resource server, and of its token consumer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The options that `FastApiServer` itself reads."""

    app: FastAPI | None = option(None, doc="The application to attach to.", shown="a new FastAPI()")
    authenticators: dict[str, Any] = option({}, doc='Factors by name, such as `{"localpassword": …}`.')
    is_admin_fn: Callable[[User], bool | Awaitable[bool]] = option(
        default_is_admin_fn, doc="Whether a user is an administrator.", shown="the user's `admin` field"
    )
    template_dir: str = option("templates", env="TEMPLATE_DIR", doc="Folder with the application's own templates.")
    error_page: str = option("error.jinja2", env="ERROR_PAGE", doc="Template of error messages.")


def read_params(params: Mapping[str, Any]) -> ServerParams:
    """The parsed parameters.

    Raises:
        CrossauthError: `Configuration`; `NotImplemented` for a component that is not in this version.
    """
    parsed = read_options(ServerParams, params, component=f"{COMPONENT} params")
    for name in ("oauth_client", "oauth_clients", "oauth_auth_server"):
        if params.get(name) is not None:
            raise CrossauthError(ErrorCode.NotImplemented, f"{COMPONENT}: {name!r} is not available in this version")
    if parsed.session is not None and parsed.session_adapter is not None:
        raise CrossauthError(
            ErrorCode.Configuration, f"{COMPONENT}: give either 'session' or 'session_adapter', not both"
        )
    return parsed


def read_server_options(params: ServerParams, options: Mapping[str, Any]) -> tuple[ServerSettings, dict[str, Any]]:
    """The server's own settings, and the options that all components share.

    Raises:
        CrossauthError: `Configuration` for an unknown key or a wrong type.
    """
    merged = {**params.options, **options}
    _refuse_unavailable(merged, params)
    if params.session is None:
        _refuse_session_options(merged, params)
    known = dict.fromkeys(FastApiServerOptions.__annotations__, "") | option_names(SessionServerSettings)
    return read_options(ServerSettings, merged, component=COMPONENT, also_known=known), merged


def _refuse_unavailable(options: Mapping[str, Any], params: ServerParams) -> None:
    """Refuse options that nothing reads, so that nothing is thought to be protected that is not.

    Raises:
        CrossauthError: `Configuration` for what belongs into the parameters; `NotImplemented` for the others.
    """
    own = option_names(SessionServerSettings) | option_names(ServerSettings)
    read: frozenset[str] = frozenset()
    if params.oauth_resserver is not None:
        own |= {name: what for name, what in known_options().items() if name != "session_adapter"}
        read = known_variables()
    unread = [
        name for name in FastApiServerOptions.__annotations__ if name not in own and options.get(name) is not None
    ]
    for name in ("key_storage", "session_adapter"):
        if name in unread:
            place = f"'session': {{{name!r}: …}}" if name == "key_storage" else f"{name!r}: …"
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{COMPONENT}: {name!r} is no option: give it in the parameters, as {{{place}}}",
            )
    own_names = {f"{ENV_PREFIX}{name.upper()}" for name in FastApiServerOptions.__annotations__ if name not in own}
    variables = [n for n in os.environ if n not in read and (n in own_names or n.startswith(_UNREAD_VARIABLES))]
    if variables:
        raise CrossauthError(
            ErrorCode.NotImplemented,
            f"{COMPONENT}: environment variable {', '.join(sorted(variables))}: {_WHO_READS_IT}",
        )
    if unread:
        raise CrossauthError(
            ErrorCode.NotImplemented,
            f"{COMPONENT}: option {', '.join(map(repr, sorted(unread)))}: {_WHO_READS_IT}",
        )


def _refuse_session_options(options: Mapping[str, Any], params: ServerParams) -> None:
    """Refuse options that only a session server reads where there is none, so that nothing is thought to be protected.

    Raises:
        CrossauthError: `Configuration`.
    """
    read = option_names(ServerSettings).keys() - {"authenticators"}
    if params.api_key is not None:
        read |= _shared_key_options()
    if params.oauth_resserver is not None:
        read |= known_options().keys()
    known = option_names(SessionServerSettings).keys() | {"authenticators"}
    unread = sorted(name for name in known - read if options.get(name) is not None)
    if unread:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: option {', '.join(map(repr, unread))} has no effect without a session server: give "
            "{'session': {'key_storage': …}} in the parameters, or leave it out. Without one these are read: "
            f"{', '.join(map(repr, sorted(read)))}",
        )


def session_options(params: SessionParams, merged: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the session server: the shared ones that it knows, under its own."""
    known = option_names(SessionServerSettings)
    return {n: v for n, v in merged.items() if n in known} | params.options


def api_key_options(params: ApiKeyParams, merged: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the server for API keys: the shared ones that it knows, under its own."""
    known = _shared_key_options()
    return {n: v for n, v in merged.items() if n in known} | params.options


def _shared_key_options() -> set[str]:
    """The names of options that the server for API keys shares. Its `prefix` is another one than that of URLs."""
    return set(option_names(ApiKeySettings).keys() - {"prefix"})


def shared_settings(settings: ServerSettings, own: Mapping[str, Any]) -> ServerSettings:
    """`settings`, with what the session server's own options say of the same things."""
    names = option_names(ServerSettings)
    return replace(settings, **{n: v for n, v in own.items() if n in names and v is not None})
