"""What is refused by a limit leaves nothing behind, and is told once."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.events.listeners import Events
from crossauth_backend.limits.manager import AttemptLimits
from tests.accounts import PASSWORD, Browser, RecordingListener, World, name_of, storages
from tests.support import CSRF

STORES = ["memory", "sqlite", "postgres", "redis"]


def limited(world: World) -> list[str]:
    """The reasons of the events of limits."""
    return [event.reason for event in world.heard.events if event.name == "attempts_limited"]


@pytest.mark.parametrize("kind", STORES)
def test_what_an_address_is_refused_leaves_no_row_and_one_event(request: pytest.FixtureRequest, kind: str) -> None:
    """Whatever names are made up: nothing is counted under them once the address is beyond its limit."""
    world = World(**storages(request, kind), attempt_limits={"login_address": (5, 900), "token_address": (3, 900)})
    with world.open() as url, Browser(url) as browser:
        token = browser.token()

        def log_in(number: int) -> int:
            fields = {"username": f"nobody{number}", "password": "Wrong1password"}
            return int(browser.post("/api/login", json=fields, headers={CSRF: token}).status_code)

        assert [log_in(n) for n in range(40)] == [401] * 5 + [429] * 35
        new = {"new_password": PASSWORD, "repeat_password": PASSWORD}
        links = [browser.call("/api/resetpassword", token=f"wrong{n}", **new).status_code for n in range(12)]
        assert links.count(429) == 9
        assert limited(world) == ["login_address", "token_address"]
        world.later(minutes=15)
        assert log_in(99) == 401
        assert [log_in(n) for n in range(40)].count(429) == 36
        assert limited(world) == ["login_address", "token_address", "login_address"]


@pytest.mark.parametrize("kind", STORES)
async def test_a_refused_attempt_writes_nothing(request: pytest.FixtureRequest, kind: str) -> None:
    """Where the limit that refuses is beyond already, whichever it is."""
    store = storages(request, kind)["keys"]
    limits, heard = AttemptLimits(store, {"login_account": (3, 900), "login_address": (5, 900)}), RecordingListener()
    events = Events([heard])
    refusals: list[tuple[ErrorCode, bool]] = []

    async def attempt(account: str) -> bool:
        try:
            await limits.count({"login_account": account, "login_address": "192.0.2.1"}, events)
        except CrossauthError as e:
            refusals.append((e.code, bool(e.retry_after)))
            return False
        return True

    async def stored() -> set[tuple[str, str]]:
        return {(key.value, key.data) for key in await store.get_all_for_user(None)}

    assert [await attempt("alice") for _ in range(4)] == [True] * 3 + [False]
    assert [await attempt("bob"), await attempt("bob")] == [True, False]
    before = await stored()
    assert not any([await attempt(f"name{n}") for n in range(20)])
    assert not await attempt("alice")
    assert await stored() == before
    assert set(refusals) == {(ErrorCode.TooManyAttempts, True)}
    assert len(before) == 3
    assert [event.reason for event in heard.events] == ["login_account", "login_address"]
    if hasattr(store, "close"):
        await store.close()


def test_limits_of_sign_up_and_reset_are_told() -> None:
    """As that of the login is."""
    limits = {"signup_address": (2, 3600), "reset_account": (2, 3600)}
    world = World(attempt_limits=limits)
    with world.open() as url, Browser(url) as browser:
        signed = [browser.sign_up(f"user{n}", factor2="none", user_email=f"u{n}@example.com") for n in range(5)]
        assert [name_of(answer) for answer in signed].count("TooManyAttempts") == 3
        asked = [browser.call("/api/requestpasswordreset", email="u0@example.com").status_code for _ in range(5)]
        assert asked == [200, 200, 429, 429, 429]
        assert limited(world) == ["signup_address", "reset_account"]


async def test_a_misspelt_limit_is_an_error() -> None:
    """It would count nothing, for ever and in silence."""
    limits: Any = AttemptLimits(World().keys, {"login_address": None})
    with pytest.raises(CrossauthError) as refused:
        await limits.count({"login_adress": "192.0.2.1"}, Events())
    assert (refused.value.code, refused.value.detail) == (ErrorCode.Configuration, "there is no limit 'login_adress'")
    assert (await limits.count({"login_address": "192.0.2.1"}, Events())).counters == {}
