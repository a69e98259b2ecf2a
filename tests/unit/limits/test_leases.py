"""Limits that are counted ahead: how often, how exactly, and with how much memory."""

from datetime import UTC, datetime

import pytest

from crossauth_backend import InMemoryKeyStorage, Limit
from crossauth_backend.limits import leases
from crossauth_backend.limits.leases import LeasedLimit
from crossauth_backend.testing import FakeClock

HOUR = Limit(1000, 3600)


class Counting(InMemoryKeyStorage):
    """A storage that remembers how much was counted at once."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: list[int] = []

    async def count_up(self, counters: dict[str, datetime], by: int = 1) -> dict[str, int]:
        self.counted.append(by)
        return await super().count_up(counters, by)


@pytest.fixture
def keys() -> Counting:
    return Counting()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 2, 3, tzinfo=UTC))


async def within(limit: LeasedLimit, subject: str, times: int, of: Limit = HOUR) -> int:
    """How many of so many requests are within the limit."""
    return sum([await limit.count(subject, of) is None for _ in range(times)])


async def test_little_is_counted_ahead_at_first_then_more_and_little_again_at_the_end(
    keys: Counting, clock: FakeClock
) -> None:
    limit = LeasedLimit(keys, "test", clock)
    assert await within(limit, "a", 10) == 10
    assert keys.counted == [10]
    assert await within(limit, "a", 1500) == 990
    assert keys.counted[:4] == [10, 49, 47, 44]
    assert keys.counted[-1] == 10
    assert len(keys.counted) < 60
    before = len(keys.counted)
    assert await within(limit, "a", 100) == 0
    assert len(keys.counted) == before, "refusing writes nothing"


async def test_a_limit_of_a_few_is_counted_one_by_one(keys: Counting, clock: FakeClock) -> None:
    limit = LeasedLimit(keys, "test", clock)
    assert await within(limit, "a", 12, Limit(9, 60)) == 9
    assert set(keys.counted) == {1}


@pytest.mark.parametrize("workers", [2, 5])
async def test_workers_that_are_asked_alike_let_the_whole_limit_through(
    workers: int, keys: Counting, clock: FakeClock
) -> None:
    limits = [LeasedLimit(keys, "test", clock) for _ in range(workers)]
    through = 0
    for _ in range(1200 // workers):
        for limit in limits:
            through += await within(limit, "a", 1)
    assert through == HOUR.attempts


async def test_of_more_subjects_than_are_remembered_each_has_its_whole_limit(
    keys: Counting, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was counted ahead for one that is forgotten is lost: it would be refused after a few requests."""
    monkeypatch.setattr(leases, "_MOST", 3)
    limit, through = LeasedLimit(keys, "test", clock), dict.fromkeys("abcd", 0)
    for _ in range(1100):
        for subject in through:
            through[subject] += await within(limit, subject, 1)
    # Of the first three a block of ten was lost each, before it was known that there are too many.
    assert sorted(through.values()) == [991, 991, 991, 1000]


async def test_subjects_of_a_window_that_has_ended_are_not_too_many(
    keys: Counting, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_MOST", 3)
    limit = LeasedLimit(keys, "test", clock)
    for subject in "abcdef":
        await within(limit, subject, 1)
        clock.advance(seconds=3600)
    keys.counted.clear()
    for _ in range(5):
        for subject in "ghi":
            assert await within(limit, subject, 2) == 2
    assert keys.counted == [10, 10, 10]
