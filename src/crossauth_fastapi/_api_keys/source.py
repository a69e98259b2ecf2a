"""Who is asking, by API key."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.api_keys.token import from_header
from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.state import RequestState

_FIELD: Final = "apiKey"
AUTH_TYPE: Final = "apiKey"


class ApiKeySource:
    """Reads the API key in the header `Authorization`.

    Parameters:
        manager: keeps the keys.
    """

    name = "api_key"
    ambient = False

    def __init__(self, manager: ApiKeyManager) -> None:
        self._manager = manager
        self.challenge = f'{manager.auth_scheme} realm="api"'

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """See `Source.identify`. A key that is refused is an identity with an error: nothing else lends it rights."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = from_header(value.decode("latin-1"), self._manager.auth_scheme)
                return None if token is None else await self._read(token, scope, state)
        return None

    async def _read(self, token: str, scope: Scope, state: RequestState) -> Identity:
        try:
            found = await self._manager.verify(token, peer_address(scope, state.site.trusted_proxies))
        except CrossauthError as e:
            if e.http_status >= 500:
                raise
            return Identity(None, error=e)
        key = found.key
        return Identity(AUTH_TYPE, found.user, tuple(key.scope), key.id, {_FIELD: key})

    async def look_again(self, scope: Scope, state: RequestState) -> None:
        """See `Source.look_again`: a key that was revoked while the body was being sent is refused.

        Raises:
            CrossauthError: as `ApiKeyManager.get_key`.
        """
        token = from_header(state.header(b"authorization"), self._manager.auth_scheme)
        if token is not None and state.identities[self.name].error is None:
            await self._manager.get_key(token)
