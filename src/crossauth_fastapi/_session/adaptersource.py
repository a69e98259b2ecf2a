"""Who is asking, by sessions that are not ours."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import Scope

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import must_be_plain, plain_result
from crossauth_backend.users.record import User
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._middleware.whereabouts import connection_of
from crossauth_fastapi.fastapisessionadapter import FastApiSessionAdapter


class PlainAdapter:
    """What a session adapter says about a request; each answer is checked, for a coroutine would pass for a user or a token.

    Parameters:
        adapter: the sessions.

    Raises:
        CrossauthError: `Configuration` where one of these methods is `async`, or where it returns anything but what it should.
    """

    def __init__(self, adapter: FastApiSessionAdapter) -> None:
        for method in ("get_user", "get_csrf_token", "csrf_protection_enabled"):
            must_be_plain(_name(method), getattr(adapter, method))
        self._adapter = adapter

    def user(self, request: HTTPConnection) -> User | None:
        """The user who is logged in."""
        user: User | None = plain_result(_name("get_user"), (User, type(None)), self._adapter.get_user, request)
        return user

    def csrf_token(self, request: HTTPConnection) -> str | None:
        """The CSRF token of the request."""
        method = self._adapter.get_csrf_token
        token: str | None = plain_result(_name("get_csrf_token"), (str, type(None)), method, request)
        return token

    def csrf_protection_enabled(self) -> bool:
        """Whether `csrf_token` says which requests are protected."""
        method = self._adapter.csrf_protection_enabled
        return bool(plain_result(_name("csrf_protection_enabled"), (bool,), method))


def _name(method: str) -> str:
    return f"session_adapter: method {method!r}"


class AdapterSource:
    """Asks a session adapter, and only when something reads the answer.

    By then every other middleware has run, so it does not matter which of them keeps the sessions.

    Parameters:
        adapter: the sessions.
    """

    name = "session"
    ambient = True
    header: bytes | None = None

    def __init__(self, adapter: PlainAdapter) -> None:
        self._adapter = adapter

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """See `Source.identify`; what the adapter says counts where no other credential says who is asking."""
        # On a WebSocket its handshake, which has no method and no body.
        request = connection_of(scope)
        state.set_lazy("user", lambda: self._adapter.user(request))
        state.set_lazy("auth_type", lambda: self._auth_type(request))
        state.set_lazy("csrf_token", lambda: self._adapter.csrf_token(request))
        return None

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """Ask the adapter again who is logged in: on a WebSocket, which lasts.

        Raises:
            CrossauthError: `InvalidSession` where it is nobody, or somebody else.
        """
        before = state.peek("user")
        if before is None or state.principal is not None:
            return
        user = self._adapter.user(connection_of(scope))
        if user is None or user.id != before.id:
            raise CrossauthError(ErrorCode.InvalidSession)
        state["user"] = user

    def _auth_type(self, request: HTTPConnection) -> str | None:
        if self._adapter.user(request) is None:
            return None
        # Sessions whose framework checks CSRF by itself are not to be checked again.
        return "cookie" if self._adapter.csrf_protection_enabled() else "session"
