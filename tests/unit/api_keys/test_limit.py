"""How many requests a key may make."""

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, Limit
from crossauth_backend.keys.storage import KeyStorage
from tests.unit.api_keys.support import Interrupted, Keeper, outcome


class Counting(Interrupted):
    counted = 0

    async def count_up(self, *args, **given):  # type: ignore[no-untyped-def]
        self.counted += 1
        return await super().count_up(*args, **given)


async def codes(keeper: Keeper, token: str, times: int) -> list[ErrorCode | None]:
    return [await keeper.code(token) for _ in range(times)]


async def test_beyond_its_limit_a_key_is_refused_until_the_window_ends() -> None:
    keeper = Keeper(attempt_limits={"api_key": (3, 60)})
    token = (await keeper.manager.create_key("ci")).token
    keeper.later(seconds=20)
    assert await codes(keeper, token, 5) == [None] * 3 + [ErrorCode.TooManyAttempts] * 2
    with pytest.raises(CrossauthError) as refusal:
        await keeper.manager.validate_token(f"ApiKey {token}")
    assert refusal.value.retry_after == 41
    assert (await keeper.manager.get_key(token)).name == "ci"
    limited = [event for event in keeper.told if event.name.value == "attempts_limited"]
    assert [event.reason for event in limited] == ["api_key"]
    keeper.later(seconds=41)
    assert await keeper.code(token) is None


async def test_a_key_has_a_limit_of_its_own_which_rotation_does_not_renew() -> None:
    keeper = Keeper(attempt_limits={"api_key": None})
    free = (await keeper.manager.create_key("free")).token
    made = await keeper.manager.create_key("bounded", limit=(2, 60))
    assert made.key.limit == Limit(2, 60)
    assert await codes(keeper, free, 50) == [None] * 50
    assert await keeper.code(made.token) is None
    new = (await keeper.manager.rotate_key(None, made.key.id)).token
    assert await codes(keeper, new, 2) == [None, ErrorCode.TooManyAttempts]
    assert await keeper.code(made.token) is ErrorCode.TooManyAttempts


async def test_all_workers_together_let_through_no_more_than_the_limit() -> None:
    """Counted a block ahead, so that most requests cost no write; the surplus is told of once."""
    keys = Counting()
    workers = [Keeper(keys, attempt_limits={"api_key": (250, 60)}) for _ in range(3)]
    token = (await workers[0].manager.create_key("ci")).token
    for worker in workers[1:]:
        worker.now = workers[0].now
    through = 0
    for n in range(300):
        through += await workers[n % 3].code(token) is None
    assert 244 <= through <= 250
    assert keys.counted < 135
    assert sum(worker.names.count("attempts_limited") for worker in workers) == 1


async def test_a_refused_key_is_not_counted() -> None:
    keys = Counting()
    keeper = Keeper(keys, attempt_limits={"api_key": (5, 60)})
    token = (await keeper.manager.create_key("ci", expiry=1)).token
    keeper.later(seconds=1)
    await codes(keeper, token, 10)
    assert keys.counted == 0


@pytest.mark.parametrize("limit", [(0, 1), (1, 0), (1,), (1, 2, 3), [1, 2], "12", (True, 1), (2**40, 1)])
async def test_a_limit_that_cannot_be_is_refused(limit: object) -> None:
    code = await outcome(Keeper().manager.create_key("ci", limit=limit))  # type: ignore[arg-type]
    assert code is ErrorCode.BadRequest


class CannotCount(KeyStorage):
    """Only what is abstract."""

    def __init__(self) -> None:
        self._inner = InMemoryKeyStorage()
        for name in ("get_key", "save_key", "update_key", "delete_key", "delete_all_for_user", "delete_matching"):
            setattr(self, name, getattr(self._inner, name))
        self.get_all_for_user = self._inner.get_all_for_user  # type: ignore[method-assign]

    get_key = save_key = update_key = delete_key = delete_all_for_user = None  # type: ignore[assignment]
    delete_matching = get_all_for_user = update_many_data = None  # type: ignore[assignment]


async def test_a_storage_that_cannot_count_is_refused_at_the_start() -> None:
    with pytest.raises(CrossauthError, match=r"CannotCount.*attempt_limits=\{'api_key': None\}") as refusal:
        Keeper(CannotCount())
    assert refusal.value.code is ErrorCode.Configuration
    keeper = Keeper(CannotCount(), attempt_limits={"api_key": None})
    token = (await keeper.manager.create_key("ci")).token
    assert await keeper.code(token) is None
    with pytest.raises(CrossauthError, match="CannotCount"):
        await keeper.manager.create_key("bounded", limit=(1, 1))
