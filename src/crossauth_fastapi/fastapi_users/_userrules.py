"""Rules of a session server for its users, which hold whoever stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.signup import checked_user
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_fastapi.fastapi_users.exceptions import InvalidUserException, UserAlreadyExists

_REFUSALS: Final = (
    ErrorCode.FormEntry, ErrorCode.InvalidEmail, ErrorCode.InvalidPhoneNumber, ErrorCode.InvalidUsername,
    ErrorCode.BadRequest,
)  # fmt: skip


async def checked_columns(
    accounts: Accounts, columns: Mapping[str, Any], current: User | None = None, *, trusted: bool = True
) -> dict[str, Any]:
    """`columns` as they are to be stored, after the rules of the session server and its `validate_user_fn`.

    Parameters:
        accounts: the account services.
        columns: what is to be written.
        current: the user as stored, if there is one.
        trusted: see `checked_user`.

    Raises:
        InvalidUserException: they are refused.
        UserAlreadyExists: another account has the name, which is the address, or logs in by it.
    """
    before = {} if current is None else current.to_dict()
    try:
        checked = await checked_user(accounts, {**before, **columns}, current, trusted)
    except CrossauthError as e:
        if e.code is ErrorCode.UserExists:
            raise UserAlreadyExists from e
        if e.code not in _REFUSALS:
            raise
        raise InvalidUserException(e.message) from e
    return {name: checked[name] for name in columns}
