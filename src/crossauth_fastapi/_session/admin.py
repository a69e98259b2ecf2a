"""What administrators do: find, create, change and delete users, and read what happened."""

from __future__ import annotations

from typing import Any

from crossauth_backend.accounts import admin, profile
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import Event, EventName
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UNREADABLE, UNREADABLE_TEXT, UserState
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.forms import CsrfBody, Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._actions.request import CsrfRule
from crossauth_fastapi._session.bodies import (
    AdminCreateBody,
    AdminUpdateBody,
    AuditAnswer,
    DeleteUserBody,
    SetPasswordBody,
    UpdateUserAnswer,
    UserAnswer,
    UsersAnswer,
)
from crossauth_fastapi._session.context import SessionRequest, Submitted, secrets_of
from crossauth_fastapi._session.freshness import needs_password, require_recent_login
from crossauth_fastapi._session.groups import ADMIN
from crossauth_fastapi._session.profile import DELETED, check_confirmed
from crossauth_fastapi._session.renewal import renew_session
from crossauth_fastapi._session.services import user_by_id
from crossauth_fastapi._session.signup import choice_of_factors
from crossauth_fastapi._session.userhooks import user_changed, user_made

UPDATED = mark("The user has been updated.")
UPDATED_AND_RESET = mark("The user has been updated. We sent them a link to choose a new password.")
PASSWORD_SET = mark("The password has been changed.")
DEFAULT_TAKE = 10
# Where `password` is the new user's.
OWN = "current_"


async def get_creation_page(call: SessionRequest) -> Page | Redirect:
    """The form."""
    who = await call.admin()
    return Page({"next": call.next_page(""), **_form_variables(call), "passwordNeeded": needs_password(call, who)})


async def create_user(call: Submitted[AdminCreateBody]) -> Outcome:
    """Create a user."""
    ctx, who = call.ctx, await _acting(call, OWN)
    allowed = list(ctx.settings.admin_allowed_factor1)
    sent = call.body
    factor1 = sent.factor1 or allowed[0]
    body = {**call.form.to_dict(), "username": sent.username, "factor1": factor1}
    made = await user_made(call, body, _editable(call), allowed, ("username", "factor1"))
    user = {"factor2": sent.factor2 or None, "state": UserState.active, **made}
    if sent.state:
        user["state"] = sent.state
    if user["factor1"] not in allowed:
        raise CrossauthError(ErrorCode.Forbidden, mark("This login method is not available"))
    if user["state"] not in admin.STATES:
        raise CrossauthError(ErrorCode.BadRequest, mark("There is no such state"))
    repeat = secrets_of(call, "repeat_") or None
    done = await admin.create_user(ctx.accounts, who, user, secrets_of(call), repeat, call.origin)
    after = call.next_page(call.admin_url("selectuser"))
    return Outcome({"ok": True, "user": ctx.public(done.user)}, Redirect(after))


async def get_users_page(call: SessionRequest) -> Page | Redirect:
    """A page of users, or those that were searched for."""
    users, skip, take, more = await _found(call)
    view = {"users": users, "skip": skip, "take": take, "haveNext": more, "havePrevious": skip > 0}
    return Page({**view, "search": call.request.query_params.get("search", ""), "next": call.next_page("")})


async def get_users_json(call: SessionRequest) -> Outcome:
    """The same as JSON."""
    users, skip, take, more = await _found(call)
    view = [call.ctx.public(user) for user in users]
    return Outcome({"ok": True, "users": view, "skip": skip, "take": take, "haveNext": more}, Page())


async def get_user_page(call: SessionRequest) -> Page | Redirect:
    """The form, filled in."""
    who = await call.admin()
    return Page({**_user_variables(call, await _user(call)), "passwordNeeded": needs_password(call, who)})


async def update_user(call: Submitted[AdminUpdateBody]) -> Outcome:
    """Change a user."""
    ctx, who, user = call.ctx, await _acting(call), await _user(call)
    if str(user.id) == str(who.id):
        await ctx.extra_columns(call.request)
    sent = call.body
    changed = await user_changed(call, user, _editable(call))
    changed |= {n: v for n, v in (("username", sent.username), ("state", sent.state)) if v}
    if "factor2" in sent.model_fields_set:
        changed["factor2"] = sent.factor2 or ""
    done = await admin.update_user(ctx.accounts, who, user, changed, call.origin)
    await renew_session(call, done.user)
    message = UPDATED_AND_RESET if done.reset_sent else UPDATED
    answer = {"ok": True, "emailVerificationRequired": False, "message": message}
    return Outcome(answer, Page({"message": message, **_user_variables(call, done.user)}))


