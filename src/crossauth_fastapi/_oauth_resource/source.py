"""Who is asking, by an access token."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.types import Scope

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.listeners import Events
from crossauth_backend.events.record import EventName
from crossauth_backend.events.seldom import Seldom
from crossauth_backend.oauth.resserver import OAuthResourceServer
from crossauth_backend.oauth.wire.bearer import read_bearer
from crossauth_backend.oauth.wire.errors import InvalidRequest, OAuthError
from crossauth_backend.oauth.wire.metadata import endpoint
from crossauth_backend.users.record import User
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._http.oautherrors import failure_of_ours
from crossauth_fastapi._middleware.decision import CLAIMS
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.sources import CredentialEnded
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._oauth_resource.accepted import AcceptedTokens
from crossauth_fastapi._oauth_resource.refusal import BearerRefused
from crossauth_fastapi._oauth_resource.users import AccountRefused, UserLookup, client_of

logger = logging.getLogger("crossauth.oauth")
AUTH_TYPE: Final = "oauth"
PAYLOAD: Final = CLAIMS
# The claims, the scopes and the user of a token.
Read = Callable[[str], Awaitable[tuple[Mapping[str, Any], tuple[str, ...], User | None]]]
# What a 401 says of an error, given the path that was asked for.
Challenge = Callable[[OAuthError | None, Scope, RequestState], str]


class BearerSource:
    """Reads the access token in the header `Authorization`. One in the URL or in a form is none (RFC 9700 §4.3.2).

    Parameters:
        read: accepts tokens.
        challenge: makes the header of a 401.
        server: what accepts tokens, and says which scope includes which.
        users: finds the user of a token.
        events: is told of good tokens whose user's account refuses.
        header_alone: whether tokens come in the header alone, and not in sessions as well.
    """

    name = "bearer"
    ambient = False
    header: bytes | None = b"authorization"

    def __init__(
        self, read: Read, challenge: Challenge, server: OAuthResourceServer, users: UserLookup, events: Events, *,
        header_alone: bool = True,
    ) -> None:  # fmt: skip
        self._read, self._challenge, self._implied = read, challenge, server.implied_scopes
        self._events, self._seldom = events, Seldom(utc_now)
        self.server, self.users = server, users
        self._accepted = AcceptedTokens(server, users, every_token=header_alone)

    @property
    def authorization_code(self) -> dict[str, str] | None:
        """Where a client gets tokens, as OpenAPI has it; `None` unless there is one authorization server with known metadata."""
        consumers = self.server.token_consumers
        metadata = consumers[0].oidc_config if len(consumers) == 1 else None
        names = {"authorizationUrl": "authorization_endpoint", "tokenUrl": "token_endpoint"}
        found = {name: endpoint(metadata or {}, field) or "" for name, field in names.items()}
        # They were checked when the metadata came.
        return found if all(found.values()) else None

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """See `Source.identify`. A token that is refused is an identity with an error: nothing else lends it rights.

        So is one that cannot be judged, because its authorization server is away: what needs no user is served all the same.
        """
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if not sent or (len(sent) == 1 and not sent[0].lstrip(b" \t").startswith((b"B", b"b"))):
            # None, or one of another scheme.
            return None
        name = self._accepted.name(sent[0]) if len(sent) == 1 else None
        known = None if name is None else self._accepted.find(name)
        if known is not None:
            return known
        try:
            token = bearer_token(sent)
        except OAuthError as e:
            return self.refused(e, scope, state)
        if token is None:
            return None
        found = await self.identity(token, scope, state)
        if name is not None and found.error is None:
            self._accepted.keep(name, token, found)
        return found

    async def identity(self, token: str, scope: Scope, state: RequestState) -> Identity:
        """What a token says."""
        try:
            claims, scopes, user = await self._read(token)
        except OAuthError as e:
            if isinstance(e, AccountRefused):
                self._tell(e, scope, state)
            return self.refused(e, scope, state)
        except CrossauthError as e:
            logger.error("access tokens cannot be judged: %s", e.detail or e.message)
            return self.refused(failure_of_ours(e), scope, state)
        client = client_of(claims) or ("" if user is None else None)
        return Identity(AUTH_TYPE, user, scopes, client, {PAYLOAD: claims}, None, self._implied)

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """See `Source.recheck`: a token that expired or was revoked meanwhile is refused, and what has changed about its user
        or its scopes counts.

        Raises:
            CredentialEnded: it did, or the session that held it holds none any more.
        """
        known = state.identities.get(self.name)
        if known is None or known.error is not None:
            return
        found = await (known.again() if known.again is not None else self.identify(scope, state))
        if found is None:
            state.drop_identity(self.name)
            raise CredentialEnded(ErrorCode.InvalidToken)
        state.add_identity(self.name, found)
        if found.error is not None:
            raise CredentialEnded(found.error.code) from found.error

    def _tell(self, e: AccountRefused, scope: Scope, state: RequestState) -> None:
        # Only of tokens that are good: anybody can send others.
        if self._seldom.is_due((e.user.id, e.reason)):
            address = peer_address(scope, state.site.trusted_proxies)
            self._events.emit(EventName.token_refused, e.user, address=address, reason=e.reason)

    def refused(self, e: OAuthError, scope: Scope, state: RequestState) -> Identity:
        """What a token says that is refused, or that nobody can judge."""
        error = BearerRefused(e, self._challenge(e, scope, state))
        return Identity(None, error=error, fields=error.fields)


def bearer_token(sent: Sequence[bytes]) -> str | None:
    """The token in the `Authorization` header of a request.

    Parameters:
        sent: the values of all such headers.

    Raises:
        InvalidRequest: there are several of them, of which a proxy may have read another one (RFC 9110 §11.6.2).
        InvalidToken: what follows the scheme is no token.
    """
    values = [value.decode("latin-1") for value in sent]
    if len(values) > 1 and any(value.lstrip(" \t").lower().startswith("bearer") for value in values):
        raise InvalidRequest("The request has several Authorization headers")
    return read_bearer(values[0]) if values else None
