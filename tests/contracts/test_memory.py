"""What is particular to memory: it does not fill with what has expired, though nobody purges."""

from datetime import datetime, timedelta

import pytest

from crossauth_backend import CrossauthError, InMemoryKeyStorage
from crossauth_backend.core.clock import utc_now

MINUTE = timedelta(minutes=1)


class Time:
    """The time as the storage sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = utc_now()
        monkeypatch.setattr("crossauth_backend.storages.memory.keys.utc_now", self)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


async def test_what_has_expired_is_forgotten_now_and_then(time: Time) -> None:
    keys = InMemoryKeyStorage()
    await keys.save_key(1, "s:ever", time.now)
    await keys.save_key(1, "s:long", time.now, time.now + timedelta(days=1))
    most = 0
    for number in range(5000):
        time.now += timedelta(seconds=1)
        await keys.count_up({f"n:{number}": time.now + MINUTE, f"n:other{number}": time.now + MINUTE})
        await keys.save_key(number, f"s:{number}", time.now, time.now + MINUTE)
        most = max(most, len(keys._keys))
    assert most <= 1001
    assert {key.value for key in await keys.get_all_for_user(1)} >= {"s:ever", "s:long"}
    assert len(keys._of_user) < 500, "nor is anything kept about users without keys"
    assert (await keys.get_key("s:4999")).userid == 4999


async def test_what_lives_is_never_forgotten_and_not_looked_through_each_time(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, looked = InMemoryKeyStorage(), 0
    forget = keys._forget

    def counted(now: datetime) -> int:
        nonlocal looked
        looked += len(keys._keys)
        return forget(now)

    monkeypatch.setattr(keys, "_forget", counted)
    for number in range(20_000):
        await keys.save_key(None, f"s:{number}", time.now, time.now + MINUTE)
    assert len(await keys.get_all_for_user(None)) == 20_000
    assert looked < 40_000
    time.now += 2 * MINUTE
    for number in range(20_000):
        await keys.save_key(None, f"t:{number}", time.now, time.now + MINUTE)
    assert len(keys._keys) == 20_000


async def test_counters_that_have_expired_are_counted_on_all_the_same(time: Time) -> None:
    keys = InMemoryKeyStorage()
    for number in range(3000):
        ended = time.now - MINUTE
        assert await keys.count_up({f"a:{number}": ended, f"b:{number}": ended}) == {f"a:{number}": 1, f"b:{number}": 1}
    with pytest.raises(CrossauthError):
        await keys.get_key("a:0")