async def get_password_page(call: SessionRequest) -> Page | Redirect:
    """The form."""
    who = await call.admin()
    required = call.request.query_params.get("required") == "true"
    view = {"user": await _user(call), "next": call.next_page(""), "required": required, "isAdmin": True}
    return Page({**view, "passwordNeeded": needs_password(call, who)})


async def change_password(call: SessionRequest) -> Outcome:
    """Give a user a new password."""
    ctx, who, user = call.ctx, await _acting(call), await _user(call)
    if str(user.id) == str(who.id):
        await ctx.extra_columns(call.request)
    repeat = secrets_of(call, "repeat_") or None
    changed = await admin.change_password(ctx.accounts, who, user, secrets_of(call, "new_"), repeat, call.origin)
    await renew_session(call, changed)
    after = call.next_page("")
    view = Page({"message": PASSWORD_SET, "user": changed, "next": after, "required": False, "isAdmin": True})
    return Outcome({"ok": True, "message": PASSWORD_SET}, Redirect(after) if after else view)


async def get_deletion_page(call: SessionRequest) -> Page | Redirect:
    """The question."""
    who = await call.admin()
    after = call.next_page(call.admin_url("selectuser"))
    asked = {"passwordNeeded": needs_password(call, who)}
    return Page({"next": after, "isAdmin": True, "user": await _user(call), **asked})


async def delete_user(call: SessionRequest) -> Outcome:
    """Delete a user; an administrator's own account is deleted where every user deletes theirs."""
    ctx, who, user = call.ctx, await _acting(call), await _user(call)
    if str(user.id) == str(who.id):
        raise CrossauthError(ErrorCode.BadRequest, mark("This is your own account. Delete it on your account page."))
    check_confirmed(call, user)
    await profile.delete_account(ctx.accounts, user, call.origin, actor=who)
    after = call.next_page(call.admin_url("selectuser"))
    view = Page({"message": DELETED, "userid": user.id, "isAdmin": True, "next": after})
    return Outcome({"ok": True, "userid": ctx.public(user)["id"]}, view)


async def get_audit_page(call: SessionRequest) -> Page | Redirect:
    """What happened, newest first."""
    events, skip, take = await _events(call, 20)
    listed = events[:take]
    actors = {
        e.actor: await or_none(call.ctx.users.get_user_by_id(e.actor, ANY_STATE)) for e in listed if e.actor is not None
    }
    names = {id: found.user.username for id, found in actors.items() if found is not None}
    return Page({"events": listed, "actors": names, "skip": skip, "take": take, "haveNext": len(events) > take})


async def get_audit_json(call: SessionRequest) -> Outcome:
    """The same as JSON."""
    events, skip, take = await _events(call)
    view = [
        {
            "name": e.name.value, "at": e.at.isoformat(), "userid": e.userid, "username": e.username, "actor": e.actor,
            "address": e.address, "reason": e.reason,
        }
        for e in events[:take]
    ]  # fmt: skip
    return Outcome({"ok": True, "events": view, "skip": skip, "take": take, "haveNext": len(events) > take}, Page())


async def _events(call: SessionRequest, default: int = 50) -> tuple[list[Event], int, int]:
    await call.admin()
    audit = call.ctx.manager.audit
    if audit is None:
        raise CrossauthError(ErrorCode.BadRequest, mark("No audit storage is configured"))
    skip, take = _page(call, default)
    return await audit.latest(skip, take + 1), skip, take


async def _found(call: SessionRequest) -> tuple[list[User], int, int, bool]:
    await call.admin()
    search = call.request.query_params.get("search", "")
    skip, take = _page(call, DEFAULT_TAKE)
    own = call.ctx.settings.user_search_fn
    if own is not None and search:
        provided = await call_hook(own, search, call.ctx.users)
        if not isinstance(provided, (list, tuple)) or not all(isinstance(user, User) for user in provided):
            raise CrossauthError(
                ErrorCode.Configuration, detail="option 'user_search_fn': the function must return a list of users"
            )
        found = list(provided[skip : skip + take + 1])
    else:
        found = await admin.find_users(call.ctx.accounts, search, skip, take + 1)
    return found[:take], skip, take, len(found) > take


