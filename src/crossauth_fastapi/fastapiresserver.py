"""Facade: access tokens on a FastAPI application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

from fastapi import FastAPI, Request
from starlette.requests import HTTPConnection

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.options import option_names, read_options
from crossauth_backend.events.listeners import Events, LoggingListener
from crossauth_backend.oauth.resource.options import ResourceServerSettings
from crossauth_backend.oauth.resserver import OAuthResourceServer
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer
from crossauth_backend.users.record import User
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.order import attach_source, servers_on
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_resource.assembly import attach, build
from crossauth_fastapi._oauth_resource.options import (
    COMPONENT,
    FastApiOAuthResourceServerOptions,
    FastApiResourceServerSettings,
    ProtectedEndpoint,
    ProtectedResource,
    wrong,
)
from crossauth_fastapi._oauth_resource.refusal import BearerRefused
from crossauth_fastapi._oauth_resource.source import PAYLOAD
from crossauth_fastapi._session.adaptersource import AdapterSource, PlainAdapter
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter

__all__: Final = [
    "Authorization", "FastApiOAuthResourceServer", "FastApiOAuthResourceServerOptions", "ProtectedEndpoint",
    "ProtectedResource",
]  # fmt: skip


class Authorization(TypedDict, total=False):
    """What `authorized` says of the access token of a request."""

    authorized: bool
    error: str
    error_description: str
    token_payload: Mapping[str, Any]
    user: User | None


class FastApiOAuthResourceServer(OAuthResourceServer):
    """Lets requests with an access token act for the user or the client of the token.

    It attaches itself to `app` when it is constructed. A good token sets `user`, `auth_type` (`oauth`), `scope` and
    `access_token_payload` of `request.state`; one that is refused sets `auth_error` and `auth_error_description`, and is
    nobody's, whatever cookie comes with it. A route listed in `protected_endpoints` is reached only with what the list says;
    in any other, call `authorized`.

    Parameters:
        app: the application.
        token_consumers: one per authorization server, see `OAuthResourceServer`.
        options: see `FastApiOAuthResourceServerOptions`.
        events: who is told of what happens; without it events go to the log.

    Raises:
        CrossauthError: `Configuration`, naming the option, what was wrong with it and what would be right.
    """

    def __init__(
        self,
        app: FastAPI,
        token_consumers: Sequence[OAuthTokenConsumer],
        options: FastApiOAuthResourceServerOptions | None = None,
        events: Events | None = None,
    ) -> None:
        provided, shared = options or {}, option_names(ResourceServerSettings)
        settings = read_options(FastApiResourceServerSettings, provided, component=COMPONENT, also_known=shared)
        if settings.token_consumers is not None or settings.tenants is not None:
            raise wrong(
                "options 'token_consumers' and 'tenants' have no effect: give one token consumer for each as an argument"
            )
        inherited: Any = {name: value for name, value in provided.items() if name in shared}
        super().__init__(token_consumers, inherited)
        _attach_sessions(app, settings.session_adapter)
        self._ctx = build(app, self, settings, events or Events([LoggingListener()]))
        attach(app, self._ctx)

    @property
    def session_adapter(self) -> FastApiSessionAdapter | None:
        """The sessions whose data may hold tokens."""
        return self._ctx.adapter

    def authenticate_header(self, request: Request) -> str:
        """The `WWW-Authenticate` header of a refusal of this request (RFC 6750 §3), with the scopes of its route.

        Parameters:
            request: the request.
        """
        state = state_of(request)
        found = self._ctx.from_header(request)
        error = found.error.oauth if found is not None and isinstance(found.error, BearerRefused) else None
        return self._ctx.challenge(error, request.scope, state)

    async def authorized(self, request: HTTPConnection) -> Authorization | None:
        """What the access token of a request says.

        Parameters:
            request: the request, or a WebSocket.

        Returns:
            `None` where there is no token; else `authorized`, and `token_payload` and `user` of a good one (`user` is `None` for
            a client that acts for itself), or `error` and `error_description`.
        """
        try:
            found = await self._ctx.find_token(request)
        except CrossauthError as e:
            return {"authorized": False, "error": "access_denied", "error_description": e.message}
        return None if found is None else _as_authorization(found)

    async def token_from_header(self, request: HTTPConnection) -> dict[str, Any] | None:
        """The claims of the token in the `Authorization` header; `None` where there is none that is accepted."""
        return _claims(self._ctx.from_header(request))

    async def token_from_session(self, request: HTTPConnection) -> dict[str, Any] | None:
        """The claims of the token in the session; `None` where there is none that is accepted.

        Raises:
            CrossauthError: `InvalidCsrf` for a request that changes something and carries no CSRF token.
        """
        return _claims(await self._ctx.from_session(request))

    def serve_metadata_on(self, outer: FastAPI) -> None:
        """Serve the metadata of the resources at the root of `outer`, which this application is mounted on (RFC 9728 §3.1).

        Challenges then point there, and else to the same documents below the mount.

        Parameters:
            outer: the application around.
        """
        self._ctx.resources.serve_on(outer)


def _attach_sessions(app: FastAPI, adapter: FastApiSessionAdapter | None) -> None:
    """Let sessions that are not ours say who is logged in, where nothing on the application does yet."""
    if adapter is not None and all(source.name != "session" for source in servers_on(app).sources):
        attach_source(app, AdapterSource(PlainAdapter(adapter)))


def _as_authorization(found: Identity) -> Authorization:
    if isinstance(found.error, BearerRefused):
        oauth = found.error.oauth
        return {"authorized": False, "error": oauth.name, "error_description": oauth.description}
    return {"authorized": True, "token_payload": found.fields[PAYLOAD], "user": found.user}


def _claims(found: Identity | None) -> dict[str, Any] | None:
    return None if found is None or found.error is not None else dict(found.fields[PAYLOAD])
