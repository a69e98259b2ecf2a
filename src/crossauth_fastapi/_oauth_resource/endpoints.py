"""Which routes need which access token: the option `protected_endpoints`, parsed, and resolved to routes when they are all there.

A route has one rule for a method: an entry for its own path goes before one with `suburls`, the longest of these before the
others, and an entry with a method before one without. `/a` does not mean `/ab`; a slash at the end makes no other
path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

from starlette.routing import BaseRoute

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.oauth.wire.resource_metadata import check_scopes
from crossauth_fastapi._middleware.protection import (
    Entry,
    Target,
    all_targets,
    has_own_users,
    no_route,
    read_entry,
    resolve,
    resolve_below,
    same_path,
)
from crossauth_fastapi._oauth_resource.options import ProtectedEndpoint, wrong

OPTION: Final = "protected_endpoints"
_KEYS: Final[Mapping[str, type]] = {
    "scope": list, "accept_session_authorization": bool, "suburls": bool, "public": bool,
}  # fmt: skip
# How well an entry fits a route: whether it is of the route's own path, how long it is, whether it names a method.
_Fit = tuple[bool, int, bool]


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """One entry of `protected_endpoints`.

    Parameters:
        entry: path and method.
        scopes: all that are needed.
        sessions: whether a user who is logged in needs no token.
        suburls: whether the routes below need the same.
        public: whether nothing is needed.
    """

    entry: Entry
    scopes: tuple[str, ...] = ()
    sessions: bool = False
    suburls: bool = False
    public: bool = False

    @property
    def path(self) -> str:
        """The path, without a slash at the end."""
        return self.entry.path.rstrip("/")


@dataclass(frozen=True, slots=True)
class RouteRules:
    """The rules of one route, those that count first in front.

    Parameters:
        target: the route.
        rules: each with its methods; `None` for all.
    """

    target: Target
    rules: tuple[tuple[frozenset[str] | None, EndpointRule], ...]

    def rule_for(self, method: str) -> EndpointRule | None:
        """The rule of a method; `None` where none is meant.

        A mounted application, or an endpoint that is a class, may take `post` for `POST`, which it is not (RFC 9110 §9.1).
        """
        for methods, rule in self.rules:
            if methods is None or method.upper() in methods:
                return rule
        return None


def read_rules(given: Mapping[str, ProtectedEndpoint | Mapping[str, Any]]) -> tuple[EndpointRule, ...]:
    """The parsed option.

    Raises:
        CrossauthError: `Configuration`, naming the entry, what is wrong with it and what would be right.
    """
    return tuple(_read(text, endpoint) for text, endpoint in given.items())


def _read(text: str, endpoint: Mapping[str, Any]) -> EndpointRule:
    entry = read_entry(text, OPTION)
    start = f"option {OPTION!r}: {text!r}"
    if not text.strip().partition(" ")[2].strip().startswith("/") and not text.strip().startswith("/"):
        raise wrong(f"{start} must begin with a slash, or with a method and then a slash")
    if not isinstance(endpoint, Mapping):
        raise wrong(f"{start} must map to {{'scope': […], 'suburls': …}}, or to {{}} where any access token will do")
    for name, value in endpoint.items():
        if name not in _KEYS:
            raise wrong(f"{start}: {name!r} is unknown; there are {', '.join(map(repr, _KEYS))}")
        if not isinstance(value, _KEYS[name]):
            raise wrong(f"{start}: {name!r} must be a {_KEYS[name].__name__}")
    scopes = endpoint.get("scope", [])
    try:
        check_scopes(scopes)
    except ValueError as e:
        raise wrong(f"{start}: {e}") from None
    if endpoint.get("public") and (scopes or endpoint.get("accept_session_authorization")):
        raise wrong(f"{start}: 'public' needs nothing, so 'scope' and 'accept_session_authorization' have no effect")
    return EndpointRule(
        entry, tuple(dict.fromkeys(scopes)), sessions=bool(endpoint.get("accept_session_authorization")),
        suburls=bool(endpoint.get("suburls")), public=bool(endpoint.get("public")),
    )  # fmt: skip


def route_rules(
    routes: Sequence[BaseRoute], rules: Sequence[EndpointRule], own: Sequence[BaseRoute]
) -> list[RouteRules]:
    """Every route that a rule means, with its rules.

    Parameters:
        routes: the application's.
        rules: of the resource server.
        own: its own routes, which anybody may read.

    Raises:
        CrossauthError: `Configuration` for a rule that means no route; for two that are equally good for one; and for a route
            that serves URLs below a path with `suburls` and others besides, unless an entry of its own says what it needs.
    """
    found = _Found(routes, own)
    for rule in rules:
        found.add_exact(rule)
    for rule in rules:
        if rule.suburls:
            found.add_below(rule)
    return found.sorted()


class _Found:
    """The routes that rules mean, so far."""

    def __init__(self, routes: Sequence[BaseRoute], own: Sequence[BaseRoute]) -> None:
        self._routes, self._own = routes, own
        self._targets: dict[int, Target] = {}
        self._rules: dict[int, list[tuple[_Fit, frozenset[str] | None, EndpointRule]]] = {}
        self._exact: set[tuple[int, str | None]] = set()
        self._paths: dict[int, set[str]] = {}

    def add_exact(self, rule: EndpointRule) -> None:
        """Add the routes of the rule's own path."""
        for target in self._at(rule):
            self._exact.add((id(target.served), rule.entry.method))
            self._add(target, rule, True)

    def add_below(self, rule: EndpointRule) -> None:
        """Add the routes below it."""
        inside, partly = resolve_below(self._routes, rule.path)
        inside, partly = ([t for t in part if not self._is_own(t)] for part in (inside, partly))
        if not inside and not self._at(rule):
            raise no_route(self._routes, rule.entry, OPTION)
        for target in [*partly, *(t for t in inside if has_own_users(t))]:
            if not self._is_said(target, rule):
                raise _unclear(target, rule)
        for target in inside:
            self._add(target, rule, False)

    def sorted(self) -> list[RouteRules]:
        """The routes, each with its rules in the order in which they count."""
        made = []
        for key, target in self._targets.items():
            rules = sorted(self._rules[key], key=lambda found: found[0], reverse=True)
            _refuse_equal(target, rules)
            if len(rules) > 1 and len(self._paths[key]) > 1:
                raise _mounted_twice(target, rules[0][2], self._paths[key])
            made.append(RouteRules(target, tuple((methods, rule) for _, methods, rule in rules)))
        return made

    def _at(self, rule: EndpointRule) -> list[Target]:
        everything = [t for t in all_targets(self._routes) if not self._is_own(t)]
        declared = [t for t in everything if same_path(t, rule.entry.path)]
        if rule.public and declared:
            method = rule.entry.method
            return [t for t in declared if method is None or t.offered is None or method in t.offered]
        declared = [t for t in declared if not (rule.suburls and has_own_users(t))]
        if rule.suburls and not declared:
            # What is below it is meant alone.
            return []
        # A route is found by its own spelling; where none is declared so, it is the one that serves the path.
        paths = dict.fromkeys(target.path or "/" for target in declared) or {rule.entry.path: None}
        return [t for path in paths for t in self._resolved(rule, path)]

    def _resolved(self, rule: EndpointRule, path: str) -> Iterator[Target]:
        entry = Entry(rule.entry.text, path, rule.entry.method)
        return (t for t in resolve(self._routes, entry, "/", OPTION) if not self._is_own(t))

    def _add(self, target: Target, rule: EndpointRule, exact: bool) -> None:
        key, method = id(target.served), rule.entry.method
        methods = None if method is None else frozenset((method, "HEAD") if method == "GET" else (method,))
        # The guard stands before all methods of the route: other entries may mean others.
        self._targets.setdefault(key, replace(target, methods=None))
        self._paths.setdefault(key, set()).add(target.path)
        known = self._rules.setdefault(key, [])
        if all(other is not rule for _, _, other in known):
            known.append(((exact, rule.path.count("/"), method is not None), methods, rule))

    def _is_own(self, target: Target) -> bool:
        return any(target.route is route for route in self._own)

    def _is_said(self, target: Target, rule: EndpointRule) -> bool:
        """Whether an entry of its own says what a route needs."""
        key = id(target.served)
        return (key, None) in self._exact or (rule.entry.method is not None and (key, rule.entry.method) in self._exact)


