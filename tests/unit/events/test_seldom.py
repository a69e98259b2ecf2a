"""What is told now and then."""

from datetime import timedelta

from crossauth_backend.events.seldom import Seldom
from crossauth_backend.testing import FakeClock


def test_a_name_is_due_once_an_hour() -> None:
    clock = FakeClock()
    seldom = Seldom(clock)
    assert [seldom.is_due(name) for name in ("a", "b", "a", ("a", 1), "b")] == [True, True, False, True, False]
    clock.now += timedelta(minutes=59)
    assert not seldom.is_due("a")
    clock.now += timedelta(minutes=1)
    # From when it was told last, not from when it was asked about.
    assert [seldom.is_due("a"), seldom.is_due("a")] == [True, False]


def test_so_many_names_are_remembered_and_those_that_come_again_longest() -> None:
    seldom = Seldom(FakeClock())
    assert seldom.is_due("a")
    for number in range(9_999):
        assert seldom.is_due(number)
    assert not seldom.is_due("a")
    assert seldom.is_due(10_000)
    assert not seldom.is_due("a")
    assert seldom.is_due(0)
