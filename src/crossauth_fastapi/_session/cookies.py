"""The signed cookies of a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crossauth_backend.core.secrets import digest
from crossauth_backend.sessions.cookie import SignedCookie
from crossauth_fastapi._http.cookies import cookies_named
from crossauth_fastapi._middleware.state import RequestState

_MANY: Final = 10_000


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


class SeenHeaders:
    """Cookie headers that were seen before and hold one value of a cookie, which we signed.

    A browser sends the same header with every request; it need not be taken apart and verified each time. What is kept is a
    digest of the header and where in it the value is, so that nothing that signs anybody in stays in memory.

    Parameters:
        cookie: which cookie.
    """

    def __init__(self, cookie: SignedCookie) -> None:
        self._cookie = cookie
        self._places: dict[bytes, tuple[slice, bool]] = {}

    def value(self, header: bytes, state: RequestState) -> str | None:
        """The value, without its signature; `None` where the header has to be read.

        Parameters:
            header: all that the request says of cookies.
            state: the request.
        """
        found = self._places.get(digest(header))
        if found is None or (found[1] and not state.reads_local):
            return None
        return header[found[0]].decode("latin-1")

    def remember(self, header: bytes, value: str, state: RequestState) -> None:
        """Keep where `value` is in `header`, the only one of its cookie that was sent, and signed."""
        start = header.find(value.encode("latin-1"))
        if len(self._places) >= _MANY:
            # The oldest; whoever sends ever new headers only costs others that theirs are read.
            del self._places[next(iter(self._places))]
        self._places[digest(header)] = slice(start, start + len(value)), self._cookie.remote.name not in state.cookies
