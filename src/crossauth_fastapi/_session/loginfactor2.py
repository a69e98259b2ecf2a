"""Giving the second factor that a login waits for."""

from __future__ import annotations

from crossauth_backend.accounts import second_factor
from crossauth_backend.accounts.pending import PENDING, read_pending
from crossauth_fastapi._session.actions import Action, Go, Outcome, Show, StepUp
from crossauth_fastapi._session.bodies import LoginAnswer, LoginFactor2Body
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.factorpages import ask_variables
from crossauth_fastapi._session.login import code_of, sign_in


async def look_at_login(call: Call) -> Show | Go:
    """The form that asks for the code, where a login waits for one."""
    if call.user is not None:
        return Go(call.next_page(call.face.settings.login_redirect))
    pending = read_pending(call.state["session_key"], call.face.accounts.ring, PENDING, "login")
    after = call.next_page(call.face.settings.login_redirect)
    return Show(ask_variables(call, pending.factor2, "loginfactor2", after, pending.persist))


async def log_in(call: Call) -> Outcome:
    """Check the code, and open the session."""
    face, after = call.face, call.next_page(call.face.settings.login_redirect)
    key = call.state["session_key"]
    await face.extra_columns(call.request)
    attempt, pending = await second_factor.complete_login(face.accounts, key, code_of(call), call.origin)
    persist = call.form.getAsBool("persist", pending.persist)
    return await sign_in(call, attempt, persist, after)


LOGIN_FACTOR2 = Action(
    name="loginfactor2",
    step_up=StepUp.NEVER,
    summary="Give the second factor of a login",
    do=log_in,
    look=look_at_login,
    page_option="factor2_page",
    body=LoginFactor2Body,
    answer=LoginAnswer,
)
