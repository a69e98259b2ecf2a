"""Guards before routes. What a list of paths protects is decided by the routes, never by the text of a request's URL.

An entry such as `/pay`, `POST /pay` or `/transfer/{id}` is resolved to routes once, when the application starts, and the guard is
put around each route's own handler. So every URL that Starlette routes there meets it: with or without the root path, mounted,
percent-encoded. An entry that means no route stops the start.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

from fastapi.routing import APIRoute, iter_route_contexts
from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Host, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError, ErrorCode

Guard = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]
# Set on the state of an application that asks by itself who its users are.
SOURCES_ATTRIBUTE: Final = "crossauth_sources"
_PARAMETER: Final = re.compile(r"\{[^}:]*(:[^}]*)?\}")
_UUID: Final = "00000000-0000-4000-8000-000000000000"
_ENTRY: Final = re.compile(r"(?:([A-Za-z]+)\s+)?(/?[^\s?#]*)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list of protected paths.

    Parameters:
        text: as it was written, for messages.
        path: a path from the root of the application.
        method: the one method that is meant; `None` for all.
    """

    text: str
    path: str
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One route that an entry means.

    Parameters:
        path: its whole path, with parameters.
        route: the route as it was declared.
        served: the route as its application serves it; another object where a router was included.
        methods: the methods that are meant; `None` for all.
        websocket: whether it serves WebSockets.
    """

    path: str
    route: BaseRoute
    served: Any
    methods: frozenset[str] | None = None
    websocket: bool = False

    @property
    def offered(self) -> frozenset[str] | None:
        """The methods that the route serves; `None` for all."""
        found = getattr(self.served, "methods", None)
        return frozenset(found) if found else None


def read_entry(text: str, option: str) -> Entry:
    """Parse an entry: a path, or a method and a path.

    Raises:
        CrossauthError: `Configuration`, naming the option.
    """
    found = _ENTRY.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or not found[2]:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"Option {option!r}: {text!r} must be a path such as '/pay' or '/transfer/{{id}}', with or without a method "
            "before it: 'POST /pay'",
        )
    method = found[1].upper() if found[1] else None
    return Entry(text, "/" + found[2].lstrip("/"), method)


def resolve(routes: Sequence[BaseRoute], entry: Entry, prefix: str, option: str) -> list[Target]:
    """The routes that an entry means.

    A path is absolute; where no route has it, the one behind `prefix` is meant. A concrete path that is served by a route with
    parameters means that whole route: how a handler reads a parameter is not to be guessed from a URL.

    Parameters:
        routes: the application's.
        entry: see `read_entry`.
        prefix: what the paths of this server begin with.
        option: the option that holds the entry, for messages.

    Raises:
        CrossauthError: `Configuration` for an entry that means no route, naming the nearest; or a route of a mounted
            application that has users of its own.
    """
    everything = list(_targets(routes))
    paths = list(dict.fromkeys((entry.path, prefix + entry.path.lstrip("/"))))
    named = [t for t in everything for path in paths if _shape(t.path) == _shape(path) and _offers(t, entry.method)]
    # An earlier route may take what a later one is declared for.
    found = named + [taken for t in named if not t.websocket for taken in _selected(routes, _sample(t), entry, [t])]
    for path in paths:
        found = found or _selected(routes, path, entry, everything)
    if not found:
        raise _no_route(entry, everything, option)
    for target in found:
        _check_mount(target, entry, paths, option)
    methods = None if entry.method is None else _with_head(entry.method)
    return list({id(t.served): replace(t, methods=methods) for t in found}.values())


def resolve_below(routes: Sequence[BaseRoute], path: str) -> tuple[list[Target], list[Target]]:
    """The routes that serve URLs at or below a path: those declared there, and those that serve other URLs besides.

    Of a mounted application whose routes can be seen it is those, and the mount itself of any other.

    Parameters:
        routes: the application's.
        path: without a slash at the end; it may have parameters.

    An application with users of its own that is mounted there counts as one route.
    """
    inside: list[Target] = []
    partly: list[Target] = []
    for target in _targets(routes):
        is_mount = isinstance(target.served, Mount)
        if is_mount and target.served.routes and not _has_own_users(target.served):
            continue
        place = _place(f"{target.path}/{{rest:path}}" if is_mount else target.path, path)
        if place is not None:
            (inside if place else partly).append(target)
    return inside, partly


def serves_partly(declared: str, path: str) -> bool:
    """Whether a route with parameters serves URLs at or below a path, and others besides.

    Parameters:
        declared: the whole path of the route.
        path: without a slash at the end.
    """
    return _place(declared, path) is False


def has_own_users(target: Target) -> bool:
    """Whether it is the mount of an application that asks by itself who its users are."""
    return isinstance(target.served, Mount) and _has_own_users(target.served)


def same_path(target: Target, path: str) -> bool:
    """Whether a route is declared for a path, whatever its parameters are called and whether or not a slash is at the end."""
    return _shape(target.path).rstrip("/") == _shape(path).rstrip("/")


def all_targets(routes: Sequence[BaseRoute]) -> list[Target]:
    """Every route, those of mounted applications too."""
    return list(_targets(routes))


def no_route(routes: Sequence[BaseRoute], entry: Entry, option: str) -> CrossauthError:
    """The error of an entry that means no route, naming the nearest."""
    return _no_route(entry, all_targets(routes), option)


def wrap(target: Target, guard: Guard) -> None:
    """Put `guard` before the handler of a route.

    The route object itself is changed, so that it stays protected when FastAPI builds the routes of an included router anew.
    """
    if isinstance(target.route, Mount):
        # The copy of an included router's mount shares nothing but what it was copied from.
        for mount in {id(m): m for m in (target.route, target.served) if isinstance(m, Mount)}.values():
            mount.app = _guarded(mount.app, guard, target.methods, None)
        return
    pattern = target.served.path_regex
    if isinstance(target.route, Route) and not isinstance(target.route, APIRoute) and target.served is not target.route:
        # Served by a copy that is made of the endpoint; this one, and any that is made later.
        inner = target.route.app
        target.route.endpoint = _guarded(inner, guard, target.methods, pattern)
        target.served.app = target.route.endpoint
        return
    target.route.handle = _guarded(target.route.handle, guard, target.methods, pattern)  # type: ignore[method-assign]


class Protections:
    """What is still to be put before routes, when they are all there: at the start, or else at the first request."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    @property
    def pending(self) -> bool:
        """Whether anything is still to be done."""
        return bool(self._waiting)

    def add(self, install: Callable[[], None]) -> None:
        """Have `install` called once."""
        self._waiting.append(install)

    def install(self) -> None:
        """Do what is waiting; what cannot be done stays, and nothing is served.

        Raises:
            CrossauthError: `Configuration`.
        """
        while self._waiting:
            self._waiting[0]()
            del self._waiting[0]


