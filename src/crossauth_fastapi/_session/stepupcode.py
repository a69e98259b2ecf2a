"""The code of a request that waits for it; and giving up what waits."""

from __future__ import annotations

from functools import partial
from typing import Any

from crossauth_backend.accounts import sessions
from crossauth_backend.accounts.challenge import PENDING, READ_REQUEST, VISIT, decrypt
from crossauth_backend.accounts.held_request import newest_held_request
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.data import get_json_data
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.fielderrors import field_errors, field_variables
from crossauth_fastapi._actions.forms import CsrfBody, Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._session.bodies import Factor2Body
from crossauth_fastapi._session.claims import claim_of
from crossauth_fastapi._session.context import SessionRequest
from crossauth_fastapi._session.factorpages import ask_variables, unreachable_text
from crossauth_fastapi._session.groups import FACTOR2


async def get_visit_page(call: SessionRequest) -> Page | Redirect:
    """The form that asks for the code of a request that waits; it is sent to where that request went."""
    user = call.session_user()
    visit = newest_held_request(call.ctx.accounts, call.state["session_key"], partial(claim_of, call.ctx, call.state))
    if visit is None:
        raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))
    # What only looks is asked for by GET, and a code is sent by POST.
    action = call.state.url(visit.path) if visit.slot == VISIT else call.url("factor2")
    secrets = decrypt(call.state["session_key"], call.ctx.accounts.ring, visit.slot, "visit").secrets
    view: dict[str, Any] = {
        **ask_variables(call, str(user.factor2), action, "", secrets=secrets),
        "codeUnsent": visit.unsent,
    }
    unsent, code = unreachable_text(call.ctx, user), call.request.query_params.get("error", "")
    if unsent is not None:
        view |= {"errorMessage": unsent, "factor2Hint": "", "codeUnsent": False}
    if code in ErrorCode.__members__:
        e = CrossauthError(ErrorCode[code])
        view |= {"errorCodeName": code, "errorMessage": e.message, **field_variables(field_errors(e, ("otp",)))}
    return Page(view)


async def no_visit(call: SessionRequest) -> Outcome:
    """Reached only where nothing waits: what waits is answered before it comes here, by `gate`."""
    raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))


async def cancel(call: SessionRequest) -> Outcome:
    """Cancel a pending two-factor challenge: of a login, or of a request."""
    key = call.state["session_key"]
    data = get_json_data(key) if key is not None else {}
    waiting = [name for name in (PENDING, VISIT, READ_REQUEST) if name in data]
    if not waiting:
        raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))
    if call.user is None:
        await sessions.log_out(call.ctx.accounts, call.state["session_id"])
        call.ctx.end_session(call.request)
    else:
        for name in waiting:
            await call.ctx.manager.delete_session_data(call.state["session_id"], name)
    return Outcome({"ok": True}, Redirect(call.url()))


FACTOR2_CODE = Action(
    name="factor2",
    group=FACTOR2,
    operation_id="account_factor2",
    events=(EventName.factor2_failed, EventName.recovery_code_used),
    limits=("factor2_challenge", "factor2_account", "factor2_address"),
    step_up=StepUp.NEVER,
    summary="Complete a pending two-factor challenge; answers as the pending request",
    submit=no_visit,
    get_page=get_visit_page,
    page_option="factor2_page",
    body=Factor2Body,
    answer=Ok,
    session=True,
)


CANCEL_FACTOR2 = Action(
    name="cancelfactor2",
    group=FACTOR2,
    operation_id="account_cancel_factor2",
    step_up=StepUp.NEVER,
    summary="Cancel a pending two-factor challenge",
    submit=cancel,
    get_page=None,
    body=CsrfBody,
    answer=Ok,
    session=True,
)
