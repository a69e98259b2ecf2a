"""Who is asking, by sessions that are not ours."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from starlette.types import Receive

from crossauth_backend.users.record import User
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter


class AdapterSource:
    """Asks a session adapter, and only when something reads the answer.

    By then every other middleware has run, so it does not matter which of them keeps the sessions.

    Parameters:
        adapter: the sessions.
        is_admin: who is an administrator.
    """

    def __init__(self, adapter: FastApiSessionAdapter, is_admin: Callable[[User], bool]) -> None:
        self._adapter = adapter
        self._is_admin = is_admin

    async def identify(self, state: RequestState, receive: Receive) -> Receive:
        """See `Source.identify`."""
        request = Request(state.scope_)
        state.is_admin = self._is_admin
        state.later("user", lambda: self._adapter.get_user(request))
        state.later("auth_type", lambda: self._auth_type(request))
        state.later("csrf_token", lambda: self._adapter.get_csrf_token(request))
        return receive

    def _auth_type(self, request: Request) -> str | None:
        if self._adapter.get_user(request) is None:
            return None
        # Sessions whose framework checks CSRF by itself are not to be checked again.
        return "cookie" if self._adapter.csrf_protection_enabled() else "session"
