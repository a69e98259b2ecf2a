"""Why a request has no valid CSRF token, in words by which its sender, or whoever runs the site, can do something about it."""

from __future__ import annotations

import logging
import re
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.sessions.cookie import SignedCookie
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._http.once import warn_once
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._middleware.whereabouts import is_plain_http

logger = logging.getLogger("crossauth.session")
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


def csrf_refusal(cookie: SignedCookie, state: RequestState) -> CrossauthError:
    """The refusal of a request without a valid token, saying what its sender can do about it.

    Parameters:
        cookie: the cookie that holds the token.
        state: the request.
    """
    if state.header(b"cookie") and state.sent_values(cookie):
        return CrossauthError(ErrorCode.InvalidCsrf)
    if is_plain_http(state) and cookie.shape(state.local).secure:
        warn_once(logger, f"CSRF check failed, no CSRF cookie came: {_INSECURE.format(url='plain http')}")
        host = state.header(b"host")
        text = (_NOT_LOCAL if is_local_host(host) else _INSECURE).format(url=f"http://{_shown(host)}")
        return CrossauthError(
            ErrorCode.InvalidCsrf, f"No CSRF token cookie came with this request: {text}", detail=text
        )
    if not state.header(b"cookie"):
        text = mark(
            "No CSRF token cookie came with this request. Allow cookies for this site, reload the page and try again."
        )
        return CrossauthError(ErrorCode.InvalidCsrf, text, detail="no cookie came with the request")
    return CrossauthError(ErrorCode.InvalidCsrf)


def _shown(host: str) -> str:
    return host if _HOST.fullmatch(host) else "…"
