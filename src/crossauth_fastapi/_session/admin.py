"""What administrators do: find, create, change and delete users, and read what happened."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import admin, profile
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.events.record import Event
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState
from crossauth_fastapi._session.actions import Action, CsrfRule, Go, Outcome, Show, StepUp
from crossauth_fastapi._session.bodies import (
    AdminCreateBody,
    AdminUpdateBody,
    AuditAnswer,
    DeleteUserBody,
    Ok,
    SetPasswordBody,
    UpdateUserAnswer,
    UserAnswer,
    UsersAnswer,
)
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.freshness import needs_password, require_recent_login
from crossauth_fastapi._session.login import renew_session, secrets_of
from crossauth_fastapi._session.profile import DELETED
from crossauth_fastapi._session.signup import choice_of_factors

UPDATED = "The user has been updated."
UPDATED_AND_RESET = "The user has been updated and sent a link to choose a new password."
PASSWORD_SET = "The password has been changed."
DEFAULT_TAKE = 10
# Where `password` is the new user's.
OWN = "current_"
_KEPT = ("next", "username", "factor1", "factor2", "state", "search")


async def look_at_creation(call: Call) -> Show | Go:
    """The form."""
    who = await call.admin()
    return Show({"next": call.next_page(""), **_form_variables(call), "passwordNeeded": needs_password(call, who)})


async def create_user(call: Call) -> Outcome:
    """Create a user."""
    face, who = call.face, await _acting(call, OWN)
    allowed = list(face.settings.admin_allowed_factor1)
    factor1 = call.text("factor1") or allowed[0]
    body = {**call.form.to_dict(), "username": call.text("username"), "factor1": factor1}
    made = await call_hook(face.settings.create_user_fn, call.request, body, _editable(call), allowed)
    user = {"factor2": call.text("factor2") or None, "state": UserState.active, **made}
    if call.text("state"):
        user["state"] = call.text("state")
    if user["factor1"] not in allowed:
        raise CrossauthError(ErrorCode.Forbidden, "This way of logging in is not offered")
    if user["state"] not in admin.STATES:
        raise CrossauthError(ErrorCode.BadRequest, "There is no such state")
    repeat = secrets_of(call, "repeat_") or None
    done = await admin.create_user(face.accounts, who, user, secrets_of(call), repeat, call.origin)
    after = call.next_page(call.admin_url("selectuser"))
    return Outcome({"ok": True, "user": face.public(done.user)}, Go(after))


async def look_at_users(call: Call) -> Show | Go:
    """A page of users, or those that were searched for."""
    users, skip, take, more = await _found(call)
    shown = {"users": users, "skip": skip, "take": take, "haveNext": more, "havePrevious": skip > 0}
    return Show({**shown, "search": call.request.query_params.get("search", ""), "next": call.next_page("")})


async def fetch_users(call: Call) -> Outcome:
    """The same as JSON."""
    users, skip, take, more = await _found(call)
    shown = [call.face.public(user) for user in users]
    return Outcome({"ok": True, "users": shown, "skip": skip, "take": take, "haveNext": more}, Show())


async def look_at_user(call: Call) -> Show | Go:
    """The form, filled in."""
    who = await call.admin()
    return Show({**_user_variables(call, await _user(call)), "passwordNeeded": needs_password(call, who)})


async def update_user(call: Call) -> Outcome:
    """Change a user."""
    face, who, user = call.face, await _acting(call), await _user(call)
    if str(user.id) == str(who.id):
        await face.extra_columns(call.request)
    wanted = await call_hook(face.settings.update_user_fn, user, call.request, call.form.to_dict(), _editable(call))
    changed: dict[str, Any] = wanted.to_dict() if isinstance(wanted, User) else dict(wanted)
    changed |= {n: call.text(n) for n in ("username", "state") if call.form.has(n) and call.text(n)}
    if call.form.has("factor2"):
        changed["factor2"] = call.text("factor2")
    done = await admin.update_user(face.accounts, who, user, changed, call.origin)
    await renew_session(call, done.user)
    message = UPDATED_AND_RESET if done.reset_sent else UPDATED
    answer = {"ok": True, "emailVerificationRequired": False, "message": message}
    return Outcome(answer, Show({"message": message, **_user_variables(call, done.user)}))


async def look_at_password(call: Call) -> Show | Go:
    """The form."""
    who = await call.admin()
    required = call.request.query_params.get("required") == "true"
    shown = {"user": await _user(call), "next": call.next_page(""), "required": required, "isAdmin": True}
    return Show({**shown, "passwordNeeded": needs_password(call, who)})


async def change_password(call: Call) -> Outcome:
    """Give a user a new password."""
    face, who, user = call.face, await _acting(call), await _user(call)
    if str(user.id) == str(who.id):
        await face.extra_columns(call.request)
    repeat = secrets_of(call, "repeat_") or None
    changed = await admin.change_password(face.accounts, who, user, secrets_of(call, "new_"), repeat, call.origin)
    await renew_session(call, changed)
    after = call.next_page("")
    shown = Show({"message": PASSWORD_SET, "user": changed, "next": after, "required": False, "isAdmin": True})
    return Outcome({"ok": True, "message": PASSWORD_SET}, Go(after) if after else shown)


async def look_at_deletion(call: Call) -> Show | Go:
    """The question."""
    who = await call.admin()
    after = call.next_page(call.admin_url("selectuser"))
    asked = {"passwordNeeded": needs_password(call, who)}
    return Show({"next": after, "isAdmin": True, "user": await _user(call), **asked})


async def delete_user(call: Call) -> Outcome:
    """Delete a user; an administrator's own account is deleted where every user deletes theirs."""
    face, who, user = call.face, await _acting(call), await _user(call)
    if str(user.id) == str(who.id):
        raise CrossauthError(ErrorCode.BadRequest, "This is your own account; delete it on its own page")
    await profile.delete_account(face.accounts, user, call.origin, actor=who)
    after = call.next_page(call.admin_url("selectuser"))
    shown = Show({"message": DELETED, "userid": user.id, "isAdmin": True, "next": after})
    return Outcome({"ok": True, "userid": face.public(user)["id"]}, shown)


