"""Changing a password, by the old one or by a link."""

from __future__ import annotations

from typing import Any, Final

from crossauth_backend.accounts.changes import end_sessions, replace_checked
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.credentials import prove_first_factor
from crossauth_backend.accounts.form_fields import check_new_secrets
from crossauth_backend.accounts.identities import unlink_unproven
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.passwords import composed_password
from crossauth_backend.core.secrets import equal, hash_token
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens import subjects
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Authenticator, Params
from crossauth_backend.limits.rules import mailbox_of
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.reads import ANY_STATE
from crossauth_backend.users.record import User, UserAndSecrets
from crossauth_backend.users.rules import valid_email
from crossauth_backend.users.stamp import with_stamp
from crossauth_backend.users.states import UNFINISHED, UserState

MAY_CHANGE = (UserState.active, UserState.password_change_needed)
# Whoever reads the mail has verified the address of a sign-up that is named for it.
_AFTER_RESET = {
    UserState.awaiting_email_verification: UserState.active,
    UserState.awaiting_two_factor_setup_and_email_verification: UserState.awaiting_two_factor_setup,
    UserState.password_reset_needed: UserState.active,
    UserState.password_and_factor2_reset_needed: UserState.factor2_reset_needed,
}

_SAME: Final = mark("The new password must be different from the old one")


async def change_password(
    accounts: Accounts,
    username: str,
    old: Params,
    new: Params,
    repeat: Params | None,
    origin: ClientInfo = UNKNOWN_CLIENT,
) -> User:
    """Replace the secrets of the first factor, after checking the old ones, and end every session of the user.

    An account that was forced to change becomes active. The caller opens a new session for the browser that asked.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid` where the old password is wrong; `UserNotActive`; `PasswordFormat` (list);
            `PasswordMatch`; `BadRequest` where this factor has nothing to change; `TooManyAttempts`; `InvalidSession` where
            the account was changed meanwhile, by whomever: that is not undone.
    """
    found = with_stamp(await accounts.users.get_user_by_username(username, ANY_STATE), accounts.users.credentials)
    user = found.user
    if user.state not in MAY_CHANGE:
        raise CrossauthError(ErrorCode.UserNotActive)
    factor = _changeable(accounts, user)
    # Successes count too: each ends the links that were sent, and who sits in somebody's account must not go on with that.
    await accounts.counted(origin, user, password_account=str(user.id))
    user = (await _prove_old(accounts, found, old)).user
    if user.state not in MAY_CHANGE:
        raise CrossauthError(ErrorCode.UserNotActive)
    same = any(n in new and _equal(str(new[n]), str(old.get(n, ""))) for n in factor.secret_names())
    await check_new_secrets(factor, new, repeat, [_SAME] if same else ())
    secrets = await factor.create_persistent_secrets(user.username, new, repeat)
    stored = await replace_checked(accounts, user, {"state": UserState.active}, secrets)
    await end_sessions(accounts, user.id)
    accounts.events.emit(EventName.password_changed, user, address=origin.address)
    send_password_notice(accounts, stored)
    return stored


def send_password_notice(accounts: Accounts, user: User) -> None:
    """Mail the user, where mail is configured: whoever changes a password to take an account over must not go unnoticed.

    Parameters:
        accounts: the account services.
        user: as stored with the new password.
    """
    if accounts.emails is not None:
        data = {"canReset": accounts.reset_password}
        accounts.need_emails().send_note(user, subjects.PASSWORD_CHANGED, "passwordnoticebody.jinja2", data)


async def _prove_old(accounts: Accounts, found: UserAndSecrets, old: Params) -> UserAndSecrets:
    """As `prove_first_factor`, in words that leave the username out."""
    try:
        return await prove_first_factor(accounts, found, old)
    except CrossauthError as e:
        wrong = e.code in (ErrorCode.UsernameOrPasswordInvalid, ErrorCode.PasswordInvalid)
        raise wrong_password("old_password", e.detail) if wrong else e from e


def wrong_password(field: str | None = None, detail: str | None = None) -> CrossauthError:
    """Return the refusal of a password that a user who is logged in was asked for.

    Parameters:
        field: the field of the form, where it is always the same.
        detail: what the log says.
    """
    text = mark("Your current password is incorrect")
    fields = None if field is None else {field: [text]}
    return CrossauthError(ErrorCode.UsernameOrPasswordInvalid, text, detail=detail, fields=fields)


async def request_reset(accounts: Accounts, email: str, origin: ClientInfo = UNKNOWN_CLIENT) -> None:
    """Have a link to choose a new password sent, if there is an account of this address; the answer is the same if not.

    Raises:
        CrossauthError: `InvalidEmail` for what can be no address; `TooManyAttempts`.
    """
    address = valid_email(email)
    # By the mailbox, for the link is sent whatever else was sent there: see `email_tokens.draft.Draft`.
    counted = {"reset_account": mailbox_of(address), "reset_address": origin.address}
    await accounts.counted(origin, None, **counted)
    accounts.need_emails().send_password_reset_token(address)
    accounts.events.emit(EventName.password_reset_requested, address=origin.address)


async def user_for_reset(accounts: Accounts, token: str, origin: ClientInfo = UNKNOWN_CLIENT) -> User:
    """The user for whom a reset token is good; it is not used up.

    Raises:
        CrossauthError: `InvalidKey`, `Expired`, `UserNotActive`, `TooManyAttempts`.
    """
    async with accounts.limited(origin, None, token_credential=hash_token(token), token_address=origin.address):
        user = await accounts.need_emails().check_password_reset_token(token)
    return user


async def reset_password(
    accounts: Accounts, token: str, new: Params, repeat: Params | None, origin: ClientInfo = UNKNOWN_CLIENT
) -> User:
    """Replace the secrets of the first factor of whoever holds `token`, and end every session of the user.

    Accounts at providers are unlinked that somebody else may have linked.

    Raises:
        CrossauthError: as `user_for_reset`, also where state or address were changed meanwhile; `PasswordFormat` (list) and
            `PasswordMatch`, which leave the token good.
    """
    user = await user_for_reset(accounts, token, origin)
    factor = _changeable(accounts, user)
    await check_new_secrets(factor, new, repeat)
    secrets = await factor.create_persistent_secrets(user.username, new, repeat)
    user = await accounts.need_emails().take_password_reset_token(token)
    # It rests on state and mailbox, not on the password: whoever else changes that at this moment loses.
    expected = {name: user.get(name) for name in ("state", "email", "username")}
    values: dict[str, Any] = {"state": _AFTER_RESET.get(user.state, user.state)}
    if user.state in UNFINISHED and isinstance(accounts.users, SupportsSignupExpiry):
        values["email_verified_at"] = accounts.now
    stored = await replace_checked(accounts, user, values, secrets, expected=expected, refusal=ErrorCode.InvalidKey)
    await end_sessions(accounts, user.id)
    await unlink_unproven(accounts, stored, origin)
    accounts.events.emit(EventName.password_reset, user, address=origin.address)
    send_password_notice(accounts, stored)
    return stored


def _changeable(accounts: Accounts, user: User) -> Authenticator:
    factor = accounts.factor1(user)
    if not factor.can_update_secrets():
        raise CrossauthError(ErrorCode.BadRequest, mark("This account has no password that you can change here"))
    return factor


def _equal(a: str, b: str) -> bool:
    return equal(composed_password(a), composed_password(b))
