"""Setting a second factor up, changing it, giving it up; and the codes for the day it is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crossauth_backend.accounts import email_change, factor2_setup, recovery
from crossauth_backend.accounts.challenge import PENDING, decrypt, is_setup_pending
from crossauth_backend.accounts.code_targets import is_reachable
from crossauth_backend.accounts.credentials import proven
from crossauth_backend.accounts.fit import fields_given_with_choice
from crossauth_backend.accounts.required_change import required_change
from crossauth_backend.accounts.second_factor import methods_of
from crossauth_backend.accounts.signup import checked_user
from crossauth_backend.accounts.signup_rules import SETTING_UP
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._http.redirects import with_query
from crossauth_fastapi._session.bodies import (
    ChangeFactor2Body,
    ConfigureAnswer,
    ConfigureFactor2Body,
    PasswordBody,
    RecoveryAnswer,
)
from crossauth_fastapi._session.claims import claim_of, new_claim
from crossauth_fastapi._session.context import SessionRequest, Submitted, code_of
from crossauth_fastapi._session.factorpages import begun_variables, factor_variables
from crossauth_fastapi._session.forms import editable_values
from crossauth_fastapi._session.freshness import needs_password, require_recent_login
from crossauth_fastapi._session.groups import FACTOR2
from crossauth_fastapi._session.login import open_session, sign_in
from crossauth_fastapi._session.renewal import current_attempt
from crossauth_fastapi._session.signup import choice_of_factors, wait_for_link

SET_UP = mark("Two-factor authentication is set up.")
REMOVED = mark("Two-factor authentication is off.")


def _is_set_up_pending(call: SessionRequest) -> bool:
    accounts = call.ctx.accounts
    return is_setup_pending(call.state["session_key"], accounts.ring, accounts.now)


async def get_setup_page(call: SessionRequest) -> Page | Redirect:
    """What is to be done to set up the factor that was begun; where none was, a form that begins one's own anew.

    Nothing is sent, and nothing begins.
    """
    if _is_set_up_pending(call):
        view = await _shown_again(call)
        secrets = decrypt(call.state["session_key"], call.ctx.accounts.ring, PENDING, "signup", "setup").secrets
        return Page({**factor_variables(call, str(view["factor2"]), secrets), **view, "next": call.next_page("")})
    user, forced = await whose_factor2(call)
    if forced or user.factor2 not in call.ctx.accounts.allowed_factor2:
        return Redirect(with_query(call.url("changefactor2"), next=call.next_page("")))
    return Page({"begin": True, "next": call.next_page(""), "passwordNeeded": needs_password(call, user)})


async def get_setup_json(call: SessionRequest) -> Outcome:
    """What was begun, as JSON.

    Raises:
        CrossauthError: `Unauthorized` where nobody is logged in; `BadRequest` where nothing was begun.
    """
    if not _is_set_up_pending(call):
        await whose_factor2(call)
        raise CrossauthError(
            ErrorCode.BadRequest, mark("There is no setup in progress; POST here without a code to start again")
        )
    view = await _shown_again(call)
    return Outcome({"ok": True, **view, "csrfToken": call.state["csrf_token"]}, Page())


async def _shown_again(call: SessionRequest) -> dict[str, Any]:
    """What was shown when the set-up began, for the browser in which it did: a secret is nothing for a copy of its cookie.

    Raises:
        CrossauthError: `Unauthorized` for another browser.
    """
    accounts, key = call.ctx.accounts, call.state["session_key"]
    challenge = decrypt(key, accounts.ring, PENDING, "signup", "setup")
    if not challenge.is_claimed_by(_claim_of(call)):
        raise CrossauthError(ErrorCode.Unauthorized, factor2_setup.OTHER_BROWSER)
    return await factor2_setup.show_setup(accounts, key)


def _setup_answer(call: SessionRequest) -> dict[str, str]:
    """What ends the set-up of a second factor: a code, or the secrets that the user chose; see `Authenticator.setup_fields`."""
    fields = [f.name for a in call.ctx.manager.factors.values() for f in a.setup_fields()]
    names = [*fields, *(f"repeat_{name}" for name in fields)]
    return code_of(call) | {n: v for n in names if (v := call.form.getAsStr(n)) is not None}


def _claim_of(call: SessionRequest) -> str | None:
    return claim_of(call.ctx, call.state, PENDING)


async def begin_or_configure(call: SessionRequest) -> Outcome:
    """Check the answer to the factor that is being set up; where none is and no answer came, begin one's own anew."""
    if _is_set_up_pending(call) or _setup_answer(call):
        return await configure(call)
    user = call.session_user()
    factor2 = _own_factor(call)
    await require_recent_login(call, user)
    return await _begin_setup(call, user, factor2)


