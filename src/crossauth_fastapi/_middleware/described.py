"""What OpenAPI says of an application's own routes that our dependencies, or lists of paths in the options, guard: what lets a
request in, and how it is refused.

A dependency is the same whichever servers an application has, so it cannot say so itself: the schema is completed later.
An application that replaces `app.openapi` afterwards has the session cookie alone in it, unless its function calls ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.errors import ErrorBody
from crossauth_fastapi._http.openapi import SESSION_SCHEME, Guarded
from crossauth_fastapi._middleware.identity import PRECEDENCE
from crossauth_fastapi._middleware.protection import Target, all_targets
from crossauth_fastapi._middleware.site import Site
from crossauth_fastapi._middleware.state import SAFE_METHODS

_SESSION: Final = str(SESSION_SCHEME["scheme_name"])
_CSRF: Final = "CSRF"
_BEARER: Final = "Bearer"
_API_KEY: Final = "ApiKey"
_TOKEN: Final = "An access token, which has the scopes that are named."
_NAMES: Final = {"session": _SESSION, "bearer": _BEARER, "api_key": _API_KEY, "id_token": _SESSION}
_ERROR: Final = "ErrorBody"
_TAGS: Final = {
    "Accounts": "Sign up, log in and out, recover and change an account.",
    "Accounts at providers": "Link accounts at other providers, and unlink them.",
    "API keys": "Create, change and revoke API keys.",
    "Administration": "Manage users and API keys, and read security events. For administrators.",
    "OAuth client": "Get tokens from an authorization server.",
    "Backend for frontend": "Call APIs with the tokens that the session holds.",
}


class Guard(Protocol):
    """What stands before a route, as far as OpenAPI tells it."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """All that are needed."""
        ...

    @property
    def credentials(self) -> frozenset[str] | None:
        """Names of those that are accepted; `None` for any."""
        ...

    @property
    def required(self) -> bool:
        """Whether one is needed at all."""
        ...


@dataclass(frozen=True, slots=True)
class ListedGuard:
    """What an entry in a list of paths puts before a route.

    Parameters:
        target: the route.
        methods: the methods that it is for; `None` for all.
        scopes, credentials, required: see `Guard`.
    """

    target: Target
    methods: frozenset[str] | None
    scopes: tuple[str, ...]
    credentials: frozenset[str]
    required: bool


class Attached(Protocol):
    """The servers on an application, as far as this module needs them."""

    site: Site

    @property
    def names(self) -> frozenset[str]:
        """The names of their sources."""
        ...

    def listed(self) -> Sequence[ListedGuard]:
        """What lists of paths put before routes, those that count first in front; nothing where a list cannot take effect."""
        ...

    @property
    def authorization_code(self) -> Mapping[str, str] | None:
        """`authorizationUrl` and `tokenUrl` of the authorization server, as soon as they are known."""
        ...


def describe(app: FastAPI, attached: Attached) -> None:
    """Let the OpenAPI of `app` say of each route that one of our dependencies guards how it is let in, and refused.

    Parameters:
        app: the application.
        attached: its servers, as they are when the schema is made.
    """
    make = app.openapi
    completed: dict[str, Any] | None = None

    def openapi() -> dict[str, Any]:
        nonlocal completed
        schema = make()
        # FastAPI hands out the same one until there are other routes.
        if schema is not completed:
            _complete(schema, app, attached)
            _describe_tags(schema)
            completed = schema
        _show_authorization_server(schema, attached)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def check_guards(app: FastAPI, attached: Attached) -> None:
    """Stop the start where a route accepts only credentials that nothing on the application reads, or where scopes are given to
    FastAPI's `Security`, which does not tell a dependency of ours.

    Raises:
        CrossauthError: `Configuration`, naming the route.
    """
    for target in all_targets(app.routes):
        dependant, accepted = getattr(target.served, "dependant", None), attached.names
        for guard, scopes in _guards(dependant) if dependant is not None else ():
            if not set(scopes) <= set(guard.scopes):
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"{target.path}: Security(..., scopes={scopes}) has no effect here: name them in require(scope={scopes})",
                )
            if guard.credentials is None:
                continue
            if not guard.credentials & accepted:
                others = "another dependency" if guard.credentials & attached.names else "this application"
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"{target.path}: what is required lets nobody in: it accepts {_list(guard.credentials)}, and {others} "
                    f"reads {_list(accepted) or 'no credentials'}",
                )
            accepted &= guard.credentials


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))


def _complete(schema: dict[str, Any], app: FastAPI, attached: Attached) -> None:
    operations = list(_operations(schema, app, attached.listed()))
    if not operations:
        return
    components = schema.setdefault("components", {})
    schemes, schemas = components.setdefault("securitySchemes", {}), components.setdefault("schemas", {})
    reference = _error_reference(schemas)
    for method, operation, guards in operations:
        alternatives = _alternatives(guards, method, attached)
        # Those of our dependencies, as FastAPI describes them: with scopes, where `Security` names some.
        others = [entry for entry in operation.get("security", []) if entry.keys() != {_SESSION}]
        operation["security"] = alternatives + [entry for entry in others if entry not in alternatives]
        for name in {name for entry in alternatives for name in entry}:
            schemes.setdefault(name, _scheme(name, attached.site))
            if name == _SESSION and schemes[name].get("name") == SESSION_SCHEME["name"]:
                # A dependency cannot know that the cookie has another name.
                schemes[name] = _scheme(name, attached.site)
        for status, response in _refusals(guards, alternatives, reference).items():
            operation.setdefault("responses", {}).setdefault(status, response)
    used = {name for entry in _all_security(schema) for name in entry}
    for name in {*_NAMES.values(), _CSRF} - used:
        schemes.pop(name, None)


def _describe_tags(schema: dict[str, Any]) -> None:
    """Describe the tags of our routes, after those that the application describes."""
    paths = schema.get("paths", {}).values()
    used = {
        tag
        for path in paths
        for operation in path.values()
        if isinstance(operation, dict)
        for tag in operation.get("tags", ())
    }
    described = {entry.get("name") for entry in schema.get("tags", ())}
    more = [{"name": name, "description": text} for name, text in _TAGS.items() if name in used - described]
    if more:
        schema["tags"] = [*schema.get("tags", ()), *more]


def _show_authorization_server(schema: Mapping[str, Any], attached: Attached) -> None:
    """Say where clients get access tokens: its metadata may be known later than the schema. `/docs` can log in there then."""
    schemes = schema.get("components", {}).get("securitySchemes", {})
    urls = attached.authorization_code
    if urls is not None and schemes.get(_BEARER) == _scheme(_BEARER, attached.site):
        scopes = dict.fromkeys(scope for entry in _all_security(schema) for scope in entry.get(_BEARER, []))
        flow = {**urls, "scopes": dict.fromkeys(scopes, "")}
        schemes[_BEARER] = {"type": "oauth2", "description": _TOKEN, "flows": {"authorizationCode": flow}}


def _operations(
    schema: Mapping[str, Any], app: FastAPI, listed: Sequence[ListedGuard]
) -> Iterator[tuple[str, dict[str, Any], list[Guard]]]:
    """The operations that have guards."""
    paths = schema.get("paths", {})
    for context in iter_route_contexts(app.routes):
        route: Any = context
        if not isinstance(context.original_route, APIRoute) or not route.include_in_schema:
            continue
        own: list[Guard] = [guard for guard, _ in _guards(route.dependant)]
        before = [guard for guard in listed if _stands_before(guard, context)]
        for method in route.methods:
            first = next((guard for guard in before if guard.methods is None or method in guard.methods), None)
            guards = [*own, first] if first is not None and first.required else own
            operation = paths.get(route.path_format, {}).get(method.lower())
            if isinstance(operation, dict) and guards:
                yield method, operation, guards


def _stands_before(guard: ListedGuard, context: Any) -> bool:
    """Whether a route is the one that is guarded; one that is included twice has two paths."""
    served = context._effective_route
    return guard.target.route is context.original_route and guard.target.path.endswith(served.path)


def _guards(dependant: Dependant) -> Iterator[tuple[Guarded, list[str]]]:
    """The guards of a route, each with the scopes that FastAPI's `Security` names for it."""
    for inner in dependant.dependencies:
        if isinstance(inner.call, Guarded):
            yield inner.call, [*(inner.parent_oauth_scopes or ()), *(inner.own_oauth_scopes or ())]
        yield from _guards(inner)


