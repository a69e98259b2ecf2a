"""Actions as FastAPI routes: a page to look at, a form to send, and the same as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.responses import Response
from starlette.routing import BaseRoute

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._actions.action import OPTIONAL_TOKEN, Action, Handler, PageHandler
from crossauth_fastapi._actions.answers import (
    AnyAction,
    AnyRequest,
    answer_json,
    answer_page,
    leading_on,
    refuse_json,
    refuse_page,
)
from crossauth_fastapi._actions.context import ActionContext, ActionRequest, C
from crossauth_fastapi._actions.csrf import check_csrf
from crossauth_fastapi._actions.outcome import Page, Redirect
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import ErrorBody, as_reason
from crossauth_fastapi._http.openapi import form_or_json, needs
from crossauth_fastapi._http.redirects import found, see_other, with_query
from crossauth_fastapi._middleware.state import is_administrator

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in (
        (400, "A field is missing or not valid"),
        (401, "Not logged in, or wrong credentials"),
        (403, "No valid CSRF token, missing rights, or the account's state does not allow it"),
        (404, "There is no such user"),
        (409, "The database refuses it: a value that must be unique, or rows that refer to it"),
        (413, "The body is too large"),
        (415, "The body is neither JSON nor a form"),
        (429, "Too many attempts; `Retry-After` says how many seconds to wait"),
        (500, "The server could not do it"),
        (503, "A storage or the hashing of passwords is not available; `Retry-After` says when to try again"),
    )
}


@dataclass(frozen=True, slots=True)
class PageView:
    """GET of a page."""

    ctx: ActionContext
    action: AnyAction
    get_page: PageHandler[Any]

    async def __call__(self, request: Request) -> Response:
        """The page; or the error page, in the place of what may not be seen."""
        call: AnyRequest = ActionRequest(self.ctx, request, JsonOrFormData(request, {}), True, self.action.body)
        try:
            await know_administrator(call)
            shown = await self.get_page(call)
            if isinstance(shown, Page):
                return await answer_page(self.action, call, shown)
        except Exception as e:
            return refuse_page(None, call, as_reason(e), Page({"next": call.state.here(request)}))
        return found(shown.url)


@dataclass(frozen=True, slots=True)
class JsonView:
    """GET of a JSON endpoint."""

    ctx: ActionContext
    action: AnyAction
    get_json: Handler[Any, Any]

    async def __call__(self, request: Request) -> Response:
        """The JSON answer."""
        call: AnyRequest = ActionRequest(self.ctx, request, JsonOrFormData(request, {}), False, self.action.body)
        try:
            with call.hashing():
                return answer_json(call, await self.get_json(call))
        except Exception as e:
            return refuse_json(call, as_reason(e))


@dataclass(frozen=True, slots=True)
class FormSubmission:
    """POST of a page's form."""

    ctx: ActionContext
    action: AnyAction
    submit: Handler[Any, Any]

    async def __call__(self, request: Request) -> Response:
        """The page that follows; or the form again, with what was wrong."""
        call: AnyRequest = ActionRequest(self.ctx, request, JsonOrFormData(request), True, self.action.body)
        try:
            # First, for who is asking is looked at again where the body comes late.
            await call.form.load()
            await know_administrator(call)
            check_csrf(self.action, call)
            with call.hashing():
                return await answer_page(self.action, call, (await self.submit(call)).page)
        except Exception as e:
            return await _show_again(self.action, call, as_reason(e))


@dataclass(frozen=True, slots=True)
class JsonSubmission:
    """POST of a JSON endpoint."""

    ctx: ActionContext
    action: AnyAction
    submit: Handler[Any, Any]

    async def __call__(self, request: Request) -> Response:
        """The JSON answer."""
        call: AnyRequest = ActionRequest(self.ctx, request, JsonOrFormData(request), False, self.action.body)
        try:
            await call.form.load()
            check_csrf(self.action, call)
            with call.hashing():
                return answer_json(call, await self.submit(call))
        except Exception as e:
            return refuse_json(call, as_reason(e))


Submission: TypeAlias = FormSubmission | JsonSubmission
Endpoint: TypeAlias = PageView | JsonView | Submission


def endpoint_of(route: BaseRoute) -> Endpoint | None:
    """The action that a route serves, whichever server's it is; `None` for a route that serves none."""
    endpoint = getattr(route, "endpoint", None)
    return endpoint if isinstance(endpoint, Endpoint) else None


