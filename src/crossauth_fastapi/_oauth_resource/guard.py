"""The guard before a protected route: it lets in whoever has the access token that the route needs, and answers the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire.errors import InsufficientScope, InvalidToken, OAuthError
from crossauth_fastapi._http.errors import as_reason, error_json
from crossauth_fastapi._http.oautherrors import bearer_refusal
from crossauth_fastapi._middleware.challenges import ScopeMissing
from crossauth_fastapi._middleware.decision import CLAIMS, RouteDemand, decide, is_logged_in
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.sockets import POLICY_VIOLATION, TRY_AGAIN_LATER
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._middleware.whereabouts import is_from_this_site
from crossauth_fastapi._oauth_resource.endpoints import EndpointRule, RouteRules
from crossauth_fastapi._oauth_resource.refusal import BearerRefused
from crossauth_fastapi._oauth_resource.resources import Place
from crossauth_fastapi._oauth_resource.source import BearerSource

# In the scope of a request: what its route needs, and the resource that it belongs to.
RULE: Final = "crossauth.endpoint_rule"
RESOURCE: Final = "crossauth.resource"


class Checks(Protocol):
    """What a guard asks of the resource server."""

    @property
    def source(self) -> BearerSource:
        """Reads tokens."""
        ...

    @property
    def error_body(self) -> Mapping[str, Any]:
        """The body of a refusal."""
        ...

    @property
    def allowed_origins(self) -> frozenset[str] | None:
        """Whose pages may call; `None` for any."""
        ...

    async def find_token(self, connection: HTTPConnection) -> Identity | None:
        """What the access token of a request says; `None` where it has none."""
        ...

    def challenge(self, error: OAuthError | None, scope: Scope, state: RequestState) -> str:
        """The header of a refusal."""
        ...


class NoCredentials(Exception):
    """Nobody has said who is asking."""


@dataclass(frozen=True, slots=True)
class BearerGuard:
    """Stands before one route.

    Parameters:
        checks: the resource server.
        rules: of the route.
        place: the resource that the route belongs to.
    """

    checks: Checks
    rules: RouteRules
    place: Place

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Guard`."""
        rule = self.rules.rule_for(scope.get("method", "GET"))
        if rule is None or rule.public or _is_preflight(scope):
            await app(scope, receive, send)
            return
        state = state_of(HTTPConnection(scope))
        scope[RULE], scope[RESOURCE] = rule, self.place.resource(scope, state.root_path)
        try:
            self._check_origin(state)
            await self._check(rule, scope, state)
        except (NoCredentials, OAuthError, CrossauthError) as e:
            await self._refuse(e, scope, state, receive, send)
            return
        if state.socket is not None:
            state.socket.add(_demand(rule), self.checks.source)
        await app(scope, receive, send)

    async def _check(self, rule: EndpointRule, scope: Scope, state: RequestState) -> None:
        connection = HTTPConnection(scope)
        found = await self.checks.find_token(connection)
        if found is None:
            if not rule.sessions or not is_logged_in(state):
                raise NoCredentials
        elif found.error is not None:
            raise found.error
        elif scope[RESOURCE] is not None:
            scope[RESOURCE].check_audience(found.fields[CLAIMS])
        try:
            await decide(state, _demand(rule))
        except ScopeMissing as e:
            raise InsufficientScope(scopes=e.scopes) from None

    def _check_origin(self, state: RequestState) -> None:
        allowed, origin = self.checks.allowed_origins, state.header(b"origin")
        if allowed is not None and origin and origin not in allowed and not is_from_this_site(state):
            raise CrossauthError(ErrorCode.Forbidden, "Pages of this site may not call this")

    async def _refuse(self, e: Exception, scope: Scope, state: RequestState, receive: Receive, send: Send) -> None:
        error = e.oauth if isinstance(e, BearerRefused) else e if isinstance(e, OAuthError) else None
        if scope["type"] == "websocket":
            status = error.status if error is not None else getattr(e, "http_status", 401)
            code = TRY_AGAIN_LATER if status >= 500 else POLICY_VIOLATION
            name = error.name if error is not None else "Unauthorized"
            await send({"type": "websocket.close", "code": code, "reason": name})
            return
        if isinstance(e, CrossauthError) and error is None:
            response = error_json(as_reason(e))
        else:
            response = bearer_refusal(error, self.checks.challenge(error, scope, state), self.checks.error_body)
        await response(scope, receive, send)


@dataclass(frozen=True, slots=True)
class AudienceGuard:
    """Stands before every route of a resource, whatever the route asks for: a token for another resource is refused there.

    Parameters:
        source: reads tokens.
        place: the resource that the route belongs to.
    """

    source: BearerSource
    place: Place

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Guard`."""
        state, name = state_of(HTTPConnection(scope)), self.source.name
        found, resource = state.identities.get(name), self.place.resource(scope, state.root_path)
        # For a token that is found later, in the session.
        scope[RESOURCE] = resource
        if found is not None and found.error is None and resource is not None:
            try:
                resource.check_audience(found.fields[CLAIMS])
            except InvalidToken as e:
                # What it says is forgotten, too.
                state.drop_identity(name)
                state.add_identity(name, self.source.refused(e, scope, state))
        await app(scope, receive, send)


def _demand(rule: EndpointRule) -> RouteDemand:
    """What a rule asks for, besides how one is known."""
    return RouteDemand(rule.scopes, user=False)


def _is_preflight(scope: Scope) -> bool:
    """Whether a browser asks if it may send the request proper; it never sends credentials with that (Fetch §4.8)."""
    return scope.get("method") == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )
