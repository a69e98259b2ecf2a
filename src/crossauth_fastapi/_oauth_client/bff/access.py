"""The access token of a request's session, and whether the session may use it: how often, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from starlette.requests import HTTPConnection
from starlette.types import Scope

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import digest
from crossauth_backend.events.listeners import Events
from crossauth_backend.events.record import EventName
from crossauth_backend.limits.leases import LeasedLimit
from crossauth_backend.limits.rules import Limit
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._http.errors import as_reason
from crossauth_fastapi._http.proxies import TrustedProxies
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._oauth_client.tokenstore import is_nobody_s

LIMIT: Final = "bff"
# Of how many tokens a process remembers that the API refuses them although they are new.
_MANY: Final = 1000


class Tokens(Protocol):
    """Where the tokens of sessions are; see `TokenStore`."""

    async def load(self, connection: HTTPConnection) -> TokenSet | None:
        """Those of a request's session, as they were when it came."""
        ...

    async def recheck(self, connection: HTTPConnection) -> TokenSet | None:
        """Those of a request's session, as they are now."""
        ...

    async def fresh(self, connection: HTTPConnection, *, force: bool = False) -> TokenSet | None:
        """Those of a request's session, refreshed where they have to be."""
        ...


class SessionSource(Protocol):
    """What reads sessions."""

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """See `Source.recheck`."""
        ...


class Allowance:
    """How often a session may have something passed on.

    Parameters:
        counts: counts; `None` for any number.
        limit: how often.
        events: who is told when it is reached.
        proxies: whose forwarded addresses are believed.
    """

    def __init__(
        self, counts: LeasedLimit | None, limit: Limit | None, events: Events, proxies: TrustedProxies | None = None
    ) -> None:
        self._counts, self._limit, self._events, self._proxies = counts, limit, events, proxies

    async def count(self, scope: Scope, state: RequestState) -> None:
        """Count a request.

        Raises:
            CrossauthError: `TooManyAttempts`, with `retry_after`.
        """
        if self._counts is None or self._limit is None:
            return
        user = state["user"]
        # Sessions of another framework have no id that is known here.
        subject = state["session_id"] or (user.id if user is not None else peer_address(scope, self._proxies))
        reached = await self._counts.count(str(subject), self._limit)
        if reached is None:
            return
        if reached.first:
            address = peer_address(scope, self._proxies)
            self._events.emit(EventName.attempts_limited, user, address=address, reason=LIMIT)
        raise CrossauthError(ErrorCode.TooManyAttempts, detail=f"limit {LIMIT}", retry_after=reached.retry_after)


class Access:
    """The access tokens that requests are passed on with.

    Parameters:
        tokens: where they are.
        allowance: how often they may be used.
        source: finds what reads sessions.
    """

    def __init__(
        self, tokens: Tokens, allowance: Allowance, source: Callable[[], SessionSource | None] = lambda: None
    ) -> None:
        self._tokens, self._allowance, self._source = tokens, allowance, source
        self._refused: dict[bytes, None] = {}

    async def token(self, connection: HTTPConnection) -> str:
        """The access token of the request's session, refreshed where it has to be.

        Raises:
            CrossauthError: `TooManyAttempts`; `Unauthorized` where the session has none, or one of the application's own and no
                user; one with status 502 where it cannot be refreshed now.
        """
        # Counted is what is passed on: who has nothing to send leaves nothing behind.
        tokens = await self._tokens.load(connection)
        if tokens is not None:
            await self._allowance.count(connection.scope, state_of(connection))
            tokens = await self._tokens.fresh(connection)
        if tokens is None:
            raise CrossauthError(ErrorCode.Unauthorized, "There is no access token in this session; log in first")
        if is_nobody_s(tokens, connection):
            raise CrossauthError(
                ErrorCode.Unauthorized,
                "The access token in this session is that of the application itself; log in to use it",
            )
        return tokens.access_token

    async def renewed(self, connection: HTTPConnection, refused: str, challenge: bytes) -> str | None:
        """Another access token in the place of one that the API refuses; `None` where there is none, or it would not help.

        Parameters:
            connection: the request.
            refused: the token.
            challenge: what the API says of it (RFC 6750 §3.1).
        """
        if b"invalid_token" not in challenge or digest(refused.encode()) in self._refused:
            return None
        tokens = await self._tokens.fresh(connection, force=True)
        if tokens is None or tokens.access_token == refused:
            return None
        return tokens.access_token

    def note_refused(self, token: str) -> None:
        """Remember that the API refuses a token that is new: another one would not help."""
        self._refused[digest(token.encode())] = None
        if len(self._refused) > _MANY:
            del self._refused[next(iter(self._refused))]

    async def stands(self, connection: HTTPConnection) -> bool:
        """Whether the request's session is still there, and has tokens. Where that cannot be said now, it counts as being so."""
        try:
            source = self._source()
            if source is not None:
                await source.recheck(connection.scope, state_of(connection))
            return await self._tokens.recheck(connection) is not None
        except Exception as e:
            # Sessions of another framework raise what they like, and the next look must not be lost by it.
            return as_reason(e).http_status >= 500