class _Guarded:
    """An ASGI application with a guard before it. A class, for Starlette takes a function for an endpoint."""

    def __init__(
        self, inner: ASGIApp, guard: Guard, methods: frozenset[str] | None, pattern: re.Pattern[str] | None
    ) -> None:
        self._inner, self._guard, self._methods, self._pattern = inner, guard, methods, pattern

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A mounted application, or an endpoint that is a class, may take `post` for `POST`, which it is not (RFC 9110 §9.1).
        by_method = self._methods is None or scope.get("method", "GET").upper() in self._methods
        # One route can be served under several prefixes; by this pattern Starlette has just found it.
        if by_method and (self._pattern is None or self._pattern.match(get_route_path(scope))):
            await self._guard(self._inner, scope, receive, send)
        else:
            await self._inner(scope, receive, send)


def _guarded(inner: ASGIApp, guard: Guard, methods: frozenset[str] | None, pattern: re.Pattern[str] | None) -> _Guarded:
    return _Guarded(inner, guard, methods, pattern)


def _targets(routes: Sequence[BaseRoute], before: str = "") -> Iterator[Target]:
    """Every route below `routes`, mounted ones too."""
    for context in iter_route_contexts(routes):
        served: Any = context._effective_route
        if isinstance(served, Mount):
            path = before + served.path
            yield Target(path, context.original_route, served)
            if not _has_own_users(served):
                yield from _targets(served.routes, path)
        elif isinstance(served, Host):
            yield from _targets(served.routes, before)
        elif getattr(served, "path_regex", None) is not None:
            websocket = not hasattr(served, "methods")
            yield Target(before + served.path, context.original_route, served, websocket=websocket)


