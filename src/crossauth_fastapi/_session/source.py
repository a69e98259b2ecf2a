"""Who is asking, by session cookie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from starlette.types import Scope

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.redaction import loggable
from crossauth_backend.core.secrets import digest
from crossauth_backend.keys.record import Key
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.sessions.cookie import SignedCookie
from crossauth_backend.users.record import User
from crossauth_fastapi._http.cookies import cookie_header
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.sources import CredentialEnded
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState
from crossauth_fastapi._middleware.whereabouts import connection_of
from crossauth_fastapi._session.csrf import CsrfProtection

logger = logging.getLogger("crossauth.session")
# How many sessions one request may name, where other paths or domains of a host have a cookie of the same name.
_MAX_SESSIONS: Final = 3
# How many cookie headers a process remembers.
_MANY: Final = 10_000


class SeenHeaders:
    """Cookie headers that were seen before and hold one value of a cookie, which we signed.

    A browser sends the same header with every request; it need not be taken apart and verified each time. What is kept is a
    digest of the header and where in it the value is, so that nothing that signs anybody in stays in memory.

    Parameters:
        cookie: which cookie.
    """

    def __init__(self, cookie: SignedCookie) -> None:
        self._cookie = cookie
        self._places: dict[bytes, tuple[slice, bool, str]] = {}

    def value(self, header: bytes, state: RequestState) -> tuple[str, str] | None:
        """The value without its signature, and as its session is stored; `None` where the header has to be read.

        Parameters:
            header: all that the request says of cookies.
            state: the request.
        """
        found = self._places.get(digest(header))
        if found is None or (found[1] and not state.reads_local):
            return None
        return header[found[0]].decode("latin-1"), found[2]

    def remember(self, header: bytes, value: str, stored: str, state: RequestState) -> None:
        """Keep where `value`, stored as `stored`, is in `header`: the only one of its cookie that was sent, and signed."""
        start = header.find(value.encode("latin-1"))
        if len(self._places) >= _MANY:
            # The oldest; whoever sends ever new headers only costs others that theirs are read.
            del self._places[next(iter(self._places))]
        is_local = self._cookie.remote.name not in state.cookies
        self._places[digest(header)] = slice(start, start + len(value)), is_local, stored


class SessionSource:
    """Reads the session cookie of a request.

    Parameters:
        manager: sessions and CSRF tokens.
        validate_session: the application's own check, `(key, user, request)`.
    """

    name = "session"
    ambient = True
    header: bytes | None = b"cookie"

    def __init__(self, manager: SessionManager, validate_session: Callable[..., Any] | None = None) -> None:
        self.sessions = manager.session
        self.csrf = CsrfProtection(manager.csrf_tokens)
        self._seen = SeenHeaders(self.sessions.cookie)
        self._validate = validate_session

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """What the first session cookie that is good says, see `Source.identify`.

        Where none is, those that we signed are deleted; a cookie that another key signed belongs to another application.
        """
        header = cookie_header(scope["headers"])
        if not header:
            return None
        seen = self._seen.value(header, state)
        if seen is not None:
            identity = await self._read(*seen, scope)
            if identity is None:
                self.forget_session(state)
            return identity
        tried: list[str] = []
        values = state.sent_values(self.sessions.cookie)
        for value in values:
            session_id = self.sessions.cookie.unsign(value)
            if session_id is None or session_id in tried or len(tried) == _MAX_SESSIONS:
                continue
            tried.append(session_id)
            stored = self.sessions.hash_session_id(session_id)
            identity = await self._read(session_id, stored, scope)
            if identity is not None:
                if len(values) == 1:
                    self._seen.remember(header, session_id, stored, state)
                return identity
        if tried:
            self.forget_session(state)
        return None

    def csrf_token(self, state: RequestState) -> str | None:
        """The token for a form on the page that is asked for; `None` where a request that changes something had none."""
        return self.csrf.token_for_page(state) if state.method in SAFE_METHODS else None

    async def _read(self, session_id: str, stored: str, scope: Scope) -> Identity | None:
        """What a session says, if it is good.

        Parameters:
            session_id: its id.
            stored: its id as it is stored.
            scope: the request.
        """
        try:
            key, user = await self.sessions.read_stored(stored)
        except CrossauthError as e:
            if e.http_status == 503:
                raise
            logger.info("session refused: %s", e.code_name)
            return None
        if self._validate is not None and not await self._is_valid(self._validate, key, user, scope):
            return None
        return session_identity(session_id, key, user)

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """See `Source.recheck`; nothing happens where the request itself has ended its session, or begun another.

        Raises:
            CrossauthError: `InvalidSession` where it has ended.
        """
        known = state.identities.get(self.name)
        if known is None:
            return
        session_id = known.fields["session_id"]
        identity = await self._read(session_id, self.sessions.hash_session_id(session_id), scope)
        if identity is None:
            self.forget_session(state)
            raise CredentialEnded(ErrorCode.InvalidSession)
        state.add_identity(self.name, identity)

    async def _is_valid(self, hook: Callable[..., Any], key: Key, user: User | None, scope: Scope) -> bool:
        """Whether `validate_session` accepts the session; whatever it raises refuses it."""
        try:
            return await call_hook(hook, key, user, connection_of(scope)) is not False
        except CrossauthError as e:
            logger.info("session refused by validate_session: %s", e.code_name)
        except Exception as e:
            logger.exception("validate_session failed; the session is refused", exc_info=loggable(e))
        return False

    def forget_session(self, state: RequestState) -> None:
        """Delete the session cookie with the response, and treat the request as anonymous."""
        cookie = self.sessions.cookie
        state.queue_deletion(cookie.shape(state.local).name, cookie.options(state.local))
        state.drop_identity(self.name)


def session_identity(session_id: str, key: Key, user: User | None) -> Identity:
    """What a session says about whoever sends its id."""
    return Identity("cookie", user, None, None, {"session_id": session_id, "session_key": key})
