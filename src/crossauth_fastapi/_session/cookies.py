"""The signed cookies of a request."""

from __future__ import annotations

from collections.abc import Sequence

from crossauth_backend.sessions.cookie import SignedCookie
from crossauth_fastapi._http.cookies import cookies_named
from crossauth_fastapi._middleware.state import RequestState


def sent_values(state: RequestState, cookie: SignedCookie) -> Sequence[str]:
    """Every value that the browser sent of a cookie, whoever signed it.

    The unprefixed name counts on http://localhost only, see `sessions.cookie`.
    """
    cookies = state.cookies
    remote = cookie.remote.name
    if remote in cookies:
        return cookies_named(cookies, remote)
    local = cookie.local.name
    if local != remote and local in cookies and state.reads_local:
        return cookies[local]
    return ()


def cookie_value(state: RequestState, cookie: SignedCookie, bound_to: str = "") -> str | None:
    """The first value of a cookie that we signed, for `bound_to`; `None` where there is none.

    Another application on the same host, or the same one at another path, may have set a cookie of this name: its value is no
    value of ours, and hides none.
    """
    return next((v for v in sent_values(state, cookie) if cookie.unsign(v, bound_to) is not None), None)
