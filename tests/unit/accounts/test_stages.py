"""What stands between a proven first factor and a session, for every state of an account."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import ErrorCode, Key, User, UserState
from crossauth_backend.accounts.attempt import NO_DEMAND, Attempt, Demand, attempt_of
from crossauth_backend.accounts.authentication import Authentication
from crossauth_backend.accounts.stages import (
    LOGIN_STAGES,
    Refuse,
    Requirement,
    check_state,
    force_factor2_change,
    force_password_change,
    next_step,
    require_acr,
    require_factor2,
    require_fresh,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = int(NOW.timestamp())

STATES = [value for name, value in vars(UserState).items() if not name.startswith("_")]
SETTING_UP = [UserState.awaiting_two_factor_setup, UserState.awaiting_two_factor_setup_and_email_verification]


def user(state: str = UserState.active, factor2: str | None = None) -> User:
    return User(id=1, username="alice", state=state, factor2=factor2)


@pytest.mark.parametrize(
    ("state", "factor2", "step"),
    [
        (UserState.active, None, None), (UserState.active, "", None), (UserState.active, "none", None),
        (UserState.active, "totp", Requirement.FACTOR2),
        (UserState.disabled, "totp", Refuse(ErrorCode.UserNotActive)),
        (UserState.awaiting_email_verification, None, Refuse(ErrorCode.EmailNotVerified)),
        (UserState.password_reset_needed, "totp", Refuse(ErrorCode.PasswordResetNeeded)),
        (UserState.password_and_factor2_reset_needed, None, Refuse(ErrorCode.PasswordResetNeeded)),
        (UserState.password_change_needed, None, Requirement.PASSWORD_CHANGE),
        # The second factor comes before the change: whoever has only the password must not choose the next one.
        (UserState.password_change_needed, "totp", Requirement.FACTOR2),
        # An administrator has reset it, so it is not asked for.
        (UserState.factor2_reset_needed, "totp", Requirement.FACTOR2_CHANGE),
        *((state, "totp", Requirement.FACTOR2_CHANGE) for state in SETTING_UP),
        ("a state of tomorrow", None, Refuse(ErrorCode.UserNotActive)), ("", None, Refuse(ErrorCode.UserNotActive)),
    ],
)  # fmt: skip
def test_the_first_thing_that_lacks_is_asked_for(state: str, factor2: str | None, step: object) -> None:
    assert next_step(Attempt(user(state, factor2))) == step


def test_once_everything_is_proven_only_forced_changes_are_left() -> None:
    done = {state: next_step(Attempt(user(state, "totp"), factor2_passed=True)) for state in STATES}
    assert done[UserState.active] is None
    assert done[UserState.password_change_needed] is Requirement.PASSWORD_CHANGE
    assert done[UserState.factor2_reset_needed] is Requirement.FACTOR2_CHANGE
    assert [state for state, step in done.items() if step is None] == [UserState.active]


def test_a_factor_that_is_offered_no_longer_is_replaced() -> None:
    attempt = Attempt(user(factor2="sms"), factor2_passed=True, factor2_offered=False)
    assert next_step(attempt) is Requirement.FACTOR2_CHANGE
    assert next_step(Attempt(user(), factor2_offered=False)) is None, "who has none lacks nothing"


@pytest.mark.parametrize(("bypassed", "step"), [(False, Requirement.FACTOR2_CHANGE), (True, None)])
def test_where_everybody_needs_one_it_is_set_up_unless_the_application_says_so(bypassed: bool, step: object) -> None:
    assert next_step(Attempt(user(), factor2_needed=True, factor2_bypassed=bypassed)) is step
    has_one = Attempt(user(factor2="totp"), factor2_needed=True, factor2_bypassed=bypassed)
    assert next_step(has_one) is (None if bypassed else Requirement.FACTOR2)


def test_no_state_but_active_signs_anybody_in() -> None:
    """Whatever else is said of the attempt."""
    for state in (*STATES, "unreadable"):
        for factor2 in (None, "totp"):
            for flags in range(32):
                passed, offered, needed, bypassed, earlier = (bool(flags & 1 << n) for n in range(5))
                auth = Authentication(AT, ("pwd", "otp")) if earlier else None
                step = next_step(
                    Attempt(user(state, factor2), ("pwd", "otp"), passed, bypassed, auth, offered, needed, NOW)
                )
                assert state == UserState.active or step is not None


def test_the_order_of_the_stages() -> None:
    assert [stage.__name__ for stage in LOGIN_STAGES] == [
        "check_state", "require_fresh", "require_factor2", "require_acr", "force_password_change", "force_factor2_change",
    ]  # fmt: skip


def test_each_stage_judges_one_thing() -> None:
    """Whatever the others would say."""
    disabled = user(UserState.disabled, "totp")
    assert check_state(Attempt(disabled), NO_DEMAND) == Refuse(ErrorCode.UserNotActive)
    for stage in LOGIN_STAGES[1:]:
        assert not isinstance(stage(Attempt(disabled), NO_DEMAND), Refuse)
    change = user(UserState.password_change_needed, "totp")
    assert force_password_change(Attempt(change), NO_DEMAND) is Requirement.PASSWORD_CHANGE
    assert require_factor2(Attempt(change), NO_DEMAND) is Requirement.FACTOR2
    assert force_factor2_change(Attempt(change), NO_DEMAND) is None
    assert require_fresh(Attempt(change), Demand(prompt=frozenset({"login"}))) is None, "it is made now"


def earlier(minutes: float = 0, *methods: str, factor2: str | None = None, **fields: Any) -> Attempt:
    auth = Authentication(int(AT - minutes * 60), methods or ("pwd",), sid="s")
    return Attempt(user(factor2=factor2), auth.amr, auth=auth, now=NOW, **fields)


@pytest.mark.parametrize(
    ("demand", "step"),
    [
        (Demand(), None),
        (Demand(max_age=timedelta(minutes=11)), None), (Demand(max_age=timedelta(minutes=10)), Requirement.LOGIN),
        (Demand(max_age=timedelta(0)), Requirement.LOGIN),
        (Demand(prompt=frozenset({"login"})), Requirement.LOGIN),
        (Demand(prompt=frozenset({"select_account"})), Requirement.LOGIN),
        (Demand(prompt=frozenset({"consent", "login"})), Requirement.LOGIN),
        (Demand(prompt=frozenset({"consent"})), None), (Demand(prompt=frozenset({"none"})), None),
        (Demand(prompt=frozenset({"none"}), max_age=timedelta(minutes=1)), Requirement.LOGIN),
    ],
)  # fmt: skip
def test_a_session_has_to_be_as_fresh_as_demanded(demand: Demand, step: object) -> None:
    """OpenID Connect Core §3.1.2.1."""
    assert next_step(earlier(10), demand) is step
    assert next_step(Attempt(user(), ("pwd",), now=NOW), demand) is None, "a login that is made now is fresh"


def test_a_session_of_which_nothing_is_known_is_not_fresh() -> None:
    demand = Demand(max_age=timedelta(days=36500))
    assert next_step(Attempt(user(), auth=Authentication(None), now=NOW), demand) is Requirement.LOGIN
    assert next_step(Attempt(user(), auth=Authentication(AT)), demand) is Requirement.LOGIN, (
        "nor where the time is not known"
    )


def test_a_session_is_not_asked_for_the_second_factor_again_without_a_demand() -> None:
    """It was set up in it, so the session does not say that it was given."""
    assert next_step(earlier(10, factor2="totp")) is None


@pytest.mark.parametrize(
    ("attempt", "step"),
    [
        (earlier(0, "pwd", "otp", factor2="totp"), None), (earlier(0, "pwd", factor2="totp"), Requirement.FACTOR2),
        (earlier(0, "pwd"), Requirement.FACTOR2_CHANGE), (earlier(0, "pwd", factor2_offered=False), None),
        (Attempt(user(factor2="totp"), ("pwd",)), Requirement.FACTOR2),
        (Attempt(user(factor2="totp"), ("pwd",), factor2_bypassed=True), Requirement.FACTOR2),
        (Attempt(user(factor2="totp"), ("pwd", "otp"), factor2_passed=True), None),
        # What it is makes no second kind. It was given: asking again would ask for ever.
        (Attempt(user(factor2="phrase"), ("pwd", "kba"), factor2_passed=True), None),
    ],
)  # fmt: skip
def test_a_context_class_of_two_factors_asks_for_the_second(attempt: Attempt, step: object) -> None:
    assert next_step(attempt, Demand(acr_values=("2",))) is step
    assert next_step(attempt, Demand(acr_values=("gold", "2"))) is step


def test_a_context_class_that_is_met_or_unknown_asks_for_nothing() -> None:
    """OpenID Connect Core §3.1.2.1: `acr` is a voluntary claim."""
    for acr_values in (("1",), ("2", "1"), ("gold",), ()):
        assert next_step(earlier(0, "pwd", factor2="totp"), Demand(acr_values=acr_values)) is None


def test_no_context_class_asks_for_a_factor_that_an_account_cannot_give() -> None:
    demand = Demand(acr_values=("2",))
    for state in STATES:
        if state != UserState.active:
            assert require_acr(Attempt(user(state, "totp")), demand) is None


def session(userid: Any, data: Any) -> Key:
    return Key(value="s:x", created=NOW, userid=userid, data=json.dumps(data))


def test_the_attempt_of_a_session_has_its_facts() -> None:
    data = {"crossauth": {"auth": {"auth_time": AT, "amr": ["pwd"], "sid": "s"}, "factor2_bypassed": True}}
    attempt = attempt_of(user(), session(1, data))
    assert (attempt.auth, attempt.methods) == (Authentication(AT, ("pwd",), None, "s"), ("pwd",))
    assert attempt.factor2_bypassed
    newer = Authentication(AT + 1, ("otp",))
    assert attempt_of(user(), session(1, data), newer).auth == newer


@pytest.mark.parametrize("key", [None, session(2, {}), session(None, {}), session(1, {})])
def test_nothing_is_known_of_the_session_of_somebody_else(key: Key | None) -> None:
    if key is not None and key.userid != 1:
        data = {"crossauth": {"auth": {"auth_time": AT, "amr": ["pwd", "otp"]}, "factor2_bypassed": True}}
        key = session(key.userid, data)
    attempt = attempt_of(user(), key)
    assert attempt.auth == Authentication(None)
    assert not attempt.factor2_bypassed
