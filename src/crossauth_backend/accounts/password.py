"""Changing a password."""

from __future__ import annotations

from crossauth_backend.accounts.context import ANY_STATE, Accounts
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal
from crossauth_backend.factors.base import Params
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState

MAY_CHANGE = (UserState.active, UserState.password_change_needed)


async def change_password(accounts: Accounts, username: str, old: Params, new: Params, repeat: Params | None) -> User:
    """Replace the secrets of the first factor, after checking the old ones, and end every session of the user.

    An account that was forced to change becomes active. The caller opens a new session for the browser that asked.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid` where the old password is wrong; `UserNotActive`; `PasswordFormat` (list);
            `PasswordMatch`; `BadRequest` where this factor has nothing to change.
    """
    found = await accounts.users.get_user_by_username(username, ANY_STATE)
    user = found.user
    if user.state not in MAY_CHANGE:
        raise CrossauthError(ErrorCode.UserNotActive)
    factor = accounts.factor1(user)
    if not factor.can_update_secrets():
        raise CrossauthError(ErrorCode.BadRequest, "This account has no password that could be changed here")
    await factor.authenticate_user(user, found.secrets, old)
    problems = factor.validate_secrets(new)
    if not problems and any(equal(str(new[n]), str(old.get(n, ""))) for n in factor.secret_names() if n in new):
        problems = ["The new password must be different from the old one"]
    if problems:
        raise CrossauthError(ErrorCode.PasswordFormat, problems)
    secrets = await factor.create_persistent_secrets(user.username, new, repeat)
    await accounts.users.update_user({"id": user.id, "state": UserState.active}, secrets)
    await accounts.end_sessions(user.id)
    return (await accounts.users.get_user_by_id(user.id)).user