def _page(call: SessionRequest, default: int) -> tuple[int, int]:
    """`skip` and `take` from the URL; what is no number there counts as not given."""
    numbers = []
    for name, otherwise in (("skip", 0), ("take", default)):
        text = call.request.query_params.get(name, "")
        numbers.append(int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise)
    return numbers[0], min(max(numbers[1], 1), admin.MAX_PAGE)


async def _acting(call: SessionRequest, prefix: str = "") -> User:
    """The administrator who is asking for a change.

    Parameters:
        call: the call.
        prefix: see `require_recent_login`.

    Raises:
        CrossauthError: as `ActionRequest.admin`, and as `require_recent_login`.
    """
    who = await call.admin()
    await require_recent_login(call, who, prefix)
    return who


async def _user(call: SessionRequest) -> User:
    return await user_by_id(call.ctx, call.path_parameter)


def _editable(call: SessionRequest) -> list[str]:
    users = call.ctx.users
    return [*dict.fromkeys([*users.user_editable_fields, *users.admin_editable_fields])]


def _form_variables(call: SessionRequest) -> dict[str, Any]:
    return {
        "allowedFactor2": choice_of_factors(call),
        "allowedFactor1": call.ctx.settings.admin_allowed_factor1,
        "userEditableFields": _editable(call),
        "states": admin.STATES,
        "isAdmin": True,
    }


def _user_variables(call: SessionRequest, user: User) -> dict[str, Any]:
    view = {**_form_variables(call), "user": user, "enableOAuthClientManagement": False}
    return view | ({"message": UNREADABLE_TEXT} if user.state == UNREADABLE else {})


CREATE = Action(
    name="createuser",
    group=ADMIN,
    operation_id="admin_create_user",
    events=(EventName.user_created,),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    summary="Create a user",
    submit=create_user,
    get_page=get_creation_page,
    page_option="admin_create_user_page",
    body=AdminCreateBody,
    answer=UserAnswer,
    csrf=CsrfRule.ALWAYS,
    session=True,
    echo=("next", "username", "factor1", "factor2", "state"),
    own_password=f"{OWN}password",
)
SELECT = Action(
    name="selectuser",
    group=ADMIN,
    operation_id="admin_find_users",
    step_up=StepUp.NEVER,
    summary="Find users",
    submit=None,
    get_page=get_users_page,
    get_json=get_users_json,
    page_option="admin_select_user_page",
    body=CsrfBody,
    answer=UsersAnswer,
    session=True,
)
UPDATE = Action(
    name="updateuser",
    group=ADMIN,
    operation_id="admin_update_user",
    events=(EventName.user_updated, EventName.login_succeeded),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    summary="Update a user",
    submit=update_user,
    get_page=get_user_page,
    parameter="{id}",
    page_option="admin_update_user_page",
    body=AdminUpdateBody,
    answer=UpdateUserAnswer,
    session=True,
    echo=("next", "username", "factor2", "state"),
)
PASSWORD = Action(
    name="changepassword",
    group=ADMIN,
    operation_id="admin_change_password",
    events=(EventName.password_changed, EventName.login_succeeded),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    summary="Set the password of a user",
    submit=change_password,
    get_page=get_password_page,
    parameter="{id}",
    page_option="admin_change_password_page",
    body=SetPasswordBody,
    answer=Ok,
    session=True,
    echo=("next", "required"),
)
DELETE = Action(
    name="deleteuser",
    group=ADMIN,
    operation_id="admin_delete_user",
    events=(EventName.user_deleted,),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    summary="Delete a user",
    submit=delete_user,
    get_page=get_deletion_page,
    parameter="{id}",
    page_option="delete_user_page",
    body=DeleteUserBody,
    answer=Ok,
    session=True,
)
AUDIT = Action(
    name="audit",
    group=ADMIN,
    operation_id="admin_list_events",
    step_up=StepUp.NEVER,
    summary="List security events",
    submit=None,
    get_page=get_audit_page,
    get_json=get_audit_json,
    page_option="audit_page",
    body=CsrfBody,
    answer=AuditAnswer,
    session=True,
)
