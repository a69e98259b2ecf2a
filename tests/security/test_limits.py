"""Limits of attempts: on by default, shared by workers, and no way around them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from crossauth_backend import CrossauthError, InMemoryKeyStorage, InMemoryUserStorage, KeyStorage, Limit
from crossauth_backend.events.listeners import Events
from crossauth_backend.limits.manager import AttemptLimits, network_of
from crossauth_backend.limits.rules import read_limits
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._http.proxies import read_proxies
from tests.accounts import Browser, World, name_of
from tests.extent import extent
from tests.support import PASSWORD, SECRET, make_server


@pytest.fixture
def world() -> World:
    return World(enable_email_verification=False)


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with world.open() as url:
        yield url


def tries(browser: Browser, count: int, name: str = "alice", forge: bool = False) -> list[int]:
    """Statuses of wrong logins, each with another X-Forwarded-For where `forge`."""
    token, found = browser.token(), []
    for n in range(count):
        headers = {"X-CROSSAUTH-CSRF": token}
        if forge:
            headers["X-Forwarded-For"] = f"203.0.113.{n % 250}, 198.51.100.{n // 250}"
        body = {"username": name, "password": "Wrong1password"}
        found.append(browser.post("/api/login", json=body, headers=headers).status_code)
    return found


def test_an_account_can_be_tried_twenty_times(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.call("/api/logout")
        browser.cookies.clear()
        assert tries(browser, 25) == [401] * 20 + [429] * 5
        refused = browser.log_in()
        assert (refused.status_code, name_of(refused)) == (429, "TooManyAttempts")
        assert 0 < int(refused.headers["retry-after"]) <= 901
        page = browser.submit("/login", username="alice", password=PASSWORD)
        assert (page.status_code, "Too many attempts" in page.text, "retry-after" in page.headers) == (429, True, True)
        assert "attempts_limited" in world.heard.names
        world.later(minutes=16)
        assert browser.log_in().status_code == 200


def test_an_unknown_name_is_limited_as_a_known_one(url: str) -> None:
    with Browser(url) as browser:
        assert tries(browser, 22, "nobody") == [401] * 20 + [429] * 2


def test_another_spelling_is_the_same_account(url: str) -> None:
    with Browser(url) as browser:
        names = ["alice", "ALICE", "Alice", "ａｌｉｃｅ", " alice "]
        statuses = [s for n in range(5) for name in names for s in tries(browser, 1, name)]
        assert statuses.count(401) == 20


def test_where_names_are_not_normalised_another_spelling_is_another_account() -> None:
    world = World(InMemoryUserStorage({"normalize_username": False}), enable_email_verification=False)
    with world.open() as url, Browser(url) as browser:
        assert tries(browser, 21) == [401] * 20 + [429]
        assert tries(browser, 1, "ALICE") == [401]


@pytest.mark.parametrize(("trusted", "count"), [([], extent(1_000, 10_000)), (["127.0.0.1"], extent(300, 1_000))])
def test_forged_forwarding_headers_gain_nothing(trusted: list[str], count: int) -> None:
    counts = []
    for forge in (False, True):
        world = World(trusted_proxies=trusted, attempt_limits={"login_address": (30, 900)})
        with world.open() as url, Browser(url) as browser:
            one = tries(browser, count - 100, forge=forge).count(401)
            spread = sum(tries(browser, 1, f"user{n}", forge)[0] == 401 for n in range(100))
            counts.append((one, spread))
    (plain_one, plain_spread), (forged_one, forged_spread) = counts
    assert plain_one == forged_one == 20
    if not trusted:
        assert forged_spread == plain_spread == 0, "the address is used up, whatever the header says"


def test_many_accounts_from_one_address_are_limited(url: str) -> None:
    with Browser(url) as browser:
        statuses = [tries(browser, 1, f"user{n}")[0] for n in range(110)]
        assert statuses == [401] * 100 + [429] * 10


def test_a_login_that_succeeds_is_not_counted_but_earlier_failures_are(url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up(factor2="none")
        for _ in range(60):
            browser.call("/api/logout")
            assert browser.log_in().status_code == 200
        browser.call("/api/logout")
        browser.cookies.clear()
        before = tries(browser, 8)
        assert before == [401] * 8
        assert browser.log_in().status_code == 200
        browser.cookies.clear()
        assert 429 in tries(browser, 20), "a login clears nothing (65.8.1)"


def test_a_victim_is_not_locked_out_of_a_known_browser(url: str) -> None:
    with Browser(url) as victim, Browser(url) as attacker, Browser(url) as stranger:
        victim.sign_up(factor2="none")
        victim.call("/api/logout")
        assert tries(attacker, 30).count(401) == 20
        assert stranger.log_in().status_code == 429
        assert victim.log_in().status_code == 200
        forged = attacker.cookies
        forged.set("KNOWNDEVICE", "A" * 22 + "." + "B" * 22 + "." + "C" * 43)
        assert attacker.log_in().status_code == 429
        attacker.sign_up("mallory", factor2="none")
        attacker.call("/api/logout")
        assert tries(attacker, 1) == [429], "a device known for one account is none for another"


def test_a_known_browser_is_limited_too(url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.call("/api/logout")
        assert tries(browser, 25).count(401) == 20


def test_codes_are_limited_by_challenge_and_by_account(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up(factor2="none")
        secret, _codes = browser.add_totp(world)
        browser.call("/api/logout")
        browser.cookies.clear()
        browser.asked()
        assert [browser.give("000000").status_code for _ in range(7)] == [401] * 5 + [429] * 2
        assert browser.give(world.code(secret)).status_code == 429, "this login is used up"
        statuses = []
        for _ in range(6):
            browser.cookies.clear()
            browser.asked()
            statuses += [browser.give("000000").status_code for _ in range(5)]
        assert statuses.count(401) <= 15, "new logins do not give new tries without end"


def test_password_changes_sign_ups_and_links_are_limited() -> None:
    limits = {
        "signup_address": (3, 3600),
        "reset_account": (2, 3600),
        "token_address": (4, 900),
        "password_account": (3, 900),
    }
    world = World(enable_password_reset=True, attempt_limits=limits)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email="alice@example.com")
        change = {"old_password": "Wrong1password", "new_password": "Another1one"}
        assert [browser.call("/api/changepassword", **change).status_code for _ in range(5)] == [401] * 3 + [429] * 2
        browser.call("/api/logout")
        assert [browser.sign_up(f"user{n}", factor2="none").status_code for n in range(4)].count(429) == 2
        asked = [browser.call("/api/requestpasswordreset", email="Alice@example.com").status_code for _ in range(4)]
        assert asked == [200, 200, 429, 429]
        assert browser.get("/resetpassword?token=wrong").status_code == 401, (
            "looking is not counted, and changes nothing"
        )
        new = {"new_password": "Another1one", "repeat_password": "Another1one"}
        links = [browser.call("/api/resetpassword", token=f"wrong{n}", **new).status_code for n in range(6)]
        assert links == [401] * 4 + [429] * 2


def test_a_limit_may_be_changed_or_switched_off_by_name() -> None:
    world = World(attempt_limits={"login_account": None, "login_address": Limit(25, 60)})
    with world.open() as url, Browser(url) as browser:
        assert tries(browser, 30).count(401) == 25
    for wrong in (
        {"login_acount": (1, 2)},
        {"login_account": 5},
        {"login_account": (0, 1)},
        {"login_account": (1, 2.5)},
    ):
        with pytest.raises(CrossauthError, match="login_account"):
            make_server(attempt_limits=wrong)
    assert "login_account" not in read_limits({"login_account": None})


async def test_attempts_at_once_get_no_further_than_one_after_the_other(sqlite_url: str, postgres_url: str) -> None:
    from crossauth_backend import SqlAlchemyKeyStorage, open_engine

    storages: list[KeyStorage] = [InMemoryKeyStorage()]
    storages += [SqlAlchemyKeyStorage(open_engine(url)) for url in (sqlite_url, postgres_url)]
    for storage in storages:
        # Two managers on one storage, as in two workers.
        managers = [AttemptLimits(storage, {}), AttemptLimits(storage, {})]

        async def attempt(n: int, managers: list[AttemptLimits] = managers) -> bool:
            try:
                await managers[n % 2].count({"login_account": "alice", "login_address": "192.0.2.1"}, Events())
            except CrossauthError:
                return False
            return True

        assert sum(await asyncio.gather(*(attempt(n) for n in range(60)))) == 20
        if not isinstance(storage, InMemoryKeyStorage):
            await storage.close()  # type: ignore[attr-defined]


def test_a_storage_that_cannot_count_is_refused_at_start_up() -> None:
    class Old(InMemoryKeyStorage):
        count_up = None  # type: ignore[assignment]

    storage: Any = type("Plain", (KeyStorage,), dict.fromkeys(KeyStorage.__abstractmethods__))()
    with pytest.raises(CrossauthError, match="cannot count"):
        make_server(keys=storage)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "nonsense"),
    ],
)
def test_addresses_are_counted_by_network(address: str, counted: str) -> None:
    assert network_of(address) == counted


@pytest.mark.parametrize(
    ("peer", "header", "trusted", "expected"),
    [
        (("192.0.2.1", 5), "203.0.113.9", [], "192.0.2.1"),
        (("192.0.2.1", 0), "203.0.113.9", [], "forwarded"),
        (("10.0.0.1", 5), "203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        (("10.0.0.1", 5), "1.2.3.4, 203.0.113.9, 10.0.0.2", ["10.0.0.0/8"], "203.0.113.9"),
        (("192.0.2.1", 5), "203.0.113.9", ["10.0.0.0/8"], "192.0.2.1"),
        (("10.0.0.1", 5), "garbage", ["10.0.0.0/8"], "10.0.0.1"),
        (("10.0.0.1", 5), "203.0.113.9, garbage", ["10.0.0.0/8"], "10.0.0.1"),
        (("10.0.0.1", 5), "", ["10.0.0.0/8"], "10.0.0.1"),
        (None, "203.0.113.9", ["10.0.0.0/8"], ""),
    ],
)
def test_the_peer_is_believed_only_behind_a_trusted_proxy(
    peer: Any, header: str, trusted: list[str], expected: str
) -> None:
    scope = {"client": peer, "headers": [(b"x-forwarded-for", header.encode())] if header else []}
    assert peer_address(scope, read_proxies(trusted)) == expected


def test_a_proxy_must_be_an_address() -> None:
    with pytest.raises(CrossauthError, match="trusted_proxies"):
        make_server(trusted_proxies=["proxy.example.com"])
    assert SECRET
