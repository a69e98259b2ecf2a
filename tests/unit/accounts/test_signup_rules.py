"""Which state an account begins in, and which one each step of a sign-up leads to."""

from datetime import UTC, datetime

import pytest

from crossauth_backend import User, UserState
from crossauth_backend.accounts.signup_rules import first_state, state_after_setup, state_after_verification

S = UserState
BOTH = S.awaiting_two_factor_setup_and_email_verification
STATES = [value for name, value in vars(UserState).items() if not name.startswith("_")]


def user(state: str, verified: bool = False) -> User:
    return User(
        id=1, username="a", state=state, email_verified_at=datetime(2026, 1, 1, tzinfo=UTC) if verified else None
    )


@pytest.mark.parametrize(
    ("factor2", "verify", "state"),
    [
        (False, False, S.active),
        (False, True, S.awaiting_email_verification),
        (True, False, S.awaiting_two_factor_setup),
        (True, True, BOTH),
    ],
)
def test_an_account_begins_with_what_it_lacks(factor2: bool, verify: bool, state: str) -> None:
    assert first_state(factor2, verify) == state


@pytest.mark.parametrize("state", [S.awaiting_two_factor_setup, BOTH])
@pytest.mark.parametrize(
    ("verify", "proves", "verified", "after"),
    [
        (False, False, False, S.active), (True, False, False, S.awaiting_email_verification), (True, True, False, S.active),
        (True, False, True, S.active),
    ],
)  # fmt: skip
def test_what_follows_a_set_up_is_worked_out_from_what_is_known_now(
    state: str, verify: bool, proves: bool, verified: bool, after: str
) -> None:
    assert state_after_setup(user(state, verified), verify, proves) == after


@pytest.mark.parametrize(
    "state", [s for s in STATES if s not in (S.awaiting_two_factor_setup, BOTH, S.factor2_reset_needed)]
)
def test_a_set_up_lets_nobody_out_of_another_state(state: str) -> None:
    assert state_after_setup(user(state), True, True) == state


def test_a_factor_that_was_reset_is_set_up_and_nothing_else_is_asked() -> None:
    assert state_after_setup(user(S.factor2_reset_needed), True, False) == S.active


@pytest.mark.parametrize("state", [*STATES, "unreadable"])
def test_verifying_the_address_takes_that_step_and_no_other(state: str) -> None:
    expected = {S.awaiting_email_verification: S.active, BOTH: S.awaiting_two_factor_setup}.get(state, state)
    assert state_after_verification(state) == expected
