"""Verifying an email address by the link in an email, and having another link sent."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import email_change
from crossauth_backend.accounts.credentials import proven
from crossauth_backend.accounts.email_change import Verified
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.action import OPTIONAL_TOKEN, Action, StepUp
from crossauth_fastapi._actions.forms import Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._http.errors import error_variables
from crossauth_fastapi._http.redirects import with_query
from crossauth_fastapi._session.bodies import RequestVerificationBody, VerifyAnswer, VerifyBody
from crossauth_fastapi._session.context import SessionRequest, Submitted
from crossauth_fastapi._session.groups import VERIFICATION
from crossauth_fastapi._session.interactions import flow_in
from crossauth_fastapi._session.login import open_session
from crossauth_fastapi._session.nextpage import keep_next, kept_next
from crossauth_fastapi._session.renewal import renew_session
from crossauth_fastapi._session.signup import begun_here

SENT_AGAIN = mark("If this account is waiting for its email address to be verified, we've sent it a new link.")
# What makes a link useless, and another one useful.
_BAD_LINKS = (ErrorCode.InvalidKey, ErrorCode.Expired, ErrorCode.UserExists)


async def get_link_page(call: SessionRequest) -> Page | Redirect:
    """What the link in the mail leads to: one button. Programs that open links change nothing by it."""
    token = _token(call)
    try:
        asked = await email_change.check_link(call.ctx.accounts, token)
    except CrossauthError as e:
        if e.code not in _BAD_LINKS:
            raise
        view = {**error_variables(e), "httpStatus": e.http_status, "next": kept_next(call)}
        return Page(view, status=e.http_status)
    user = asked.found.user
    after = call.next_page("") or kept_next(call)
    if asked.already:
        return Page({**_page_of(call, Verified(user, already=True)), "next": after}, "email_verified_page")
    view = {"token": token, "address": asked.token.sent_to, "isChange": bool(asked.token.new_email), "next": after}
    return Page({**view, "username": user.username})


async def get_link_json(call: SessionRequest) -> Outcome:
    """Whether the token in a link is good; nothing changes. `POST` verifies."""
    asked = await email_change.check_link(call.ctx.accounts, _token(call))
    return Outcome(_answer(call, asked.found.user, asked.already), Page())


async def verify_email(call: Submitted[VerifyBody]) -> Outcome:
    """Apply the token in the link. A session is opened only in the browser in which the sign-up began."""
    ctx, begun = call.ctx, begun_here(call)
    after = call.next_page("") or kept_next(call)
    if begun or call.user is not None:
        await ctx.extra_columns(call.request)
    done = await email_change.verify_email(ctx.accounts, _token(call), call.origin)
    asked = None
    if call.user is not None and str(call.user.id) == str(done.user.id):
        if not done.already:
            await renew_session(call, done.user)
            call.state["user"] = done.user
    elif done.waited and begun.get("userid") == str(done.user.id):
        attempt = proven(ctx.accounts, done.user)
        asked = (await open_session(ctx, call.request, attempt, begun.get("persist"))).asked
    answer = _answer(call, done.user, True)
    if asked is Requirement.FACTOR2:
        answer["twoFactorRequired"] = True
    if asked is Requirement.FACTOR2_CHANGE and "changefactor2" in ctx.endpoints:
        return Outcome(answer, Redirect(with_query(call.url("changefactor2"), required="true", next=after)))
    view = {**_page_of(call, done), "factor2Needed": asked is Requirement.FACTOR2, "next": after}
    if call.user is not None and not view["otherUser"] and flow_in(after) is not None:
        # Somebody is on the way elsewhere: the flow goes on by itself.
        return Outcome(answer, Redirect(after))
    return Outcome(answer, Page(view, "email_verified_page"))


async def get_request_page(call: SessionRequest) -> Page | Redirect:
    """The form that asks for the username."""
    return Page({"username": begun_here(call).get("username", ""), "next": call.next_page("") or kept_next(call)})


async def request_link(call: Submitted[RequestVerificationBody]) -> Outcome:
    """Have a fresh link sent; the answer is the same whether or not there is such an account."""
    username = call.body.username or str(begun_here(call).get("username", ""))
    if not username:
        raise CrossauthError(ErrorCode.BadRequest, mark("Enter your username"))
    await email_change.request_link(call.ctx.accounts, username, call.origin)
    await keep_next(call)
    return Outcome({"ok": True, "message": SENT_AGAIN}, Page({"message": SENT_AGAIN, "next": call.next_page("")}))


def _token(call: Submitted[VerifyBody]) -> str:
    return call.body.token or call.path_parameter or call.request.query_params.get("token", "")


def _answer(call: SessionRequest, user: User, verified: bool) -> dict[str, Any]:
    own = call.user if call.user is not None and str(call.user.id) == str(user.id) else None
    return {"ok": True, "verified": verified, "user": call.ctx.public(own) if own else None}


def _page_of(call: SessionRequest, done: Verified) -> dict[str, Any]:
    own = call.user is not None and str(call.user.id) == str(done.user.id)
    return {"user": call.user, "already": done.already, "otherUser": call.user is not None and not own}


VERIFY_EMAIL = Action(
    name="verifyemail",
    group=VERIFICATION,
    operation_id="account_verify_email",
    events=(EventName.email_verified, EventName.email_changed, EventName.login_succeeded, EventName.factor2_asked),
    limits=("token_credential", "token_address"),
    json_summary="Check a link to verify an email address",
    json_operation_id="account_check_email_link",
    step_up=StepUp.NEVER,
    summary="Verify an email address",
    submit=verify_email,
    get_page=get_link_page,
    get_json=get_link_json,
    parameter=OPTIONAL_TOKEN,
    page_option="verify_email_page",
    body=VerifyBody,
    answer=VerifyAnswer,
)
REQUEST_VERIFICATION = Action(
    name="requestemailverification",
    group=VERIFICATION,
    operation_id="account_request_email_verification",
    limits=("verification_account", "verification_address", "mail_target"),
    step_up=StepUp.NEVER,
    summary="Request a new link to verify an email address",
    submit=request_link,
    get_page=get_request_page,
    page_option="request_email_verification_page",
    body=RequestVerificationBody,
    answer=Ok,
    echo=("next", "username"),
)