def _unclear(target: Target, rule: EndpointRule) -> CrossauthError:
    why = "has users of its own; protect it there" if has_own_users(target) else "serves other URLs besides"
    return wrong(
        f"option {OPTION!r}: {rule.entry.text!r} with 'suburls' reaches {target.path or '/'!r}, which {why}. "
        f"Say what it needs in an entry of its own: {target.path or '/'!r}: {{'public': True}}, or {{'scope': […]}}"
    )


def _mounted_twice(target: Target, rule: EndpointRule, paths: set[str]) -> CrossauthError:
    """One route has one order of rules: that of one path must not open the other one."""
    return wrong(
        f"option {OPTION!r}: {rule.entry.text!r} means a route that is served at {' and '.join(map(repr, sorted(paths)))} alike, "
        "and there are other entries for it. Leave one entry for it, or mount an application of its own at each path"
    )


def _refuse_equal(target: Target, rules: list[tuple[_Fit, frozenset[str] | None, EndpointRule]]) -> None:
    for (fit, methods, rule), (other_fit, other_methods, other) in combinations(rules, 2):
        if fit == other_fit and (methods is None or other_methods is None or methods & other_methods):
            raise wrong(
                f"option {OPTION!r}: {rule.entry.text!r} and {other.entry.text!r} mean the same route {target.path!r}; "
                "leave one of them out"
            )
