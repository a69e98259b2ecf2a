"""Crossauth for FastAPI: sign users in, protect pages and APIs."""

from crossauth_fastapi._session.bodies import UserView
from crossauth_fastapi.dependencies import (
    AdminUser,
    CurrentUser,
    OptionalUser,
    current_user,
    optional_user,
    require_admin,
    require_scopes,
)
from crossauth_fastapi.fastapiresserver import (
    Authorization,
    FastApiOAuthResourceServer,
    FastApiOAuthResourceServerOptions,
    ProtectedEndpoint,
    ProtectedResource,
)
from crossauth_fastapi.fastapiserver import (
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
    "CurrentUser",
    "FastApiErrorFn",
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
    "OptionalUser",
    "ProtectedEndpoint",
    "ProtectedResource",
    "UserView",
    "current_user",
    "default_is_admin_fn",
    "optional_user",
    "require_admin",
    "require_scopes",
]
