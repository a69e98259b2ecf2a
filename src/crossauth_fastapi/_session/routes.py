"""Actions as FastAPI routes: a page to look at, a form to send, and the same as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import NO_STORE, ErrorBody, as_reason
from crossauth_fastapi._http.openapi import form_or_json, needs, schemes
from crossauth_fastapi._http.redirects import found, see_other
from crossauth_fastapi._middleware.state import is_administrator, state_of
from crossauth_fastapi._pages.environment import STYLESHEET, stylesheet
from crossauth_fastapi._session import admin
from crossauth_fastapi._session.actions import (
    OPTIONAL_TOKEN,
    Action,
    Do,
    Go,
    Show,
    answer_json,
    answer_page,
    check_csrf,
    refuse_json,
    refuse_page,
)
from crossauth_fastapi._session.bodies import CsrfAnswer, UserAnswer
from crossauth_fastapi._session.context import Call, SessionFace
from crossauth_fastapi._session.factor2 import CHANGE_FACTOR2, CONFIGURE_FACTOR2, RECOVERY_CODES
from crossauth_fastapi._session.login import LOGIN
from crossauth_fastapi._session.loginfactor2 import LOGIN_FACTOR2
from crossauth_fastapi._session.logout import LOGOUT
from crossauth_fastapi._session.password import CHANGE_PASSWORD, REQUEST_RESET, RESET
from crossauth_fastapi._session.profile import DELETE_USER, UPDATE_USER
from crossauth_fastapi._session.resendcode import RESEND_CODE
from crossauth_fastapi._session.sessions import SESSIONS
from crossauth_fastapi._session.signup import SIGNUP
from crossauth_fastapi._session.stepupcode import CANCEL_FACTOR2, FACTOR2
from crossauth_fastapi._session.verifyemail import REQUEST_VERIFICATION, VERIFY_EMAIL

ACTIONS: Final = (
    SIGNUP, VERIFY_EMAIL, REQUEST_VERIFICATION, RESEND_CODE,
    LOGIN, LOGIN_FACTOR2, LOGOUT, CHANGE_PASSWORD, REQUEST_RESET, RESET, UPDATE_USER, DELETE_USER,
    SESSIONS, CONFIGURE_FACTOR2, CHANGE_FACTOR2, FACTOR2, CANCEL_FACTOR2, RECOVERY_CODES,
    admin.CREATE, admin.SELECT, admin.UPDATE, admin.PASSWORD, admin.DELETE, admin.AUDIT,
)  # fmt: skip
_PAGES: Final = "account pages"
_API: Final = "account API"
_ADMIN: Final = "administration"
_FETCHES: Final = {
    "configurefactor2": "What is to be done to set a second factor up", "sessions": "Where one is logged in",
    "recoverycodes": "How many recovery codes are left", "verifyemail": "Check a link to verify an email address",
}  # fmt: skip
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

_PAGE_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": f"{error['description']}: the form again, or the error page"}
    for status, error in _ERRORS.items()
}


def page_routes(router: APIRouter, face: SessionFace, action: Action) -> None:
    """GET and POST of an action's page."""
    tags: list[str | Enum] = [_ADMIN if action.admin else _PAGES]
    if action.look is not None:
        for look_at in action_paths(face, action):
            router.add_api_route(
                look_at, _look(face, action), methods=["GET"], name=f"{action.page_endpoint}:page",
                summary=f"{action.summary}: page", response_class=HTMLResponse, tags=tags, openapi_extra=_in_path(look_at),
            )  # fmt: skip
    for path in action_paths(face, action) if action.do is not None else ():
        assert action.do is not None
        router.add_api_route(
            path, _submit(face, action, action.do), methods=["POST"], name=f"{action.page_endpoint}:form",
            summary=f"{action.summary}: form", openapi_extra=_described(action) | _in_path(path),
            responses={303: {"description": "Done: the next page"}, **_PAGE_ERRORS},
            response_class=HTMLResponse, tags=tags,
        )  # fmt: skip


def api_routes(router: APIRouter, face: SessionFace, action: Action) -> None:
    """The JSON face of an action."""
    for path in action_paths(face, action, "api/"):
        _api_routes(router, face, action, path)


def _api_routes(router: APIRouter, face: SessionFace, action: Action, path: str) -> None:
    tags: list[str | Enum] = [_ADMIN if action.admin else _API]
    responses: dict[int | str, dict[str, Any]] = {200: {"model": action.answer}, **_ERRORS}
    if action.fetch is not None:
        router.add_api_route(
            path, _call(face, action, action.fetch, changes=False), methods=["GET"],
            name=f"{action.api_endpoint}:get", summary=_FETCHES.get(action.name, action.summary), response_model=None,
            responses=responses, tags=tags, openapi_extra=needs(session=action.session) | _in_path(path),
        )  # fmt: skip
    if action.do is not None:
        router.add_api_route(
            path, _call(face, action, action.do), methods=["POST"], name=f"{action.api_endpoint}:post",
            summary=action.summary, openapi_extra=_described(action) | _in_path(path), response_model=None,
            responses=responses, tags=tags,
        )  # fmt: skip


