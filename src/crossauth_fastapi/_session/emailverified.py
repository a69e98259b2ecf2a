"""The page that says that an address is verified, for applications that link to it."""

from __future__ import annotations

from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.forms import CsrfBody, Ok
from crossauth_fastapi._actions.outcome import Page, Redirect
from crossauth_fastapi._session.context import SessionRequest
from crossauth_fastapi._session.groups import VERIFICATION


async def get_page(call: SessionRequest) -> Page | Redirect:
    """The page for a user who is logged in; everybody else logs in first."""
    return Page({"user": call.user}) if call.user else Redirect(call.url("login"))


EMAIL_VERIFIED = Action(
    name="emailverified",
    group=VERIFICATION,
    operation_id="account_email_verified",
    summary="Say that the email address is verified",
    submit=None,
    get_page=get_page,
    page_option="email_verified_page",
    body=CsrfBody,
    answer=Ok,
    session=True,
    step_up=StepUp.NEVER,
)
