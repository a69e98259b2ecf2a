"""Verifying an email address by the link in an email, and having another link sent."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import email_change
from crossauth_backend.accounts.email_change import Verified
from crossauth_backend.accounts.stages import Ask, Attempt
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_fastapi._http.errors import error_variables
from crossauth_fastapi._http.redirects import local_path, with_query
from crossauth_fastapi._session.actions import OPTIONAL_TOKEN, Action, Go, Outcome, Show, StepUp
from crossauth_fastapi._session.bodies import Ok, RequestVerificationBody, VerifyAnswer, VerifyBody
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.login import open_session, renew_session
from crossauth_fastapi._session.signup import begun_here

SENT_AGAIN = "If this account is waiting for its email address to be verified, we've sent it a new link."
# What makes a link useless, and another one useful.
_BAD_LINKS = (ErrorCode.InvalidKey, ErrorCode.Expired, ErrorCode.UserExists)


async def look_at_link(call: Call) -> Show | Go:
    """What the link in the mail leads to: one button. Programs that open links change nothing by it."""
    token = _token(call)
    try:
        asked = await email_change.check_link(call.face.accounts, token)
    except CrossauthError as e:
        if e.code not in _BAD_LINKS:
            raise
        return Show({**error_variables(e), "httpStatus": e.http_status}, status=e.http_status)
    user = asked.found.user
    if asked.already:
        return Show(_page_of(call, Verified(user, already=True)), "email_verified_page")
    shown = {"token": token, "address": asked.token.sent_to, "isChange": bool(asked.token.new_email)}
    return Show({**shown, "username": user.username})


async def fetch_link(call: Call) -> Outcome:
    """Whether the token in a link is good; nothing changes. `POST` verifies."""
    asked = await email_change.check_link(call.face.accounts, _token(call))
    return Outcome(_answer(call, asked.found.user, asked.already), Show())


async def verify_email(call: Call) -> Outcome:
    """Apply the token in the link. A session is opened only in the browser in which the sign-up began."""
    face, begun = call.face, begun_here(call)
    if begun or call.user is not None:
        await face.extra_columns(call.request)
    done = await email_change.verify_email(face.accounts, _token(call), call.origin)
    asked = None
    if call.user is not None and str(call.user.id) == str(done.user.id):
        if not done.already:
            await renew_session(call, done.user)
            call.state["user"] = done.user
    elif done.waited and begun.get("userid") == str(done.user.id):
        asked = (await open_session(face, call.request, Attempt(done.user), begun.get("persist"))).asked
    answer = _answer(call, done.user, True)
    if asked is Ask.FACTOR2:
        answer["twoFactorRequired"] = True
    if asked is Ask.FACTOR2_CHANGE and "changefactor2" in face.endpoints:
        return Outcome(answer, Go(with_query(call.url("changefactor2"), required="true")))
    shown = {**_page_of(call, done), "factor2Needed": asked is Ask.FACTOR2}
    after = begun.get("next")
    shown["next"] = local_path(after, "") if isinstance(after, str) else ""
    return Outcome(answer, Show(shown, "email_verified_page"))


async def look_at_request(call: Call) -> Show | Go:
    """The form that asks for the username."""
    return Show({"username": begun_here(call).get("username", ""), "next": call.next_page("")})


async def request_link(call: Call) -> Outcome:
    """Have a fresh link sent; the answer is the same whether or not there is such an account."""
    username = call.text("username") or str(begun_here(call).get("username", ""))
    if not username:
        raise CrossauthError(ErrorCode.BadRequest, "Enter your username")
    await email_change.request_link(call.face.accounts, username, call.origin)
    return Outcome({"ok": True, "message": SENT_AGAIN}, Show({"message": SENT_AGAIN, "next": call.next_page("")}))


def _token(call: Call) -> str:
    return call.text("token") or call.path_parameter or call.request.query_params.get("token", "")


def _answer(call: Call, user: User, verified: bool) -> dict[str, Any]:
    mine = call.user if call.user is not None and str(call.user.id) == str(user.id) else None
    return {"ok": True, "verified": verified, "user": call.face.public(mine) if mine else None}


def _page_of(call: Call, done: Verified) -> dict[str, Any]:
    mine = call.user is not None and str(call.user.id) == str(done.user.id)
    return {"user": call.user, "already": done.already, "otherUser": call.user is not None and not mine}


VERIFY_EMAIL = Action(
    name="verifyemail",
    step_up=StepUp.NEVER,
    summary="Verify an email address",
    do=verify_email,
    look=look_at_link,
    fetch=fetch_link,
    parameter=OPTIONAL_TOKEN,
    page_option="verify_email_page",
    body=VerifyBody,
    answer=VerifyAnswer,
)
REQUEST_VERIFICATION = Action(
    name="requestemailverification",
    step_up=StepUp.NEVER,
    summary="Request a new link to verify an email address",
    do=request_link,
    look=look_at_request,
    page_option="request_email_verification_page",
    body=RequestVerificationBody,
    answer=Ok,
    echo=("next", "username"),
)