def _alternatives(guards: Iterable[Guard], method: str, attached: Attached) -> list[dict[str, list[str]]]:
    """What lets a request in: any of these, with all that is in it."""
    names, scopes, required = attached.names, [], False
    for guard in guards:
        names = names if guard.credentials is None else names & guard.credentials
        scopes += [scope for scope in guard.scopes if scope not in scopes]
        required = required or guard.required
    found: list[dict[str, list[str]]] = []
    for name in PRECEDENCE[::-1]:
        if name in names:
            by_cookie = _NAMES[name] == _SESSION
            entry: dict[str, list[str]] = {_NAMES[name]: [] if by_cookie else scopes}
            if by_cookie and method not in SAFE_METHODS and attached.site.csrf_header is not None:
                entry[_CSRF] = []
            found += [entry] if entry not in found else []
    return found if required else [*found, {}]


def _scheme(name: str, site: Site) -> dict[str, Any]:
    scheme: Callable[[], dict[str, Any]] = {
        _SESSION: lambda: {
            "type": "apiKey", "in": "cookie", "name": site.session_scheme["name"],
            "description": site.session_scheme["description"],
        },
        _CSRF: lambda: {
            "type": "apiKey", "in": "header", "name": (site.csrf_header or b"").decode("latin-1").upper(),
            "description": "A CSRF token from `api/getcsrftoken`, sent with its cookie.",
        },
        _BEARER: lambda: {"type": "http", "scheme": "bearer", "description": _TOKEN},
        _API_KEY: lambda: {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "description": f"An API key, as `{site.challenges.get('api_key', 'ApiKey').partition(' ')[0]} xa_…`.",
        },
    }[name]  # fmt: skip
    return scheme()


