"""Whether a request comes from one of our own pages, by CSRF token; tokens for pages and answers."""

from __future__ import annotations

import logging
import re
from typing import Final

from starlette.types import Receive

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.sessions.csrf import DoubleSubmitCsrfToken
from crossauth_fastapi._http.formtoken import find_field
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._http.once import warn_once
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._middleware.whereabouts import is_plain_http

logger = logging.getLogger("crossauth.session")
CSRF_FIELDS: Final = ("csrfToken", "csrf_token")
# What a Host header of a real site looks like; nothing else is put into a text or the log.
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]{1,100}")
_INSECURE: Final = (
    "cookies are Secure and this is {url}: use https, http://localhost, or set secure=False in "
    "session_cookie_options and double_submit_cookie_options"
)
_NOT_LOCAL: Final = (
    "cookies are Secure, for this does not look like a request to {url} from the same machine: "
    "set the option 'site_url'"
)


class CsrfProtection:
    """The CSRF tokens of one session server. A token counts in the session for which it was made.

    Parameters:
        tokens: makes and checks them.
    """

    def __init__(self, tokens: DoubleSubmitCsrfToken) -> None:
        self.tokens = tokens
        self.cookie = tokens.cookie
        self._header = tokens.header_name.lower().encode("latin-1")

    def cookie_value(self, state: RequestState) -> str | None:
        """The CSRF cookie of the request's session as the browser sent it; `None` where none is of this session."""
        return self._read(state)[0]

    def token_for_page(self, state: RequestState) -> str:
        """A masked token for a form on a page, and its cookie where the browser has none for this session yet."""
        if self.was_replaced(state):
            return str(state["csrf_token"])
        _, token = self._read(state)
        return self.tokens.mask_csrf_token(token) if token else self.new_token(state)

    def new_token(self, state: RequestState) -> str:
        """A new token for the request's session: its cookie is queued, its masked value returned and put into `state`."""
        token = self.tokens.create_csrf_token()
        state.queue(self.tokens.make_csrf_cookie(token, local=state.local, session_id=state["session_id"]))
        state["csrf_token"] = self.tokens.mask_csrf_token(token)
        return str(state["csrf_token"])

    def end(self, state: RequestState) -> None:
        """Delete the cookie with the response; the next form gets a new token."""
        state.queue_deletion(self.cookie.shape(state.local).name, self.cookie.options(state.local))
        state.pop("csrf_token", None)

    def was_replaced(self, state: RequestState) -> bool:
        """Whether this answer sets a new token."""
        return self.cookie.shape(state.local).name in (state.get("set_cookies") or ())

    def token_to_tell(self, state: RequestState) -> str | None:
        """The token that a script is to use after this answer; `None` where the answer leaves it as it was.

        Where the answer ends the token, a new one is made: a script goes on, other than a page, which is loaded anew.
        """
        if self.was_replaced(state):
            return str(state["csrf_token"])
        ended = self.cookie.shape(state.local).name in (state.get("delete_cookies") or ())
        return self.new_token(state) if ended else None

    def accept_token(self, state: RequestState, sent: object) -> bool:
        """Whether `sent` is the token in the session's CSRF cookie; if so `state` gets a fresh mask of it."""
        cookie, token = self._read(state)
        if cookie is None or token is None or not isinstance(sent, str):
            return False
        try:
            self.tokens.validate_double_submit_csrf_token(cookie, sent, state["session_id"])
        except CrossauthError:
            return False
        state["csrf_token"] = self.tokens.mask_csrf_token(token)
        return True

    async def check(self, state: RequestState, receive: Receive) -> Receive:
        """Look for the request's token, in the header or else in the body, and set `csrf_token` of `state`.

        Returns:
            A `receive` that hands out the whole body.
        """
        if not state.header(b"cookie"):
            return receive
        state["csrf_token"] = None
        if self.cookie_value(state) is None:
            return receive
        sent = state.header(self._header)
        if sent:
            self.accept_token(state, sent)
            return receive
        kind, length = state.header(b"content-type"), state.header(b"content-length")
        return await find_field(kind, length, receive, CSRF_FIELDS, lambda value: self.accept_token(state, value))

    def refusal(self, state: RequestState) -> CrossauthError:
        """The refusal of a request without a valid token, saying what its sender can do about it."""
        if state.header(b"cookie") and state.sent_values(self.cookie):
            return CrossauthError(ErrorCode.InvalidCsrf)
        if is_plain_http(state) and self.cookie.shape(state.local).secure:
            warn_once(logger, f"CSRF check failed, no CSRF cookie came: {_INSECURE.format(url='plain http')}")
            host = state.header(b"host")
            text = (_NOT_LOCAL if is_local_host(host) else _INSECURE).format(url=f"http://{_shown(host)}")
            return CrossauthError(
                ErrorCode.InvalidCsrf, f"No CSRF token cookie came with this request: {text}", detail=text
            )
        if not state.header(b"cookie"):
            text = "No CSRF token cookie came with this request. Allow cookies for this site, reload the page and try again"
            return CrossauthError(ErrorCode.InvalidCsrf, text, detail="no cookie came with the request")
        return CrossauthError(ErrorCode.InvalidCsrf)

    def _read(self, state: RequestState) -> tuple[str | None, str | None]:
        """Cookie and token of the request's session."""
        session_id = state["session_id"]
        for value in state.sent_values(self.cookie):
            try:
                return value, self.tokens.unsign_cookie(value, session_id)
            except CrossauthError:
                continue
        return None, None


def _shown(host: str) -> str:
    return host if _HOST.fullmatch(host) else "…"