async def configure(call: SessionRequest) -> Outcome:
    """Check the first code, or take the secret that the user chose; the factor is the user's then."""
    ctx, key = call.ctx, call.state["session_key"]
    await ctx.extra_columns(call.request)
    done = await factor2_setup.complete_setup(ctx.accounts, key, _setup_answer(call), call.origin, _claim_of(call))
    after = call.next_page(ctx.settings.login_redirect)
    user = done.user
    if user is None or user.state == UserState.awaiting_email_verification:
        if user is not None:
            await email_change.send_link_again(ctx.accounts, user, call.origin)
        recovery_codes = done.recovery_codes if user is not None else recovery.random_codes()
        name = done.username if user is None else user.username
        return await wait_for_link(call, user, name, after, done.persist, {"recoveryCodes": recovery_codes})
    if call.user is not None:
        attempt = current_attempt(call, user)
    else:
        first = proven(ctx.accounts, user)
        attempt = replace(first, methods=(*first.methods, *methods_of(ctx.accounts, user)))
    signed_in = await sign_in(call, replace(attempt, factor2_passed=True), done.persist, after)
    if call.user is None:
        return signed_in
    # Also after a sign-up: the codes can be shown only now, so the page shows them, and leads on.
    view = {
        "message": SET_UP,
        "next": after,
        "required": False,
        "isAdmin": False,
        "recoveryCodes": done.recovery_codes,
    }
    answer = {**signed_in.json, "emailVerificationNeeded": False, "recoveryCodes": done.recovery_codes}
    return Outcome(answer, Page(view))


async def get_change_page(call: SessionRequest) -> Page | Redirect:
    """The choice of factors."""
    user, forced = await whose_factor2(call)
    return Page({**_change_variables(call, user), "missingFields": _missing_fields(call, user, forced)})


async def change(call: Submitted[ChangeFactor2Body]) -> Outcome:
    """Begin to set up another factor, or give it up."""
    ctx, (user, forced) = call.ctx, await whose_factor2(call)
    if not forced:
        await require_recent_login(call, user)
    await ctx.extra_columns(call.request)
    requested = call.body.factor2.removeprefix(NO_FACTOR2)
    if not requested:
        stored = await factor2_setup.remove(ctx.accounts, user, call.origin)
        if stored.state == UserState.awaiting_email_verification:
            await email_change.send_link_again(ctx.accounts, stored, call.origin)
            after = call.next_page(ctx.settings.login_redirect)
            return await wait_for_link(call, stored, stored.username, after, False)
        if forced:
            first = proven(ctx.accounts, stored)
            return await sign_in(call, first, False, call.next_page(ctx.settings.login_redirect))
        await open_session(ctx, call.request, current_attempt(call, stored), False)
        view = {**_change_variables(call, stored), "message": REMOVED}
        return Outcome({"ok": True, "message": REMOVED}, Page(view))
    purpose, provided = "setup", await _given_address(call, user, requested) if forced else {}
    if user.state in SETTING_UP and requested in ctx.accounts.allowed_factor2:
        # A sign-up that goes on: its address is not verified, and may have an account.
        purpose, provided = "signup", {}
    return await _begin_setup(call, user, requested, purpose, provided)


async def _given_address(call: SessionRequest, user: User, factor2: str) -> dict[str, Any]:
    """The email address or phone number that a user sends along with the choice of a factor which has none to send codes to:
    one who has to set a factor up cannot change the profile before.

    See `fields_given_with_choice`. Nothing is stored before a code has come there.

    Raises:
        CrossauthError: as `checked_user`.
    """
    accounts, factor = call.ctx.accounts, call.ctx.accounts.factors.get(factor2)
    if factor is None or is_reachable(factor, user):
        return {}
    sent = editable_values(call.form.to_dict(), fields_given_with_choice(call.ctx.users, factor))
    provided = {name: value for name, value in sent.items() if value}
    if provided:
        checked = await checked_user(accounts, {**user.to_dict(), **provided}, user, trusted=True)
        provided = {name: checked[name] for name in provided}
    return provided


def _missing_fields(call: SessionRequest, user: User, forced: bool) -> list[str]:
    """The fields that the page asks for, because a factor that is offered needs them: see `_given_address`."""
    if not forced or user.state in SETTING_UP:
        return []
    accounts = call.ctx.accounts
    offered = [accounts.factors[name] for name in accounts.allowed_factor2]
    lacking = [factor for factor in offered if not is_reachable(factor, user)]
    return list(dict.fromkeys(name for f in lacking for name in fields_given_with_choice(call.ctx.users, f)))


async def whose_factor2(call: SessionRequest) -> tuple[User, bool]:
    """The user whose second factor may be changed, and whether a login demanded it.

    Raises:
        CrossauthError: `Unauthorized` where nobody is logged in and none did.
    """
    if call.user is None:
        required = await required_change(call.ctx.accounts, call.state["session_key"], Requirement.FACTOR2_CHANGE)
        if required is not None:
            if required.user.state not in (UserState.active, UserState.factor2_reset_needed, *SETTING_UP):
                raise CrossauthError(ErrorCode.UserNotActive)
            return required.user, True
    return call.session_user(), False


