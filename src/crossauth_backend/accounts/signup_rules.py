"""What a sign-up still needs, and when it ends. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState

SETTING_UP: Final = (UserState.awaiting_two_factor_setup, UserState.awaiting_two_factor_setup_and_email_verification)
# How long a sign-up may take where no link by email says so.
SIGNUP_LASTS: Final = timedelta(days=1)

_AFTER_VERIFICATION: Final[dict[str, str]] = {
    UserState.awaiting_email_verification: UserState.active,
    UserState.awaiting_two_factor_setup_and_email_verification: UserState.awaiting_two_factor_setup,
}


def first_state(factor2: bool, verify: bool) -> str:
    """The state of a new account, or of one whose sign-up is begun again.

    Parameters:
        factor2: whether a second factor is to be set up.
        verify: whether the email address is to be verified by a link.
    """
    if factor2:
        return SETTING_UP[1] if verify else SETTING_UP[0]
    return UserState.awaiting_email_verification if verify else UserState.active


def state_after_setup(user: User, verify_email: bool, proves_address: bool) -> str:
    """The state after `user` has set a second factor up, or has decided to go without one.

    It is worked out from what is known now, not from what was planned at sign-up: the factor may be another one.

    Parameters:
        user: the user as stored.
        verify_email: whether this server verifies email addresses.
        proves_address: whether setting the factor up has verified the user's address.
    """
    if user.state == UserState.factor2_reset_needed:
        return UserState.active
    if user.state not in SETTING_UP:
        return user.state
    unverified = verify_email and not proves_address and user.email_verified_at is None
    return UserState.awaiting_email_verification if unverified else UserState.active


def state_after_verification(state: str) -> str:
    """The state after the email address was verified."""
    return _AFTER_VERIFICATION.get(state, state)
