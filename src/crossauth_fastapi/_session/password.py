"""Changing one's password: by choice, because the account demands it, or by a link."""

from __future__ import annotations

from typing import Any, Final

from crossauth_backend.accounts import password
from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.credentials import proven
from crossauth_backend.accounts.required_change import RequiredChange, required_change
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.action import OPTIONAL_TOKEN, Action, StepUp
from crossauth_fastapi._actions.forms import Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._http.errors import LoginRequired, error_variables
from crossauth_fastapi._session.bodies import ChangePasswordBody, LoginAnswer, RequestResetBody, ResetBody
from crossauth_fastapi._session.context import SessionRequest, Submitted, secrets_of
from crossauth_fastapi._session.groups import BASIC, RESET
from crossauth_fastapi._session.login import open_session, sign_in
from crossauth_fastapi._session.nextpage import keep_next, kept_next
from crossauth_fastapi._session.renewal import current_attempt

CHANGED = mark("Your password has been changed.")
# What makes a link useless, and another one useful.
_BAD_LINKS: Final = (ErrorCode.InvalidKey, ErrorCode.Expired)
RESET_SENT = mark("If there is an account with this email address, we've sent it a link to reset the password.")


async def password_subject(call: SessionRequest) -> tuple[str, RequiredChange | None]:
    """The name of the user whose password may be changed, and the change that a login demanded, if it is that.

    That is whoever is logged in, or was sent here by a login that demanded it.

    Raises:
        CrossauthError: `Unauthorized` where there is neither.
    """
    if call.user is None:
        required = await required_change(call.ctx.accounts, call.state["session_key"], Requirement.PASSWORD_CHANGE)
        if required is not None:
            return required.user.username, required
    return call.session_user().username, None


async def get_password_page(call: SessionRequest) -> Page | Redirect:
    """The form."""
    username, _ = await password_subject(call)
    required = call.user is None or call.request.query_params.get("required") == "true"
    return Page({"next": call.next_page(""), "required": required, "isAdmin": False, "username": username})


async def change_password(call: SessionRequest) -> Outcome:
    """Check the old password, store the new one, and end every other session."""
    ctx = call.ctx
    await ctx.extra_columns(call.request)
    username, forced = await password_subject(call)
    user = await password.change_password(
        ctx.accounts,
        username,
        old=secrets_of(call, "old_"),
        new=secrets_of(call, "new_"),
        repeat=secrets_of(call, "repeat_") or None,
        origin=call.origin,
    )
    after = call.next_page("")
    if forced is not None:
        return await _sign_in_after(call, Attempt(user, forced.methods, forced.factor2_passed), after)
    # Every session is gone, this one too: whoever copied its cookie is out, and the browser gets a new one.
    provided = call.state.factor2_given
    await open_session(ctx, call.request, current_attempt(call, user), False, factor2_given=provided)
    page = Page({"message": CHANGED, "next": after, "required": False})
    return Outcome({"ok": True, "message": CHANGED}, page)


async def _sign_in_after(call: SessionRequest, attempt: Attempt, after: str = "") -> Outcome:
    """Log in whoever has a new password. Where that needs something first the password is changed all the same, and the answer
    says both."""
    try:
        return await sign_in(call, attempt, False, after or call.state.link(call.ctx.settings.login_redirect))
    except CrossauthError as e:
        if e.http_status >= 500:
            raise
        told = f"{CHANGED} {e.message}"
        answer = {"ok": True, "user": None, "message": told, "loginRefused": e.code_name}
        return Outcome(answer, Page({"message": told, "next": after, "required": False}))


async def get_request_page(call: SessionRequest) -> Page | Redirect:
    """The form that asks for the address."""
    return Page({"next": call.next_page(""), "required": call.request.query_params.get("required") == "true"})


async def request_reset(call: Submitted[RequestResetBody]) -> Outcome:
    """Request a password reset; the response is the same whether or not there is such an account."""
    email = call.body.email
    await password.request_reset(call.ctx.accounts, email, call.origin)
    await keep_next(call)
    view = {"message": RESET_SENT, "email": email, "next": call.next_page("")}
    return Outcome({"ok": True, "message": RESET_SENT, "email": email}, Page(view))


async def get_reset_page(call: Submitted[ResetBody]) -> Page | Redirect:
    """The form that asks for the new password, if the token is good; it comes in the link, or again from the form."""
    token = call.body.token or call.path_parameter or call.request.query_params.get("token", "")
    if not token:
        raise LoginRequired
    try:
        # Not counted: looking changes nothing, and a token is not to be guessed.
        user = await call.ctx.accounts.need_emails().check_password_reset_token(token)
    except CrossauthError as e:
        if e.code not in _BAD_LINKS:
            raise
        view = {**error_variables(e), "httpStatus": e.http_status, "badLink": True, "next": kept_next(call)}
        return Page(view, status=e.http_status)
    return Page({"token": token, "username": user.username, "next": call.next_page("") or kept_next(call)})


async def reset_password(call: Submitted[ResetBody]) -> Outcome:
    """Store the new password of whoever holds the token; a second factor is still asked for."""
    ctx = call.ctx
    await ctx.extra_columns(call.request)
    token = call.body.token or call.path_parameter
    after = call.next_page("") or kept_next(call)
    user: User = await password.reset_password(
        ctx.accounts, token, secrets_of(call, "new_"), secrets_of(call, "repeat_") or None, call.origin
    )
    result = await _sign_in_after(call, proven(ctx.accounts, user), after)
    if call.user is None:
        return result
    view: dict[str, Any] = {"message": CHANGED, "user": call.user, "next": after}
    return Outcome({"message": CHANGED, **result.json}, Page(view))


CHANGE_PASSWORD = Action(
    name="changepassword",
    group=BASIC,
    operation_id="account_change_password",
    events=(EventName.password_changed, EventName.login_succeeded, EventName.factor2_asked),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    summary="Change your password",
    submit=change_password,
    get_page=get_password_page,
    page_option="change_password_page",
    body=ChangePasswordBody,
    answer=Ok,
    session=True,
    echo=("next", "required"),
)
REQUEST_RESET = Action(
    name="requestpasswordreset",
    group=RESET,
    operation_id="account_request_password_reset",
    events=(EventName.password_reset_requested,),
    limits=("reset_account", "reset_address", "mail_target"),
    step_up=StepUp.SUBMIT,
    summary="Request a password reset",
    submit=request_reset,
    get_page=get_request_page,
    page_option="request_reset_password_page",
    body=RequestResetBody,
    answer=Ok,
    echo=("next", "required", "email"),
)
RESET_PASSWORD = Action(
    name="resetpassword",
    group=RESET,
    operation_id="account_reset_password",
    events=(
        EventName.password_reset,
        EventName.account_unlinked,
        EventName.login_succeeded,
        EventName.factor2_asked,
    ),
    limits=("token_credential", "token_address"),
    step_up=StepUp.SUBMIT,
    summary="Reset the password with the token from a link",
    submit=reset_password,
    get_page=get_reset_page,
    parameter=OPTIONAL_TOKEN,
    page_option="reset_password_page",
    body=ResetBody,
    answer=LoginAnswer,
)
