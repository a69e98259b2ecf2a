"""Crossauth for FastAPI: sign users in, protect pages and APIs."""

from crossauth_fastapi._oauth_client.providers import provider_options
from crossauth_fastapi._pages.policy import PagePolicy
from crossauth_fastapi._session.bodies import UserView
from crossauth_fastapi.dependencies import (
    AdminUser,
    CurrentUser,
    OptionalUser,
    Principal,
    current_user,
    optional_user,
    require,
    require_admin,
)
from crossauth_fastapi.fastapiapikey import FastApiApiKeyServer, FastApiApiKeyServerOptions
from crossauth_fastapi.fastapioauthclient import (
    BffEndpoint,
    FastApiOAuthClient,
    FastApiOAuthClientOptions,
    OAuthTokenResponseWithExpiry,
)
from crossauth_fastapi.fastapiresserver import (
    Authorization,
    FastApiOAuthResourceServer,
    FastApiOAuthResourceServerOptions,
    ProtectedEndpoint,
    ProtectedResource,
)
from crossauth_fastapi.fastapiserver import (
    FastApiApiKeyServerParams,
    FastApiOAuthClientParams,
    FastApiOAuthResServerParams,
    FastApiServer,
    FastApiServerOptions,
    FastApiServerParams,
    FastApiSessionServerParams,
)
from crossauth_fastapi.fastapiserverbase import (
    FastApiErrorFn,
    FastApiServerBase,
    MaybeErrorResponse,
    default_is_admin_fn,
)
from crossauth_fastapi.fastapisession import (
    AuthenticatorDetails,
    FastApiSessionServer,
    FastApiSessionServerOptions,
    JsonOrFormData,
)
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter

__all__ = [
    "AdminUser",
    "AuthenticatorDetails",
    "Authorization",
    "BffEndpoint",
    "CurrentUser",
    "FastApiApiKeyServer",
    "FastApiApiKeyServerOptions",
    "FastApiApiKeyServerParams",
    "FastApiErrorFn",
    "FastApiOAuthClient",
    "FastApiOAuthClientOptions",
    "FastApiOAuthClientParams",
    "FastApiOAuthResServerParams",
    "FastApiOAuthResourceServer",
    "FastApiOAuthResourceServerOptions",
    "FastApiServer",
    "FastApiServerBase",
    "FastApiServerOptions",
    "FastApiServerParams",
    "FastApiSessionAdapter",
    "FastApiSessionServer",
    "FastApiSessionServerOptions",
    "FastApiSessionServerParams",
    "JsonOrFormData",
    "MaybeErrorResponse",
    "OAuthTokenResponseWithExpiry",
    "OptionalUser",
    "PagePolicy",
    "Principal",
    "ProtectedEndpoint",
    "ProtectedResource",
    "UserView",
    "current_user",
    "default_is_admin_fn",
    "optional_user",
    "provider_options",
    "require",
    "require_admin",
]
