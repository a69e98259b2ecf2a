"""A key that gets another text while the old one works on, in whatever order the steps of several requests meet."""

import asyncio
from datetime import timedelta

import pytest

from crossauth_backend import ErrorCode, InMemoryKeyStorage
from crossauth_backend.keys.storage import KeyStorage
from tests.unit.api_keys.support import Interrupted, Keeper, fail, outcome, refused


async def test_the_old_text_works_a_little_longer() -> None:
    keeper = Keeper()
    alice = await keeper.alice()
    old = await keeper.manager.create_key("ci", alice.id, {"a": 1}, 86400, scope=["read"], limit=(7, 60))
    keeper.later(hours=1)
    new = await keeper.manager.rotate_key(alice.id, old.key.id, 600)
    assert (new.key.id, new.key.name, new.key.scope, new.key.limit) == (old.key.id, "ci", ("read",), old.key.limit)
    assert new.key.expires == keeper.now + timedelta(days=1)
    assert KeyStorage.decode_data(new.key.data)["a"] == 1
    assert new.token != old.token
    keys = await keeper.manager.list_keys(alice.id)
    assert [key.replaced_until for key in keys] == [None, keeper.now + timedelta(seconds=600)]
    keeper.later(seconds=599)
    assert await keeper.code(old.token) is await keeper.code(new.token) is None
    keeper.later(seconds=1)
    assert await keeper.code(old.token) is ErrorCode.Expired
    assert await keeper.code(new.token) is None
    assert [key.value for key in await keeper.manager.list_keys(alice.id)] == [new.key.value]
    assert keeper.names == ["api_key_created", "api_key_rotated", "api_key_used", "api_key_used", "api_key_refused"]


async def test_a_key_is_rotated_twice() -> None:
    """Each text keeps the time that it was given; so many generations work at once and no more."""
    keeper = Keeper(rotation_overlap=100)
    texts = [(made := await keeper.manager.create_key("ci")).token]
    for _ in range(4):
        keeper.later(seconds=10)
        texts.append((await keeper.manager.rotate_key(None, made.key.id)).token)
    assert {await keeper.code(text) for text in texts} == {None}
    with pytest.raises(Exception, match="too often") as refusal:
        await keeper.manager.rotate_key(None, made.key.id)
    assert refusal.value.code is ErrorCode.TooManyAttempts
    keeper.later(seconds=refusal.value.retry_after)
    assert [await keeper.code(text) for text in texts] == [ErrorCode.Expired, None, None, None, None]
    await keeper.manager.rotate_key(None, made.key.id)
    keeper.later(seconds=100)
    assert len(await keeper.manager.list_keys(None)) == 1


async def test_without_overlap_the_old_text_ends_at_once() -> None:
    keeper = Keeper()
    old = await keeper.manager.create_key("ci")
    new = await keeper.manager.rotate_key(None, old.key.id, 0)
    assert await keeper.code(old.token) is ErrorCode.Expired
    assert await keeper.code(new.token) is None


async def test_the_overlap_does_not_lengthen_a_life() -> None:
    keeper = Keeper()
    old = await keeper.manager.create_key("ci", expiry=60)
    keeper.later(seconds=30)
    await keeper.manager.rotate_key(None, old.key.id, 3600)
    keeper.later(seconds=30)
    assert await keeper.code(old.token) is ErrorCode.Expired
    last = await keeper.manager.create_key("ci", expiry=60)
    keeper.later(seconds=60)
    with refused(ErrorCode.Expired):
        await keeper.manager.rotate_key(None, last.key.id)
    for overlap in (-1, 1.5, True, 10**12):
        with refused(ErrorCode.BadRequest):
            await keeper.manager.rotate_key(None, last.key.id, overlap)  # type: ignore[arg-type]


async def test_a_faster_rotation_wins_wherever_it_comes_between() -> None:
    for place in ("swap_data", "after swap_data", "save_key", "after save_key", "find_key"):
        keys = Interrupted()
        keeper = Keeper(keys)
        made = await keeper.manager.create_key("ci")
        results: list[ErrorCode | None] = []
        tokens: list[str] = []

        async def rotate(keeper: Keeper = keeper, id: str = made.key.id, tokens: list[str] = tokens) -> None:
            tokens.append((await keeper.manager.rotate_key(None, id)).token)

        async def other(results: list[ErrorCode | None] = results, rotate=rotate) -> None:  # type: ignore[no-untyped-def]
            results.append(await outcome(rotate()))

        keys.before[place] = other
        results.append(await outcome(rotate()))
        assert sorted(results, key=str) == [ErrorCode.ConstraintViolation, None], place
        live = [key for key in await keeper.manager.list_keys(None) if key.replaced_until is None]
        assert [await keeper.code(token) for token in tokens] == [None]
        assert [key.value for key in live] == [(await keeper.manager.get_key(tokens[0])).value]


async def test_a_new_text_is_worth_nothing_before_it_is_checked() -> None:
    """Nobody can rotate it, and so keep it, either."""
    for place in ("after save_key", "find_key"):
        keys = Interrupted()
        keeper = Keeper(keys)
        made = await keeper.manager.create_key("ci")
        seen: list[object] = []

        async def look(keeper: Keeper = keeper, seen: list[object] = seen, id: str = made.key.id) -> None:
            seen.append([key.replaced_until is None for key in await keeper.manager.list_keys(None)])
            seen.append(await outcome(keeper.manager.rotate_key(None, id)))
            seen.append(await outcome(keeper.manager.rename_key(None, id, "x")))
            await keeper.manager.revoke_key(None, id)

        keys.before[place] = look
        assert await outcome(keeper.manager.rotate_key(None, made.key.id)) is ErrorCode.InvalidKey
        assert seen == [[False], ErrorCode.ConstraintViolation, ErrorCode.ConstraintViolation]
        assert await keys.get_all_for_user(None) == []


