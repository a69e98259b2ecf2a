"""What a request knows about who is asking: the dictionary behind `request.state`.

Everything in it is `None` until a source says otherwise. Cookies to set or delete are queued here and written once, when the
response starts. Some values are made only when something reads them: a page that shows no form needs no CSRF token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import decide
from crossauth_backend.sessions.cookie import Cookie, CookieOptions
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._http.cookies import (
    FastApiCookieOptions,
    cookie_headers,
    parse_cookies,
    toFastApiCookieOptions,
)

_ABSENT: Final = frozenset(
    (
        "user", "auth_type", "session_id", "scope", "csrf_token", "session_key", "access_token_payload",
        "id_token_payload", "id_payload", "auth_error", "auth_error_description",
    )
)  # fmt: skip
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Site:
    """What the answers of this application have in common.

    Parameters:
        csrf_header: header that says the CSRF token, in lower case.
        login_url: where browsers log in.
        is_admin: the option `is_admin_fn`; asked through `is_administrator`.
        csrf_token: makes the token of a request that nobody has asked for one yet.
    """

    csrf_header: bytes | None = None
    login_url: str | None = None
    is_admin: Callable[[User], bool | Awaitable[bool]] = default_is_admin_fn
    csrf_token: Callable[[RequestState], str | None] | None = None


NO_SITE: Final = Site()


class RequestState(dict[str, Any]):
    """`request.state` for one request.

    Parameters:
        scope: the ASGI scope, of which headers, method and scheme are kept.
        site_is_local: whether the site is on http://localhost, where the configuration says so.
    """

    # Defaults on the class, not set by the constructor: a request that nobody asks about pays for none of them.
    site: Site = NO_SITE
    makers: dict[str, Callable[[], Any]] | None = None
    administrator: bool | None = None
    factor2_given: bool = False
    auth: dict[str, Any] | None = None
    extra_columns: dict[str, Any] | None = None
    _cookies: dict[str, str] | None = None
    _deletions: dict[str, FastApiCookieOptions] | None = None

    def __init__(self, scope: Any, site_is_local: bool | None = None) -> None:
        inherited = scope.get("state")
        if inherited:
            super().__init__(inherited)
        # Not the scope itself: a circle of scope and state would be left to the garbage collector on every request.
        self.headers_ = scope["headers"]
        self.method_ = scope.get("method", "GET")
        self._scheme = scope.get("scheme")
        self.root_path: str = scope.get("root_path", "").rstrip("/")
        self._local = site_is_local

    def __missing__(self, name: str) -> Any:
        if self.makers is not None and name in self.makers:
            value = self.makers.pop(name)()
        elif name == "csrf_token" and self.site.csrf_token is not None:
            value = self.site.csrf_token(self)
        elif name in _ABSENT:
            return None
        elif name == "set_cookies":
            value = {}
        elif name == "delete_cookies":
            value = set()
        else:
            raise KeyError(name)
        self[name] = value
        return value

    def later(self, name: str, make: Callable[[], Any]) -> None:
        """Let `make` give the value of `name` when it is first read."""
        if self.makers is None:
            self.makers = {}
        self.makers[name] = make

    def url(self, path: str) -> str:
        """The URL of `path` on this site, which may be mounted or behind a prefix: root path and path.

        Parameters:
            path: a path of this application, from its own root; the option `prefix` is part of it.
        """
        return self.root_path + path

    @property
    def local(self) -> bool:
        """Whether the request is for http://localhost, by configuration or else by its Host header.

        A forged header gains nothing: it only changes how the forger's own cookies look.
        """
        if self._local is None:
            host = self.header(b"host").rpartition(":")
            name = host[0] if host[0] and host[2].isdigit() else self.header(b"host")
            self._local = self._scheme in ("http", "ws") and (name in _LOCAL_HOSTS or name.endswith(".localhost"))
        return self._local

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies."""
        if self._cookies is None:
            raw = "; ".join(v.decode("latin-1") for n, v in self.headers_ if n == b"cookie")
            self._cookies = parse_cookies(raw)
        return self._cookies

    def header(self, name: bytes) -> str:
        """The first header of this name (in lower case), or an empty text."""
        return next((v.decode("latin-1") for n, v in self.headers_ if n == name), "")

    def queue(self, cookie: Cookie) -> None:
        """Set a cookie with the response."""
        self["set_cookies"][cookie.name] = (cookie.value, toFastApiCookieOptions(cookie.options))
        self["delete_cookies"].discard(cookie.name)

    def queue_deletion(self, name: str, options: CookieOptions) -> None:
        """Delete a cookie with the response; `options` are those it was set with."""
        self["delete_cookies"].add(name)
        self["set_cookies"].pop(name, None)
        if self._deletions is None:
            self._deletions = {}
        self._deletions[name] = toFastApiCookieOptions(options)

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """What the response must carry: queued cookies and the CSRF token, where one was made."""
        headers: list[tuple[bytes, bytes]] = []
        token = self.get("csrf_token")
        if token and self.site.csrf_header is not None:
            headers.append((self.site.csrf_header, token.encode("latin-1")))
        if "set_cookies" in self or "delete_cookies" in self:
            known = self._deletions or {}
            gone = [(name, known.get(name, {"path": "/"})) for name in sorted(self["delete_cookies"])]
            headers += cookie_headers(self["set_cookies"], gone)
        return headers


async def is_administrator(state: RequestState, user: User) -> bool:
    """Whether `user` is an administrator, as the option `is_admin_fn` says, plain or `async`.

    Raises:
        CrossauthError: `Configuration` where it says neither `True` nor `False`.
        Exception: whatever it raises; nobody is an administrator then.
    """
    return await decide("is_admin_fn", state.site.is_admin, user)


def state_of(request: Request) -> RequestState:
    """The state behind `request.state`.

    Raises:
        CrossauthError: `Configuration` where the request did not come through our middleware.
    """
    state = request.scope.get("state")
    if not isinstance(state, RequestState):
        raise CrossauthError(ErrorCode.Configuration, detail="the request did not pass the authentication middleware")
    return state
