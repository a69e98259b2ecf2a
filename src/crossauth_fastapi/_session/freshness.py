"""Asking a user without a second factor for the password, before something that a stolen session must not do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crossauth_backend.accounts.attempt import Demand
from crossauth_backend.accounts.authentication import AUTH, OURS, auth_facts
from crossauth_backend.accounts.context import Accounts, has_factor2
from crossauth_backend.accounts.credentials import prove_first_factor, proven
from crossauth_backend.accounts.freshness import can_be_asked
from crossauth_backend.accounts.password import wrong_password
from crossauth_backend.accounts.stages import require_fresh
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.core.texts import mark
from crossauth_backend.users.credentials import CREDENTIALS
from crossauth_backend.users.record import User, UserAndSecrets
from crossauth_fastapi._http.errors import PasswordRequired
from crossauth_fastapi._session.context import SessionRequest, secrets_of
from crossauth_fastapi._session.renewal import current_attempt


def needs_password(call: SessionRequest, user: User) -> bool:
    """Whether the login of this session is too old for what comes next.

    A user who has a second factor is asked for that instead, see `gate`; but for the password after all where the lists of the
    application leave this action out.
    """
    seconds = call.ctx.settings.reauthentication_seconds
    if seconds is None or _is_asked_for_factor2(call, user):
        return False
    demand = Demand(max_age=timedelta(seconds=seconds))
    return require_fresh(current_attempt(call, user), demand) is not None


def _is_asked_for_factor2(call: SessionRequest, user: User) -> bool:
    if not has_factor2(user) or call.state["auth_type"] != "cookie":
        return False
    route = str(getattr(call.request.scope.get("route"), "name", ""))
    # What the page shows goes by what its form will be asked.
    return route.removesuffix(":page") in {name.removesuffix(":form") for name in call.ctx.gated}


async def require_recent_login(call: SessionRequest, user: User, prefix: str = "") -> None:
    """Let pass whose login is recent, or who sends the password with the request; it counts as a login then.

    Parameters:
        call: the call.
        user: who is asking.
        prefix: goes before the name of the field `password`, where that is somebody else's.

    Raises:
        CrossauthError: `Unauthorized`, naming the field, where the password is needed; `UsernameOrPasswordInvalid`,
            `TooManyAttempts`.
    """
    if not needs_password(call, user):
        return
    accounts = call.ctx.accounts
    found = await accounts.find(user.id)
    if not can_be_asked(accounts, user) or not _has_secret(accounts, found):
        raise CrossauthError(
            ErrorCode.Unauthorized, mark("You logged in too long ago. Log out and log in again to do this.")
        )
    provided = secrets_of(call, prefix)
    if not any(provided.values()):
        raise PasswordRequired(f"{prefix}password")
    async with accounts.limited(call.origin, user, password_account=str(user.id)):
        await _prove(accounts, found, provided)
    known = current_attempt(call, user).auth
    sid = known.sid if known is not None else None
    auth = auth_facts(accounts.now, proven(accounts, user).methods, sid=sid)
    call.state.auth = auth
    if call.state["auth_type"] == "cookie":
        await call.ctx.keep(call.request, {f"{OURS}.{AUTH}": auth.to_data()})


async def _prove(accounts: Accounts, found: UserAndSecrets, given: Mapping[str, str]) -> None:
    try:
        await prove_first_factor(accounts, found, given)
    except CrossauthError as e:
        raise wrong_password() if e.code is ErrorCode.UsernameOrPasswordInvalid else e from e


def _has_secret(accounts: Accounts, found: UserAndSecrets) -> bool:
    """Whether the user has a first factor to prove: who signed up by an account at a provider may have no password."""
    return any(found.secrets.get(name) for name in accounts.factor1(found.user).secret_names())


def changes_credential(accounts: Accounts, user: User, wanted: User | Mapping[str, Any]) -> bool:
    """Whether a changed user would go on in a new session, see `renew_session`."""
    changed = wanted.to_dict() if isinstance(wanted, User) else wanted
    return any(name in changed and changed[name] != user.get(name) for name in accounts.users.credentials)


def moves_credential(accounts: Accounts, user: User, wanted: User | Mapping[str, Any]) -> bool:
    """Whether a changed user would log in by another name, or get mail or codes elsewhere: more than another spelling.

    No codes go to the phone number of a user without a second factor, nor to what a factor of the application's reads in its
    place, and setting one up asks for the password.
    """
    changed = wanted.to_dict() if isinstance(wanted, User) else wanted
    names = [name for name in accounts.users.credentials if name in changed and changed[name] != user.get(name)]
    moved = {name for name in names if changed[name] or user.get(name)}
    if same_mailbox(str(changed.get("email", user.email) or ""), user.email or ""):
        moved.discard("email")
    if not has_factor2(user):
        factor1 = accounts.factors.get(user.factor1)
        moved &= {*CREDENTIALS, *(factor1.user_fields() if factor1 is not None else ())} - {"phone"}
    return bool(moved)