def _refusals(
    guards: Sequence[Guard], alternatives: list[dict[str, list[str]]], body: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    is_listed = any(isinstance(guard, ListedGuard) for guard in guards)
    content = {"content": {"application/json": {"schema": {"type": "object"} if is_listed else dict(body)}}}
    challenge = {
        "description": "How to send a credential, and what was wrong (RFC 9110 §11.6.1).",
        "schema": {"type": "string"},
    }
    found = {"503": {"description": "It cannot be found out who is asking: a service is away.", **content}}
    if any(guard.required for guard in guards):
        headers = (
            {"headers": {"WWW-Authenticate": challenge}} if any(not _by_cookie(entry) for entry in alternatives) else {}
        )
        text = "No credential was sent, or one that is not accepted, or the login is too old or lacks a second factor."
        found["401"] = {"description": text, **headers, **content}
    found["403"] = {
        "description": "It is known who is asking, and that is not enough; or the CSRF token is lacking.",
        **content,
    }
    names = {name for entry in alternatives for name in entry}
    if _BEARER in names:
        found["400"] = {"description": "It has several `Authorization` headers (RFC 6750 §3.1).", **content}
    if _API_KEY in names:
        found["429"] = {
            "description": "The API key was used too often; `Retry-After` says when to try again.",
            **content,
        }
    return dict(sorted(found.items()))


def _by_cookie(entry: Mapping[str, list[str]]) -> bool:
    return not entry or _SESSION in entry


def _error_reference(schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a refusal; not by name where the application has another one of this name."""
    own = ErrorBody.model_json_schema()
    if schemas.setdefault(_ERROR, own).get("properties", {}).keys() != own["properties"].keys():
        return own
    return {"$ref": f"#/components/schemas/{_ERROR}"}


def _all_security(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for path in (*schema.get("paths", {}).values(), *schema.get("webhooks", {}).values()):
        for operation in path.values():
            if isinstance(operation, dict):
                yield from operation.get("security", [])
