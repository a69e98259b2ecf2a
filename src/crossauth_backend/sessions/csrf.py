"""The token that shows that a request comes from our own page: signed double submit cookie (OWASP CSRF cheat sheet).

The cookie holds `token.signature`; the page or script sends the same token back, masked differently every time so that a
compressed response does not leak it (BREACH). The signature covers the session too: a cookie that was
made for another session, or for none, counts as little as a forged one, so planting one gains nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import read_options
from crossauth_backend.core.secretoption import check_secret
from crossauth_backend.core.secrets import (
    derive_key,
    equal,
    from_base64url,
    hash_token,
    random_bytes,
    random_value,
    to_base64url,
    xor,
)
from crossauth_backend.sessions.attributes import HasCookie
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import CsrfSettings, DoubleSubmitCsrfTokenOptions

TOKEN_BYTES: Final = 16


class Csrf(NamedTuple):
    """A new CSRF token: its cookie and its masked value."""

    csrf_cookie: Cookie
    csrf_form_or_header_value: str


class DoubleSubmitCsrfToken(HasCookie):
    """Makes and checks CSRF tokens.

    Parameters:
        options: see `DoubleSubmitCsrfTokenOptions`.

    Raises:
        CrossauthError: `Configuration` without a fit secret.
    """

    def __init__(self, options: DoubleSubmitCsrfTokenOptions | None = None) -> None:
        self.settings = read_options(CsrfSettings, options or {}, component="DoubleSubmitCsrfToken")
        secret = check_secret(self.settings.secret, "DoubleSubmitCsrfToken")
        self.cookie = SignedCookie(self.settings, "CSRFTOKEN", derive_key(secret, "csrf cookie of a session"))
        self.header_name = self.settings.header_name

    def create_csrf_token(self) -> str:
        """A new random token."""
        return random_value(TOKEN_BYTES)

    def make_csrf_cookie(self, token: str, *, local: bool = False, session_id: str | None = None) -> Cookie:
        """The cookie for a token.

        Parameters:
            token: the token.
            local: whether the request is for http://localhost.
            session_id: the session in which it counts; `None` for requests without a session.
        """
        return self.cookie.make(token, local, bound_to=_bound_to(session_id))

    def make_csrf_cookie_string(self, cookie_value: str) -> str:
        """`name=value` with the attributes, as in a Set-Cookie header."""
        options = self.cookie.options(local=False)
        flags = "; Secure" * bool(options["secure"]) + "; HttpOnly" * bool(options["httpOnly"])
        domain = f"; Domain={self.domain}" if self.domain else ""
        return f"{self.cookie_name}={cookie_value}; Path={self.path}{domain}; SameSite={self.sameSite}{flags}"

    def make_csrf_form_or_header_token(self, token: str) -> str:
        """What a form field or header carries: the token under a fresh mask."""
        return self.mask_csrf_token(token)

    def unsign_cookie(self, cookie_value: str, session_id: str | None = None) -> str:
        """The token in a cookie.

        Raises:
            CrossauthError: `InvalidCsrf` where we did not sign it, or signed it for another session.
        """
        token = self.cookie.unsign(cookie_value, _bound_to(session_id))
        if token is None:
            raise CrossauthError(ErrorCode.InvalidCsrf)
        return token

    def mask_csrf_token(self, token: str) -> str:
        """`mask.(token XOR mask)`."""
        raw = from_base64url(token)
        mask = random_bytes(len(raw))
        return f"{to_base64url(mask)}.{to_base64url(xor(raw, mask))}"

    def unmask_csrf_token(self, masked: str) -> str:
        """The token under its mask.

        Raises:
            CrossauthError: `InvalidCsrf` for anything that `mask_csrf_token` did not make.
        """
        mask, _, value = masked.partition(".")
        try:
            return to_base64url(xor(from_base64url(value), from_base64url(mask)))
        except ValueError as e:
            raise CrossauthError(ErrorCode.InvalidCsrf) from e

    def validate_double_submit_csrf_token(
        self, cookie_value: str, form_or_header: str, session_id: str | None = None
    ) -> None:
        """Check that cookie and form field (or header) hold the same token, and that it is the session's.

        Raises:
            CrossauthError: `InvalidCsrf`.
        """
        token = self.unsign_cookie(cookie_value, session_id)
        if not equal(self.unmask_csrf_token(form_or_header), token):
            raise CrossauthError(ErrorCode.InvalidCsrf)

    def validate_csrf_cookie(self, cookie_value: str, session_id: str | None = None) -> str:
        """The token in a cookie.

        Raises:
            CrossauthError: `InvalidCsrf` where we did not sign it, or signed it for another session.
        """
        return self.unsign_cookie(cookie_value, session_id)


def _bound_to(session_id: str | None) -> str:
    return hash_token(session_id) if session_id else ""
