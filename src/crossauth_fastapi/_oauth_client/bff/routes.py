"""The routes of the backend-for-frontend."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, WebSocket
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.http_stream import StreamClient
from crossauth_backend.limits.leases import LeasedLimit
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_fastapi._http.openapi import security_requirement
from crossauth_fastapi._middleware.order import servers_on
from crossauth_fastapi._middleware.state import SAFE_METHODS
from crossauth_fastapi._oauth_client.answers import error_json
from crossauth_fastapi._oauth_client.bff.access import LIMIT, Access, Allowance, SessionSource
from crossauth_fastapi._oauth_client.bff.callers import ForeignCheck
from crossauth_fastapi._oauth_client.bff.forward import Forwarder
from crossauth_fastapi._oauth_client.bff.options import METHODS, Entry, Passage, read_passage
from crossauth_fastapi._oauth_client.bff.sockets import SocketForwarder
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.endpoints import ClientErrorBody

_TAG: Final = "Backend for frontend"
_ERRORS: Final = {
    400: "The path or the query is not passed on",
    401: "There is no access token in the session",
    403: "No valid CSRF token, or another site's page",
    408: "The body did not come in time",
    413: "The body is too large",
    429: "Too many requests of this session; `Retry-After` says when to try again",
    502: "The API, or the authorization server, cannot be reached, or gave no usable answer",
    504: "The API did not answer in time",
}


def add_routes(router: APIRouter, ctx: ClientContext) -> None:
    """Serve the endpoints of an API that the option `bff_endpoints` names; nothing where there are none.

    Parameters:
        router: to what the routes are added.
        ctx: the client.

    Raises:
        CrossauthError: `Configuration`, naming the option and what would be right.
    """
    if not ctx.options.bff_endpoints:
        return
    passage = read_passage(ctx.options, ctx.prefix, ctx.site_url, is_confidential=ctx.client.is_confidential)
    servers, client = servers_on(ctx.server.app), StreamClient()
    servers.lifecycle.add([client])

    def source() -> SessionSource | None:
        return next((source for source in servers.sources if source.name == "session"), None)

    access = Access(ctx.tokens, _allowance(ctx), source)

    async def has_foreign_token(request: Request) -> bool:
        return not (await ctx.server.error_if_csrf_invalid(request, Response(), None)).error

    foreign = has_foreign_token if ctx.accounts is None else None
    add_passage(router, passage, access, client, name=ctx.name, foreign=foreign)


def _allowance(ctx: ClientContext) -> Allowance:
    limit = ctx.limits.limits.get(LIMIT)
    counts = None if limit is None else LeasedLimit(ctx.keys or InMemoryKeyStorage(), LIMIT, ctx.clock)
    return Allowance(counts, limit, ctx.events, ctx.proxies)


App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


class Passed(Response):
    """The answer of what reads and sends by itself, so that bodies pass as they come.

    Parameters:
        app: what serves the request.
    """

    def __init__(self, app: App) -> None:
        self._app, self.background = app, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        await self._app(scope, receive, send)
        if self.background is not None:
            await self.background()


class Described:
    """One method of one entry, as FastAPI describes and calls it: after the dependencies of the whole application.

    Parameters:
        app: what serves it.
    """

    def __init__(self, app: App) -> None:
        self._answer = app

    async def __call__(self) -> Response:
        """What answers."""
        return Passed(self._answer)


class Socket:
    """WebSockets of one entry, as FastAPI calls it, likewise.

    Parameters:
        app: what serves them.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, websocket: WebSocket) -> None:
        """Serve one."""
        await self._app(websocket.scope, websocket.receive, websocket.send)


class Refuser:
    """What answers methods that no entry passes on.

    Parameters:
        methods: those that are.
    """

    def __init__(self, methods: frozenset[str]) -> None:
        self._allow = ", ".join(sorted(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request."""
        e = CrossauthError(ErrorCode.BadRequest, "This method is not passed on", status=405)
        answer = error_json(e)
        answer.headers["Allow"] = self._allow
        await answer(scope, receive, send)


def add_passage(
    router: APIRouter,
    passage: Passage,
    access: Access,
    client: StreamClient,
    *,
    name: str,
    foreign: ForeignCheck | None = None,
) -> None:
    """Add the routes of every entry.

    Parameters:
        router: to what they are added.
        passage: between this site and the API.
        access: the tokens.
        client: sends the requests.
        name: tells clients of one application apart.
        foreign: knows the CSRF tokens of another framework's sessions; `None` where sessions are ours.
    """
    served: dict[str, frozenset[str]] = {}
    for entry in passage.entries:
        forwarder = Described(Forwarder(passage, entry, access, client, foreign))
        for path in _paths(passage, entry):
            served[path] = served.get(path, frozenset()) | _offered(entry)
            for method in METHODS:
                if method in entry.methods:
                    _add(router, path, method, forwarder, **_description(passage, path, method, name, foreign is None))
            if "GET" in entry.methods:
                _add(router, path, "HEAD", forwarder, include_in_schema=False)
                socket = Socket(SocketForwarder(passage, entry, access, client))
                router.add_api_websocket_route(path, socket, name=f"{name}:bff")
    for path, methods in served.items():
        # After all others: of several entries that mean one path, each passes on its own methods.
        for method in (*METHODS, "HEAD", "OPTIONS", "TRACE"):
            if method not in methods:
                _add(router, path, method, Described(Refuser(methods)), include_in_schema=False)


def _add(router: APIRouter, path: str, method: str, served: Described, **described: Any) -> None:
    router.add_api_route(path, served, methods=[method], response_model=None, tags=[_TAG], **described)


def _paths(passage: Passage, entry: Entry) -> list[str]:
    """The paths of this application by which an entry is served."""
    exact = passage.prefix + entry.path.url
    return [exact, f"{passage.prefix}{entry.path.stem}/{{path:path}}"] if entry.path.below else [exact]


def _offered(entry: Entry) -> frozenset[str]:
    return entry.methods | {"HEAD"} if "GET" in entry.methods else entry.methods


def _description(passage: Passage, path: str, method: str, name: str, ours: bool) -> dict[str, Any]:
    """What OpenAPI says of one method of an entry."""
    is_safe = method in SAFE_METHODS
    more: dict[str, Any] = security_requirement(session=True, csrf=not is_safe) if ours else {}
    if "{" in path:
        schema = {"type": "string"}
        more["parameters"] = [{"name": "path", "in": "path", "required": True, "schema": schema}]
    if not is_safe:
        more["requestBody"] = {"content": {"*/*": {"schema": {}}}}
    view = path.partition("{")[0].removeprefix(passage.prefix).strip("/")
    slug = re.sub(r"\W+", "_", f"{view}_below" if "{" in path else view).strip("_") or "root"
    return {
        "summary": f"{method} {path.removeprefix(passage.prefix)} of the API",
        "description": "Passed on to the API with the access token of the session; the answer is the API's.",
        "operation_id": f"{'' if name == 'oauth' else f'{name}_'}bff_{method.lower()}_{slug}",
        "responses": {
            200: {"description": "What the API answers, with any status", "content": {"*/*": {"schema": {}}}},
            **{status: {"model": ClientErrorBody, "description": text} for status, text in _ERRORS.items()},
        },
        "openapi_extra": more,
    }
