"""Logging out."""

from __future__ import annotations

from crossauth_backend.accounts import login
from crossauth_fastapi._session.actions import Action, CsrfRule, Go, Outcome, Show, StepUp
from crossauth_fastapi._session.bodies import LogoutBody, Ok
from crossauth_fastapi._session.context import Call


async def look_at_logout(call: Call) -> Show | Go:
    """A page that asks before it logs out: a link alone must not."""
    after = call.next_page(call.face.settings.logout_redirect)
    return Show({"next": after}) if call.user else Go(after)


async def log_out(call: Call) -> Outcome:
    """End the session and delete the cookies."""
    session_id = call.state["session_id"]
    if session_id is not None:
        await login.log_out(call.face.accounts, session_id, call.user, call.origin)
        call.face.end_session(call.request)
    return Outcome({"ok": True}, Go(call.next_page(call.face.settings.logout_redirect)))


LOGOUT = Action(
    name="logout",
    step_up=StepUp.NEVER,
    summary="Log out",
    do=log_out,
    look=look_at_logout,
    page_option="logout_page",
    body=LogoutBody,
    answer=Ok,
    csrf=CsrfRule.WITH_COOKIE,
    session=True,
)