def _select(routes: Sequence[BaseRoute], path: str, method: str, before: str) -> Target | None:
    """The route that Starlette chooses for a request."""
    for context in iter_route_contexts(routes):
        served: Any = context._effective_route
        if isinstance(served, Host):
            found = _select(served.routes, path, method, before)
            if found is not None:
                return found
            continue
        pattern = getattr(served, "path_regex", None)
        match = pattern.match(path) if pattern is not None else None
        if match is None:
            continue
        if isinstance(served, Mount):
            target = Target(before + served.path, context.original_route, served)
            if not served.routes or _has_own_users(served):
                return target
            return _select(served.routes, "/" + match["path"], method, target.path)
        if hasattr(served, "methods") and (not served.methods or method in served.methods):
            return Target(before + served.path, context.original_route, served)
    return None


def _selected(routes: Sequence[BaseRoute], path: str, entry: Entry, among: list[Target]) -> list[Target]:
    """The routes that a concrete path reaches, by the methods of the entry or of `among`."""
    methods = [entry.method] if entry.method else _methods(among)
    selected = (_select(routes, path, method, "") for method in methods)
    return [target for target in selected if target is not None]


def _sample(target: Target) -> str:
    """A path that the route is declared for."""
    return _PARAMETER.sub(lambda found: _UUID if found[1] == ":uuid" else "1", target.path)


def _check_mount(target: Target, entry: Entry, paths: list[str], option: str) -> None:
    if not isinstance(target.served, Mount):
        return
    start = f"Option {option!r}: {entry.text!r} lies in the application that is mounted at {target.path!r}"
    if _has_own_users(target.served):
        raise CrossauthError(ErrorCode.Configuration, f"{start}, which has users of its own; protect it there")
    if all(_shape(path) != _shape(target.path or "/") for path in paths):
        raise CrossauthError(
            ErrorCode.Configuration, f"{start}, whose routes cannot be seen; {target.path!r} would protect all of it"
        )


def _has_own_users(mount: Mount) -> bool:
    servers = getattr(getattr(mount._base_app, "state", None), SOURCES_ATTRIBUTE, None)
    return bool(getattr(servers, "sources", None))


def _place(declared: str, path: str) -> bool | None:
    """Whether a route serves only URLs at or below a path, or others besides; `None` where it serves none there."""
    only, parts = True, declared.split("/")
    for place, requested in enumerate(path.split("/")):
        if place >= len(parts):
            return None
        part = parts[place]
        if _PARAMETER.search(requested) or part == requested:
            continue
        if ":path}" in part:
            return False
        pattern = ".+".join(re.escape(text) for text in _PARAMETER.sub("\0", part).split("\0"))
        if part == _PARAMETER.sub("", part) or not re.fullmatch(pattern, requested):
            return None
        only = False
    return only


def _shape(path: str) -> str:
    """A path whatever its parameters are called."""
    return _PARAMETER.sub("{}", path)


def _offers(target: Target, method: str | None) -> bool:
    if target.websocket:
        # Its handshake is a GET (RFC 6455 §4.1); an entry for another method would never count.
        return method in (None, "GET")
    return method is None or target.offered is None or method in target.offered


def _with_head(method: str) -> frozenset[str]:
    return frozenset((method, "HEAD") if method == "GET" else (method,))


def _methods(targets: list[Target]) -> list[str]:
    return sorted({method for target in targets for method in target.offered or ("GET", "POST")})


def _no_route(entry: Entry, targets: list[Target], option: str) -> CrossauthError:
    known = {
        path: target
        for target in targets
        for path in (target.path, *(f"{m} {target.path}" for m in target.offered or ()))
    }
    near = [name for name, t in known.items() if " " in name and _shape(t.path) == _shape(entry.path)]
    near = near or get_close_matches(
        f"{entry.method} {entry.path}" if entry.method else entry.path, known, n=1, cutoff=0.4
    )
    advice = f"; the nearest is {near[0]!r}" if near else ""
    return CrossauthError(
        ErrorCode.Configuration, f"Option {option!r}: {entry.text!r} is the path of no route of the application{advice}"
    )