def action_paths(face: SessionFace, action: Action, api: str = "") -> list[str]:
    """The paths of an action's page, or of its JSON face with `api/`.

    One whose token may be part of the path or a field is in two places.
    """
    path = f"{face.admin_prefix if action.admin else face.prefix}{api}{action.name}"
    if action.parameter == OPTIONAL_TOKEN:
        return [f"{path}/{{token}}", path]
    return [f"{path}/{action.parameter}" if action.parameter else path]


def _in_path(path: str) -> dict[str, Any]:
    _, brace, rest = path.partition("{")
    name = rest.rstrip("}")
    text = {"type": "string"}
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": text}]} if brace else {}


def _described(action: Action) -> dict[str, Any]:
    return form_or_json(action.body) | needs(session=action.session, csrf=True)


def session_routes(router: APIRouter, face: SessionFace) -> None:
    """What a script asks: who is logged in."""

    async def user_for_session_key(request: Request) -> Response:
        state = state_of(request)
        user, token = state["user"], face.source.csrf.token_for_page(state)
        shown = {"ok": True, "user": face.public(user) if user else None, "csrfToken": token}
        return JSONResponse(shown, headers=NO_STORE)

    for method in ("GET", "POST"):
        router.add_api_route(
            f"{face.prefix}api/userforsessionkey", user_for_session_key, methods=[method], response_model=None,
            name=f"userforsessionkey:{method.lower()}", summary="Who is logged in",
            responses={200: {"model": UserAnswer}}, tags=[_API], openapi_extra=needs(session=True),
        )  # fmt: skip


def csrf_routes(router: APIRouter, face: SessionFace) -> None:
    """What a script needs before it may change anything: a CSRF token."""

    async def get_csrf_token(request: Request) -> Response:
        token = state_of(request)["csrf_token"] or face.source.csrf.token_for_page(state_of(request))
        return JSONResponse({"ok": True, "csrfToken": token}, headers=NO_STORE)

    for method in ("GET", "POST"):
        router.add_api_route(
            f"{face.prefix}api/getcsrftoken", get_csrf_token, methods=[method], response_model=None,
            name=f"getcsrftoken:{method.lower()}", summary="Get a CSRF token",
            responses={200: {"model": CsrfAnswer}}, tags=[_API], openapi_extra=needs(),
            dependencies=[Depends(scheme) for scheme in schemes(face.manager.csrf_header_name)],
        )  # fmt: skip


def static_routes(router: APIRouter, face: SessionFace) -> None:
    """The stylesheet of the default pages. Its URL changes with its content, so it may be kept for a year."""
    content, _ = stylesheet()
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}

    async def css() -> Response:
        return Response(content, media_type="text/css", headers=headers)

    router.add_api_route(face.prefix + STYLESHEET, css, methods=["GET"], include_in_schema=False)


Endpoint = Callable[[Request], Awaitable[Response]]


def _look(face: SessionFace, action: Action) -> Endpoint:
    async def page(request: Request) -> Response:
        call = Call(face, request, JsonOrFormData(request, {}), True)
        assert action.look is not None
        try:
            await know_administrator(call)
            shown = await action.look(call)
            if isinstance(shown, Show):
                return answer_page(action, call, shown)
        except Exception as e:
            return refuse_page(None, call, as_reason(e), {"next": call.state.here(request)})
        return found(shown.url)

    return page


def _submit(face: SessionFace, action: Action, do: Do) -> Endpoint:
    async def form(request: Request) -> Response:
        call = Call(face, request, JsonOrFormData(request), True)
        try:
            # First, for who is asking is looked at again where the body comes late.
            await call.form.load()
            await know_administrator(call)
            check_csrf(action, call)
            with call.hashing():
                return answer_page(action, call, (await do(call)).page)
        except Exception as e:
            return await _show_again(action, call, as_reason(e))

    return form


def _call(face: SessionFace, action: Action, do: Do, changes: bool = True) -> Endpoint:
    async def api(request: Request) -> Response:
        call = Call(face, request, JsonOrFormData(request, None if changes else {}), False)
        try:
            if changes:
                await call.form.load()
                check_csrf(action, call)
            with call.hashing():
                return answer_json(call, await do(call))
        except Exception as e:
            return refuse_json(call, as_reason(e))

    return api


async def know_administrator(call: Call) -> None:
    """Ask `is_admin_fn` for the page that follows, which could not await it."""
    if call.user is not None:
        try:
            call.state.administrator = await is_administrator(call.state, call.user)
        except Exception as e:
            as_reason(e)
            call.state.administrator = False


async def _show_again(action: Action, call: Call, reason: CrossauthError) -> Response:
    """The form with what was wrong; where the form may not be seen either, the error page."""
    if not call.form.loaded:
        call = Call(call.face, call.request, JsonOrFormData(call.request, {}), True)
    if action.look is None:
        return refuse_page(None, call, reason, {"next": call.url()})
    try:
        shown = await action.look(call)
    except Exception as e:
        as_reason(e)
        shown = Go("")
    if isinstance(shown, Show):
        return refuse_page(action, call, reason, shown.variables)
    if reason.code is ErrorCode.InvalidCsrf and shown.url:
        # Such as a second tab: somebody who has logged in by now is sent on, whatever became of the form's token.
        return see_other(shown.url)
    # Somebody who is logged in is not shown the form of a login, also not with an error in it.
    return refuse_page(None, call, reason, {"next": shown.url or call.state.here(call.request)})
