"""An outcome or a refusal as a page or as JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._actions.action import Action
from crossauth_fastapi._actions.context import ActionContext, ActionRequest
from crossauth_fastapi._actions.interactions import PARAMETER
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._http.errors import (
    NO_STORE,
    PasswordRequired,
    error_json,
    error_variables,
    with_retry_after,
)  # fmt: skip
from crossauth_fastapi._http.redirects import see_other
from crossauth_fastapi._middleware.challenges import with_challenges

AnyAction: TypeAlias = Action[Any, Any]
AnyRequest: TypeAlias = ActionRequest[Any, Any]


def answer_json(call: AnyRequest, outcome: Outcome) -> Response:
    """An outcome as JSON."""
    return JSONResponse({**outcome.json, **_changed_token(call)}, headers=NO_STORE)


def _changed_token(call: AnyRequest) -> dict[str, str]:
    token = call.ctx.changed_csrf_token(call.state)
    return {"csrfToken": token} if token else {}


async def leading_on(call: AnyRequest, page: Page) -> Page:
    """`page`, whose forms may lead to where the flow ends that goes on with its `next`."""
    after = page.variables.get("next")
    if not isinstance(after, str) or PARAMETER not in after:
        return page
    return replace(page, policy=await call.ctx.policy_before(call.request, after, page.policy))


async def answer_page(action: AnyAction, call: AnyRequest, page: Page | Redirect) -> Response:
    """An outcome as a page."""
    if isinstance(page, Redirect):
        return see_other(page.url)
    ctx: ActionContext = call.ctx
    page = await leading_on(call, page)
    return ctx.render(
        call.request, template_of(action, ctx, page.page_option), page.variables, page.status, page.policy
    )


def template_of(action: AnyAction | None, ctx: ActionContext, page_option: str | None = None) -> str:
    """The template of an action's page, or the one that the option `page_option` names; that of errors where it has none."""
    if action is not None and page_option is None:
        if action.template is not None:
            return action.template
        page_option = action.page_option
    return ctx.settings.page(page_option or "error_page")


def refuse_json(call: AnyRequest, e: CrossauthError) -> Response:
    """A refusal as JSON; that of a key or a token says how to send a better one."""
    answer, principal = error_json(e, _changed_token(call)), call.state.principal
    refused = principal is not None and principal.error is e
    return with_challenges(answer, call.state, e) if refused else answer


def refuse_page(action: AnyAction | None, call: AnyRequest, e: CrossauthError, shown: Page) -> Response:
    """A refusal as a page: the action's own form again, with what was wrong and what was typed; or the error page."""
    variables = {**error_variables(e), "httpStatus": e.http_status, **shown.variables}
    if action is not None and action.has_page:
        # A wrong password is asked for again.
        if isinstance(e, PasswordRequired) or call.form.get(action.own_password):
            variables["passwordNeeded"] = True
        variables |= {n: call.form.get(n) for n in call.form if n in action.echo or n.startswith("user_")}
    page = template_of(action, call.ctx)
    return with_retry_after(call.ctx.render(call.request, page, variables, e.http_status, shown.policy), e)
