"""What a page of a flow carries from one form to the next: sealed, and of use in the browser that began the flow alone.

The code of a device and the token of a second factor are secrets of a login that is under way. The provider's pages for them are
ours, so they travel in hidden fields. Encrypted they can neither be read nor taken to the provider; tied to a cookie, they can
not be finished by anybody else, also not by one who makes another's browser send them (login CSRF, RFC 9700 §4.7).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing, equal, hash_token, random_value
from crossauth_backend.core.texts import mark
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import CookieSettings

PURPOSE: Final = "oauth client pages"
OTHER_BROWSER: Final = mark("This login was started in another browser. Start again.")
_STRANGE: Final = mark("This login is unknown here. Start again.")
_BYTES: Final = 16
_NAME: Final = 6
# As long as the longest field that a form may have.
_MOST: Final = 32 * 1024


class Seals:
    """Seals what the pages of one client carry.

    Parameters:
        ring: what it is encrypted with.
        client: the client and its provider: what was sealed for another is of no use.
    """

    def __init__(self, ring: KeyRing, client: str) -> None:
        self._ring, self._client = ring, hash_token(client)
        # Only its name and attributes are used: its value is random, and nothing but a mark.
        self.cookie = SignedCookie(CookieSettings(), f"FLOW-{self._client[:_NAME]}", b"")

    def new_browser(self, local: bool) -> tuple[str, Cookie]:
        """What marks a browser, and the cookie that keeps it.

        Parameters:
            local: whether the request is for http://localhost.
        """
        value = random_value(_BYTES)
        return value, Cookie(self.cookie.shape(local).name, value, self.cookie.options(local))

    def seal(self, kind: str, fields: Mapping[str, Any], browser: str, expires: datetime) -> str:
        """`fields` as text for a hidden field.

        Parameters:
            kind: what they are; they are of no use as anything else.
            fields: what is sealed.
            browser: what marks the browser that may send it back; empty for whoever has it.
            expires: when it ends.
        """
        browser_mark = hash_token(browser) if browser else ""
        return self._ring.encrypt(
            json.dumps([self._client, kind, browser_mark, int(expires.timestamp()), dict(fields)])
        )

    def open(self, kind: str, text: str, browser: str, now: datetime) -> dict[str, Any]:
        """What was sealed.

        Parameters:
            kind: what it must be.
            text: as it was sent.
            browser: what marks the browser that sent it; empty where nothing does.
            now: what time it is.

        Raises:
            CrossauthError: `BadRequest` for what was not sealed as this; `Forbidden` in another browser; `Expired`.
        """
        try:
            client, found, browser_mark, expires, fields = json.loads(
                self._ring.decrypt(text if len(text) <= _MOST else "")
            )
        except (CrossauthError, ValueError) as e:
            raise CrossauthError(ErrorCode.BadRequest, _STRANGE, detail=f"no sealed {kind}") from e
        if client != self._client or found != kind:
            raise CrossauthError(ErrorCode.BadRequest, _STRANGE, detail=f"something else instead of a sealed {kind}")
        if browser_mark and not equal(browser_mark, hash_token(browser)):
            raise CrossauthError(ErrorCode.Forbidden, OTHER_BROWSER)
        if expires <= now.timestamp():
            raise CrossauthError(ErrorCode.Expired, mark("This took too long. Start again."))
        return dict(fields)
