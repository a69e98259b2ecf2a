"""An action as a page: the endpoints behind its GET and behind its form, and their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._actions.action import AnyAction, Handler, PageHandler
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._actions.fielderrors import field_errors, field_variables
from crossauth_fastapi._actions.interactions import PARAMETER
from crossauth_fastapi._actions.outcome import Page, Redirect
from crossauth_fastapi._actions.request import ActionRequest, AnyRequest
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import PasswordRequired, as_reason, error_variables, with_retry_after
from crossauth_fastapi._http.redirects import found, see_other, with_query
from crossauth_fastapi._middleware.state import is_administrator
from crossauth_fastapi._middleware.whereabouts import here


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
            await _know_administrator(call)
            view = await self.get_page(call)
            if isinstance(view, Page):
                return await _answer(self.action, call, view)
        except Exception as e:
            return _refuse(None, call, as_reason(e), Page({"next": here(call.state, request)}))
        return found(view.url)


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
            await _know_administrator(call)
            call.check_csrf(self.action.csrf, self.action.session)
            with call.hashing():
                return await _answer(self.action, call, (await self.submit(call)).page)
        except Exception as e:
            return await _show_again(self.action, call, as_reason(e))


async def _know_administrator(call: AnyRequest) -> None:
    """Ask `is_admin_fn` for the page that follows, which could not await it."""
    if call.user is not None:
        try:
            call.state.administrator = await is_administrator(call.state, call.user)
        except Exception as e:
            as_reason(e)
            call.state.administrator = False


async def _leading_on(call: AnyRequest, page: Page) -> Page:
    """`page`, whose forms may lead to where the flow ends that goes on with its `next`."""
    after = page.variables.get("next")
    if not isinstance(after, str) or PARAMETER not in after:
        return page
    return replace(page, policy=await call.ctx.policy_before(call.request, after, page.policy))


async def _answer(action: AnyAction, call: AnyRequest, page: Page | Redirect) -> Response:
    if isinstance(page, Redirect):
        return see_other(page.url)
    ctx: ActionContext = call.ctx
    page = await _leading_on(call, page)
    return ctx.render(
        call.request, _template_of(action, ctx, page.page_option), page.variables, page.status, page.policy
    )


def _template_of(action: AnyAction | None, ctx: ActionContext, page_option: str | None = None) -> str:
    """The template of an action's page, or the one that the option `page_option` names; that of errors where it has none."""
    if action is not None and page_option is None:
        if action.template is not None:
            return action.template
        page_option = action.page_option
    return ctx.settings.page(page_option or "error_page")


async def _show_again(action: AnyAction, call: AnyRequest, reason: CrossauthError) -> Response:
    """The form with what was wrong; where the form may not be seen either, the error page."""
    if not call.form.loaded:
        call = ActionRequest(call.ctx, call.request, JsonOrFormData(call.request, {}), True, action.body)
    if action.get_page is None:
        return _refuse(None, call, reason, Page({"next": call.next_page("") or call.url()}))
    try:
        view = await action.get_page(call)
    except Exception as e:
        as_reason(e)
        view = Redirect("")
    if isinstance(view, Page):
        return _refuse(action, call, reason, await _leading_on(call, view))
    if reason.code is ErrorCode.InvalidCsrf and view.url:
        # Such as a second tab: somebody who has logged in by now is sent on, whatever became of the form's token.
        return see_other(view.url)
    # Somebody who is logged in is not shown the form of a login, also not with an error in it.
    return _refuse(None, call, reason, Page({"next": view.url or _here(call)}))


def _here(call: AnyRequest) -> str:
    """The URL of the page whose form was sent, which leads on to where the form would have."""
    url, after = here(call.state, call.request), call.next_page("")
    return url if "?" in url else with_query(url, next=after)


def _field_errors(action: AnyAction, call: AnyRequest, e: CrossauthError) -> dict[str, list[str]]:
    # Browsers send what a form shows, in its order.
    view = list(call.form)
    login = not action.session and {"username", "password"} <= action.body.model_fields.keys()
    return field_errors(e, view, action.own_password, login)


def _refuse(action: AnyAction | None, call: AnyRequest, e: CrossauthError, shown: Page) -> Response:
    """A refusal: the action's own form again, with what was wrong and what was typed; or the error page."""
    variables = {**error_variables(e), "httpStatus": e.http_status, **shown.variables}
    if action is not None and action.has_page:
        # A wrong password is asked for again.
        if isinstance(e, PasswordRequired) or call.form.get(action.own_password):
            variables["passwordNeeded"] = True
        variables |= field_variables(_field_errors(action, call, e))
        # Of JSON, too, only what a form could have sent.
        typed = {n: call.form.get(n) for n in call.form if n in action.echo or n.startswith("user_")}
        variables |= {n: value for n, value in typed.items() if isinstance(value, (str, bool, int, float))}
    page = _template_of(action, call.ctx)
    return with_retry_after(call.ctx.render(call.request, page, variables, e.http_status, shown.policy), e)
