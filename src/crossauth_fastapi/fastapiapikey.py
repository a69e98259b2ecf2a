"""Facade: API keys on a FastAPI application."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.listeners import Events
from crossauth_backend.keys.storage import KeyStorage, SupportsLifecycle, check_swap
from crossauth_fastapi._actions.accounts import with_accounts
from crossauth_fastapi._api_keys.assembly import add_endpoints
from crossauth_fastapi._api_keys.options import (
    COMPONENT,
    FastApiApiKeyServerOptions,
    check_expiry,
    manager_options,
    read_server_settings,
)
from crossauth_fastapi._api_keys.source import ApiKeySource
from crossauth_fastapi._middleware.order import attach_source, servers_on

__all__: Final = ["FastApiApiKeyServer", "FastApiApiKeyServerOptions"]


class FastApiApiKeyServer:
    """Lets requests with `Authorization: ApiKey <key>` act for the user of the key.

    A good key sets `user`, `auth_type` (`apiKey`), `scope` and `apiKey` of `request.state`. One that is refused is nobody's:
    where a user is needed it is answered 401, whatever cookie comes with it.

    Where the application has a session server too, whichever of them is created first, users have pages and JSON endpoints for
    their keys, and administrators for those of all users.

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
        options: FastApiApiKeyServerOptions | None = None,
        events: Events | None = None,
    ) -> None:
        provided = options or {}
        settings = read_server_settings(provided)
        self._app = app
        self._manager = manager = ApiKeyManager(key_storage, manager_options(provided), events=events)
        if manager.user_storage is None:
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{COMPONENT}: option 'user_storage' is required, so that the keys of a disabled user are refused",
            )
        check_expiry(settings, manager.settings.default_expiry)
        check_swap(key_storage)
        source = ApiKeySource(manager)
        attach_source(app, source, challenge=source.challenge)
        storages = (key_storage, manager.user_storage)
        servers_on(app).lifecycle.add([*(s for s in storages if isinstance(s, SupportsLifecycle)), manager])
        if settings.enable_endpoints:
            with_accounts(app, lambda accounts: add_endpoints(manager, settings, accounts))

    @property
    def app(self) -> FastAPI:
        """The application."""
        return self._app

    @property
    def manager(self) -> ApiKeyManager:
        """Creates, lists, rotates and revokes keys."""
        return self._manager
