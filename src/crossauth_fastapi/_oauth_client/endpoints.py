"""The endpoints of an OAuth client as records, and the routes that are made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import is_storable
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_fastapi._actions.forms import CsrfBody
from crossauth_fastapi._http.bodies import JsonOrFormData, bad_request
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._http.jsonbody import MAX_FIELDS, BadFields, no_repeats
from crossauth_fastapi._http.openapi import TITLED, form_or_json, security_requirement
from crossauth_fastapi._http.origins import is_own_page
from crossauth_fastapi._http.redirects import found, with_query
from crossauth_fastapi._middleware.decision import csrf_refusal
from crossauth_fastapi._middleware.state import SAFE_METHODS, state_of
from crossauth_fastapi._middleware.whereabouts import here
from crossauth_fastapi._oauth_client.answers import answer_error
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.options import wrong

TAG: Final = "OAuth client"
# As much as most servers take of a request line.
MAX_QUERY: Final = 8192
# `auth_type` of sessions that say who the user is here: not what an ID token claims.
_BY_SESSION: Final = frozenset(("cookie", "session"))
_ERRORS: Final = {
    400: "A field is missing or not valid, or the authorization server refuses the request",
    401: "Not authorized, or the tokens have ended",
    403: "No valid CSRF token",
    413: "The body is too large",
    415: "The body is neither JSON nor a form",
    502: mark("The authorization server sent an invalid response"),
    503: "The authorization server cannot be reached",
}


class ClientErrorBody(BaseModel):
    """How the JSON endpoints of an OAuth client say no."""

    model_config = TITLED
    ok: bool = Field(False, description="Always false.")
    status: int = Field(description="The HTTP status.")
    error_message: str = Field(description="What was wrong, for people.")
    error_messages: list[str] = Field(description="The same, one text per reason.")
    error_code: int = Field(description="Number of the reason; rely on its name instead.")
    error_code_name: str = Field(description="Stable name of the reason.")


class OAuthErrorBody(BaseModel):
    """How an error is answered to another server (RFC 6749 §5.2)."""

    model_config = TITLED
    error: str = Field(description="Its code.")
    error_description: str | None = Field(None, description="What was wrong, for developers.")


Handler: TypeAlias = Callable[[ClientContext, Request, JsonOrFormData], Awaitable[Response]]
Refused: TypeAlias = Callable[[ClientContext, Request, Exception], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEndpoint:
    """One URL of the client.

    Parameters:
        name: its path after `prefix`. Where `option` names it, what it is by default, for the docs.
        method: `GET` or `POST`. A URL that has both is two endpoints.
        handler: answers it. It is given the fields of the body, or of the query of a GET: each once, bounded, text that can be
            stored. What it raises is answered by `refused`.
        summary: what it does, for OpenAPI and the docs.
        operation_id: its name in clients that are made from OpenAPI; for pages, in logs.
        option: the option that names its path; `None` where it has a fixed one. Where the option has no value the endpoint has
            the names of `name` and `also`, or, with `only_named`, is not there.
        only_named: whether it is there only where its option is given.
        api: whether it is `api/` and the path.
        also: further paths where the option has no value.
        at_redirect_uri: whether its path is that of the redirect URI, which may be configured as a whole.
        flows: it is there where one of these is on; empty where it needs none.
        enabled: what else must be the case for it to be there.
        csrf: whether a POST needs a CSRF token.
        needs_login: whether it asks for a user where one of its flows is in `login_protected_flows`; the callback of a flow asks
            itself.
        refused: answers an exception; by default as `error_response_type` says.
        page: whether it is for browsers, and not in OpenAPI.
        body: the fields that it reads, for OpenAPI.
        answer: what its JSON says, for OpenAPI.
        for_servers: whether it is for another server: it takes a form alone, and its errors are those of OAuth.
        may_be_empty: whether it answers 204 where the session has no tokens.
        templates: options that name the templates that it shows; they are checked at the start.
        events: what it tells the listeners of events.
        limits: the limits of attempts that count it.
    """

    name: str
    method: Literal["GET", "POST"]
    handler: Handler
    summary: str
    operation_id: str
    option: str | None = None
    only_named: bool = False
    api: bool = False
    also: tuple[str, ...] = ()
    at_redirect_uri: bool = False
    flows: tuple[str, ...] = ()
    enabled: Callable[[ClientContext], bool] = lambda ctx: True
    csrf: bool = True
    needs_login: bool = True
    refused: Refused | None = None
    page: bool = False
    body: type[BaseModel] = CsrfBody
    answer: type[BaseModel] | None = None
    for_servers: bool = False
    may_be_empty: bool = False
    templates: tuple[str, ...] = ()
    events: tuple[EventName, ...] = ()
    limits: tuple[str, ...] = ()

    def names(self, ctx: ClientContext) -> tuple[str, ...]:
        """Its paths after `prefix`; none where the options do not switch it on."""
        if (self.flows and not ctx.has_flow(*self.flows)) or not self.enabled(ctx):
            return ()
        chosen: str | None = getattr(ctx.options, self.option) if self.option is not None else None
        if chosen is not None:
            names: tuple[str, ...] = (chosen.lstrip("/"),)
        elif self.only_named:
            return ()
        else:
            names = (self.name, *self.also)
        return tuple(f"api/{name}" for name in names) if self.api else names


def add(router: APIRouter, ctx: ClientContext, endpoints: Iterable[ClientEndpoint]) -> None:
    """Add those of the endpoints that the options switch on.

    Raises:
        CrossauthError: `Configuration` where two of them have one URL, or a template is missing.
    """
    taken: set[tuple[str, str]] = set()
    for endpoint in endpoints:
        for position, name in enumerate(endpoint.names(ctx)):
            path = ctx.callback if endpoint.at_redirect_uri else f"{ctx.prefix}{name}"
            if (endpoint.method, path) in taken:
                raise wrong(f"two endpoints have the URL {path!r}: give one of them another, by {_options(endpoint)}")
            taken.add((endpoint.method, path))
            _check_templates(ctx, endpoint)
            ctx.endpoints.add(name)
            # Where errors are answered with a page, what is answered so is for browsers.
            for_scripts = not endpoint.page and (ctx.options.errors_as == "json_error" or endpoint.refused is not None)
            add_route(router, ctx, endpoint, path, described=position == 0 and for_scripts)


def add_route(
    router: APIRouter, ctx: ClientContext, endpoint: ClientEndpoint, path: str, *, described: bool = True
) -> None:
    """Add one endpoint at one path.

    Parameters:
        router: gets the route.
        ctx: the client.
        endpoint: what is served.
        path: where.
        described: whether it is in OpenAPI: pages are not, nor is what stands there under another name.
    """
    more = _described(ctx, endpoint) if described else {}
    router.add_api_route(
        path, ClientRoute(ctx, endpoint), methods=[endpoint.method], name=f"{ctx.name}:{endpoint.operation_id}",
        include_in_schema=described, response_model=None, **more,
    )  # fmt: skip


class ClientRoute:
    """One endpoint, as FastAPI calls it.

    Parameters:
        ctx: the client.
        endpoint: what is served.
    """

    def __init__(self, ctx: ClientContext, endpoint: ClientEndpoint) -> None:
        self.ctx, self.endpoint = ctx, endpoint

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        ctx = self.ctx.at(state_of(request).root_path)
        try:
            answer = await self._answer(ctx, request)
        except ClientDisconnect:
            raise
        except Exception as e:
            answer = await (self.endpoint.refused or answer_error)(ctx, request, e)
        # What is said here is about tokens, or about who is logged in: for one browser, and for no cache.
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    async def _answer(self, ctx: ClientContext, request: Request) -> Response:
        endpoint = self.endpoint
        form = await read_form(request)
        if endpoint.csrf and endpoint.method == "POST":
            await check_csrf(ctx, request)
        if endpoint.needs_login:
            # Flows that this endpoint stands for, as far as they are on.
            sent_away = ask_for_login(ctx, request, *ctx.flows.intersection(endpoint.flows))
            if sent_away is not None:
                return sent_away
        return await endpoint.handler(ctx, request, form)


async def read_form(request: Request) -> JsonOrFormData:
    """The fields of the body, or of the query of a request that has none.

    Raises:
        CrossauthError: `BadRequest`, saying what is wrong with them.
    """
    if request.method in SAFE_METHODS:
        return JsonOrFormData(request, query_fields(request))
    form = JsonOrFormData(request)
    await form.load()
    return form


def query_fields(request: Request) -> dict[str, str]:
    """The fields of the query: each once, bounded, text that can be stored.

    Raises:
        CrossauthError: `BadRequest`.
    """
    raw = request.scope.get("query_string", b"")
    if len(raw) > MAX_QUERY:
        raise bad_request(f"The query is longer than {MAX_QUERY} bytes", 414)
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        fields = no_repeats(pairs)
    except ValueError as e:
        raise bad_request(str(e) if isinstance(e, BadFields) else mark("The query is invalid")) from None
    for text in (*fields, *fields.values()):
        if not is_storable(text):
            raise bad_request("The query holds characters that are not text")
    return fields


async def check_csrf(ctx: ClientContext, request: Request) -> None:
    """Refuse a request that a page of another site may have had the browser send.

    Where there are sessions it needs their CSRF token. Without, there is no cookie that could be abused but those of logins under
    way, and the page that sends it must be one of this site.

    Raises:
        CrossauthError: `InvalidCsrf`.
    """
    state = state_of(request)
    if not ctx.has_sessions:
        if not is_own_page(state.scheme, state.headers, site_url=ctx.site_url):
            raise CrossauthError(ErrorCode.InvalidCsrf)
        return
    if (await ctx.server.error_if_csrf_invalid(request, Response(), None)).error:
        raise csrf_refusal(state)


def ask_for_login(ctx: ClientContext, request: Request, *flows: str, may_redirect: bool = True) -> Response | None:
    """Where a browser goes that has to log in for one of these flows; `None` where it has, or need not.

    Parameters:
        ctx: the client.
        request: the request.
        flows: the flows.
        may_redirect: whether a page is answered with a redirect.

    Raises:
        LoginRequired: it has to, and is not redirected.
    """
    protected = ctx.protected_flows
    if protected.isdisjoint(flows):
        return None
    state = state_of(request)
    if state["user"] is not None and state["auth_type"] in _BY_SESSION:
        return None
    if request.method not in SAFE_METHODS or not may_redirect:
        raise LoginRequired
    return found(with_query(state.link(ctx.options.login_url), next=here(state, request)))


def _check_templates(ctx: ClientContext, endpoint: ClientEndpoint) -> None:
    for option in endpoint.templates:
        name = ctx.options.page(option)
        if not ctx.pages.has(name):
            raise wrong(f"option {option!r}: there is no template {name!r}")


def _options(endpoint: ClientEndpoint) -> str:
    return f"option {endpoint.option!r}" if endpoint.option is not None else "an option of the other"


def _described(ctx: ClientContext, endpoint: ClientEndpoint) -> dict[str, Any]:
    """What OpenAPI says of an endpoint."""
    events = ", ".join(f"`{event.value}`" for event in endpoint.events)
    limits = ", ".join(f"`{limit}`" for limit in endpoint.limits)
    posts = endpoint.method == "POST"
    more: dict[str, Any] = form_or_json(endpoint.body, form_only=endpoint.for_servers) if posts else {}
    if posts and endpoint.csrf and ctx.accounts is not None:
        more |= security_requirement(csrf=True)
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": OAuthErrorBody if endpoint.for_servers else ClientErrorBody, "description": text}
        for status, text in _ERRORS.items()
    }
    if endpoint.answer is not None:
        responses[200] = {"model": endpoint.answer}
    if endpoint.may_be_empty:
        responses[204] = {"description": "The session has no tokens of this kind."}
    return {
        "summary": endpoint.summary, "description": f"Events: {events or 'none'}. Limits: {limits or 'none'}.",
        "operation_id": endpoint.operation_id if ctx.name == "oauth" else f"{ctx.name}_{endpoint.operation_id}",
        "responses": responses, "tags": [TAG], "openapi_extra": more,
    }  # fmt: skip
