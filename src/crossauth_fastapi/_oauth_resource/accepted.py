"""Access tokens that were accepted before, so that the next request with the same header need not have them read anew."""

from __future__ import annotations

from typing import Any, Final

from crossauth_backend.core.jose import CacheName, ClaimsCache, JwtInvalidError
from crossauth_backend.core.jose.cache import copied
from crossauth_backend.core.secrets import digest
from crossauth_backend.oauth.resserver import OAuthResourceServer
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer
from crossauth_fastapi._middleware.decision import CLAIMS
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._oauth_resource.users import UserLookup

# About what the claims of a token take in memory, and the user who is made of them; that of empty lists is nine times as much.
_BYTES_PER_CHARACTER: Final = 4


class AcceptedTokens:
    """What accepted tokens say, by the digests of their header and of the keys that verified them; the least recently used go
    first.

    Only where nothing but keys and time decides about a token: neither its authorization server is asked, nor a storage, nor what
    an application has made of `authorize`. Whoever finds one is given claims of its own.

    Parameters:
        server: what accepts tokens.
        users: finds the user of a token.
        every_token: whether all tokens that are judged come here, so that the consumer need not remember any.
    """

    def __init__(self, server: OAuthResourceServer, users: UserLookup, *, every_token: bool = True) -> None:
        consumer = server.token_consumers[0]
        alone = len(server.token_consumers) == 1 and users.storage is None
        ours = type(consumer) is OAuthTokenConsumer and type(server).authorize is OAuthResourceServer.authorize
        self._consumer = consumer if alone and ours else None
        if self._consumer is not None and every_token:
            self._consumer.remembers = False
        self._kept = ClaimsCache()

    def name(self, header: bytes) -> CacheName | None:
        """What a token is kept by that is judged now; `None` where more than keys and time decides.

        Parameters:
            header: the header that has it, as it was sent.
        """
        keys = None if self._consumer is None else self._consumer.standing_keys
        return None if keys is None else (keys.identity, digest(header))

    def find(self, name: CacheName) -> Identity | None:
        """What a token says that was accepted by these keys and has not expired."""
        found: Any = self._kept.get(name)
        if found is None or self._consumer is None:
            return None
        claims = found.fields[CLAIMS]
        try:
            self._consumer.check_times(claims)
        except JwtInvalidError:
            return None
        return _with_claims(found, copied(claims))

    def keep(self, name: CacheName, token: str, accepted: Identity) -> None:
        """Keep what a token says that was accepted.

        Parameters:
            name: from `name`, before it was judged.
            token: the token.
            accepted: what it says.
        """
        if self._consumer is not None and self._consumer.is_judged_by_keys(token):
            own: Any = _with_claims(accepted, copied(accepted.fields[CLAIMS]))
            self._kept.put(name, own, _BYTES_PER_CHARACTER * len(token))


def _with_claims(said: Identity, claims: dict[str, Any]) -> Identity:
    return Identity(said.auth_type, said.user, said.scopes, said.client_id, {CLAIMS: claims}, None, said.implied)