async def look_at_audit(call: Call) -> Show | Go:
    """What happened, newest first."""
    events, skip, take = await _events(call)
    return Show({"events": events[:take], "skip": skip, "take": take, "haveNext": len(events) > take})


async def fetch_audit(call: Call) -> Outcome:
    """The same as JSON."""
    events, skip, take = await _events(call)
    shown = [
        {
            "name": e.name.value, "at": e.at.isoformat(), "userid": e.userid, "username": e.username, "actor": e.actor,
            "address": e.address, "reason": e.reason,
        }
        for e in events[:take]
    ]  # fmt: skip
    return Outcome({"ok": True, "events": shown, "skip": skip, "take": take, "haveNext": len(events) > take}, Show())


async def _events(call: Call) -> tuple[list[Event], int, int]:
    await call.admin()
    audit = call.face.manager.audit
    if audit is None:
        raise CrossauthError(ErrorCode.BadRequest, "No audit storage is configured")
    skip, take = _page(call, 50)
    return await audit.latest(skip, take + 1), skip, take


async def _found(call: Call) -> tuple[list[User], int, int, bool]:
    await call.admin()
    search = call.request.query_params.get("search", "")
    skip, take = _page(call, DEFAULT_TAKE)
    own = call.face.settings.user_search_fn
    if own is not None and search:
        found = list(await call_hook(own, search, call.face.users))[skip : skip + take + 1]
    else:
        found = await admin.find_users(call.face.accounts, search, skip, take + 1)
    return found[:take], skip, take, len(found) > take


def _page(call: Call, default: int) -> tuple[int, int]:
    """`skip` and `take` from the URL; what is no number there counts as not given."""
    numbers = []
    for name, otherwise in (("skip", 0), ("take", default)):
        text = call.request.query_params.get(name, "")
        numbers.append(int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise)
    return numbers[0], min(max(numbers[1], 1), admin.MAX_PAGE)


async def _acting(call: Call, prefix: str = "") -> User:
    """The administrator who is asking for a change.

    Parameters:
        call: the call.
        prefix: see `require_recent_login`.

    Raises:
        CrossauthError: as `Call.admin`, and as `require_recent_login`.
    """
    who = await call.admin()
    await require_recent_login(call, who, prefix)
    return who


async def _user(call: Call) -> User:
    try:
        return await call.face.accounts.user(call.path_parameter)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserNotExist:
            raise
        raise CrossauthError(ErrorCode.BadRequest, "There is no such user", status=404) from None


def _editable(call: Call) -> list[str]:
    users = call.face.users
    return [*dict.fromkeys([*users.user_editable_fields, *users.admin_editable_fields])]


def _form_variables(call: Call) -> dict[str, Any]:
    return {
        "allowedFactor2": choice_of_factors(call),
        "allowedFactor1": call.face.settings.admin_allowed_factor1,
        "userEditableFields": _editable(call),
        "states": admin.STATES,
        "isAdmin": True,
    }


def _user_variables(call: Call, user: User) -> dict[str, Any]:
    return {**_form_variables(call), "user": user, "enableOAuthClientManagement": False}


CREATE = Action(
    name="createuser", step_up=StepUp.SUBMIT, summary="Create a user", do=create_user, look=look_at_creation,
    page_option="admin_create_user_page", body=AdminCreateBody, answer=UserAnswer, csrf=CsrfRule.ALWAYS, session=True,
    admin=True, echo=_KEPT, own_password=f"{OWN}password",
)  # fmt: skip
SELECT = Action(
    name="selectuser", step_up=StepUp.NEVER, summary="Find users", do=None, look=look_at_users, fetch=fetch_users,
    page_option="admin_select_user_page", answer=UsersAnswer, session=True, admin=True,
)  # fmt: skip
UPDATE = Action(
    name="updateuser", step_up=StepUp.SUBMIT, summary="Change a user", do=update_user, look=look_at_user, parameter="{id}",
    page_option="admin_update_user_page", body=AdminUpdateBody, answer=UpdateUserAnswer, session=True, admin=True,
    echo=_KEPT,
)  # fmt: skip
PASSWORD = Action(
    name="changepassword", step_up=StepUp.SUBMIT, summary="Give a user a password", do=change_password, look=look_at_password,
    parameter="{id}", page_option="admin_change_password_page", body=SetPasswordBody, answer=Ok, session=True, admin=True,
    echo=("next", "required"),
)  # fmt: skip
DELETE = Action(
    name="deleteuser", step_up=StepUp.SUBMIT, summary="Delete a user", do=delete_user, look=look_at_deletion, parameter="{id}",
    page_option="delete_user_page", body=DeleteUserBody, answer=Ok, session=True, admin=True,
)  # fmt: skip
AUDIT = Action(
    name="audit", step_up=StepUp.NEVER, summary="Read what happened", do=None, look=look_at_audit, fetch=fetch_audit,
    page_option="audit_page", answer=AuditAnswer, session=True, admin=True,
)  # fmt: skip
