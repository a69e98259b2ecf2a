"""Who is asking, by an ID token in the session.

It says so where nothing better does: a user who is logged in here goes before it. What it costs a request whose session holds no
tokens is a look at the text of the session data, which were read with the session.
"""

from __future__ import annotations

import json
import logging
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import loggable
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_backend.users.record import User
from crossauth_fastapi._http.errors import as_reason
from crossauth_fastapi._middleware.decision import SESSION_KEY
from crossauth_fastapi._middleware.identity import OIDC, Identity
from crossauth_fastapi._middleware.order import attach_source, servers_on
from crossauth_fastapi._middleware.sources import CredentialEnded
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState
from crossauth_fastapi._middleware.whereabouts import connection_of, is_from_this_site
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.tokenstore import look_anew

logger = logging.getLogger("crossauth.oauth")
NAME: Final = "id_token"
_SESSION: Final = "session"


class IdTokenSource:
    """Reads the ID tokens of every client of an application; the first that names somebody counts."""

    name = NAME
    ambient = True
    header: bytes | None = b"cookie"

    def __init__(self) -> None:
        self.clients: list[ClientContext] = []
        self._marks: tuple[str, ...] = ()

    def add(self, ctx: ClientContext) -> None:
        """Read the tokens of one more client."""
        self.clients.append(ctx)
        self._marks = tuple(json.dumps(client.name) for client in self.clients)

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """See `Source.identify`."""
        session = state.identities.get(_SESSION)
        key = session.fields.get(SESSION_KEY) if session is not None else None
        if key is None or not any(mark in key.data for mark in self._marks):
            return None
        return await self._read(scope, state)

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """See `Source.recheck`.

        Raises:
            CredentialEnded: the tokens are gone, or their user is nobody now, or somebody else.
        """
        known = state.identities.get(self.name)
        if known is None:
            return
        look_anew(scope)
        found = await self.again(scope, state)
        if found is None or (known.user is not None and _id_of(found.user) != known.user.id):
            state.drop_identity(self.name)
            raise CredentialEnded(ErrorCode.InvalidSession)
        state.add_identity(self.name, found)

    async def again(self, scope: Scope, state: RequestState) -> Identity | None:
        """What the tokens say by now."""
        return await self.identify(scope, state)

    async def _read(self, scope: Scope, state: RequestState) -> Identity | None:
        connection, found = connection_of(scope), None
        for ctx in self.clients:
            tokens = await ctx.tokens.load(connection)
            if tokens is not None and tokens.id_payload is not None and is_current(tokens, ctx):
                identity = await _identity(ctx, tokens.id_payload)
                if identity.is_somebody:
                    return identity
                found = found or identity
        return found


def is_current(tokens: TokenSet, ctx: ClientContext) -> bool:
    """Whether an ID token still says who its user is: until it ends, or for as long as it can be renewed."""
    ends = (tokens.id_payload or {}).get("exp")
    if tokens.refresh_token is not None:
        return True
    return isinstance(ends, (int, float)) and ends > ctx.now.timestamp()


async def _identity(ctx: ClientContext, payload: dict[str, object]) -> Identity:
    fields = {"id_payload": payload, "id_token_payload": payload}
    if ctx.options.local_login:
        # Its user is logged in here, through every stage of a login, or is nobody.
        return Identity(None, fields=fields)
    try:
        user = await ctx.people.user(payload)
    except CrossauthError as e:
        if e.http_status == 503:
            # As where the session itself cannot be read.
            raise
        return Identity(None, error=as_reason(e), fields=fields)
    except Exception as e:
        logger.exception("user_creation_fn failed; nobody is asking", exc_info=loggable(e))
        return Identity(None, error=CrossauthError(ErrorCode.UnknownError), fields=fields)
    return Identity(OIDC if user is not None else None, user, fields=fields)


def _id_of(user: User | None) -> object:
    return None if user is None else user.id


class AdapterIdTokenSource(IdTokenSource):
    """The same on sessions of another framework, which may be known only when its own middleware has run.

    So they are asked right before the routes; whoever is logged in there goes before the ID token.
    """

    header = None

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """See `Source.identify`: it is too early to say."""
        return None

    async def again(self, scope: Scope, state: RequestState) -> Identity | None:
        """See `IdTokenSource.again`."""
        return await self._read(scope, state)

    async def fill(self, scope: Scope, state: RequestState) -> None:
        """Say who is asking, where the session holds tokens."""
        if scope["type"] == "websocket" and not is_from_this_site(state):
            return
        found = await self._read(scope, state)
        if found is None:
            return
        if state.method not in SAFE_METHODS:
            refused = await self.clients[0].server.error_if_csrf_invalid(Request(scope), Response(), None)
            state.csrf_checked = not refused.error
        if found.is_somebody and state["user"] is None:
            state.add_identity(self.name, found)
            return
        for field, value in found.fields.items():
            state[field] = value


def attach_id_tokens(app: FastAPI, ctx: ClientContext) -> None:
    """Let ID tokens of a client say who is asking `app`.

    Raises:
        CrossauthError: `Configuration` where the application has started.
    """
    known = next((source for source in servers_on(app).sources if isinstance(source, IdTokenSource)), None)
    if known is None:
        known = AdapterIdTokenSource() if ctx.accounts is None else IdTokenSource()
        attach_source(app, known)
        if isinstance(known, AdapterIdTokenSource):
            _fill_before_routes(app, known)
    known.add(ctx)


def _fill_before_routes(app: FastAPI, source: AdapterIdTokenSource) -> None:
    route: ASGIApp = app.router.middleware_stack

    async def fill(scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.get("state")
        if scope["type"] != "lifespan" and isinstance(state, RequestState) and state.refusal is None:
            await source.fill(scope, state)
        await route(scope, receive, send)

    app.router.middleware_stack = fill
