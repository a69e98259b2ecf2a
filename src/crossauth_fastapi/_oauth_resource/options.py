"""The options of the resource server: the documented shapes, and the table they are parsed by."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Required, TypedDict

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option
from crossauth_backend.oauth.resource.options import OAuthResourceServerOptions
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._http.once import warn_once
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter

COMPONENT: Final = "FastApiOAuthResourceServer"
logger = logging.getLogger("crossauth.oauth")
TokenLocation = Literal["header", "beader", "session"]


class ProtectedEndpoint(TypedDict, total=False):
    """What a route needs.

    Parameters:
        scope: all of these scopes.
        accept_session_authorization: whether a user who is logged in by a session may use it without a token.
        suburls: whether the routes below the path need the same.
        public: whether it needs nothing; for an exception below a path with `suburls`.
    """

    scope: list[str]
    accept_session_authorization: bool
    suburls: bool
    public: bool


class ProtectedResource(TypedDict, total=False):
    """A resource whose metadata is served (RFC 9728).

    Parameters:
        resource: its identifier, the URL that clients use, without a slash at the end.
        path: the path in this application below which its routes are; by default that of `resource`.
        audience: what tokens must have in `aud` to be used there; by default `resource`.
        scopes_supported: by default the scopes of the protected endpoints below `path`.
        resource_name, resource_documentation, resource_policy_uri, resource_tos_uri: for people.
    """

    resource: Required[str]
    path: str
    audience: str | list[str]
    scopes_supported: list[str]
    resource_name: str
    resource_documentation: str
    resource_policy_uri: str
    resource_tos_uri: str


class FastApiOAuthResourceServerOptions(OAuthResourceServerOptions, total=False):
    """Options of `FastApiOAuthResourceServer`; the reference page in the docs says what each does."""

    allowed_origins: list[str]
    error_body: Mapping[str, Any]
    oauth_issuer: str
    protected_endpoints: Mapping[str, ProtectedEndpoint]
    require_local_account: bool
    resources: list[ProtectedResource]
    session_adapter: FastApiSessionAdapter
    session_data_name: str
    tenants: list[str]
    token_consumers: list[OAuthTokenConsumer]
    token_locations: list[TokenLocation]
    user_match_field: str
    user_storage: UserStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class FastApiResourceServerSettings:
    """`FastApiOAuthResourceServerOptions`, parsed; without those of `OAuthResourceServer`."""

    protected_endpoints: dict[str, Any] = option({}, doc='Routes that need an access token, such as `{"POST /orders": {"scope": ["orders:write"]}}`. An entry is a path or a method and a path; `suburls` means the routes below it too, and an entry that means no route stops the start.')  # fmt: skip
    token_locations: list[TokenLocation] = option(["header"], env="OAUTH_TOKEN_LOCATIONS", not_empty=True, doc="Where access tokens are looked for, in this order: in the `Authorization` header, or in the data of the session. A token in the session counts at protected endpoints and for `authorized`.")  # fmt: skip
    session_adapter: FastApiSessionAdapter | None = option(None, shown="the server's own sessions", doc="Sessions, for `session` in `token_locations` and for `accept_session_authorization`.")  # fmt: skip
    session_data_name: str = option("oauth", env="OAUTH_SESSION_DATA_NAME", not_empty=True, doc="Name in the session data whose `access_token` is the token.")  # fmt: skip
    error_body: dict[str, Any] = option({}, env="OAUTH_RESSERVER_ACCESS_DENIED_BODY", doc="JSON body of a 401 and a 403 of a protected endpoint.")  # fmt: skip
    user_storage: UserStorage | None = option(None, doc="Where the user of a token is looked up. It needs `oauth_issuer` or `user_match_field`. Without one `request.state.user` is made of the claims.")  # fmt: skip
    oauth_issuer: str | None = option(None, env="OAUTH_ISSUER", not_empty=True, needs="user_storage", doc="The issuer that is this application's own: `sub` of its tokens is the `id` of a user.")  # fmt: skip
    user_match_field: str | None = option(None, env="OAUTH_USER_MATCH_FIELD", not_empty=True, needs="user_storage", doc="Field of users that `sub` of other issuers' tokens equals. Who may choose a `sub` there can be any user here. With `email` it is the claim `email`, where `email_verified` is true and the account here has verified the address too.")  # fmt: skip
    require_local_account: bool = option(True, env="OAUTH_REQUIRE_LOCAL_ACCOUNT", needs="user_storage", doc="Whether a token whose user is not in `user_storage` is refused; otherwise the user is made of the claims.")  # fmt: skip
    resources: list[Any] = option([], kind="list of ProtectedResource", doc="Resources whose metadata (RFC 9728) is served below `/.well-known/oauth-protected-resource`, each with its own path, scopes and audience; challenges point there.")  # fmt: skip
    allowed_origins: list[str] | None = option(None, env="OAUTH_ALLOWED_ORIGINS", doc="Origins, such as `https://app.example.com`, whose pages may call protected endpoints. Pages of others are answered 403. Without it the header `ClientInfo` counts only on WebSockets.")  # fmt: skip
    token_consumers: list[Any] | None = option(None, not_empty=True, kind="list of OAuthTokenConsumer", shown="one made of the server's options", doc="For `FastApiServer`: the token consumers, where there are several authorization servers.")  # fmt: skip

    tenants: list[str] | None = option(None, not_empty=True, not_with="token_consumers", doc="For `FastApiServer`: the tenants whose tokens are accepted, where `auth_server_base_url` has `{tenantid}` in the place of theirs. Tokens of any other tenant are refused.")  # fmt: skip

    def locations(self) -> tuple[str, ...]:
        """The token locations, spelled right, each once."""
        if "beader" in self.token_locations:
            warn_once(logger, "Option 'token_locations': 'beader' is read as 'header'")
        return tuple(dict.fromkeys("header" if place == "beader" else place for place in self.token_locations))


def wrong(text: str) -> CrossauthError:
    """A mistake in the options of a resource server."""
    return CrossauthError(ErrorCode.Configuration, f"{COMPONENT}: {text}")
