"""The page that says that an address is verified, for applications that link to it."""

from __future__ import annotations

from crossauth_fastapi._session.actions import Action, Go, Show, StepUp
from crossauth_fastapi._session.bodies import Ok
from crossauth_fastapi._session.context import Call


async def get_page(call: Call) -> Show | Go:
    """The page for a user who is logged in; everybody else logs in first."""
    return Show({"user": call.user}) if call.user else Go(call.url("login"))


EMAIL_VERIFIED = Action(
    name="emailverified",
    summary="Say that the email address is verified",
    do=None,
    look=get_page,
    page_option="email_verified_page",
    answer=Ok,
    session=True,
    step_up=StepUp.NEVER,
)
