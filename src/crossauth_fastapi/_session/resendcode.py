"""Sending the code of a second factor again."""

from __future__ import annotations

from crossauth_backend.accounts import codes
from crossauth_fastapi._session.actions import Action, Outcome, Show, StepUp
from crossauth_fastapi._session.bodies import ResendAnswer
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.factorpages import ask_variables, factor_variables
from crossauth_fastapi._session.stepupcode import look_at_visit

RESENT = "We've sent you a new code."


async def resend(call: Call) -> Outcome:
    """Send a new code for what waits for one: a login, a request, or a factor that is being set up."""
    face = call.face
    pending, data = await codes.resend(face.accounts, call.state["session_key"], call.origin)
    await face.keep(call.request, data)
    answer = {"ok": True, "factor2": pending.factor2, "message": RESENT}
    after = call.next_page(face.settings.login_redirect)
    if pending.purpose in ("signup", "setup"):
        factor = face.manager.factors[pending.factor2]
        shown = {
            **factor_variables(call, pending.factor2), **codes.shown_again(factor, pending), "next": after, "notice": RESENT,
        }  # fmt: skip
        return Outcome(answer, Show(shown, "configure_factor2_page"))
    if pending.purpose == "visit":
        page = await look_at_visit(call)
        return Outcome(answer, Show({**page.variables, "notice": RESENT}) if isinstance(page, Show) else page)
    asked = ask_variables(call, pending.factor2, "loginfactor2", after, pending.persist)
    return Outcome(answer, Show({**asked, "notice": RESENT}))


RESEND_CODE = Action(
    name="resendcode",
    step_up=StepUp.NEVER,
    summary="Send the code of a second factor again",
    do=resend,
    look=None,
    page_option="factor2_page",
    answer=ResendAnswer,
    session=True,
)
