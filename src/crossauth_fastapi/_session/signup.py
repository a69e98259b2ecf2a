"""Signing up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from crossauth_backend.accounts import factor2_setup, signup
from crossauth_backend.accounts.challenge import PENDING
from crossauth_backend.accounts.credentials import proven
from crossauth_backend.accounts.login_name_rules import name_of_signup
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import is_address, valid_email
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._session.bodies import SignupAnswer, SignupBody
from crossauth_fastapi._session.claims import new_claim
from crossauth_fastapi._session.context import SessionRequest, Submitted, persist_of, secrets_of
from crossauth_fastapi._session.factorpages import begun_variables
from crossauth_fastapi._session.groups import BASIC
from crossauth_fastapi._session.login import sign_in
from crossauth_fastapi._session.userhooks import user_made

CHECK_MAIL = mark("We've sent you an email. Open the link in it to finish signing up.")
# In the data of an anonymous session: the sign-up that began in this browser.
_BEGUN: Final = "signup"


async def get_signup_page(call: SessionRequest) -> Page | Redirect:
    """The form."""
    return Page({"next": call.next_page(call.ctx.settings.login_redirect), **form_variables(call)})


def form_variables(call: SessionRequest) -> dict[str, Any]:
    """What the form needs to know."""
    return {
        "allowedFactor2": choice_of_factors(call),
        "userEditableFields": call.ctx.users.user_editable_fields,
        "emailRequired": call.ctx.settings.enable_email_verification,
        "factor2InForm": _chooses_factor2(call),
    }


def _chooses_factor2(call: SessionRequest) -> bool:
    """Whether the form asks for the second factor: where an option says so, or a new user needs one or gets one unasked."""
    allowed = call.ctx.manager.allowed_factor2
    return call.ctx.settings.factor2_in_signup_form or (bool(allowed) and allowed[0] != NO_FACTOR2)


class AuthenticatorDetails(TypedDict):
    """A factor, as a page offers it. `hasSecrets` says whether users store something for it."""

    name: str
    friendlyName: str
    hasSecrets: bool


def factor2_details(manager: SessionManager) -> list[AuthenticatorDetails]:
    """The second factors that users may choose, "none" among them where they may go without."""
    details: list[AuthenticatorDetails] = []
    for name in manager.allowed_factor2:
        factor = manager.factors.get(name)
        friendly, has_secrets = (factor.friendly_name, bool(factor.secret_names())) if factor else (mark("None"), False)
        details.append({"name": name, "friendlyName": friendly, "hasSecrets": has_secrets})
    return details


def choice_of_factors(call: SessionRequest, user: User | None = None) -> list[AuthenticatorDetails]:
    """The same for a page; empty where the server has no second factors, and without "none" where `user` needs one."""
    manager, accounts = call.ctx.manager, call.ctx.accounts
    offered = factor2_details(manager) if accounts.allowed_factor2 else []
    needed = user is not None and accounts.needs_factor2(user)
    return [factor for factor in offered if not needed or factor["name"] != NO_FACTOR2]


async def sign_up(call: Submitted[SignupBody]) -> Outcome:
    """Create the account; log its user in, or ask for what is still lacking."""
    ctx, after = call.ctx, call.next_page(call.ctx.settings.login_redirect)
    body = call.body
    persist = persist_of(call, body.persist)
    user = await user_made(
        call,
        {**call.form.to_dict(), "username": name_of_signup(ctx.accounts.login_by, body.username, call.form.to_dict())},
        list(ctx.users.user_editable_fields),
        list(ctx.settings.user_allowed_factor1),
        ("username", "state", "factor1"),
    )
    user = {**user, "factor2": chosen_factor2(call, user, body.factor2)}
    await ctx.extra_columns(call.request)
    repeat = secrets_of(call, "repeat_") or None
    done = await signup.sign_up(ctx.accounts, user, secrets_of(call), repeat, call.origin)
    if done.factor2:
        return await _set_factor2_up(call, user, done, after, persist)
    if done.verify or done.user is None:
        return await wait_for_link(call, done.user, str(user["username"]), after, persist)
    return await sign_in(call, proven(ctx.accounts, done.user), persist, after, {"emailVerificationNeeded": False})


def chosen_factor2(call: SessionRequest, user: Mapping[str, Any], asked: str | None) -> str:
    """The second factor of a new user: what `create_user_fn` says, else what the form names, else the first allowed one.

    Parameters:
        call: the sign-up.
        user: the user as `create_user_fn` made it; one without the key `factor2` leaves the choice to the form, `None` or an
            empty text is a decision for none.
        asked: what the form names.

    Raises:
        CrossauthError: `Forbidden` for none where one is needed.
    """
    allowed = call.ctx.manager.allowed_factor2
    chosen = (user["factor2"] or NO_FACTOR2) if "factor2" in user else asked or allowed[0]
    if chosen == NO_FACTOR2 and NO_FACTOR2 not in allowed:
        raise CrossauthError(ErrorCode.Forbidden, mark("This site requires two-factor authentication"))
    return chosen


async def wait_for_link(
    call: SessionRequest,
    user: User | None,
    username: str,
    after: str,
    persist: bool | None,
    more: Mapping[str, Any] | None = None,
) -> Outcome:
    """The answer to whoever must look into a mailbox now; the same whether or not the address was known.

    The browser is remembered by an anonymous session: it is the only one that the link will log in.

    Parameters:
        call: the call; its session so far ends.
        user: the new user; `None` where there is none, which is not said.
        username: the name that was asked for.
        after: where the browser goes when the address is verified.
        persist: whether the login that follows is to outlive the browser.
        more: what else is answered.
    """
    ctx, previous = call.ctx, call.state["session_id"]
    begun = {
        "userid": None if user is None else str(user.id), "username": username, "next": after, "persist": persist,
    }  # fmt: skip
    key = await ctx.manager.session.create_session_key(
        None, await ctx.extra_columns(call.request), {"crossauth": {_BEGUN: begun}}
    )
    ctx.start_session(call.request, key, None, False)
    if previous is not None:
        await ctx.manager.delete_session(previous)
    view = {
        "message": CHECK_MAIL, "address": _mail_goes_to(user, username), "next": after, **form_variables(call),
        **(more or {}),
    }  # fmt: skip
    answer = {"ok": True, "user": None, "emailVerificationNeeded": True, **(more or {})}
    return Outcome(answer, Page(view, "signup_page"))


def _mail_goes_to(user: User | None, username: str) -> str:
    """The address that a page names; it says the same whether or not there is a new user, whose name is the address then."""
    if is_address(username):
        return valid_email(username)
    return "" if user is None else contact_address(user) or ""


def begun_here(call: SessionRequest) -> Mapping[str, Any]:
    """What was begun by a sign-up in this browser, which waits for its link; empty where nothing was."""
    key = call.state["session_key"]
    own = get_json_data(key).get("crossauth") if key is not None and key.userid is None else None
    begun = own.get(_BEGUN) if isinstance(own, dict) else None
    return begun if isinstance(begun, dict) else {}


async def _set_factor2_up(
    call: SessionRequest, user: dict[str, Any], done: signup.SignedUp, after: str, persist: bool | None
) -> Outcome:
    ctx = call.ctx
    fields = done.user.to_dict() if done.user else user
    view, data = await factor2_setup.start_setup(
        ctx.accounts, done.user, str(user["username"]), done.factor2, "signup", fields, persist, call.origin,
        new_claim(ctx, call.state, PENDING),
    )  # fmt: skip
    previous = call.state["session_id"]
    key = await ctx.manager.session.create_session_key(None, await ctx.extra_columns(call.request), data)
    ctx.start_session(call.request, key, None, False)
    if previous is not None:
        await ctx.manager.delete_session(previous)
    answer = {"ok": True, "user": None, "emailVerificationNeeded": done.verify, **view}
    page = {**begun_variables(call, done.factor2), **view, "next": after}
    return Outcome(answer, Page(page, "configure_factor2_page"))


SIGNUP = Action(
    name="signup",
    group=BASIC,
    operation_id="account_sign_up",
    events=(EventName.signed_up, EventName.login_succeeded),
    limits=("signup_address", "mail_target"),
    step_up=StepUp.NEVER,
    summary="Sign up",
    submit=sign_up,
    get_page=get_signup_page,
    page_option="signup_page",
    body=SignupBody,
    answer=SignupAnswer,
    echo=("next", "persist", "username", "factor1", "factor2"),
)
