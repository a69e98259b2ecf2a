"""What stands between a proven first factor and a session.

Every way of signing in (password, link by email, and later passkey, social login) enters `LOGIN_STAGES` at the top, so none can
skip a stage. A stage is a pure function: it lets the attempt pass, asks for something, or refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from crossauth_backend.accounts.attempt import NO_DEMAND, Attempt, Demand
from crossauth_backend.accounts.context import has_factor2
from crossauth_backend.accounts.freshness import ACR_VALUES, is_fresh, met_acr
from crossauth_backend.accounts.signup_rules import SETTING_UP
from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.users.states import UserState, refusal


class Requirement(Enum):
    """What an attempt still lacks."""

    LOGIN = "login"
    FACTOR2 = "factor2"
    PASSWORD_CHANGE = "passwordchange"
    FACTOR2_CHANGE = "factor2change"


@dataclass(frozen=True, slots=True)
class Refuse:
    """The attempt ends here."""

    code: ErrorCode


Outcome: TypeAlias = Requirement | Refuse | None
Stage: TypeAlias = Callable[[Attempt, Demand], Outcome]
_FORCED: Final = (UserState.password_change_needed, UserState.factor2_reset_needed)


def check_state(attempt: Attempt, demand: Demand) -> Outcome:
    """Refuse an account that is not active; a forced change waits until everything is proven."""
    state = attempt.user.state
    if state == UserState.active or state in _FORCED or state in SETTING_UP:
        return None
    code = refusal(state)
    return Refuse(code) if code is not None else None


def require_fresh(attempt: Attempt, demand: Demand) -> Outcome:
    """Ask for another login where one that was made before does not count (any more)."""
    if attempt.auth is None:
        return None
    if "login" in demand.prompt or "select_account" in demand.prompt:
        return Requirement.LOGIN
    if demand.max_age is None:
        return None
    fresh = attempt.now is not None and is_fresh(attempt.auth.auth_time, attempt.now, demand.max_age)
    return None if fresh else Requirement.LOGIN


def require_factor2(attempt: Attempt, demand: Demand) -> Outcome:
    """Ask for the second factor of a user who has one; one that was reset by an administrator is gone."""
    if attempt.user.state == UserState.factor2_reset_needed or attempt.user.state in SETTING_UP:
        return None
    if attempt.auth is not None or attempt.factor2_passed or attempt.factor2_bypassed:
        return None
    return Requirement.FACTOR2 if has_factor2(attempt.user) else None


def require_acr(attempt: Attempt, demand: Demand) -> Outcome:
    """Ask for a second factor, or to set one up, where none of the context classes is met without.

    An account that has to change something first does that: what is demanded is asked for once more afterwards.
    """
    if attempt.user.state != UserState.active:
        return None
    two = any(ACR_VALUES.get(acr, False) for acr in demand.acr_values)
    if not two or attempt.factor2_passed or met_acr(demand.acr_values, attempt.methods) is not None:
        return None
    if has_factor2(attempt.user):
        return Requirement.FACTOR2
    return Requirement.FACTOR2_CHANGE if attempt.factor2_offered else None


def force_password_change(attempt: Attempt, demand: Demand) -> Outcome:
    """Ask for a new password where an administrator demanded one."""
    return Requirement.PASSWORD_CHANGE if attempt.user.state == UserState.password_change_needed else None


def force_factor2_change(attempt: Attempt, demand: Demand) -> Outcome:
    """Ask to set up a second factor where there is none and one is needed, or it was reset or is no longer offered."""
    missing = attempt.factor2_needed and not attempt.factor2_bypassed
    unfit = not attempt.factor2_offered if has_factor2(attempt.user) else missing
    lacks = attempt.user.state == UserState.factor2_reset_needed or attempt.user.state in SETTING_UP
    return Requirement.FACTOR2_CHANGE if unfit or lacks else None


LOGIN_STAGES: Final[tuple[Stage, ...]] = (
    check_state,
    require_fresh,
    require_factor2,
    require_acr,
    force_password_change,
    force_factor2_change,
)


def next_step(attempt: Attempt, demand: Demand = NO_DEMAND) -> Outcome:
    """What the first stage that does not pass says; `None` where a session may be opened."""
    return next((step for stage in LOGIN_STAGES if (step := stage(attempt, demand)) is not None), None)
