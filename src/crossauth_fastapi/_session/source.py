"""Who is asking, by session cookie."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.keys.record import Key
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.record import User
from crossauth_fastapi._middleware.state import RequestState, connection_of
from crossauth_fastapi._session.cookies import sent_values
from crossauth_fastapi._session.csrf import CsrfProtection

logger = logging.getLogger("crossauth.session")
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
# How many sessions one request may name, where other paths or domains of a host have a cookie of the same name.
_MAX_SESSIONS: Final = 3
# Seconds after which a body has come later than the request that it belongs to.
_LATE: Final = 0.005


class SessionEnded(CrossauthError, HTTPException):  # type: ignore[misc]  # `detail`, which may be empty here
    """The session ended while the request was being sent.

    Raised where the body is read, by whomever. FastAPI, which reads bodies for its routes, lets an `HTTPException` through.
    """

    def __init__(self) -> None:
        CrossauthError.__init__(self, ErrorCode.InvalidSession)
        self.status_code, self.headers = self.http_status, None


class SessionSource:
    """Reads the session and CSRF cookies of a request.

    Parameters:
        manager: sessions and CSRF tokens.
        validate_session: the application's own check, `(key, user, request)`.
    """

    ambient = True

    def __init__(self, manager: SessionManager, validate_session: Callable[..., Any] | None = None) -> None:
        self.sessions = manager.session
        self.csrf = CsrfProtection(manager.csrf_tokens)
        self._validate = validate_session

    async def identify(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """See `Source.identify`."""
        for name, _ in scope["headers"]:
            if name == b"cookie":
                break
        else:
            return receive
        await self._load_session(scope, state)
        if state.method_ in SAFE_METHODS:
            return receive
        # After the session, for a token counts in the session for which it was made.
        return await self.csrf.check(state, self._looking_again(scope, state, receive))

    def csrf_token(self, state: RequestState) -> str | None:
        """The token for a form on the page that is asked for; `None` where a request that changes something had none."""
        return self.csrf.token_for_page(state) if state.method_ in SAFE_METHODS else None

    async def _load_session(self, scope: Scope, state: RequestState) -> None:
        """Fill `state` from the first session cookie that is good.

        Where none is, those that we signed are deleted; a cookie that another key signed belongs to another application.
        """
        tried: list[str] = []
        for value in sent_values(state, self.sessions.cookie):
            session_id = self.sessions.cookie.unsign(value)
            if session_id is None or session_id in tried or len(tried) == _MAX_SESSIONS:
                continue
            tried.append(session_id)
            if await self._take(session_id, scope, state):
                return
        if tried:
            self.forget_session(state)

    async def _take(self, session_id: str, scope: Scope, state: RequestState) -> bool:
        """Fill `state` from a session, if it is good."""
        try:
            key, user = await self.sessions.read_session(session_id)
        except CrossauthError as e:
            if e.http_status == 503:
                raise
            logger.info("session refused: %s", e.code_name)
            return False
        if self._validate is not None and not await self._is_valid(self._validate, key, user, scope):
            return False
        state.identify({"session_id": session_id, "session_key": key, "user": user, "auth_type": "cookie"})
        return True

    def _looking_again(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """A `receive` that looks at the session once more where the body comes later than the headers.

        Whoever holds a stolen session could else send the headers of a request, wait until the account was taken back, and send
        the body then.
        """
        session_id = state.peek("session_id")
        if session_id is None:
            return receive
        looked = time.monotonic()

        async def again() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body") and time.monotonic() - looked > _LATE:
                await self._still(session_id, scope, state)
            return message

        return again

    async def _still(self, session_id: str, scope: Scope, state: RequestState) -> None:
        """Look at the request's session again, unless the request itself has ended it or begun another.

        Raises:
            CrossauthError: `InvalidSession` where it has ended.
        """
        if state.peek("session_id") == session_id and not await self._take(session_id, scope, state):
            self.forget_session(state)
            raise SessionEnded

    async def _is_valid(self, hook: Callable[..., Any], key: Key, user: User | None, scope: Scope) -> bool:
        """Whether `validate_session` accepts the session; whatever it raises refuses it."""
        try:
            return await call_hook(hook, key, user, connection_of(scope)) is not False
        except CrossauthError as e:
            logger.info("session refused by validate_session: %s", e.code_name)
        except Exception:
            logger.exception("validate_session failed; the session is refused")
        return False

    def forget_session(self, state: RequestState) -> None:
        """Delete the session cookie with the response, and treat the request as anonymous."""
        cookie = self.sessions.cookie
        state.queue_deletion(cookie.shape(state.local).name, cookie.options(state.local))
        for name in ("session_id", "session_key", "user", "auth_type"):
            state.pop(name, None)
