"""What a request knows about who is asking: the dictionary behind `request.state`.

Who is asking is `None` until a source says otherwise, and belongs to this application alone: nothing of it is taken from an
application around this one, nor given to one of ours. Everything else in `request.state` is shared with whatever is around:
what a middleware put there is seen here, and what a route puts there is seen by the middleware.

Cookies to set or delete are queued here and written once, when the response starts. Some values are made only when something
reads them: a page that shows no form needs no CSRF token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from starlette.requests import HTTPConnection

from crossauth_backend.accounts.authentication import Authentication
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import CookieOptions
from crossauth_backend.users.record import User
from crossauth_fastapi._http.cookies import (
    FastApiCookieOptions,
    cookie_header,
    cookie_headers,
    cookies_named,
    parse_cookies,
    toFastApiCookieOptions,
)
from crossauth_fastapi._http.localhost import is_local
from crossauth_fastapi._middleware.identity import ClaimedUser, Identity, choose_principal
from crossauth_fastapi._middleware.site import NO_SITE, Site

IDENTITY: Final = frozenset(
    (
        "user", "auth_type", "session_id", "scope", "apiKey", "csrf_token", "session_key", "access_token_payload",
        "id_token_payload", "id_payload", "auth_error", "auth_error_description",
    )
)  # fmt: skip
# RFC 9110 §9.2.1.
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS", "TRACE")
_OURS: Final = IDENTITY | {"set_cookies", "delete_cookies"}
_NOTHING: Final = object()
_NOBODY: Final[Mapping[str, Identity]] = MappingProxyType({})
# What middlewares around ours can read of an anonymous request.
_NOBODY_ASKED: Final = {"user": None, "auth_type": None}


class RequestState(dict[str, Any]):
    """`request.state` for one request.

    Parameters:
        scope: the ASGI scope, of which headers, method and scheme are kept.
        site: the application.
    """

    # What every request has. Everything else has its default on the class: an anonymous request pays for none of it.
    __slots__ = ("__dict__", "_connection", "_outer", "headers", "method", "site")

    root_path: str = ""
    """Where the application is mounted, or what a proxy has taken away before its paths."""
    personal: bool = False
    """Whether something asked who is asking, so that the answer may depend on the cookie."""
    refusal: Exception | None = None
    """Why the request cannot be served: a storage could not say who is asking. Answered by the application's router."""
    factories: dict[str, Callable[[], Any]] | None = None
    _cookies: dict[str, list[str]] | None = None
    identities: Mapping[str, Identity] = _NOBODY
    """What each credential of the request says, by the name of its source."""
    principal: Identity | None = None
    """Who the request is made in the name of; see `choose_principal`."""
    _identity: dict[str, Any] | None = None
    nested: bool = False
    """Whether an application of ours is around this one."""
    administrator: bool | None = None
    factor2_given: bool = False
    csrf_checked: bool = False
    """Whether sessions of another framework, which checks CSRF in its own way, have said that no other site sent the request."""
    auth: Authentication | None = None
    """How the user has logged in, where this request itself has made that newer than its session says."""
    extra_columns: dict[str, Any] | None = None
    has_token: bool = False
    """Whether there was a CSRF token to say."""
    sets_cookies: bool = False
    """Whether cookies were queued, to set or to delete."""
    _local: bool | None = None
    _deletions: dict[str, FastApiCookieOptions] | None = None
    socket: Any = None
    """The `WatchedSocket` of a WebSocket."""

    def __init__(self, scope: Any, site: Site = NO_SITE) -> None:
        get = scope.get
        self.site: Site = site
        # Not the scope itself: a circle of scope and state would be left to the garbage collector on every request.
        self.headers = scope["headers"]
        self.method: str = get("method", "GET")
        self._connection = get("scheme"), get("http_version", ""), get("client")
        outer: dict[str, Any] | None = get("state")
        self._outer = outer
        root_path = get("root_path")
        if root_path:
            self.root_path = root_path.rstrip("/")
        # One of ours can know who is asking and still be an empty dictionary.
        if outer or isinstance(outer, RequestState):
            self._share(outer)
        elif outer is not None:
            outer.update(_NOBODY_ASKED)

    def _share(self, outer: dict[str, Any]) -> None:
        """Take over what middlewares around us put there, and let them see what is put here."""
        super().update((name, value) for name, value in outer.items() if name not in _OURS)
        if isinstance(outer, RequestState):
            self.nested = True
        else:
            outer.update({**_NOBODY_ASKED, **outer})

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Copied or pickled, it is a plain dictionary of what was put there: what it knows of the request stays with that."""
        return dict, (dict(self),)

    def add_identity(self, name: str, identity: Identity) -> None:
        """Say what the credential of a source says from now on, and choose anew who the request is made in the name of."""
        if not self.identities and identity.error is None:
            # Nearly every request: one credential, which is good.
            self.identities, self.principal = {name: identity}, identity
            values = {**identity.fields, "user": identity.user, "auth_type": identity.auth_type}
            if identity.scopes is not None:
                values["scope"] = list(identity.scopes) or None
            self._say(values)
            return
        self.identities = {**self.identities, name: identity}
        self._become(choose_principal(self.identities) or identity, identity.fields)

    def drop_identity(self, name: str) -> None:
        """Let a credential say nothing any more."""
        dropped = self.identities.get(name)
        if dropped is None:
            return
        self.identities = {other: identity for other, identity in self.identities.items() if other != name}
        for field in dropped.fields:
            self.pop(field, None)
        principal = choose_principal(self.identities)
        self.administrator = None
        if principal is not None:
            self._become(principal, {})
            return
        self.principal = None
        for field in ("user", "auth_type", "scope", "auth_error", "auth_error_description"):
            self.pop(field, None)

    def _become(self, principal: Identity, fields: Mapping[str, Any]) -> None:
        values = {**fields, "user": principal.user, "auth_type": principal.auth_type}
        if principal.scopes is not None or self.principal is not None:
            values["scope"] = list(principal.scopes or ()) or None
        if principal is not self.principal:
            self.principal, self.administrator = principal, None
        values |= principal.error_fields()
        self._say(values)

    def _say(self, values: dict[str, Any]) -> None:
        """Say who is asking: values for some of the names in `IDENTITY`."""
        self._identity = values if self._identity is None else {**self._identity, **values}
        if self:
            for name in values:
                super().pop(name, None)
        if self._outer is not None and not self.nested:
            self._outer.update(values)

    def peek(self, name: str) -> Any:
        """A value of `IDENTITY` as it is known now. Nothing is made, and the answer does not count as depending on it."""
        if self._identity is not None and name in self._identity:
            return self._identity[name]
        return super().get(name)

    def __missing__(self, name: str) -> Any:
        if name in IDENTITY:
            self.personal = True
            if self._identity is not None and name in self._identity:
                return self._identity[name]
            if self.factories is not None and name in self.factories:
                value = self._make(self.factories.pop(name))
                self.has_token = self.has_token or name == "csrf_token"
                self._show(name, value)
            elif name == "csrf_token" and self.site.csrf_token is not None:
                value = self.site.csrf_token(self)
                self.has_token = True
                # Making it may have stored it.
                (self._identity or {}).pop(name, None)
                self._show(name, value)
            else:
                return None
        elif name == "set_cookies":
            value, self.sets_cookies = {}, True
        elif name == "delete_cookies":
            value, self.sets_cookies = set(), True
        else:
            raise KeyError(name)
        super().__setitem__(name, value)
        return value

    def _make(self, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except Exception:
            # Half an answer could pass for another one (a user without the CSRF check): the request is anonymous from now on.
            for name in IDENTITY:
                self.pop(name, None)
            self._say({"user": None, "auth_type": None})
            raise

    def _show(self, name: str, value: Any) -> None:
        if self._outer is not None and not (self.nested and name in _OURS):
            self._outer[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        self.has_token = self.has_token or name == "csrf_token"
        if name in IDENTITY and not super().__contains__(name):
            # Kept apart until it is read: setting it says nothing about what the answer depends on.
            self._identity = self._identity or {}
            self._identity[name] = value
        else:
            super().__setitem__(name, value)
        self._show(name, value)

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __contains__(self, name: object) -> bool:
        return (
            super().__contains__(name)
            or (self._identity is not None and name in self._identity)
            or (self.factories is not None and name in self.factories)
        )

    def get(self, name: str, default: Any = None) -> Any:
        """As of any dictionary; a name that is not there is not made, unless it says who is asking."""
        if name not in self:
            return default
        return self[name]

    def pop(self, name: str, *default: Any) -> Any:
        """As of any dictionary."""
        if self._outer is not None and not (self.nested and name in _OURS):
            self._outer.pop(name, None)
        if self.factories is not None:
            self.factories.pop(name, None)
        found = _NOTHING if self._identity is None else self._identity.pop(name, _NOTHING)
        return super().pop(name, *default) if found is _NOTHING else found

    def update(self, *given: Any, **named: Any) -> None:
        """As of any dictionary."""
        for name, value in dict(*given, **named).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As of any dictionary."""
        if name not in self:
            self[name] = default
        return self[name]

    def set_lazy(self, name: str, make: Callable[[], Any]) -> None:
        """Let `make` give the value of `name` when it is first read."""
        if self.factories is None:
            self.factories = {}
        self.factories[name] = make

    def url(self, path: str) -> str:
        """The URL of `path` on this site, which may be mounted or behind a prefix: root path and path.

        Parameters:
            path: a path of this application, from its own root; the option `prefix` is part of it.
        """
        return self.root_path + path

    def link(self, target: str) -> str:
        """`target`, which the application configured, as a browser has to write it.

        Parameters:
            target: a path from the application's own root, which gets the root path unless it begins with it; or a URL, which
                stays as it is.
        """
        if not target.startswith("/") or target.startswith("//") or _is_under(target, self.root_path):
            return target
        return self.root_path + target

    @property
    def local(self) -> bool:
        """Whether the request is for http://localhost, by configuration or else as `is_local` judges the request.

        A forged header gains nothing: it only changes how the forger's own cookies look.
        """
        if self._local is None:
            known = self.site.local
            self._local = is_local(*self._connection, self.headers) if known is None else known
        return self._local

    @property
    def reads_local(self) -> bool:
        """Whether cookies of http://localhost count in this request. Those that are set go by `local`, which is stricter."""
        return self.local or (self.site.local is None and is_local(*self._connection, self.headers, any_origin=True))

    @property
    def scheme(self) -> str | None:
        """The scheme of the request, as the server or a named proxy says it."""
        scheme: str | None = self._connection[0]
        return scheme

    @property
    def cookies(self) -> dict[str, list[str]]:
        """The request's cookies: every value of a name, in the order in which they came."""
        if self._cookies is None:
            self._cookies = parse_cookies(cookie_header(self.headers).decode("latin-1"))
        return self._cookies

    def sent_values(self, cookie: SignedCookie) -> Sequence[str]:
        """Every value that the browser sent of a cookie, whoever signed it.

        The unprefixed name counts on http://localhost only, see `sessions.cookie`.
        """
        cookies = self.cookies
        remote = cookie.remote.name
        if remote in cookies:
            return cookies_named(cookies, remote)
        local = cookie.local.name
        if local != remote and local in cookies and self.reads_local:
            return cookies[local]
        return ()

    def signed_value(self, cookie: SignedCookie, bound_to: str = "") -> str | None:
        """The first value of a cookie that we signed, for `bound_to`; `None` where there is none.

        Another application on the same host, or the same one at another path, may have set a cookie of this name: its value is no
        value of ours, and hides none.
        """
        return next((v for v in self.sent_values(cookie) if cookie.unsign(v, bound_to) is not None), None)

    def header(self, name: bytes) -> str:
        """The first header of this name (in lower case), or an empty text."""
        for known, value in self.headers:
            if known == name:
                return str(value, "latin-1")
        return ""

    def queue(self, cookie: Cookie) -> None:
        """Set a cookie with the response."""
        self.sets_cookies = True
        self["set_cookies"][cookie.name] = (cookie.value, toFastApiCookieOptions(cookie.options))
        self["delete_cookies"].discard(cookie.name)

    def queue_deletion(self, name: str, options: CookieOptions) -> None:
        """Delete a cookie with the response; `options` are those it was set with."""
        self.sets_cookies = True
        self["delete_cookies"].add(name)
        self["set_cookies"].pop(name, None)
        if self._deletions is None:
            self._deletions = {}
        self._deletions[name] = toFastApiCookieOptions(options)

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """What the response must carry: queued cookies and the CSRF token, where one was made."""
        headers: list[tuple[bytes, bytes]] = []
        token = self.peek("csrf_token")
        if token and self.site.csrf_header is not None:
            headers.append((self.site.csrf_header, token.encode("latin-1")))
        if self.sets_cookies:
            known = self._deletions or {}
            gone = [(name, known.get(name, {"path": "/"})) for name in sorted(self["delete_cookies"])]
            headers += cookie_headers(self["set_cookies"], gone)
        return headers


def _is_under(path: str, root_path: str) -> bool:
    return path == root_path or path.startswith(root_path + "/")


async def is_administrator(state: RequestState, user: User) -> bool:
    """See `Site.is_admin`. It judges accounts of this application, of which the issuer of a token must not choose one by name."""
    return not isinstance(user, ClaimedUser) and await state.site.is_admin(user)


def state_of(connection: HTTPConnection) -> RequestState:
    """The state behind `request.state`.

    Raises:
        CrossauthError: `Configuration` where the request did not come through our middleware.
    """
    state = connection.scope.get("state")
    if not isinstance(state, RequestState):
        raise CrossauthError(
            ErrorCode.Configuration,
            detail="this application has no server of crossauth_fastapi, so nobody can be known: create a FastApiServer with it "
            "as option 'app' before it starts",
        )
    return state