async def test_a_key_that_is_revoked_while_it_is_rotated_ends() -> None:
    for place in ("swap_data", "after swap_data", "save_key", "after save_key", "find_key", "update_key"):
        keys = Interrupted()
        keeper = Keeper(keys)
        made = await keeper.manager.create_key("ci")
        keys.before[place] = lambda keeper=keeper, made=made: keeper.manager.revoke_key(None, made.key.id)
        code = await outcome(keeper.manager.rotate_key(None, made.key.id))
        assert (code is None) == (place == "update_key"), place
        assert await keeper.keys.get_all_for_user(None) == [], place


async def test_a_key_that_is_rotated_while_it_is_revoked_ends() -> None:
    """The whole rotation happens between the look and the deletion."""
    for everything in (False, True):
        keys = Interrupted()
        keeper = Keeper(keys)
        alice = await keeper.alice()
        made = await keeper.manager.create_key("ci", alice.id)
        texts: list[str] = []

        async def rotate(keeper: Keeper = keeper, made=made, texts: list[str] = texts, id=alice.id) -> None:  # type: ignore[no-untyped-def]
            texts.append((await keeper.manager.rotate_key(id, made.key.id)).token)

        keys.before["delete_all_for_user" if everything else "delete_key"] = rotate
        if everything:
            await keeper.manager.revoke_all(alice.id)
        else:
            await keeper.manager.revoke_key(alice.id, made.key.id)
        assert len(texts) == 1
        assert await keeper.code(texts[0]) is await keeper.code(made.token) is ErrorCode.InvalidKey


async def test_a_rename_comes_between_and_is_not_lost() -> None:
    keys = Interrupted()
    keeper = Keeper(keys)
    made = await keeper.manager.create_key("ci")
    keys.before["swap_data"] = lambda: keeper.manager.rename_key(None, made.key.id, "deploy")
    new = await keeper.manager.rotate_key(None, made.key.id)
    assert new.key.name == (await keeper.manager.get_key(new.token)).name == "deploy"
    keys.before["swap_data"] = lambda: keeper.manager.rotate_key(None, made.key.id)
    await keeper.manager.rename_key(None, made.key.id, "last")
    [current] = [key for key in await keeper.manager.list_keys(None) if key.replaced_until is None]
    assert current.name == "last"


async def test_a_rotation_that_fails_leaves_the_key_as_it_was() -> None:
    for place in ("save_key", "after save_key", "find_key"):
        keys = Interrupted()
        keeper = Keeper(keys)
        made = await keeper.manager.create_key("ci")
        keys.before[place] = fail
        with refused(ErrorCode.Connection):
            await keeper.manager.rotate_key(None, made.key.id)
        assert [key.value for key in await keys.get_all_for_user(None)] == [made.key.value]
        keeper.later(days=1)
        assert await keeper.code(made.token) is None
        await keeper.manager.rotate_key(None, made.key.id)


async def test_the_new_text_is_returned_though_the_old_row_cannot_be_tidied() -> None:
    keys = Interrupted()
    keeper = Keeper(keys, rotation_overlap=60)
    made = await keeper.manager.create_key("ci", expiry=None)
    keys.before["update_key"] = fail
    new = await keeper.manager.rotate_key(None, made.key.id)
    keeper.later(seconds=60)
    assert await keeper.code(made.token) is ErrorCode.Expired
    assert await keeper.code(new.token) is None


async def test_a_rotation_that_died_halfway_holds_no_place_for_ever() -> None:
    """The process ended between its two writes: the old text works as long as was said, and its place becomes free."""
    keys = Interrupted()
    keeper = Keeper(keys, max_per_user=1)
    alice = await keeper.alice()
    made = await keeper.manager.create_key("ci", alice.id, expiry=None)
    killed = asyncio.Event()

    async def never() -> None:
        killed.set()
        await asyncio.sleep(3600)

    keys.before["save_key"] = never
    task = asyncio.create_task(keeper.manager.rotate_key(alice.id, made.key.id, 60))
    await killed.wait()
    data = (await keys.get_key(made.key.value)).data
    task.cancel()
    await asyncio.wait([task])
    await keys.update_key({"value": made.key.value, "data": data})
    assert await keeper.code(made.token) is None
    with refused(ErrorCode.ConstraintViolation):
        await keeper.manager.rotate_key(alice.id, made.key.id)
    keeper.later(seconds=120)
    assert await keeper.code(made.token) is ErrorCode.Expired
    await keeper.manager.create_key("anew", alice.id)
    assert [key.name for key in await keeper.manager.list_keys(alice.id)] == ["anew"]


class CannotSwap(InMemoryKeyStorage):
    swap_data = KeyStorage.swap_data


async def test_a_storage_that_cannot_swap_says_so() -> None:
    keeper = Keeper(CannotSwap())
    made = await keeper.manager.create_key("ci")
    with pytest.raises(Exception, match=r"CannotSwap.*swap_data"):
        await keeper.manager.rotate_key(None, made.key.id)
    assert await keeper.code(made.token) is None
