"""The options and parameters of `FastApiServer`: the documented shapes, and the tables they are parsed by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Required, TypedDict

from fastapi import FastAPI

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import REQUIRED, option, option_names, read_options
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumerOptions
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._api_keys.options import FastApiApiKeyServerOptions
from crossauth_fastapi._oauth_client.options import FastApiOAuthClientOptions
from crossauth_fastapi._oauth_resource.options import FastApiOAuthResourceServerOptions
from crossauth_fastapi._pages.options import BrandSettings
from crossauth_fastapi._session.options import FastApiSessionServerOptions
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter

COMPONENT: Final = "FastApiServer"


class FastApiOAuthResServerOptions(FastApiOAuthResourceServerOptions, OAuthTokenConsumerOptions, total=False):
    """Options of a resource server, and of the token consumer that is made for it."""


class FastApiServerOptions(
    FastApiSessionServerOptions,
    FastApiApiKeyServerOptions,
    FastApiOAuthClientOptions,
    FastApiOAuthResServerOptions,
    total=False,
):
    """Options of `FastApiServer`: its own, and those of every component server, which the components' own options override.

    `prefix` is that of URLs; API keys have one of their own in their own options.
    """

    app: FastAPI
    authenticators: Mapping[str, Authenticator]


class FastApiSessionServerParams(TypedDict, total=False):
    """What creates a session server."""

    key_storage: Required[KeyStorage]
    options: FastApiSessionServerOptions


class FastApiOAuthClientParams(TypedDict, total=False):
    """What creates an OAuth client."""

    auth_server_base_url: str
    options: FastApiOAuthClientOptions


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
    session_adapter: FastApiSessionAdapter | None = option(None, doc="Sessions of another framework.")
    options: dict[str, Any] = option({}, doc="Options for every component.")
    oauth_client: dict[str, Any] | None = option(None, doc="Creates an OAuth client.")
    oauth_clients: list[dict[str, Any]] | None = option(None, doc="Creates several of them.")
    oauth_resserver: dict[str, Any] | None = option(None, doc="Creates a resource server.")
    oauth_auth_server: dict[str, Any] | None = option(None, doc="Not available in this version.")
    api_key: dict[str, Any] | None = option(None, doc="Creates a server for API keys.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParams:
    """`FastApiSessionServerParams`, parsed."""

    key_storage: KeyStorage = option(REQUIRED, doc="Where sessions are kept.")
    options: dict[str, Any] = option({}, doc="Options of the session server.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyParams:
    """`FastApiApiKeyServerParams`, parsed."""

    key_storage: KeyStorage = option(REQUIRED, doc="Where API keys are kept.")
    options: dict[str, Any] = option({}, doc="Options of the server for API keys.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClientParams:
    """`FastApiOAuthClientParams`, parsed."""

    auth_server_base_url: str = option(
        REQUIRED, env="AUTH_SERVER_BASE_URL", doc="The authorization server, exactly as it calls itself."
    )
    options: dict[str, Any] = option({}, doc="Options of the client.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResServerParams:
    """`FastApiOAuthResServerParams`, parsed."""

    options: dict[str, Any] = option({}, doc="Options of the resource server, and of its token consumer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(BrandSettings):
    """The options that `FastApiServer` itself reads."""

    app: FastAPI | None = option(None, doc="The application to attach to.", shown="a new FastAPI()")
    authenticators: dict[str, Any] = option({}, doc='Factors by name, such as `{"localpassword": …}`.')
    is_admin_fn: Callable[[User], bool | Awaitable[bool]] = option(
        default_is_admin_fn, doc="Whether a user is an administrator.", shown="the user's `admin` field"
    )
    template_dir: str = option("templates", env="TEMPLATE_DIR", doc="Folder with the application's own templates.")
    languages: list[str] | None = option(
        None, not_empty=True, env="LANGUAGES", shown="en", doc="Languages of pages and mails, the default first."
    )
    locale_dir: str | None = option(None, not_empty=True, env="LOCALE_DIR", doc="The application's own translations.")
    translate_json: bool = option(False, env="TRANSLATE_JSON", doc="Whether texts in JSON are translated too.")
    site_name: str = option(
        "", env="SITE_NAME", shown="the title of the application", doc="What pages call the application."
    )
    error_page: str = option("error.jinja2", env="ERROR_PAGE", doc="Template of error messages.")


_PARAMS: Final = option_names(ServerParams).keys()


def read_params(params: Mapping[str, Any]) -> ServerParams:
    """The parsed parameters.

    Raises:
        CrossauthError: `Configuration`; `NotImplemented` for a component that is not in this version.
    """
    if isinstance(params, Mapping):
        swapped = [name for name in params if name in FastApiServerOptions.__annotations__ and name not in _PARAMS]
        if swapped:
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{COMPONENT} params: {', '.join(map(repr, swapped))}: these are options, which go into the second argument, or "
                "into 'options' of the first",
            )
    parsed = read_options(ServerParams, params, component=f"{COMPONENT} params")
    if params.get("oauth_auth_server") is not None:
        raise CrossauthError(
            ErrorCode.NotImplemented, f"{COMPONENT}: 'oauth_auth_server' is not available in this version"
        )
    if parsed.oauth_client is not None and parsed.oauth_clients is not None:
        raise CrossauthError(
            ErrorCode.Configuration, f"{COMPONENT}: give either 'oauth_client' or 'oauth_clients', not both"
        )
    if parsed.session is not None and parsed.session_adapter is not None:
        raise CrossauthError(
            ErrorCode.Configuration, f"{COMPONENT}: give either 'session' or 'session_adapter', not both"
        )
    return parsed
