"""Reading users: which states a read refuses, and what it says where there is no such user."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypedDict, TypeVar

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.states import UserState

T = TypeVar("T")


class UserStorageGetOptions(TypedDict, total=False):
    """Which checks of the account's state a read leaves to its caller."""

    skip_email_verified_check: bool
    skip_active_check: bool


ANY_STATE: Final[UserStorageGetOptions] = {"skip_active_check": True, "skip_email_verified_check": True}


async def or_none(lookup: Awaitable[T]) -> T | None:
    """What a look-up finds; `None` where there is no such user.

    Raises:
        CrossauthError: as the look-up, but not `UserNotExist`.
    """
    try:
        return await lookup
    except CrossauthError as e:
        if e.code is not ErrorCode.UserNotExist:
            raise
        return None


def refuse_inactive(state: str, options: UserStorageGetOptions | None) -> None:
    """Raise the reason for which a read refuses a user in `state`, in the documented order.

    Second-factor set-up is never skipped over, email verification by `skip_email_verified_check`, any other state but
    active by `skip_active_check`.
    """
    options = options or {}
    skip_active = options.get("skip_active_check", False)
    if state in (
        UserState.awaiting_two_factor_setup,
        UserState.awaiting_two_factor_setup_and_email_verification,
    ):
        if not skip_active:
            raise CrossauthError(ErrorCode.TwoFactorIncomplete)
    elif state == UserState.awaiting_email_verification:
        if not options.get("skip_email_verified_check", False):
            raise CrossauthError(ErrorCode.EmailNotVerified)
    elif state != UserState.active and not skip_active:
        raise CrossauthError(ErrorCode.UserNotActive)
