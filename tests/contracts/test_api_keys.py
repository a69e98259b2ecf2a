"""API keys on every storage: their life, and many requests at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from crossauth_backend import ErrorCode, RequestedBy, SqlAlchemyKeyStorage
from crossauth_backend.keys.storage import SupportsLifecycle
from crossauth_backend.storages.sqlalchemy import drivers
from tests.accounts import storages
from tests.contracts.test_storages import PlainKeyStorage
from tests.unit.api_keys.support import Keeper, outcome


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
async def keeper(request: pytest.FixtureRequest) -> AsyncIterator[Keeper]:
    found = storages(request, request.param)
    keeper = Keeper(found["keys"], found["users"], max_per_user=5)
    yield keeper
    await keeper.manager.close()
    for storage in found.values():
        if isinstance(storage, SupportsLifecycle):
            await storage.close()


async def test_the_life_of_a_key(keeper: Keeper) -> None:
    alice = await keeper.alice()
    by = RequestedBy(stamp=alice.security_stamp)
    made = await keeper.manager.create_key("ci", alice.id, {"a": [1, None]}, scope=["read"], limit=(3, 60), by=by)
    found = await keeper.manager.verify(made.token)
    assert found.user is not None
    assert (found.user.id, found.key.scope, found.key.limit) == (alice.id, ("read",), made.key.limit)
    await keeper.manager.last_use.flush()
    [listed] = await keeper.manager.list_keys(alice.id)
    assert (listed.value, listed.lastactive, listed.expires) == (made.key.value, keeper.now, made.key.expires)
    assert (await keeper.manager.rename_key(alice.id, listed.id, "deploy")).name == "deploy"
    new = await keeper.manager.rotate_key(alice.id, listed.id, 30, by)
    assert [await keeper.code(token) for token in (made.token, new.token)] == [None, None]
    assert await keeper.code(new.token) is ErrorCode.TooManyAttempts
    keeper.later(seconds=60)
    assert [await keeper.code(token) for token in (made.token, new.token)] == [ErrorCode.Expired, None]
    assert [key.name for key in await keeper.manager.list_keys(alice.id)] == ["deploy"]
    await keeper.users.update_user({"id": alice.id, "state": "disabled"})
    assert await keeper.code(new.token) is ErrorCode.InvalidKey
    await keeper.users.update_user({"id": alice.id, "state": "active"})
    await keeper.manager.revoke_key(alice.id, listed.id)
    assert await keeper.code(new.token) is ErrorCode.InvalidKey
    assert await keeper.keys.get_all_for_user(alice.id) == []


async def test_of_many_rotations_at_once_one_succeeds(keeper: Keeper) -> None:
    alice = await keeper.alice()
    made = await keeper.manager.create_key("ci", alice.id)

    async def rotate() -> str:
        return (await keeper.manager.rotate_key(alice.id, made.key.id)).token

    # All of them have seen the same key before the first one writes.
    family = await keeper.keys.get_all_for_user(alice.id)
    inner, waiting = keeper.keys.get_all_for_user, asyncio.Barrier(8)

    async def read_together(*args: object) -> object:
        found = await inner(*args)  # type: ignore[arg-type]
        if len(found) == len(family) and not waiting.broken and found[0].data == family[0].data:
            await waiting.wait()
        return found

    keeper.keys.get_all_for_user = read_together  # type: ignore[method-assign,assignment]
    results = await asyncio.gather(*(rotate() for _ in range(8)), return_exceptions=True)
    await waiting.abort()
    keeper.keys.get_all_for_user = inner  # type: ignore[method-assign]
    tokens = [result for result in results if isinstance(result, str)]
    codes = [getattr(result, "code", None) for result in results if not isinstance(result, str)]
    assert codes == [ErrorCode.ConstraintViolation] * 7
    assert [await keeper.code(token) for token in [made.token, *tokens]] == [None, None]
    assert len(await keeper.keys.get_all_for_user(alice.id)) == 2


async def test_of_many_keys_made_at_once_there_are_never_too_many(keeper: Keeper) -> None:
    alice = await keeper.alice()
    await asyncio.gather(*(outcome(keeper.manager.create_key(str(n), alice.id)) for n in range(20)))
    stored = await keeper.manager.list_keys(alice.id)
    assert len(stored) <= 5
    assert len(await keeper.keys.get_all_for_user(alice.id)) == len(stored)


async def test_what_is_revoked_among_rotations_ends(keeper: Keeper) -> None:
    alice = await keeper.alice()
    tokens: list[str] = []

    async def rotate(id: str) -> None:
        tokens.append((await keeper.manager.rotate_key(alice.id, id)).token)

    for _ in range(10):
        made = await keeper.manager.create_key("ci", alice.id)
        tokens.append(made.token)
        both = rotate(made.key.id), keeper.manager.revoke_key(alice.id, made.key.id), rotate(made.key.id)
        await asyncio.gather(*(outcome(call) for call in both))
    assert {await keeper.code(token) for token in tokens} == {ErrorCode.InvalidKey}
    assert await keeper.keys.get_all_for_user(alice.id) == []


async def test_a_storage_that_an_application_wrote_before_keeps_keys() -> None:
    """It cannot compare and set: keys are made and checked, and not rotated."""
    keeper = Keeper(PlainKeyStorage())
    made = await keeper.manager.create_key("ci")
    assert await keeper.code(made.token) is None
    assert await outcome(keeper.manager.rotate_key(None, made.key.id)) is ErrorCode.Configuration
    await keeper.manager.revoke_key(None, made.key.id)
    assert await keeper.code(made.token) is ErrorCode.InvalidKey


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_key_and_its_user_are_one_query(
    request: pytest.FixtureRequest, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the driver, and none of SQLAlchemy's; a block of requests is counted by one statement."""
    found = storages(request, kind)
    keys, users = found["keys"], found["users"]
    assert isinstance(keys, SqlAlchemyKeyStorage)
    statements: list[str] = []
    sa.event.listen(
        keys.engine.sync_engine, "before_cursor_execute", lambda c, u, statement, *rest: statements.append(statement)
    )
    for driver in (drivers.AsyncpgDriver, drivers.AiosqliteDriver):
        inner = driver.fetch

        async def fetch(this: object, value: object, inner=inner) -> object:  # type: ignore[no-untyped-def]
            statements.append("driver")
            return await inner(this, value)

        monkeypatch.setattr(driver, "fetch", fetch)
    keeper = Keeper(keys, users)
    alice = await keeper.alice()
    token = (await keeper.manager.create_key("ci", alice.id)).token
    statements.clear()
    for _ in range(60):
        assert await keeper.code(token) is None
    assert statements.count("driver") == 60
    assert [s.split()[0] for s in statements if s != "driver"] == ["INSERT"]
    statements.clear()
    assert await keeper.code(token[:-1]) is await keeper.code("garbage") is ErrorCode.InvalidKey
    assert statements == []
    await keeper.manager.close()
    assert any(s.startswith("UPDATE") for s in statements)
    await keys.close()
    await users.close()


async def test_sessions_and_api_keys_share_the_connections(sqlite_url: str, request: pytest.FixtureRequest) -> None:
    found = storages(request, "sqlite")
    first, second = Keeper(found["keys"], found["users"]), Keeper(found["keys"], found["users"])
    token = (await first.manager.create_key("ci")).token
    assert await first.code(token) is await second.code(token) is None
    assert len(found["keys"]._readers) == 1
    await first.manager.close()
    await second.manager.close()
    await found["keys"].close()
    await found["users"].close()
