"""The states of an account (contract 4.1): why each but `active` refuses a login, and which of them a read of users refuses."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypedDict, TypeVar

from crossauth_backend.core.errors import CrossauthError, ErrorCode

T = TypeVar("T")


class UserState:
    """The values of `User.state`."""

    active: Final = "active"
    disabled: Final = "disabled"
    awaiting_two_factor_setup: Final = "awaitingtwofactorsetup"
    awaiting_email_verification: Final = "awaitingemailverification"
    awaiting_two_factor_setup_and_email_verification: Final = "awaitingtwofactorsetupandemailverification"
    password_change_needed: Final = "passwordchangeneeded"
    password_reset_needed: Final = "passwordresetneeded"
    factor2_reset_needed: Final = "factor2resetneeded"
    password_and_factor2_reset_needed: Final = "passwordandfactor2resetneeded"


# Not stored: the state of a record of whose row a part cannot be read, since another program wrote what its column does not
# take. Nobody logs in to it, nothing of it is changed; it can be found and deleted.
UNREADABLE: Final = "unreadable"
UNREADABLE_TEXT: Final = (
    "Part of what is stored for this account cannot be read. An administrator has to correct it in the database, or delete the "
    "account"
)

# A sign-up that is not finished. Such an account has its name until `signup_expires`, and holds no email address: several may
# have the same one side by side, and whoever verifies it first gets it.
UNFINISHED: Final = frozenset(
    {
        UserState.awaiting_two_factor_setup,
        UserState.awaiting_email_verification,
        UserState.awaiting_two_factor_setup_and_email_verification,
    }
)


REFUSALS: Final[dict[str, ErrorCode]] = {
    UserState.disabled: ErrorCode.UserNotActive,
    UserState.awaiting_two_factor_setup: ErrorCode.TwoFactorIncomplete,
    UserState.awaiting_two_factor_setup_and_email_verification: ErrorCode.TwoFactorIncomplete,
    UserState.awaiting_email_verification: ErrorCode.EmailNotVerified,
    UserState.password_change_needed: ErrorCode.PasswordChangeNeeded,
    UserState.password_reset_needed: ErrorCode.PasswordResetNeeded,
    UserState.factor2_reset_needed: ErrorCode.Factor2ResetNeeded,
    UserState.password_and_factor2_reset_needed: ErrorCode.PasswordResetNeeded,
}


def refusal(state: str) -> ErrorCode | None:
    """Why an account in `state` may not be signed in; `None` for an active one. An unknown state refuses."""
    if state == UserState.active:
        return None
    return REFUSALS.get(state, ErrorCode.UserNotActive)


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

    Second-factor set-up is never skipped over, e-mail verification by `skip_email_verified_check`, any other state but
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
