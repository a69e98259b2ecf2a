"""Actions as FastAPI routes, made at the start: a page to look at, a form to send, and the same as JSON."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.routing import BaseRoute

from crossauth_fastapi._actions.action import OPTIONAL_TOKEN, Action
from crossauth_fastapi._actions.context import ActionContext, C
from crossauth_fastapi._actions.jsonviews import JsonSubmission, JsonView
from crossauth_fastapi._actions.pageviews import FormSubmission, PageView
from crossauth_fastapi._http.errors import ErrorBody
from crossauth_fastapi._http.openapi import form_or_json, security_requirement

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

# What only a request is answered that changes something, and what only one that counts towards a limit.
_OF_CHANGES: Final = (409, 413, 415)
_TOO_MANY: Final = 429
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
    if action.get_json is not None:
        view = _responses(action.json_answer or action.answer, *_OF_CHANGES, _TOO_MANY)
        router.add_api_route(
            path, JsonView(ctx, action, action.get_json), methods=["GET"],
            name=f"{action.api_endpoint}:get", summary=action.json_summary or action.summary, response_model=None,
            operation_id=_operation_id(action.json_operation_id or action.operation_id, path),
            description="Changes nothing.", responses=view, tags=tags,
            openapi_extra=security_requirement(session=action.session) | _in_path(path),
        )  # fmt: skip
    if action.submit is not None:
        router.add_api_route(
            path, JsonSubmission(ctx, action, action.submit), methods=["POST"], name=f"{action.api_endpoint}:post",
            summary=action.summary, description=_says(action), openapi_extra=_described(action) | _in_path(path),
            response_model=None, operation_id=_operation_id(action.operation_id, path), tags=tags,
            responses=_responses(action.answer, *(() if action.limits else (_TOO_MANY,))),
        )  # fmt: skip


def _responses(answer: type[BaseModel], *never: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": answer}, **{status: text for status, text in _ERRORS.items() if status not in never}}


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
    return form_or_json(action.body) | security_requirement(session=action.session, csrf=True)
