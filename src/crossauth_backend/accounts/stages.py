"""What stands between a proven first factor and a session.

Every way of signing in (password, link by e-mail, and later passkey, social login) enters `LOGIN_STAGES` at the top, so none can
skip a stage. A stage is a pure function: it lets the attempt pass, asks for something, or refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from crossauth_backend.accounts.context import has_factor2
from crossauth_backend.accounts.signup_rules import SETTING_UP
from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState, refusal


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody who has proven the first factor of `user`, and what else is known.

    Parameters:
        user: whom to sign in.
        factor2_passed: whether the second factor has been proven too.
        factor2_offered: whether the server still offers the user's second factor.
        factor2_needed: whether every user has to have one, see `Accounts.factor2_needed`.
        factor2_bypassed: whether the application has decided that this login goes without one (`bypass_2fa`).
    """

    user: User
    factor2_passed: bool = False
    factor2_offered: bool = True
    factor2_needed: bool = False
    factor2_bypassed: bool = False


class Ask(Enum):
    """What an attempt still lacks."""

    FACTOR2 = "factor2"
    PASSWORD_CHANGE = "passwordchange"
    FACTOR2_CHANGE = "factor2change"


@dataclass(frozen=True, slots=True)
class Refuse:
    """The attempt ends here."""

    code: ErrorCode


Step: TypeAlias = Ask | Refuse | None
Stage: TypeAlias = Callable[[Attempt], Step]
_FORCED: Final = (UserState.password_change_needed, UserState.factor2_reset_needed)


def check_state(attempt: Attempt) -> Step:
    """Refuse an account that is not active; a forced change waits until everything is proven."""
    if attempt.user.state in _FORCED or attempt.user.state in SETTING_UP:
        return None
    code = refusal(attempt.user.state)
    return Refuse(code) if code is not None else None


def require_factor2(attempt: Attempt) -> Step:
    """Ask for the second factor of a user who has one; one that was reset by an administrator is gone."""
    if attempt.user.state == UserState.factor2_reset_needed or attempt.user.state in SETTING_UP:
        return None
    return Ask.FACTOR2 if has_factor2(attempt.user) and not attempt.factor2_passed else None


def force_password_change(attempt: Attempt) -> Step:
    """Ask for a new password where an administrator demanded one."""
    return Ask.PASSWORD_CHANGE if attempt.user.state == UserState.password_change_needed else None


def force_factor2_change(attempt: Attempt) -> Step:
    """Ask to set up a second factor where there is none and one is needed, or it was reset or is no longer offered."""
    missing = attempt.factor2_needed and not attempt.factor2_bypassed
    unfit = not attempt.factor2_offered if has_factor2(attempt.user) else missing
    lacks = attempt.user.state == UserState.factor2_reset_needed or attempt.user.state in SETTING_UP
    return Ask.FACTOR2_CHANGE if unfit or lacks else None


LOGIN_STAGES: Final[tuple[Stage, ...]] = (check_state, require_factor2, force_password_change, force_factor2_change)


def next_step(attempt: Attempt) -> Step:
    """What the first stage that does not pass says; `None` where a session may be opened."""
    return next((step for stage in LOGIN_STAGES if (step := stage(attempt)) is not None), None)
