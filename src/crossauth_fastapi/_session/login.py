"""Logging in and out, and what a script asks about its session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from crossauth_backend.accounts import login
from crossauth_backend.accounts.stages import Ask, Attempt
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_fastapi._http.redirects import with_query
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._session.actions import Action, CsrfRule, Go, Outcome, Show
from crossauth_fastapi._session.bodies import LoginBody, LogoutBody, Ok, UserAnswer
from crossauth_fastapi._session.context import Call, SessionFace


async def look_at_login(call: Call) -> Show | Go:
    """The form; whoever is logged in is sent on."""
    after = call.next_page(call.face.settings.login_redirect)
    return Go(after) if call.user else Show({"next": after})


async def log_in(call: Call) -> Outcome:
    """Check username and first factor, and open a session."""
    face, after = call.face, call.next_page(call.face.settings.login_redirect)
    if call.user is not None:
        return Outcome({"ok": False, "user": face.public(call.user)}, Go(after))
    username = call.form.getAsStr("username")
    if not username:
        raise CrossauthError(ErrorCode.BadRequest, "username is missing")
    user = await login.check_credentials(face.accounts, username, secrets_of(call))
    result = await open_session(face, call.request, Attempt(user), call.persist())
    if result.asked is Ask.PASSWORD_CHANGE:
        if not call.is_page or "changepassword" not in face.endpoints:
            raise CrossauthError(ErrorCode.PasswordChangeNeeded)
        back = with_query(f"{face.prefix}login", next=after)
        return Outcome({}, Go(with_query(f"{face.prefix}changepassword", required="true", next=back)))
    return Outcome({"ok": True, "user": face.public(result.user)}, Go(after))


async def open_session(
    face: SessionFace,
    request: Request,
    attempt: Attempt,
    persist: bool | None,
    data: Mapping[str, Any] | None = None,
) -> login.LoginResult:
    """Take an attempt through the login stages, and make the session that comes of it the request's own.

    Parameters:
        face: the session server.
        request: the request, whose session so far ends.
        attempt: whom to sign in, and what has been proven.
        persist: whether the cookie outlives the browser; `None` for what the options say.
        data: session data to begin with.
    """
    previous = state_of(request)["session_id"]
    result = await login.sign_in(
        face.accounts, attempt, previous=previous, extra_fields=await face.extra_columns(request), data=data
    )
    signed_in: User | None = result.user if result.asked is None else None
    face.start_session(request, result.session, signed_in, persist if signed_in else False)
    return result


async def look_at_logout(call: Call) -> Show | Go:
    """A page that asks before it logs out: a link alone must not."""
    after = call.next_page(call.face.settings.logout_redirect)
    return Show({"next": after}) if call.user else Go(after)


async def log_out(call: Call) -> Outcome:
    """End the session and delete the cookies."""
    session_id = call.state["session_id"]
    if session_id is not None:
        await login.log_out(call.face.accounts, session_id)
        call.face.end_session(call.request)
    return Outcome({"ok": True}, Go(call.next_page(call.face.settings.logout_redirect)))


def secrets_of(call: Call, prefix: str = "") -> dict[str, str]:
    """The secrets in a form: the fields that some first factor stores, under `prefix`."""
    names = {n for a in call.face.manager.authenticators.values() for n in a.secret_names()}
    return {n: v for n in names if (v := call.form.getAsStr(prefix + n)) is not None}


LOGIN = Action(
    name="login",
    summary="Log in",
    do=log_in,
    look=look_at_login,
    page_option="login_page",
    body=LoginBody,
    answer=UserAnswer,
    echo=("next", "persist", "username"),
)
LOGOUT = Action(
    name="logout",
    summary="Log out",
    do=log_out,
    look=look_at_logout,
    page_option="logout_page",
    body=LogoutBody,
    answer=Ok,
    csrf=CsrfRule.WITH_COOKIE,
    session=True,
)
