"""Changing one's profile, and deleting one's account."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import profile
from crossauth_backend.accounts.form_fields import refusal
from crossauth_backend.core.text import normalize
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.forms import Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._actions.request import CsrfRule
from crossauth_fastapi._http.redirects import with_query
from crossauth_fastapi._session.bodies import DeleteUserBody, UpdateUserAnswer, UpdateUserBody
from crossauth_fastapi._session.context import SessionRequest
from crossauth_fastapi._session.editing import editor_of
from crossauth_fastapi._session.forms import shown_field, shown_value
from crossauth_fastapi._session.freshness import (
    changes_credential,
    moves_credential,
    needs_password,
    require_recent_login,
)
from crossauth_fastapi._session.groups import BASIC
from crossauth_fastapi._session.renewal import renew_session
from crossauth_fastapi._session.signup import choice_of_factors
from crossauth_fastapi._session.userhooks import user_changed

UPDATED = mark("Your details have been updated.")
LINK_SENT = mark("We've sent a link to your new address. Your email changes once you open the link and confirm it.")
DELETED = mark("Your account has been deleted.")


async def get_profile_page(call: SessionRequest) -> Page | Redirect:
    """The form, filled in."""
    return Page(profile_variables(call, editor_of(call)))


def profile_variables(call: SessionRequest, user: User) -> dict[str, Any]:
    """What the form shows."""
    fields = [
        shown_field(name, call.form.get(f"user_{name}", shown_value(user.get(name, ""))))
        for name in call.ctx.users.user_editable_fields
    ]
    return {
        "user": user,
        "userEditableFields": fields,
        "allowedFactor2": choice_of_factors(call),
        "emailRequired": call.ctx.settings.enable_email_verification,
        "isAdmin": False,
    }


async def update_profile(call: SessionRequest) -> Outcome:
    """Store the fields that users may edit."""
    ctx, user = call.ctx, editor_of(call)
    editable = list(ctx.users.user_editable_fields)
    requested = await user_changed(call, user, editable)
    if moves_credential(ctx.accounts, user, requested):
        await require_recent_login(call, user)
    if changes_credential(ctx.accounts, user, requested):
        await ctx.extra_columns(call.request)
    changed, link_sent = await profile.update_profile(ctx.accounts, user, requested, call.origin)
    await renew_session(call, changed)
    call.state["user"] = changed
    view = {"message": LINK_SENT if link_sent else UPDATED, **profile_variables(call, changed)}
    return Outcome({"ok": True, "emailVerificationRequired": link_sent}, Page(view))


async def get_deletion_page(call: SessionRequest) -> Page | Redirect:
    """The question; whoever is not logged in logs in first."""
    if call.user is None:
        here = call.url("deleteuser")
        return Redirect(with_query(call.url("login"), next=here))
    user = editor_of(call)
    asked = {"passwordNeeded": needs_password(call, user)}
    return Page({"next": call.next_page(call.url()), "isAdmin": False, "user": user, **asked})


async def delete_account(call: SessionRequest) -> Outcome:
    """Delete the account, its sessions and its keys."""
    user = editor_of(call)
    await require_recent_login(call, user)
    check_confirmed(call, user)
    await profile.delete_account(call.ctx.accounts, user, call.origin)
    if call.state["auth_type"] == "cookie":
        call.ctx.end_session(call.request)
    view = {
        "message": DELETED,
        "next": call.next_page(call.url()),
        "isAdmin": False,
        "userid": user.id,
    }
    return Outcome({"ok": True, "userid": call.ctx.public(user)["id"]}, Page(view))


def check_confirmed(call: SessionRequest, user: User) -> None:
    """Refuse to delete an account by mistake: the page asks for its username, where it asks for no password.

    A request without the field, such as a script's, means what it says.

    Raises:
        CrossauthError: `FormEntry` where the name is another one.
    """
    typed = call.form.getAsStr("confirm_username")
    if typed is not None and normalize(typed) != normalize(user.username):
        raise refusal("confirm_username", mark("This isn't the username of the account"))


UPDATE_USER = Action(
    name="updateuser",
    group=BASIC,
    operation_id="account_update",
    events=(EventName.user_updated, EventName.email_change_requested, EventName.login_succeeded),
    limits=("verification_account", "mail_target"),
    step_up=StepUp.SUBMIT,
    summary="Update your profile",
    submit=update_profile,
    get_page=get_profile_page,
    page_option="update_user_page",
    body=UpdateUserBody,
    answer=UpdateUserAnswer,
    csrf=CsrfRule.WITH_COOKIE,
    session=True,
)
DELETE_USER = Action(
    name="deleteuser",
    group=BASIC,
    operation_id="account_delete",
    events=(EventName.user_deleted,),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    summary="Delete your account",
    submit=delete_account,
    get_page=get_deletion_page,
    page_option="delete_user_page",
    body=DeleteUserBody,
    answer=Ok,
    csrf=CsrfRule.WITH_COOKIE,
    session=True,
)
