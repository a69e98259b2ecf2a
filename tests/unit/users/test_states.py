"""Why each state of an account refuses a login."""

import pytest

from crossauth_backend import ErrorCode, UserState
from crossauth_backend.users.states import REFUSALS, UNFINISHED, UNREADABLE, refusal

STATES = {value for name, value in vars(UserState).items() if not name.startswith("_")}


def test_every_state_but_active_has_its_reason() -> None:
    assert set(REFUSALS) == STATES - {UserState.active}
    assert refusal(UserState.active) is None
    assert all(refusal(state) is REFUSALS[state] for state in REFUSALS)


@pytest.mark.parametrize("state", ["", "Active", "active ", "ACTIVE", "tomorrow", UNREADABLE])
def test_a_state_that_is_not_known_refuses(state: str) -> None:
    assert refusal(state) is ErrorCode.UserNotActive


def test_what_is_unfinished_waits_for_something_at_sign_up() -> None:
    assert {state for state in STATES if state.startswith("awaiting")} == UNFINISHED
    assert UNREADABLE not in STATES
