"""Logging in: the first factor, then the second where the login waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, get_args

from fastapi import Request

from crossauth_backend.accounts import issue, login, second_factor
from crossauth_backend.accounts.attempt import Attempt, Demand, Prompt
from crossauth_backend.accounts.challenge import PENDING, decrypt
from crossauth_backend.accounts.context import has_factor2
from crossauth_backend.accounts.credentials import check_credentials, proven
from crossauth_backend.accounts.signup_rules import SETTING_UP
from crossauth_backend.accounts.stages import Requirement, next_step
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._http.redirects import local_path, with_query
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._session.bodies import LoginAnswer, LoginBody, LoginFactor2Body
from crossauth_fastapi._session.context import (
    SessionContext,
    SessionRequest,
    Submitted,
    code_of,
    persist_of,
    secrets_of,
)
from crossauth_fastapi._session.factorpages import CODE_UNSENT, ask_variables
from crossauth_fastapi._session.groups import BASIC, FACTOR2
from crossauth_fastapi._session.nextpage import keep_next
from crossauth_fastapi._session.renewal import current_attempt

NEEDED = mark("This site requires two-factor authentication. Set it up to log in.")
_PROMPTS: Final[frozenset[Prompt]] = frozenset(get_args(Prompt))
_FORCED = {
    Requirement.PASSWORD_CHANGE: ("changepassword", ErrorCode.PasswordChangeNeeded),
    Requirement.FACTOR2_CHANGE: ("changefactor2", ErrorCode.Factor2ResetNeeded),
}


async def get_login_page(call: SessionRequest) -> Page | Redirect:
    """The form; whoever is logged in is sent on, unless they are logging in as somebody else and were refused, or are to log in
    again (`prompt`): a route asks for a login that is recent, or has a second factor.
    """
    after = call.next_page(call.ctx.settings.login_redirect)
    refused = call.request.method == "POST" and call.state["csrf_token"]
    user = call.user
    if user is None:
        return Page({"next": after})
    demand = Demand(prompt=_PROMPTS.intersection(call.request.query_params.get("prompt", "").split(" ")))
    if next_step(current_attempt(call, user), demand) is Requirement.LOGIN:
        return Page({"next": after, "again": True, "username": user.username})
    return Page({"next": after}) if refused else Redirect(after)


async def log_in(call: Submitted[LoginBody]) -> Outcome:
    """Check username and first factor, and open a session.

    Somebody who is logged in may log in again, as the same user or as another: the session so far ends then. What is wrong is
    refused, and leaves it as it was.
    """
    ctx, body, after = call.ctx, call.body, _leads_to(call)
    refuse = partial(login.refuse_unfinished, ctx.accounts, origin=call.origin)
    user = await check_credentials(ctx.accounts, body.username, secrets_of(call), call.origin, refuse)
    return await sign_in(call, proven(ctx.accounts, user), persist_of(call, body.persist), after)


async def get_factor2_page(call: SessionRequest) -> Page | Redirect:
    """The form that asks for the code, where a login waits for one."""
    if call.user is not None:
        return Redirect(call.next_page(call.ctx.settings.login_redirect))
    challenge = decrypt(call.state["session_key"], call.ctx.accounts.ring, PENDING, "login")
    after = call.next_page(call.ctx.settings.login_redirect)
    return Page(ask_variables(call, challenge.factor2, "loginfactor2", after, challenge.persist, challenge.secrets))


async def give_factor2(call: Submitted[LoginFactor2Body]) -> Outcome:
    """Check the code that a login waits for, and open the session."""
    # All that can be wrong with the form is found before the code counts.
    ctx, sent, after = call.ctx, call.body.persist, _leads_to(call)
    key = call.state["session_key"]
    await ctx.extra_columns(call.request)
    attempt, challenge = await second_factor.complete_login(ctx.accounts, key, code_of(call), call.origin)
    persist = challenge.persist if sent is None else sent
    return await sign_in(call, attempt, persist, after)


def _leads_to(call: SessionRequest) -> str:
    """Where a page leads once its user is logged in. A script goes where it likes."""
    return call.next_page(call.ctx.settings.login_redirect) if call.is_page else ""


async def sign_in(
    call: SessionRequest,
    attempt: Attempt,
    persist: bool | None,
    after: str,
    more: Mapping[str, Any] | None = None,
) -> Outcome:
    """Take an attempt through the login stages, and answer with what comes of it.

    Parameters:
        call: the call; its session so far ends.
        attempt: whom to sign in, and what has been proven.
        persist: whether the cookie outlives the browser; `None` for what the options say.
        after: where the browser goes then; a script is not told.
        more: what else the JSON says.

    Raises:
        CrossauthError: the reason for which the account's state refuses; a forced change where it cannot be made here.
    """
    ctx = call.ctx
    try:
        result = await open_session(ctx, call.request, attempt, persist)
    except CrossauthError as e:
        if e.code is ErrorCode.EmailNotVerified:
            # A link was sent, which may be opened here.
            await keep_next(call)
        raise
    if result.asked is None:
        return Outcome({"ok": True, "user": ctx.public(result.user), **(more or {})}, Redirect(after))
    if result.asked is Requirement.FACTOR2:
        factor2 = result.user.factor2
        unsent = CODE_UNSENT.get(result.code_unsent)
        told = {"message": unsent} if unsent else {}
        asked = {}
        if call.is_page:
            secrets = decrypt(result.session, ctx.accounts.ring, PENDING, "login").secrets
            asked = ask_variables(call, str(factor2), "loginfactor2", after, persist, secrets)
        page = Page({**asked, **({"errorMessage": unsent, "factor2Hint": ""} if unsent else {})}, "factor2_page")
        return Outcome({"ok": True, "twoFactorRequired": True, "factor2": factor2, **told, **(more or {})}, page)
    endpoint, code = _FORCED[result.asked]
    if result.user.state in SETTING_UP:
        code = ErrorCode.TwoFactorIncomplete
    if not call.is_page or endpoint not in ctx.endpoints:
        lacks = result.asked is Requirement.FACTOR2_CHANGE and not has_factor2(result.user)
        raise CrossauthError(code, NEEDED if lacks and code is ErrorCode.Factor2ResetNeeded else None)
    back = local_path(with_query(call.url("login"), next=after), after)
    return Outcome({}, Redirect(with_query(call.url(endpoint), required="true", next=back)))


async def open_session(
    ctx: SessionContext,
    request: Request,
    attempt: Attempt,
    persist: bool | None,
    *,
    factor2_given: bool | None = None,
    carried: Mapping[str, Any] | None = None,
) -> issue.LoginResult:
    """Take an attempt through the login stages, and make the session that comes of it the request's own.

    Parameters:
        ctx: the session server.
        request: the request, whose session so far ends.
        attempt: whom to sign in, and what has been proven.
        persist: whether the cookie outlives the browser; `None` for what the options say.
        factor2_given: whether this browser is one in which the second factor was given; by default as the attempt says.
        carried: entries of the data of the session that the user has in the end.
    """
    result = await issue.sign_in(
        ctx.accounts, attempt, previous=state_of(request)["session_key"], extra_fields=await ctx.extra_columns(request),
        origin=ctx.origin(request), persist=persist, carried=carried,
    )  # fmt: skip
    signed_in: User | None = result.user if result.asked is None else None
    ctx.start_session(request, result.session, signed_in, persist if signed_in else False)
    if signed_in is not None:
        provided = attempt.factor2_passed if factor2_given is None else factor2_given
        await ctx.remember_device(request, signed_in, provided)
    return result


LOGIN = Action(
    name="login",
    group=BASIC,
    operation_id="account_login",
    events=(EventName.login_succeeded, EventName.login_failed, EventName.factor2_asked),
    limits=("login_account", "login_device", "login_address", "login_total_address"),
    step_up=StepUp.NEVER,
    summary="Log in",
    submit=log_in,
    get_page=get_login_page,
    page_option="login_page",
    body=LoginBody,
    answer=LoginAnswer,
    echo=("next", "persist", "username"),
)


LOGIN_FACTOR2 = Action(
    name="loginfactor2",
    group=FACTOR2,
    operation_id="account_login_factor2",
    events=(EventName.login_succeeded, EventName.factor2_failed, EventName.recovery_code_used),
    limits=("factor2_challenge", "factor2_account", "factor2_address"),
    step_up=StepUp.NEVER,
    summary="Complete a login with the second factor",
    submit=give_factor2,
    get_page=get_factor2_page,
    page_option="factor2_page",
    body=LoginFactor2Body,
    answer=LoginAnswer,
)
