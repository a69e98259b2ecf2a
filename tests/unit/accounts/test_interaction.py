"""A flow's checked request: kept as it was, under a handle that nobody can guess, until it is consumed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from crossauth_backend import CrossauthError, InMemoryKeyStorage
from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.accounts.interaction import LASTS, MAX_BYTES, MAX_DEPTH, begin, claim, complete, find, find_any
from crossauth_backend.keys.purge import Purger
from crossauth_backend.keys.storage import SupportsLifecycle
from crossauth_fastapi._session.interactions import flow_in
from tests.accounts import World, storages

REQUEST: dict[str, Any] = {
    "client_id": "shop",
    "scope": ["a", "b"],
    "max_age": 0,
    "claims": {"x": None},
    "nonce": "\x00\ud800ä",
}
FLOW, RESUME = "authorize", "/authorize/resume"
HANDLE = "A" * 43
KINDS = pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def accounts_of(world: World) -> Accounts:
    return world.manager.accounts()


@pytest_asyncio.fixture
async def opened(request: pytest.FixtureRequest, kind: str) -> AsyncIterator[Accounts]:
    """Account services on storages of this kind."""
    world = World(**storages(request, kind))
    if isinstance(world.keys, SupportsLifecycle):
        await world.keys.start()
    yield accounts_of(world)
    if isinstance(world.keys, SupportsLifecycle):
        await world.keys.close()


async def refused(awaitable: Any) -> tuple[str, int]:
    with pytest.raises(CrossauthError) as caught:
        await awaitable
    return caught.value.code.name, caught.value.http_status


@KINDS
async def test_it_is_found_as_it_was_and_consumed_once(opened: Accounts) -> None:
    accounts = opened
    begun = await begin(accounts, FLOW, REQUEST, RESUME, ends_at="https://client.example/cb")
    assert begun.request == REQUEST
    for _ in range(2):
        assert await find(accounts, FLOW, begun.handle) == begun
    assert await find_any(accounts, begun.handle) == begun
    done = await asyncio.gather(*(complete(accounts, FLOW, begun.handle) for _ in range(5)))
    assert sorted(one.first for one in done) == [False] * 4 + [True]
    assert all(one.interaction.request == REQUEST for one in done)
    assert (await find(accounts, FLOW, begun.handle)).completed is not None
    assert await refused(complete(accounts, FLOW, HANDLE)) == ("InvalidKey", 400)


async def test_neither_the_handle_nor_the_request_is_stored_in_clear() -> None:
    world = World()
    begun = await begin(accounts_of(world), FLOW, {"secret": "hush hush"}, RESUME)
    assert isinstance(world.keys, InMemoryKeyStorage)
    stored = next(key for value, key in world.keys._keys.items() if value.startswith("areq:"))
    assert begun.handle not in stored.value + stored.data
    assert "hush" not in stored.data
    assert "secret" not in stored.data
    assert "hush" not in repr(begun)
    assert begun.handle not in repr(begun)


async def test_a_handle_is_good_for_its_own_flow_only() -> None:
    accounts = accounts_of(World())
    begun = await begin(accounts, FLOW, {}, RESUME)
    assert await refused(find(accounts, "other", begun.handle)) == ("InvalidKey", 400)
    assert await refused(complete(accounts, "other", begun.handle)) == ("InvalidKey", 400)
    assert (await complete(accounts, FLOW, begun.handle)).first


async def test_it_ends() -> None:
    world = World()
    accounts = accounts_of(world)
    begun = await begin(accounts, FLOW, {}, RESUME)
    assert begun.expires - begun.begun == LASTS
    world.later(minutes=59)
    await find(accounts, FLOW, begun.handle)
    world.later(minutes=2)
    assert await refused(find(accounts, FLOW, begun.handle)) == ("Expired", 400)
    assert await refused(complete(accounts, FLOW, begun.handle)) == ("Expired", 400)


async def test_what_was_left_is_deleted_when_it_has_expired() -> None:
    world = World()
    begun = await begin(accounts_of(world), FLOW, {}, RESUME)
    purger = Purger(world.keys, world.manager.session.clock)
    world.later(minutes=59)
    await purger.purge()
    await find(accounts_of(world), FLOW, begun.handle)
    world.later(minutes=2)
    await purger.purge()
    assert await refused(find(accounts_of(world), FLOW, begun.handle)) == ("InvalidKey", 400)


@pytest.mark.parametrize(
    "handle",
    [
        "",
        "A",
        "A" * 42,
        "A" * 44,
        HANDLE,
        "A" * 42 + "\n",
        HANDLE + "\n",
        "\x00" * 43,
        "\ud800" * 43,
        "ä" * 43,
        "A" * 1_000_000,
        "../" * 14,
    ],
    ids=lambda handle: f"{handle[:3]!r}-{len(handle)}",
)
@KINDS
async def test_garbage_is_no_handle(handle: str, opened: Accounts) -> None:
    accounts = opened
    assert await refused(find(accounts, FLOW, handle)) == ("InvalidKey", 400)
    assert await refused(complete(accounts, FLOW, handle)) == ("InvalidKey", 400)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        object(),
        b"bytes",
        {1: 2},
        nested(MAX_DEPTH),
        nested(100_000),
        10**5000,
        "a" * MAX_BYTES,
        ["ä" * 11_000],
    ],
    ids=[
        "nan",
        "infinity",
        "object",
        "bytes",
        "number as name",
        "deep",
        "very deep",
        "long number",
        "large",
        "large as JSON",
    ],
)
async def test_what_is_no_json_or_too_much_is_not_kept(value: object) -> None:
    world = World()
    assert await refused(begin(accounts_of(world), FLOW, {"value": value}, RESUME)) == ("BadRequest", 400)
    assert isinstance(world.keys, InMemoryKeyStorage)
    assert not [name for name in world.keys._keys if name.startswith("areq:")]


async def test_as_much_as_is_allowed_is_kept() -> None:
    accounts = accounts_of(World())
    large = {"value": "a" * (MAX_BYTES - 200), "deep": nested(MAX_DEPTH - 1)}
    begun = await begin(accounts, FLOW, large, RESUME)
    assert (await find(accounts, FLOW, begun.handle)).request == json.loads(json.dumps(large))


@pytest.mark.parametrize("resume", ["", "authorize", "//evil.example", "https://evil.example/", "/a?interaction=1"])
async def test_it_resumes_at_a_path_of_ours(resume: str) -> None:
    assert await refused(begin(accounts_of(World()), FLOW, {}, resume)) == ("Configuration", 500)


async def test_what_anybody_can_begin_is_counted_and_what_clients_push_is_not() -> None:
    world = World(attempt_limits={"interaction_address": (3, 900)})
    accounts, here = accounts_of(world), ClientInfo("192.0.2.1")
    for _ in range(3):
        await begin(accounts, FLOW, {}, RESUME, origin=here)
    assert await refused(begin(accounts, FLOW, {}, RESUME, origin=here)) == ("TooManyAttempts", 429)
    await begin(accounts, FLOW, {}, RESUME, origin=here, pushed=True)
    await begin(accounts, FLOW, {}, RESUME, origin=ClientInfo("192.0.2.2"))


@KINDS
async def test_one_that_was_pushed_is_claimed_once(opened: Accounts) -> None:
    accounts = opened
    begun = await begin(accounts, FLOW, {}, RESUME, pushed=True)
    assert sorted(await asyncio.gather(*(claim(accounts, begun) for _ in range(5)))) == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (f"/resume?interaction={HANDLE}", ("/resume", HANDLE)),
        (f"/resume?x=1&interaction={HANDLE}&interaction=2", ("/resume", HANDLE)),
        (f"/login?next=%2Fresume%3Finteraction%3D{HANDLE}", ("/resume", HANDLE)),
        (f"/login?next=%2Flogin%3Fnext%3D%252Fresume%253Finteraction%253D{HANDLE}", ("/resume", HANDLE)),
        ("/resume", None), ("", None), ("/?next=/?next=/", None), ("/?interaction=", None), ("//[", None),
        ("/?" + "a=1&" * 5000 + f"interaction={HANDLE}", None),
        ("/?next=" * 5000, None),
    ],
)  # fmt: skip
def test_where_a_path_leads_to_in_the_end(after: str, found: tuple[str, str] | None) -> None:
    assert flow_in(after) == found
