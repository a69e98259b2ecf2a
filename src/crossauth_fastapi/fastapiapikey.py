"""Facade: API keys on a FastAPI application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.api_keys.options import ApiKeyManagerOptions
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.listeners import Events
from crossauth_backend.keys.storage import KeyStorage, SupportsLifecycle, check_swap
from crossauth_fastapi._api_keys.source import ApiKeySource
from crossauth_fastapi._middleware.order import attach_source, servers_on

__all__: Final = ["FastApiApiKeyServer", "FastApiApiKeyServerOptions"]


class FastApiApiKeyServerOptions(ApiKeyManagerOptions, total=False):
    """Options of `FastApiApiKeyServer`: those of `ApiKeyManager`."""


class FastApiApiKeyServer:
    """Lets requests with `Authorization: ApiKey <key>` act for the user of the key.

    A good key sets `user`, `auth_type` (`apiKey`), `scope` and `apiKey` of `request.state`. One that is refused is nobody's:
    where a user is needed it is answered 401, whatever cookie comes with it.

    Parameters:
        app: the application.
        key_storage: where the keys are.
        options: see `FastApiApiKeyServerOptions`; `user_storage` is required.
        events: who is told of what happens; without it events go to the log.

    Raises:
        CrossauthError: `Configuration`, saying what to change.
    """

    def __init__(
        self,
        app: FastAPI,
        key_storage: KeyStorage,
        options: FastApiApiKeyServerOptions | Mapping[str, Any] | None = None,
        events: Events | None = None,
    ) -> None:
        self._manager = ApiKeyManager(key_storage, options, events=events)
        if self._manager.user_storage is None:
            raise CrossauthError(
                ErrorCode.Configuration,
                "FastApiApiKeyServer: option 'user_storage' is required, so that the keys of a disabled user are refused",
            )
        check_swap(key_storage)
        attach_source(app, ApiKeySource(self._manager), challenge=f'{self._manager.auth_scheme} realm="api"')
        storages = (key_storage, self._manager.user_storage)
        servers_on(app).lifecycle.add([*(s for s in storages if isinstance(s, SupportsLifecycle)), self._manager])

    @property
    def manager(self) -> ApiKeyManager:
        """Makes, lists, rotates and revokes keys."""
        return self._manager
