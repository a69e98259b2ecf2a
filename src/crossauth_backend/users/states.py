"""The states of an account, and why each but `active` refuses a login."""

from __future__ import annotations

from typing import Final

from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.core.texts import mark


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
UNREADABLE_TEXT: Final = mark(
    "Some data stored for this account can't be read. An administrator must correct it in the database, or delete the account."
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
