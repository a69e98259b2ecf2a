"""The resources of an application: their metadata, and which of them a route belongs to (RFC 9728)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from crossauth_backend.oauth.wire.errors import InvalidToken
from crossauth_backend.oauth.wire.resource_metadata import (
    RESOURCE_PATH,
    check_resource,
    check_scopes,
    metadata_document,
    metadata_url,
    resource_path,
)
from crossauth_fastapi._http.router import ExactRouter, include, route_path
from crossauth_fastapi._middleware.protection import serves_partly
from crossauth_fastapi._oauth_resource.endpoints import EndpointRule
from crossauth_fastapi._oauth_resource.options import wrong

_TEXTS: Final = ("resource_name", "resource_documentation", "resource_policy_uri", "resource_tos_uri")
_KEYS: Final = ("resource", "path", "audience", "scopes_supported", *_TEXTS)
# Anybody may read it, pages of any site too (RFC 9728 §3.1), and keep it for an hour.
_HEADERS: Final = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}
# Scripts of some clients send headers of their own with it, and ask first whether they may (Fetch §3.2.2).
_PREFLIGHT: Final = {
    **_HEADERS, "Access-Control-Allow-Methods": "GET, HEAD", "Access-Control-Allow-Headers": "*",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource.

    Parameters:
        name: its identifier.
        path: below which its routes are, in this application; without a slash at the end.
        audiences: of which a token must have one in `aud`; empty where any token that is accepted at all will do.
        document: its metadata.
    """

    name: str
    path: str
    audiences: tuple[str, ...]
    document: Mapping[str, Any]

    def check_audience(self, claims: Mapping[str, Any]) -> None:
        """Refuse a token for another resource of this application (RFC 9068 §4, RFC 8707 §3).

        Raises:
            InvalidToken: it is.
        """
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if self.audiences and not any(name in self.audiences for name in named):
            raise InvalidToken(detail=f"aud: not for {self.name}")

    @property
    def is_at_root(self) -> bool:
        """Whether clients see the paths of the application as it does itself: it is not mounted, nor behind a prefix."""
        return self.path == _path_of(self.name)

    def metadata_url(self, root_path: str) -> str:
        """Where the metadata is, as clients see it.

        Parameters:
            root_path: where the application is mounted, or what a proxy takes away before its paths; empty at the root of
                the host.
        """
        if not root_path:
            return metadata_url(self.name)
        scheme, host, *_ = urlsplit(self.name)
        # Both are paths as an application sees them, decoded; below a mount with a parameter the client has chosen one.
        return f"{scheme}://{host}{_encoded(root_path)}{RESOURCE_PATH}{_encoded(self.path)}"


