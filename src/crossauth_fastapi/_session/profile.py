"""Changing one's profile, and deleting one's account."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import profile
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.users.record import User
from crossauth_fastapi._http.redirects import with_query
from crossauth_fastapi._session.actions import Action, CsrfRule, Go, Outcome, Show, StepUp
from crossauth_fastapi._session.bodies import DeleteUserBody, Ok, UpdateUserAnswer, UpdateUserBody
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.freshness import (
    changes_address,
    changes_credential,
    needs_password,
    require_recent_login,
)
from crossauth_fastapi._session.login import renew_session
from crossauth_fastapi._session.signup import choice_of_factors

UPDATED = "Your details have been updated."
LINK_SENT = "We've sent a link to your new address. Your email changes once you open the link and confirm it."
DELETED = "Your account has been deleted."


async def look_at_profile(call: Call) -> Show | Go:
    """The form, filled in."""
    return Show(profile_variables(call, call.editor()))


def profile_variables(call: Call, user: User) -> dict[str, Any]:
    """What the form shows."""
    fields = [
        {
            "name": f"user_{name}",
            "label": {"email": "Email address"}.get(name, name.replace("_", " ").capitalize()),
            "value": call.form.get(f"user_{name}", user.get(name, "")),
            "type": "email" if name == "email" else "text",
        }
        for name in call.face.users.user_editable_fields
    ]
    return {"user": user, "userEditableFields": fields, "allowedFactor2": choice_of_factors(call), "isAdmin": False}


async def update_profile(call: Call) -> Outcome:
    """Store the fields that users may edit."""
    face, user = call.face, call.editor()
    editable = list(face.users.user_editable_fields)
    wanted = await call_hook(face.settings.update_user_fn, user, call.request, call.form.to_dict(), editable)
    if changes_address(user, wanted):
        await require_recent_login(call, user)
    if changes_credential(user, wanted):
        await face.extra_columns(call.request)
    changed, link_sent = await profile.update_profile(face.accounts, user, wanted, call.origin)
    await renew_session(call, changed)
    call.state["user"] = changed
    shown = {"message": LINK_SENT if link_sent else UPDATED, **profile_variables(call, changed)}
    return Outcome({"ok": True, "emailVerificationRequired": link_sent}, Show(shown))


async def look_at_deletion(call: Call) -> Show | Go:
    """The question; whoever is not logged in logs in first."""
    if call.user is None:
        here = call.url("deleteuser")
        return Go(with_query(call.url("login"), next=here))
    user = call.editor()
    asked = {"passwordNeeded": needs_password(call, user)}
    return Show({"next": call.next_page(call.url()), "isAdmin": False, "user": user, **asked})


async def delete_account(call: Call) -> Outcome:
    """Delete the account, its sessions and its keys."""
    user = call.editor()
    await require_recent_login(call, user)
    await profile.delete_account(call.face.accounts, user, call.origin)
    call.face.end_session(call.request)
    shown = {
        "message": DELETED,
        "next": call.next_page(call.url()),
        "isAdmin": False,
        "userid": user.id,
    }
    return Outcome({"ok": True, "userid": call.face.public(user)["id"]}, Show(shown))


UPDATE_USER = Action(
    name="updateuser",
    step_up=StepUp.SUBMIT,
    summary="Change one's profile",
    do=update_profile,
    look=look_at_profile,
    page_option="update_user_page",
    body=UpdateUserBody,
    answer=UpdateUserAnswer,
    csrf=CsrfRule.WITH_COOKIE,
    session=True,
)
DELETE_USER = Action(
    name="deleteuser",
    step_up=StepUp.SUBMIT,
    summary="Delete one's account",
    do=delete_account,
    look=look_at_deletion,
    page_option="delete_user_page",
    body=DeleteUserBody,
    answer=Ok,
    csrf=CsrfRule.WITH_COOKIE,
    session=True,
)
