"""Whether a request comes from one of our own pages, by CSRF token; tokens for pages and answers."""

from __future__ import annotations

from typing import Final

from starlette.types import Receive

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.sessions.csrf import DoubleSubmitCsrfToken
from crossauth_fastapi._http.formtoken import find_field
from crossauth_fastapi._middleware.state import RequestState

CSRF_FIELDS: Final = ("csrfToken", "csrf_token")


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

    def _read(self, state: RequestState) -> tuple[str | None, str | None]:
        """Cookie and token of the request's session."""
        session_id = state["session_id"]
        for value in state.sent_values(self.cookie):
            try:
                return value, self.tokens.unsign_cookie(value, session_id)
            except CrossauthError:
                continue
        return None, None