def page_routes(router: APIRouter, ctx: C, action: Action[C, Any]) -> None:
    """Add GET and POST of an action's page. Pages are for browsers, and not in OpenAPI."""
    name = action.page_endpoint
    for path in action_paths(ctx, action):
        if action.get_page is not None:
            router.add_api_route(
                path, PageView(ctx, action, action.get_page), methods=["GET"], name=f"{name}:page", response_class=HTMLResponse,
                include_in_schema=False,
            )  # fmt: skip
    for path in action_paths(ctx, action):
        if action.submit is not None:
            router.add_api_route(
                path, FormSubmission(ctx, action, action.submit), methods=["POST"], name=f"{name}:form",
                response_class=HTMLResponse, include_in_schema=False,
            )  # fmt: skip


def api_routes(router: APIRouter, ctx: C, action: Action[C, Any]) -> None:
    """Add the JSON endpoint of an action."""
    for path in action_paths(ctx, action, "api/"):
        _api_routes(router, ctx, action, path)


def _api_routes(router: APIRouter, ctx: C, action: Action[C, Any], path: str) -> None:
    tags: list[str | Enum] = [action.group.tag]
    responses: dict[int | str, dict[str, Any]] = {200: {"model": action.answer}, **_ERRORS}
    if action.get_json is not None:
        shown = responses | {200: {"model": action.json_answer or action.answer}}
        router.add_api_route(
            path, JsonView(ctx, action, action.get_json), methods=["GET"],
            name=f"{action.api_endpoint}:get", summary=action.json_summary or action.summary, response_model=None,
            operation_id=_operation_id(action.json_operation_id or action.operation_id, path),
            description="Changes nothing.", responses=shown, tags=tags,
            openapi_extra=needs(session=action.session) | _in_path(path),
        )  # fmt: skip
    if action.submit is not None:
        router.add_api_route(
            path, JsonSubmission(ctx, action, action.submit), methods=["POST"], name=f"{action.api_endpoint}:post",
            summary=action.summary, description=_says(action), openapi_extra=_described(action) | _in_path(path),
            response_model=None, operation_id=_operation_id(action.operation_id, path), responses=responses, tags=tags,
        )  # fmt: skip


def action_paths(ctx: ActionContext, action: Action[Any, Any], api: str = "") -> list[str]:
    """The paths of an action's page, or of its JSON endpoint with `api/`.

    One whose token may be part of the path or a field is in two places.
    """
    path = f"{ctx.admin_prefix if action.admin else ctx.prefix}{api}{action.name}"
    if action.parameter == OPTIONAL_TOKEN:
        return [f"{path}/{{token}}", path]
    return [f"{path}/{action.parameter}" if action.parameter else path]


def _in_path(path: str) -> dict[str, Any]:
    _, brace, rest = path.partition("{")
    name = rest.rstrip("}")
    text = {"type": "string"}
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": text}]} if brace else {}


def _operation_id(name: str, path: str) -> str:
    """The name of an operation; that of a path with an optional part is another one."""
    return f"{name}_of_path" if path.endswith("/{token}") else name


def _says(action: Action[Any, Any]) -> str:
    """What an action tells and what limits it, for OpenAPI."""
    events = ", ".join(f"`{event.value}`" for event in action.events)
    limits = ", ".join(f"`{limit}`" for limit in action.limits)
    return f"Events: {events or 'none'}. Limits: {limits or 'none'}."


def _described(action: Action[Any, Any]) -> dict[str, Any]:
    return form_or_json(action.body) | needs(session=action.session, csrf=True)


async def know_administrator(call: AnyRequest) -> None:
    """Ask `is_admin_fn` for the page that follows, which could not await it."""
    if call.user is not None:
        try:
            call.state.administrator = await is_administrator(call.state, call.user)
        except Exception as e:
            as_reason(e)
            call.state.administrator = False


async def _show_again(action: AnyAction, call: AnyRequest, reason: CrossauthError) -> Response:
    """The form with what was wrong; where the form may not be seen either, the error page."""
    if not call.form.loaded:
        call = ActionRequest(call.ctx, call.request, JsonOrFormData(call.request, {}), True, action.body)
    if action.get_page is None:
        return refuse_page(None, call, reason, Page({"next": call.next_page("") or call.url()}))
    try:
        shown = await action.get_page(call)
    except Exception as e:
        as_reason(e)
        shown = Redirect("")
    if isinstance(shown, Page):
        return refuse_page(action, call, reason, await leading_on(call, shown))
    if reason.code is ErrorCode.InvalidCsrf and shown.url:
        # Such as a second tab: somebody who has logged in by now is sent on, whatever became of the form's token.
        return see_other(shown.url)
    # Somebody who is logged in is not shown the form of a login, also not with an error in it.
    return refuse_page(None, call, reason, Page({"next": shown.url or _here(call)}))


def _here(call: AnyRequest) -> str:
    """The URL of the page whose form was sent, which leads on to where the form would have."""
    here, after = call.state.here(call.request), call.next_page("")
    return here if "?" in here else with_query(here, next=after)
