"""Creating an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.base import Params
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import username_problems, valid_email


def checked_user(accounts: Accounts, user: Mapping[str, Any]) -> dict[str, Any]:
    """`user` with its e-mail address in normal form, after the library's and the application's rules.

    Raises:
        CrossauthError: `FormEntry` with everything that is wrong; `InvalidEmail`.
    """
    problems = username_problems(user.get("username"))
    problems += [p for p in accounts.validate_user(user) if p not in problems]
    if problems:
        raise CrossauthError(ErrorCode.FormEntry, problems)
    email = user.get("email")
    return {**user, "email": valid_email(email) if email else None}


async def sign_up(
    accounts: Accounts, user: Mapping[str, Any], params: Params, repeat_params: Params | None = None
) -> User:
    """Create `user` with the secrets in `params`.

    Raises:
        CrossauthError: `FormEntry` (username), `InvalidEmail`, `PasswordFormat` (list of what is wrong), `PasswordMatch`,
            `UserExists`, `Forbidden` for a second factor that is not offered.
    """
    new = checked_user(accounts, user)
    factor = accounts.factors[new["factor1"]]
    if not factor.can_create_user():
        raise CrossauthError(ErrorCode.Forbidden, "Accounts cannot be created with this way of logging in")
    if new.get("factor2") and new["factor2"] not in accounts.allowed_factor2:
        raise CrossauthError(ErrorCode.Forbidden, "This second factor is not offered")
    problems = factor.validate_secrets(params)
    if problems:
        raise CrossauthError(ErrorCode.PasswordFormat, problems)
    secrets = await factor.create_persistent_secrets(new["username"], params, repeat_params)
    return await accounts.users.create_user(new, secrets)
