"""Giving the second factor that a login waits for."""

from __future__ import annotations

from crossauth_backend.accounts import second_factor
from crossauth_backend.accounts.pending import PENDING, read_pending
from crossauth_backend.events.record import EventName
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._session.bodies import LoginAnswer, LoginFactor2Body
from crossauth_fastapi._session.context import SessionRequest, Submitted
from crossauth_fastapi._session.factorforms import ask_variables, code_of
from crossauth_fastapi._session.groups import FACTOR2
from crossauth_fastapi._session.login import sign_in


async def get_login_page(call: SessionRequest) -> Page | Redirect:
    """The form that asks for the code, where a login waits for one."""
    if call.user is not None:
        return Redirect(call.next_page(call.ctx.settings.login_redirect))
    pending = read_pending(call.state["session_key"], call.ctx.accounts.ring, PENDING, "login")
    after = call.next_page(call.ctx.settings.login_redirect)
    return Page(ask_variables(call, pending.factor2, "loginfactor2", after, pending.persist))


async def log_in(call: Submitted[LoginFactor2Body]) -> Outcome:
    """Check the code, and open the session."""
    ctx, after = call.ctx, call.next_page(call.ctx.settings.login_redirect)
    key = call.state["session_key"]
    await ctx.extra_columns(call.request)
    attempt, pending = await second_factor.complete_login(ctx.accounts, key, code_of(call), call.origin)
    sent = call.body.persist
    persist = pending.persist if sent is None else sent
    return await sign_in(call, attempt, persist, after)


LOGIN_FACTOR2 = Action(
    name="loginfactor2",
    group=FACTOR2,
    operation_id="account_login_factor2",
    events=(EventName.login_succeeded, EventName.factor2_failed, EventName.recovery_code_used),
    limits=("factor2_challenge", "factor2_account", "factor2_address"),
    step_up=StepUp.NEVER,
    summary="Give the second factor of a login",
    submit=log_in,
    get_page=get_login_page,
    page_option="factor2_page",
    body=LoginFactor2Body,
    answer=LoginAnswer,
)
