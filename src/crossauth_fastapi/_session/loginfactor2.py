"""Giving the second factor that a login or a request waits for."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import login, second_factor
from crossauth_backend.accounts.page_visit import waiting_visit
from crossauth_backend.accounts.pending import PENDING, VISIT, read_pending
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.record import get_json_data
from crossauth_fastapi._session.actions import Action, Go, Outcome, Show
from crossauth_fastapi._session.bodies import Factor2Body, LoginAnswer, LoginFactor2Body, Ok
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.login import ask_variables, code_of, sign_in


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
    attempt, pending = await second_factor.complete_login(face.accounts, key, code_of(call), call.origin)
    persist = call.form.getAsBool("persist", pending.persist)
    return await sign_in(call, attempt, persist, after)


async def look_at_visit(call: Call) -> Show | Go:
    """The form that asks for the code of a request that waits; it is sent to where that request went."""
    user = call.session_user()
    visit = waiting_visit(call.face.accounts, call.state["session_key"])
    if visit is None:
        raise CrossauthError(ErrorCode.Unauthorized, "No second factor is being asked for")
    shown: dict[str, Any] = ask_variables(call, str(user.factor2), visit.path, "")
    code = call.request.query_params.get("error", "")
    if code in ErrorCode.__members__:
        shown |= {"errorCodeName": code, "errorMessage": CrossauthError(ErrorCode[code]).message}
    return Show(shown)


async def no_visit(call: Call) -> Outcome:
    """Reached only where nothing waits: what waits is answered before it comes here, by `gate`."""
    raise CrossauthError(ErrorCode.Unauthorized, "No second factor is being asked for")


async def cancel(call: Call) -> Outcome:
    """Forget what waits for a code: a login, or a request."""
    key = call.state["session_key"]
    data = get_json_data(key) if key is not None else {}
    waiting = [name for name in (PENDING, VISIT) if name in data]
    if not waiting:
        raise CrossauthError(ErrorCode.Unauthorized, "No second factor is being asked for")
    if call.user is None:
        await login.log_out(call.face.accounts, call.state["session_id"])
        call.face.end_session(call.request)
    else:
        for name in waiting:
            await call.face.manager.delete_session_data(call.state["session_id"], name)
    return Outcome({"ok": True}, Go(call.url()))


LOGIN_FACTOR2 = Action(
    name="loginfactor2",
    summary="Give the second factor of a login",
    do=log_in,
    look=look_at_login,
    page_option="factor2_page",
    body=LoginFactor2Body,
    answer=LoginAnswer,
)
FACTOR2 = Action(
    name="factor2",
    summary="Give the second factor of a request that waits for it; answers as that request",
    do=no_visit,
    look=look_at_visit,
    page_option="factor2_page",
    body=Factor2Body,
    answer=Ok,
    session=True,
)
CANCEL_FACTOR2 = Action(
    name="cancelfactor2",
    summary="Forget what waits for a second factor",
    do=cancel,
    look=None,
    page_option="factor2_page",
    answer=Ok,
    session=True,
)