async def get_codes_page(call: SessionRequest) -> Page | Redirect:
    """How many codes are left."""
    user = call.session_user()
    left = await recovery.count_codes(call.ctx.accounts, user)
    return Page({"left": left, "passwordNeeded": needs_password(call, user)})


async def get_codes_json(call: SessionRequest) -> Outcome:
    """As `get_codes_page`, as JSON."""
    return Outcome({"ok": True, "left": await recovery.count_codes(call.ctx.accounts, call.session_user())}, Page())


async def make_codes(call: SessionRequest) -> Outcome:
    """Ten new codes; they are shown this once."""
    user = call.session_user()
    if user.factor2 in (None, "", NO_FACTOR2):
        raise CrossauthError(
            ErrorCode.BadRequest, mark("Recovery codes require two-factor authentication. Set it up first.")
        )
    await require_recent_login(call, user)
    made = await recovery.make_codes(call.ctx.accounts, user)
    call.ctx.accounts.events.emit(EventName.recovery_codes_made, user, address=call.origin.address)
    return Outcome({"ok": True, "recoveryCodes": made}, Page({"recoveryCodes": made, "left": len(made)}))


async def _begin_setup(
    call: SessionRequest, user: User, factor2: str, purpose: str = "setup", given: Mapping[str, Any] | None = None
) -> Outcome:
    ctx, fields = call.ctx, {**user.to_dict(), **(given or {})}
    view, data = await factor2_setup.start_setup(
        ctx.accounts, user, user.username, factor2, purpose, fields, False, call.origin,
        new_claim(ctx, call.state, PENDING),
    )  # fmt: skip
    await ctx.keep(call.request, data)
    page = {**begun_variables(call, factor2), **view, "next": call.next_page("")}
    return Outcome({"ok": True, **view}, Page(page, "configure_factor2_page"))


def _own_factor(call: SessionRequest) -> str:
    """The second factor of the user who is logged in.

    Raises:
        CrossauthError: `Unauthorized` where nobody is; `BadRequest` where the user has none.
    """
    factor2 = call.session_user().factor2
    if factor2 not in call.ctx.accounts.allowed_factor2:
        raise CrossauthError(ErrorCode.BadRequest, mark("Choose a second factor first"))
    return str(factor2)


def _change_variables(call: SessionRequest, user: User) -> dict[str, Any]:
    required = call.user is None or call.request.query_params.get("required") == "true"
    current = user.factor2 or NO_FACTOR2
    return {
        "next": call.next_page(""), "allowedFactor2": choice_of_factors(call, user), "factor2": current, "required": required,
        "passwordNeeded": call.user is not None and needs_password(call, user),
    }  # fmt: skip


CONFIGURE_FACTOR2 = Action(
    name="configurefactor2",
    group=FACTOR2,
    operation_id="account_configure_factor2",
    events=(EventName.factor2_set, EventName.login_succeeded),
    limits=("factor2_challenge", "factor2_account", "factor2_address", "password_account"),
    json_summary="Get what is needed to set up a second factor",
    json_operation_id="account_get_factor2_setup",
    step_up=StepUp.BEGIN,
    summary="Set up a second factor",
    submit=begin_or_configure,
    get_page=get_setup_page,
    get_json=get_setup_json,
    page_option="configure_factor2_page",
    body=ConfigureFactor2Body,
    answer=ConfigureAnswer,
    session=True,
)
CHANGE_FACTOR2 = Action(
    name="changefactor2",
    group=FACTOR2,
    operation_id="account_change_factor2",
    events=(EventName.factor2_removed, EventName.login_succeeded),
    limits=("code_account", "mail_target", "sms_target", "password_account"),
    step_up=StepUp.SUBMIT,
    summary="Change or turn off the second factor",
    submit=change,
    get_page=get_change_page,
    page_option="change_factor2_page",
    body=ChangeFactor2Body,
    answer=ConfigureAnswer,
    session=True,
    echo=("next", "required"),
)
RECOVERY_CODES = Action(
    name="recoverycodes",
    group=FACTOR2,
    operation_id="account_make_recovery_codes",
    events=(EventName.recovery_codes_made,),
    limits=("password_account",),
    json_summary="Count the remaining recovery codes",
    json_operation_id="account_count_recovery_codes",
    step_up=StepUp.SUBMIT,
    summary="Generate new recovery codes",
    submit=make_codes,
    get_page=get_codes_page,
    get_json=get_codes_json,
    page_option="recovery_codes_page",
    body=PasswordBody,
    answer=RecoveryAnswer,
    session=True,
)
