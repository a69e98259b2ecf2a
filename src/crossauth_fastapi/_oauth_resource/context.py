"""What the resource server knows and does for a request: read tokens, find them, and say what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import Scope

from crossauth_backend.core.hooks import call_hook, plain_result
from crossauth_backend.events.listeners import Events
from crossauth_backend.oauth.resserver import OAuthResourceServer
from crossauth_backend.oauth.wire.bearer import bearer_challenge
from crossauth_backend.oauth.wire.errors import InsufficientScope, InvalidToken, OAuthError
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.kepttokens import kept_tokens
from crossauth_fastapi._http.router import route_path
from crossauth_fastapi._middleware.decision import CLAIMS, check_csrf_token
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._middleware.whereabouts import connection_of, is_from_this_site
from crossauth_fastapi._oauth_resource.endpoints import EndpointRule
from crossauth_fastapi._oauth_resource.guard import RESOURCE, RULE
from crossauth_fastapi._oauth_resource.options import FastApiResourceServerSettings
from crossauth_fastapi._oauth_resource.resources import Resource, Resources
from crossauth_fastapi._oauth_resource.source import BearerSource
from crossauth_fastapi._oauth_resource.users import UserLookup
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter

HEADER: Final = "header"
SESSION: Final = "session"
# Credentials in the header `Authorization`.
_BY_HEADER: Final = ("bearer", "api_key")
_TOKEN: Final = "access_token"


@dataclass(frozen=True, slots=True)
class ResourceContext:
    """The parts of one resource server.

    Parameters:
        server: accepts tokens.
        settings: its options.
        locations: where tokens are looked for, in this order.
        adapter: sessions, for tokens in their data.
        users: finds the user of a token.
        resources: whose metadata is served.
        rules: of the protected endpoints.
        app: the application, on which another server may keep the tokens of sessions.
        events: is told of good tokens whose user's account refuses.
    """

    server: OAuthResourceServer
    settings: FastApiResourceServerSettings
    locations: tuple[str, ...]
    adapter: FastApiSessionAdapter | None
    users: UserLookup
    resources: Resources
    rules: tuple[EndpointRule, ...]
    events: Events
    app: FastAPI
    source: BearerSource = field(init=False)

    def __post_init__(self) -> None:
        source = BearerSource(
            self.read, self.challenge, self.server, self.users, self.events, header_alone=SESSION not in self.locations
        )
        object.__setattr__(self, "source", source)

    @property
    def error_body(self) -> Mapping[str, Any]:
        """The body of a refusal."""
        return self.settings.error_body

    @property
    def allowed_origins(self) -> frozenset[str] | None:
        """Whose pages may call; `None` for any."""
        origins = self.settings.allowed_origins
        return None if origins is None else frozenset(origins)

    async def read(self, token: str) -> tuple[Mapping[str, Any], tuple[str, ...], User | None]:
        """The claims, the scopes and the user of a token.

        Raises:
            OAuthError: it is not accepted, or nobody can say.
        """
        claims = await self.server.authorize(token)
        return claims, self.server.scopes(claims), await self.users.find(claims, self.server.issuer_of(token, claims))

    async def find_token(self, connection: HTTPConnection) -> Identity | None:
        """What the access token of a request says, of the first location that holds one; `None` where none does.

        What a token in a session says is what the request is made in the name of from now on.
        """
        for location in self.locations:
            found = self.from_header(connection) if location == HEADER else await self.from_session(connection)
            if found is not None:
                return found
        return None

    def from_header(self, connection: HTTPConnection) -> Identity | None:
        """What the token in the `Authorization` header says; the middleware has read it."""
        return state_of(connection).identities.get(self.source.name)

    async def from_session(self, connection: HTTPConnection) -> Identity | None:
        """What the token in the session says.

        Raises:
            CrossauthError: `InvalidCsrf` for a request that changes something, which a page of another site may have sent.
        """
        adapter, scope, state = self.adapter, connection.scope, state_of(connection)
        if adapter is None or (scope["type"] == "websocket" and not is_from_this_site(state)):
            return None
        if any(name in state.identities for name in _BY_HEADER if name != self.source.name):
            # The header `Authorization` has another credential, good or bad: a cookie does not say more than that.
            return None
        token = await self._kept_token(adapter, scope)
        if token is None:
            return None
        if plain_result("session_adapter: method 'csrf_protection_enabled'", (bool,), adapter.csrf_protection_enabled):
            check_csrf_token(state)
        found = await self._of_session(token, scope, state)
        state.add_identity(self.source.name, found)
        return found

    async def _kept_now(self, scope: Scope, state: RequestState) -> Identity | None:
        """What the token says that the session holds by now."""
        token = None if self.adapter is None else await self._kept_token(self.adapter, scope)
        return None if token is None else await self._of_session(token, scope, state)

    async def _of_session(self, token: str, scope: Scope, state: RequestState) -> Identity:
        found, resource = await self.source.identity(token, scope, state), scope.get(RESOURCE)
        if found.error is None and resource is not None:
            try:
                resource.check_audience(found.fields[CLAIMS])
            except InvalidToken as e:
                return self.source.refused(e, scope, state)
        return found._replace(again=lambda: self._kept_now(scope, state))

    async def _kept_token(self, adapter: FastApiSessionAdapter, scope: Scope) -> str | None:
        keeper = kept_tokens(self.app, self.settings.session_data_name)
        if keeper is not None:
            return await keeper.access_token(connection_of(scope))
        data = await call_hook(adapter.get_session_data, connection_of(scope), self.settings.session_data_name)
        token = data.get(_TOKEN) if isinstance(data, Mapping) else None
        return token if isinstance(token, str) and token else None

    @property
    def scheme(self) -> str:
        """How to send a token, for any 401 of the application."""
        only = self.resources.only
        url = only.metadata_url("") if only is not None and only.is_at_root else None
        return bearer_challenge(realm="api", resource_metadata=url)

    def challenge(self, error: OAuthError | None, scope: Scope, state: RequestState) -> str:
        """The header `WWW-Authenticate` of a refusal: what was wrong, all scopes that the route needs, and where to read more."""
        rule: EndpointRule | None = scope.get(RULE)
        # It only helps clients along, so it may go by the URL.
        resource: Resource | None = scope.get(RESOURCE) or self.resources.of(route_path(scope))
        scopes = rule.scopes if rule is not None else ()
        if isinstance(error, InsufficientScope):
            scopes = error.scopes
        url = self.resources.url_of(resource, state.root_path)
        return bearer_challenge(error, scopes=scopes, resource_metadata=url)
