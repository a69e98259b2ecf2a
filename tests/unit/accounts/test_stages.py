"""What stands between a proven first factor and a session, for every state of an account."""

import pytest

from crossauth_backend import ErrorCode, User, UserState
from crossauth_backend.accounts.stages import LOGIN_STAGES, Ask, Attempt, Refuse, next_step

STATES = [value for name, value in vars(UserState).items() if not name.startswith("_")]
SETTING_UP = [UserState.awaiting_two_factor_setup, UserState.awaiting_two_factor_setup_and_email_verification]


def user(state: str = UserState.active, factor2: str | None = None) -> User:
    return User(id=1, username="alice", state=state, factor2=factor2)


@pytest.mark.parametrize(
    ("state", "factor2", "step"),
    [
        (UserState.active, None, None), (UserState.active, "", None), (UserState.active, "none", None),
        (UserState.active, "totp", Ask.FACTOR2),
        (UserState.disabled, "totp", Refuse(ErrorCode.UserNotActive)),
        (UserState.awaiting_email_verification, None, Refuse(ErrorCode.EmailNotVerified)),
        (UserState.password_reset_needed, "totp", Refuse(ErrorCode.PasswordResetNeeded)),
        (UserState.password_and_factor2_reset_needed, None, Refuse(ErrorCode.PasswordResetNeeded)),
        (UserState.password_change_needed, None, Ask.PASSWORD_CHANGE),
        # The second factor comes before the change: whoever has only the password must not choose the next one.
        (UserState.password_change_needed, "totp", Ask.FACTOR2),
        # An administrator has reset it, so it is not asked for.
        (UserState.factor2_reset_needed, "totp", Ask.FACTOR2_CHANGE),
        *((state, "totp", Ask.FACTOR2_CHANGE) for state in SETTING_UP),
        ("a state of tomorrow", None, Refuse(ErrorCode.UserNotActive)), ("", None, Refuse(ErrorCode.UserNotActive)),
    ],
)  # fmt: skip
def test_the_first_thing_that_lacks_is_asked_for(state: str, factor2: str | None, step: object) -> None:
    assert next_step(Attempt(user(state, factor2))) == step


def test_once_everything_is_proven_only_forced_changes_are_left() -> None:
    done = {state: next_step(Attempt(user(state, "totp"), factor2_passed=True)) for state in STATES}
    assert done[UserState.active] is None
    assert done[UserState.password_change_needed] is Ask.PASSWORD_CHANGE
    assert done[UserState.factor2_reset_needed] is Ask.FACTOR2_CHANGE
    assert [state for state, step in done.items() if step is None] == [UserState.active]


def test_a_factor_that_is_offered_no_longer_is_replaced() -> None:
    attempt = Attempt(user(factor2="sms"), factor2_passed=True, factor2_offered=False)
    assert next_step(attempt) is Ask.FACTOR2_CHANGE
    assert next_step(Attempt(user(), factor2_offered=False)) is None, "who has none lacks nothing"


@pytest.mark.parametrize(("bypassed", "step"), [(False, Ask.FACTOR2_CHANGE), (True, None)])
def test_where_everybody_needs_one_it_is_set_up_unless_the_application_says_so(bypassed: bool, step: object) -> None:
    assert next_step(Attempt(user(), factor2_needed=True, factor2_bypassed=bypassed)) is step
    assert next_step(Attempt(user(factor2="totp"), factor2_needed=True, factor2_bypassed=bypassed)) is Ask.FACTOR2


def test_no_state_but_active_signs_anybody_in() -> None:
    """Whatever else is said of the attempt."""
    for state in (*STATES, "unreadable"):
        for factor2 in (None, "totp"):
            for flags in range(16):
                passed, offered, needed, bypassed = (bool(flags & 1 << n) for n in range(4))
                step = next_step(Attempt(user(state, factor2), passed, offered, needed, bypassed))
                assert state == UserState.active or step is not None


def test_the_order_of_the_stages() -> None:
    assert [stage.__name__ for stage in LOGIN_STAGES] == [
        "check_state", "require_factor2", "force_password_change", "force_factor2_change",
    ]  # fmt: skip
