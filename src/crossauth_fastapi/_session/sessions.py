"""Where one is logged in, and logging out elsewhere."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import sessions
from crossauth_backend.accounts.sessions import SessionInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._session.bodies import SessionsAnswer, SessionsBody
from crossauth_fastapi._session.context import SessionRequest, Submitted
from crossauth_fastapi._session.groups import BASIC

ENDED = mark("The session has been logged out.")
ALL_ENDED = mark("All other sessions have been logged out.")


async def get_sessions_page(call: SessionRequest) -> Page | Redirect:
    """The list."""
    return Page({"sessions": await _list(call)})


async def get_sessions_json(call: SessionRequest) -> Outcome:
    """The list, as JSON."""
    return Outcome({"ok": True, "sessions": await sessions_json(call)}, Page())


async def end_sessions(call: Submitted[SessionsBody]) -> Outcome:
    """End the session that `session` names, or with `all` every other one."""
    accounts, user, current = call.ctx.accounts, call.session_user(), call.state["session_id"]
    if call.body.all:
        await sessions.end_other_sessions(accounts, user, current, call.origin)
        message = ALL_ENDED
    else:
        handle = call.body.session or ""
        if not handle:
            raise CrossauthError(ErrorCode.BadRequest, mark("Choose a session, or all sessions"))
        if any(s.current and s.handle == handle for s in await _list(call)):
            raise CrossauthError(ErrorCode.BadRequest, mark("This is your current session. Log out instead."))
        await sessions.end_session(accounts, user, handle, call.origin)
        message = ENDED
    left = await _list(call)
    answer = {"ok": True, "message": message, "sessions": [_as_json(s) for s in left]}
    return Outcome(answer, Page({"message": message, "sessions": left}))


async def sessions_json(call: SessionRequest) -> list[dict[str, Any]]:
    """The sessions of whoever is logged in, as JSON."""
    return [_as_json(s) for s in await _list(call)]


async def _list(call: SessionRequest) -> list[SessionInfo]:
    return await sessions.list_sessions(call.ctx.accounts, call.session_user(), call.state["session_id"])


def _as_json(session: SessionInfo) -> dict[str, Any]:
    return {
        "session": session.handle,
        "created": session.created.isoformat(),
        "lastActive": session.last_active.isoformat() if session.last_active else None,
        "agent": session.agent,
        "address": session.address,
        "current": session.current,
    }


SESSIONS = Action(
    name="sessions",
    group=BASIC,
    operation_id="account_end_sessions",
    events=(EventName.session_ended, EventName.sessions_ended),
    json_summary="List your sessions",
    json_operation_id="account_list_sessions",
    step_up=StepUp.NEVER,
    summary="Revoke your sessions",
    submit=end_sessions,
    get_page=get_sessions_page,
    get_json=get_sessions_json,
    page_option="sessions_page",
    body=SessionsBody,
    answer=SessionsAnswer,
    session=True,
)
