"""Sending the code of a second factor again."""

from __future__ import annotations

from functools import partial

from crossauth_backend.accounts import sent_codes
from crossauth_backend.core.texts import mark
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.forms import CsrfBody
from crossauth_fastapi._actions.outcome import Outcome, Page
from crossauth_fastapi._session.bodies import ResendAnswer
from crossauth_fastapi._session.claims import claim_of
from crossauth_fastapi._session.context import SessionRequest
from crossauth_fastapi._session.factorpages import ask_variables, factor_variables
from crossauth_fastapi._session.groups import FACTOR2
from crossauth_fastapi._session.stepupcode import get_visit_page

RESENT = mark("We've sent you a new code.")


async def resend(call: SessionRequest) -> Outcome:
    """Send a new code for what waits for one: a login, a request, or a factor that is being set up."""
    ctx = call.ctx
    claims = partial(claim_of, ctx, call.state)
    pending, data = await sent_codes.resend(ctx.accounts, call.state["session_key"], call.origin, claims)
    await ctx.keep(call.request, data)
    answer = {"ok": True, "factor2": pending.factor2, "message": RESENT}
    after = call.next_page(ctx.settings.login_redirect)
    if pending.purpose in ("signup", "setup"):
        factor = ctx.manager.factors[pending.factor2]
        view = {
            **factor_variables(call, pending.factor2, pending.secrets), **sent_codes.shown_again(factor, pending),
            "next": after, "notice": RESENT,
        }  # fmt: skip
        return Outcome(answer, Page(view, "configure_factor2_page"))
    if pending.purpose == "visit":
        page = await get_visit_page(call)
        if isinstance(page, Page):
            sent = factor_variables(call, pending.factor2, pending.secrets)
            page = Page({**page.variables, **sent, "codeUnsent": False, "notice": RESENT})
        return Outcome(answer, page)
    asked = {}
    if call.is_page:
        asked = ask_variables(call, pending.factor2, "loginfactor2", after, pending.persist, pending.secrets)
    return Outcome(answer, Page({**asked, "notice": RESENT}))


RESEND_CODE = Action(
    name="resendcode",
    group=FACTOR2,
    operation_id="account_resend_code",
    limits=("code_account", "mail_target", "sms_target", "sms_login_target"),
    step_up=StepUp.NEVER,
    summary="Resend the code of a second factor",
    submit=resend,
    get_page=None,
    page_option="factor2_page",
    body=CsrfBody,
    answer=ResendAnswer,
    session=True,
)
