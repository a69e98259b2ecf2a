"""Who is asking, by session cookie; and whether the request comes from one of our own pages, by CSRF token."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from fastapi import Request
from starlette.types import Receive, Scope

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.sessions.cookie import SignedCookie
from crossauth_backend.sessions.manager import UserAndKey
from crossauth_fastapi._http.bodies import (
    FORM_TYPE,
    JSON_TYPE,
    MAX_BODY_BYTES,
    MULTIPART_TYPE,
    content_type,
    parse_body,
    read_limited,
    replay,
)
from crossauth_fastapi._middleware.state import RequestState, connection_of

logger = logging.getLogger("crossauth.session")
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
CSRF_FIELDS: Final = ("csrfToken", "csrf_token")


class SessionSource:
    """Reads the session and CSRF cookies of a request.

    Parameters:
        manager: sessions and CSRF tokens.
        validate_session: the application's own check, `(key, user, request)`.
    """

    ambient = True

    def __init__(self, manager: SessionManager, validate_session: Callable[..., Any] | None = None) -> None:
        self.sessions = manager.session
        self.csrf = manager.csrf_tokens
        self._validate = validate_session
        self._header = self.csrf.header_name.lower().encode("latin-1")

    async def identify(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        """See `Source.identify`."""
        for name, _ in scope["headers"]:
            if name == b"cookie":
                return await self._read_cookies(scope, state, receive)
        return receive

    async def _read_cookies(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        if state.method_ not in SAFE_METHODS:
            receive = await self._check_csrf(scope, state, receive)
        await self._load_session(scope, state)
        return receive

    def csrf_token(self, state: RequestState) -> str | None:
        """The token for a form on the page that is asked for; `None` where a request that changes something had none."""
        return self.token_for_page(state) if state.method_ in SAFE_METHODS else None

    def token_for_page(self, state: RequestState) -> str:
        """A masked token for a form on a page, and its cookie where the browser has none yet."""
        cookie = cookie_value(state, self.csrf.cookie)
        token = self.csrf.cookie.unsign(cookie) if cookie else None
        return self.csrf.mask_csrf_token(token) if token else self.new_token(state)

    def new_token(self, state: RequestState) -> str:
        """A new token: its cookie is queued, its masked value is returned and put into `state`."""
        token = self.csrf.create_csrf_token()
        state.queue(self.csrf.make_csrf_cookie(token, local=state.local))
        state["csrf_token"] = self.csrf.mask_csrf_token(token)
        return str(state["csrf_token"])

    def accept_token(self, state: RequestState, sent: object) -> bool:
        """Whether `sent` matches the CSRF cookie; if so `state` gets a fresh mask of it."""
        cookie = cookie_value(state, self.csrf.cookie)
        if cookie is None or not isinstance(sent, str):
            return False
        try:
            self.csrf.validate_double_submit_csrf_token(cookie, sent)
        except CrossauthError:
            return False
        state["csrf_token"] = self.csrf.mask_csrf_token(self.csrf.unsign_cookie(cookie))
        return True

    async def _load_session(self, scope: Scope, state: RequestState) -> None:
        cookie = cookie_value(state, self.sessions.cookie)
        if cookie is None:
            return
        session_id = self.sessions.cookie.unsign(cookie)
        if session_id is None:
            # Another application on this host may have made it: on http://localhost the port makes no difference to a browser.
            logger.info("a session cookie that is not ours was ignored")
            return
        try:
            found = await self.sessions.get_user_for_session_id(session_id)
        except CrossauthError as e:
            if e.http_status == 503:
                raise
            logger.info("session refused: %s", e.code_name)
            self.forget_session(state)
            return
        if self._validate is not None and not await self._is_valid(self._validate, found, scope):
            self.forget_session(state)
            return
        state.identify({"session_id": session_id, "session_key": found.key, "user": found.user, "auth_type": "cookie"})

    async def _is_valid(self, hook: Callable[..., Any], found: UserAndKey, scope: Scope) -> bool:
        """Whether `validate_session` accepts the session; whatever it raises refuses it."""
        try:
            accepted = await call_hook(hook, found.key, found.user, connection_of(scope)) is not False
        except CrossauthError as e:
            logger.info("session refused by validate_session: %s", e.code_name)
            return False
        except Exception:
            logger.exception("validate_session failed; the session is refused")
            return False
        return accepted

    def forget_session(self, state: RequestState) -> None:
        """Delete the session cookie with the response, and treat the request as anonymous."""
        cookie = self.sessions.cookie
        state.queue_deletion(cookie.shape(state.local).name, cookie.options(state.local))
        for name in ("session_id", "session_key", "user", "auth_type"):
            state.pop(name, None)

    async def _check_csrf(self, scope: Scope, state: RequestState, receive: Receive) -> Receive:
        if cookie_value(state, self.csrf.cookie) is None:
            return receive
        sent: object = state.header(self._header)
        if not sent:
            sent, receive = await self._token_in_body(scope, state, receive)
        if not self.accept_token(state, sent):
            state["csrf_token"] = None
        return receive

    async def _token_in_body(self, scope: Scope, state: RequestState, receive: Receive) -> tuple[object, Receive]:
        """The token among the fields of the body, and a `receive` that hands the same body out again."""
        kind = content_type(state.header(b"content-type"))
        length = state.header(b"content-length")
        if kind not in (JSON_TYPE, FORM_TYPE, MULTIPART_TYPE) or (
            length.isdigit() and int(length[:18]) > MAX_BODY_BYTES
        ):
            return None, receive
        body, complete = await read_limited(receive)
        receive = replay(body, complete, receive)
        if not complete:
            return None, receive
        try:
            fields = await parse_body(Request(dict(scope)), body)
        except CrossauthError:
            return None, receive
        return next((fields[name] for name in CSRF_FIELDS if fields.get(name)), None), receive


def cookie_value(state: RequestState, cookie: SignedCookie) -> str | None:
    """The value of a cookie of ours; the unprefixed name counts on http://localhost only, see `sessions.cookie`."""
    cookies = state.cookies
    remote = cookie.remote.name
    if remote in cookies:
        return cookies[remote]
    local = cookie.local.name
    if local != remote and local in cookies and state.local:
        return cookies[local]
    return None
