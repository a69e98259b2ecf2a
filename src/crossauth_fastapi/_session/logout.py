"""Logging out."""

from __future__ import annotations

from crossauth_backend.accounts import sessions
from crossauth_backend.events.record import EventName
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.forms import Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._actions.request import CsrfRule
from crossauth_fastapi._session.bodies import LogoutBody
from crossauth_fastapi._session.context import SessionRequest
from crossauth_fastapi._session.groups import BASIC


async def get_logout_page(call: SessionRequest) -> Page | Redirect:
    """A page that asks before it logs out: a link alone must not."""
    after = call.next_page(call.ctx.settings.logout_redirect)
    return Page({"next": after}) if call.user else Redirect(after)


async def log_out(call: SessionRequest) -> Outcome:
    """End the session and delete the cookies."""
    session_id = call.state["session_id"]
    if session_id is not None:
        # The user of the session: with an API key in the header, the principal is the user of the key.
        session = call.state.identities.get(call.ctx.source.name)
        await sessions.log_out(call.ctx.accounts, session_id, session.user if session else None, call.origin)
        call.ctx.end_session(call.request)
    return Outcome({"ok": True}, Redirect(call.next_page(call.ctx.settings.logout_redirect)))


LOGOUT = Action(
    name="logout",
    group=BASIC,
    operation_id="account_logout",
    events=(EventName.logged_out,),
    step_up=StepUp.NEVER,
    summary="Log out",
    submit=log_out,
    get_page=get_logout_page,
    page_option="logout_page",
    body=LogoutBody,
    answer=Ok,
    csrf=CsrfRule.ON_SESSION,
    session=True,
)
