"""An action as JSON: the endpoints behind its GET and its POST under `api/`, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.texts import for_json
from crossauth_fastapi._actions.action import AnyAction, Handler
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._actions.outcome import Outcome
from crossauth_fastapi._actions.request import ActionRequest, AnyRequest
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import NO_STORE, as_reason, error_json, json_headers
from crossauth_fastapi._middleware.challenges import with_challenges


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
                return _answer(call, await self.get_json(call))
        except Exception as e:
            return _refuse(call, as_reason(e))


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
            call.check_csrf(self.action.csrf, self.action.session)
            with call.hashing():
                return _answer(call, await self.submit(call))
        except Exception as e:
            return _refuse(call, as_reason(e))


def _answer(call: AnyRequest, outcome: Outcome) -> Response:
    body = {**outcome.json, **_changed_token(call)}
    if call.state.site.languages is None:
        return JSONResponse(body, headers=NO_STORE)
    return JSONResponse(for_json(body), headers=json_headers())


def _refuse(call: AnyRequest, e: CrossauthError) -> Response:
    """A refusal; that of a key or a token says how to send a better one."""
    answer, principal = error_json(e, _changed_token(call)), call.state.principal
    refused = principal is not None and principal.error is e
    return with_challenges(answer, call.state, e) if refused else answer


def _changed_token(call: AnyRequest) -> dict[str, str]:
    token = call.ctx.changed_csrf_token(call.state)
    return {"csrfToken": token} if token else {}
