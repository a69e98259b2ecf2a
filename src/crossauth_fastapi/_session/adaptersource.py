"""Who is asking, by sessions that are not ours."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope

from crossauth_backend.core.hooks import must_be_plain
from crossauth_fastapi._middleware.state import RequestState, connection_of
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter


class AdapterSource:
    """Asks a session adapter, and only when something reads the answer.

    By then every other middleware has run, so it does not matter which of them keeps the sessions.

    Parameters:
        adapter: the sessions.

    Raises:
        CrossauthError: `Configuration` where a method that is read like a value is `async`: what it returns would be true.
    """

    ambient = True

    def __init__(self, adapter: FastApiSessionAdapter) -> None:
        for method in ("get_user", "get_csrf_token", "csrf_protection_enabled"):
            must_be_plain(f"session_adapter: method {method!r}", getattr(adapter, method))
        self._adapter = adapter

    async def identify(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """See `Source.identify`."""
        # On a WebSocket its handshake, which has no method and no body.
        request: Any = connection_of(scope)
        state.later("user", lambda: self._adapter.get_user(request))
        state.later("auth_type", lambda: self._auth_type(request))
        state.later("csrf_token", lambda: self._adapter.get_csrf_token(request))
        return receive

    def _auth_type(self, request: Any) -> str | None:
        if self._adapter.get_user(request) is None:
            return None
        # Sessions whose framework checks CSRF by itself are not to be checked again.
        return "cookie" if self._adapter.csrf_protection_enabled() else "session"