class Resources:
    """The resources of one application, and what serves their metadata.

    Parameters:
        resources: all of them.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._longest_first = sorted(resources, key=lambda resource: len(resource.path), reverse=True)
        self.router = ExactRouter()
        self._at_root = False
        for resource in self._longest_first:
            for path in dict.fromkeys((resource.path, _path_of(resource.name))):
                _add_document(self.router, path, resource)

    def __bool__(self) -> bool:
        return bool(self._longest_first)

    def place_of(self, declared: str) -> Place:
        """Which resource a route belongs to; for one with parameters that serves URLs of several, it is said by each request.

        Parameters:
            declared: its path.
        """
        is_split = any(serves_partly(declared, resource.path) for resource in self._longest_first)
        return Place(self.of(declared), self if is_split else None)

    def of(self, path: str) -> Resource | None:
        """The resource that a path of this application belongs to."""
        for resource in self._longest_first:
            if path == resource.path or path.startswith(resource.path + "/"):
                return resource
        return None

    @property
    def only(self) -> Resource | None:
        """The one resource, or the one that is the whole application."""
        return self._longest_first[0] if len(self._longest_first) == 1 else self.of("/")

    def url_of(self, resource: Resource | None, root_path: str) -> str | None:
        """The URL of a resource's metadata."""
        return None if resource is None else resource.metadata_url("" if self._at_root else root_path)

    def serve_on(self, outer: FastAPI) -> None:
        """Serve the metadata at the root of the application that this one is mounted on, and say so from now on."""
        router = ExactRouter()
        for resource in self._longest_first:
            _add_document(router, _path_of(resource.name), resource)
        include(outer, router)
        self._at_root = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where a route lies among the resources.

    Parameters:
        fixed: the resource that it belongs to.
        among: all resources, where the route serves URLs of several.
    """

    fixed: Resource | None
    among: Resources | None = None

    @property
    def has_audience(self) -> bool:
        """Whether any token that is accepted at all may be for another resource."""
        return self.among is not None or (self.fixed is not None and bool(self.fixed.audiences))

    def resource(self, scope: Scope, root_path: str) -> Resource | None:
        """The resource that a request is for.

        Parameters:
            scope: of the request.
            root_path: of the application.
        """
        if self.among is None:
            return self.fixed
        # What mounts have taken from the path since is in the root path of the scope.
        return self.among.of(route_path({"path": scope["path"], "root_path": root_path}) or "/")


def _path_of(name: str) -> str:
    """The path of a resource as an application sees it."""
    return unquote(resource_path(name))


def _encoded(path: str) -> str:
    return quote(path, safe="/:@!$&'()*+,;=-._~", errors="replace")


def _add_document(router: ExactRouter, path: str, resource: Resource) -> None:
    async def document(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        return JSONResponse(dict(resource.document), headers=_HEADERS)

    router.add_api_route(
        f"{RESOURCE_PATH}{path}", document, methods=["GET", "HEAD", "OPTIONS"], include_in_schema=False
    )


def read_resources(
    given: Sequence[Mapping[str, Any]], rules: Sequence[EndpointRule], issuers: Sequence[str], audiences: Sequence[str]
) -> list[Resource]:
    """The parsed option `resources`.

    Parameters:
        given: as it was written.
        rules: of the protected endpoints.
        issuers: whose tokens are accepted.
        audiences: that tokens may have at all.

    Raises:
        CrossauthError: `Configuration`, naming what is wrong.
    """
    found = [_read(entry, rules, issuers) for entry in given]
    for name, values in (("resource", [r.name for r in found]), ("path", [r.path for r in found])):
        if len(set(values)) < len(values):
            raise wrong(f"option 'resources': two have the same {name!r}")
    return [
        _with_audience(resource, entry, audiences, len(found)) for resource, entry in zip(found, given, strict=True)
    ]


def _read(entry: Mapping[str, Any], rules: Sequence[EndpointRule], issuers: Sequence[str]) -> Resource:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("resource"), str):
        raise wrong("option 'resources' must be a list such as [{'resource': 'https://api.example.com/files'}]")
    name: str = entry["resource"]
    start = f"option 'resources': {name!r}"
    unknown = sorted(set(entry) - set(_KEYS))
    if unknown:
        raise wrong(f"{start}: {', '.join(map(repr, unknown))} is unknown; there are {', '.join(map(repr, _KEYS))}")
    _checked(start, check_resource, name)
    path = entry.get("path", _path_of(name))
    if not isinstance(path, str) or (path and not path.startswith("/")) or "{" in path + _path_of(name):
        raise wrong(f"{start}: 'path' must be a path of this application such as '/files', without parameters")
    path = path.rstrip("/")
    more = {key: entry[key] for key in _TEXTS if entry.get(key) is not None}
    if not all(isinstance(value, str) for value in more.values()):
        raise wrong(f"{start}: {', '.join(map(repr, _TEXTS))} must be texts")
    scopes = entry.get("scopes_supported")
    if scopes is None:
        below = (rule for rule in rules if rule.path == path or rule.path.startswith(path + "/"))
        scopes = list(dict.fromkeys(scope for rule in below for scope in rule.scopes))
    _checked(f"{start}:", check_scopes, scopes if isinstance(scopes, list) else [scopes])
    return Resource(name, path, (), metadata_document(name, issuers, list(scopes), more))


def _checked(start: str, check: Callable[[Any], None], value: object) -> None:
    try:
        check(value)
    except ValueError as e:
        raise wrong(f"{start} {e}") from None


def _with_audience(resource: Resource, entry: Mapping[str, Any], accepted: Sequence[str], count: int) -> Resource:
    """`resource`, with the audiences that its tokens must have, which must be among those that are accepted at all."""
    provided = entry.get("audience")
    named = (provided,) if isinstance(provided, str) else tuple(provided or ())
    if not named:
        if count == 1 and resource.name not in accepted:
            return resource
        named = (resource.name,)
    strange = [name for name in named if name not in accepted]
    if strange:
        raise wrong(
            f"option 'resources': {resource.name!r}: no token has the audience {', '.join(map(repr, strange))}; the token "
            f"consumers accept {', '.join(map(repr, accepted))}. Add it to their 'audience', or say 'audience' here"
        )
    return Resource(resource.name, resource.path, named, resource.document)
