"""People read words and dates, not the names that machines keep."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from crossauth_backend.accounts.admin import STATES as ADMIN_STATES
from crossauth_backend.core.texts import in_language
from crossauth_backend.events.record import EventName
from crossauth_backend.limits.rules import RULES
from crossauth_backend.users.states import UNREADABLE, UserState
from crossauth_fastapi._pages.humanwords import (
    EVENTS,
    FACTORS,
    REASONS,
    STATES,
    active,
    ago,
    ago_words,
    date,
    date_words,
    event_words,
    factor_words,
    reason_words,
    state_words,
)

NOW = datetime(2026, 11, 25, 7, 15, 30, tzinfo=UTC)


def test_every_state_event_and_limit_has_words() -> None:
    states = {value for name, value in vars(UserState).items() if not name.startswith("_")}
    assert set(STATES) == states | {UNREADABLE}
    assert set(ADMIN_STATES) <= set(STATES)
    assert set(EVENTS) == {name.value for name in EventName}
    assert set(RULES) <= set(REASONS)
    for table in (STATES, FACTORS, EVENTS, REASONS):
        for name, words in table.items():
            assert words[0].isupper(), words
            assert "_" not in words, (name, words)


def test_words_of_states_factors_events_and_reasons() -> None:
    assert state_words("awaitingemailverification") == "Waiting for email verification"
    assert [factor_words(name) for name in ("totp", "", None, "none")] == ["Authenticator app", "Off", "Off", "Off"]
    assert event_words("factor2_asked") == "Two-factor code requested"
    assert reason_words("UsernameOrPasswordInvalid") == "Wrong username or password"
    assert reason_words("totp") == "Authenticator app"
    assert reason_words("login_account, login_address") == "Logins to this account, Logins from this IP address"


def test_what_the_application_calls_a_factor_comes_first() -> None:
    assert factor_words("totp", {"totp": "Our app"}) == "Our app"
    assert reason_words("card", {"card": "Chip card"}) == "Chip card"


@pytest.mark.parametrize("words", [state_words, factor_words, event_words, reason_words])
def test_what_has_no_words_is_shown_as_it_is(words: Callable[[str], str]) -> None:
    assert words("something_else") == "something_else"


def test_dates() -> None:
    assert date_words(NOW) == "25 Nov 2026, 07:15 UTC"
    assert date_words(NOW.replace(tzinfo=None)) == "25 Nov 2026, 07:15 UTC"
    assert date_words(NOW.astimezone(timezone(timedelta(hours=9)))) == "25 Nov 2026, 07:15 UTC"
    assert str(date(NOW)) == '<time datetime="2026-11-25T07:15:30Z">25 Nov 2026, 07:15 UTC</time>'


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"), (59, "just now"), (60, "1 minute ago"), (3599, "59 minutes ago"), (3600, "1 hour ago"),
        (7200, "2 hours ago"), (86399, "23 hours ago"), (86400, "1 day ago"), (29 * 86400, "29 days ago"),
        (30 * 86400, "26 Oct 2026, 07:15 UTC"), (-30, "just now"), (-3600, "25 Nov 2026, 08:15 UTC"),
    ],
)  # fmt: skip
def test_how_long_ago(seconds: int, words: str) -> None:
    assert ago_words(NOW - timedelta(seconds=seconds), NOW) == words


def test_sessions_are_active_now_or_were_some_time_ago() -> None:
    assert "Active now" in active(NOW - timedelta(seconds=299), NOW)
    two = active(NOW - timedelta(hours=2), NOW)
    assert str(two) == 'Active <time datetime="2026-11-25T05:15:30Z" title="25 Nov 2026, 05:15 UTC">2 hours ago</time>'
    assert "title" not in ago(NOW - timedelta(days=90), NOW)


def test_words_are_of_the_language_of_the_page() -> None:
    with in_language("xx"):
        assert state_words("active") == "Active"
