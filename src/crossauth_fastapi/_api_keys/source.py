"""Who is asking, by API key."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.types import Scope

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.api_keys.record import VerifiedApiKey
from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.sources import CredentialEnded
from crossauth_fastapi._middleware.state import RequestState

_FIELD: Final = "apiKey"
AUTH_TYPE: Final = "apiKey"


class ApiKeySource:
    """Reads the API key in the header `Authorization`. A key in the URL or in a cookie is none.

    Parameters:
        manager: keeps the keys.
    """

    name = "api_key"
    ambient = False
    header: bytes | None = b"authorization"

    def __init__(self, manager: ApiKeyManager) -> None:
        self._manager = manager
        self.challenge = f'{manager.auth_scheme} realm="api"'
        self._scheme = manager.auth_scheme.lower().encode("ascii")

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """See `Source.identify`. A key that is refused is an identity with an error: nothing else lends it rights."""
        token = self._token(scope)
        if token is None:
            return None
        try:
            found = await self._manager.verify(token, partial(peer_address, scope, state.site.trusted_proxies))
        except CrossauthError as e:
            if e.http_status >= 500:
                raise
            return Identity(None, error=e)
        return _identity(found)

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """See `Source.recheck`: a key that was revoked while the body was being sent is refused, and what has changed about
        its user counts.

        Raises:
            CredentialEnded: it was, or it expired, or its user was disabled or deleted.
        """
        token = self._token(scope)
        if token is None or state.identities[self.name].error is not None:
            return
        try:
            found = await self._manager.verify_again(token)
        except CrossauthError as e:
            if e.http_status >= 500:
                raise
            refused = CredentialEnded(e.code)
            state.add_identity(self.name, Identity(None, error=refused))
            raise refused from e
        state.add_identity(self.name, _identity(found))

    def _token(self, scope: Scope) -> str | None:
        """The key that was sent; `None` where none was, and empty where it is not clear which.

        A request has one `Authorization` header (RFC 9110 §5.3, §11.6.2). Of several a proxy may have read another one.
        """
        token: str | None = None
        headers = 0
        for name, value in scope["headers"]:
            if name == b"authorization":
                headers += 1
                scheme, _, rest = value.partition(b" ")
                if scheme.lower() == self._scheme:
                    token = rest.strip(b" ").decode("latin-1")
                elif scheme.partition(b"\t")[0].lower() == self._scheme:
                    # Parted from its key by what parts nothing there (RFC 9110 §11.4).
                    token = ""
        return "" if token is not None and headers > 1 else token


def _identity(found: VerifiedApiKey) -> Identity:
    key = found.key
    # A key without scopes has none, which is not the same as one that nothing limits.
    return Identity(AUTH_TYPE, found.user, key.scope or (), key.id, {_FIELD: key})
