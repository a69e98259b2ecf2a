"""A thief and the owner in one session: what one begins, the other's code does not confirm, and the other does not see."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.accounts import NEW, Browser, World, name_of, storages
from tests.support import CSRF, PASSWORD

ALICE, EVIL = "alice@example.com", "thief@evil.example.com"
CHANGE = {"old_password": PASSWORD, "new_password": NEW, "repeat_password": NEW}
PAIRS = pytest.mark.parametrize("steals", ["session only", "every cookie of that time"])


class Pair:
    """An owner, who has a second factor or has not, and a thief with the same session."""

    def __init__(self, world: World, owner: Browser, thief: Browser) -> None:
        self.world, self.owner, self.thief = world, owner, thief

    def steal(self, everything: bool = False) -> None:
        self.thief.cookies.clear()
        for cookie in self.owner.cookies.jar:
            if everything or cookie.name == "SESSIONID":
                self.thief.cookies.set(cookie.name, str(cookie.value), domain="127.0.0.1")


@pytest.fixture
def pair() -> Iterator[Pair]:
    yield from make()


def make(factor: bool = True, **options: Any) -> Iterator[Pair]:
    world = World(**options)
    with world.open() as url, Browser(url) as owner, Browser(url) as thief:
        assert owner.sign_up(factor2="none", user_email=ALICE).status_code == 200
        pair = Pair(world, owner, thief)
        if factor:
            pair.secret, _ = owner.add_totp(world)  # type: ignore[attr-defined]
        yield pair


def code(pair: Pair) -> str:
    return pair.world.code(pair.secret)  # type: ignore[attr-defined]


def asks(answer: Any) -> bool:
    return answer.json().get("factor2Required") is True


@PAIRS
def test_the_owners_code_does_not_confirm_what_a_thief_asked_for(pair: Pair, steals: str) -> None:
    everything = steals != "session only"
    # A request of the owner's, so that there is something more to steal.
    assert asks(pair.owner.call("/api/changepassword", **CHANGE))
    pair.steal(everything)
    assert asks(pair.owner.call("/api/changepassword", **CHANGE))
    assert asks(pair.thief.call("/api/updateuser", user_email=EVIL))
    # The thief's has taken the place of the owner's, who is told that nothing waits and asks again.
    assert name_of(pair.owner.call("/api/factor2", otp=code(pair))) == "Unauthorized"
    assert asks(pair.owner.call("/api/updateuser", user_email="mine@example.com", otp=code(pair)))
    assert asks(pair.owner.call("/api/changepassword", **CHANGE))
    assert pair.owner.call("/api/factor2", otp=code(pair)).json()["ok"] is True
    user = asyncio.run(pair.world.users.get_user_by_id(1)).user
    assert user.email == ALICE
    assert pair.owner.log_in(password=NEW).status_code == 200


def test_a_page_asks_only_for_what_its_own_browser_sent(pair: Pair) -> None:
    pair.steal()
    assert asks(pair.thief.call("/api/updateuser", user_email=EVIL))
    displayed = pair.owner.get("/factor2")
    assert displayed.status_code == 401
    assert 'name="otp"' not in displayed.text
    refused = pair.owner.submit("/factor2", otp=code(pair))
    assert EVIL not in refused.text
    assert asyncio.run(pair.world.users.get_user_by_id(1)).user.email == ALICE


def test_looking_at_a_protected_page_takes_no_code_of_the_owners() -> None:
    pairs = make(factor2_protected_page_endpoints=["/me"])
    pair = next(pairs)
    pair.steal()
    pair.thief.get("/me", follow_redirects=False)
    assert name_of(pair.owner.call("/api/factor2", otp=code(pair))) == "Unauthorized"
    pairs.close()


@PAIRS
@pytest.mark.parametrize("had", ["a factor", "none"])
def test_a_secret_that_is_being_set_up_is_shown_again_in_its_own_browser_only(had: str, steals: str) -> None:
    pairs = make(factor=had == "a factor")
    pair = next(pairs)
    everything = steals != "session only"
    pair.owner.call("/api/changefactor2", factor2="totp")
    pair.owner.call("/api/cancelfactor2")
    pair.steal(everything)
    displayed = pair.owner.call("/api/changefactor2", factor2="totp")
    if had == "a factor":
        displayed = pair.owner.call("/api/factor2", otp=code(pair))
    secret = displayed.json()["totpsecret"]
    assert pair.owner.get("/api/configurefactor2").json()["totpsecret"] == secret
    assert secret in pair.owner.get("/configurefactor2").text
    for path in ("/api/configurefactor2", "/configurefactor2"):
        seen = pair.thief.get(path)
        assert seen.status_code == 401
        assert secret not in seen.text
    assert pair.owner.call("/api/configurefactor2", otp=pair.world.code(secret)).json()["ok"] is True
    pairs.close()


def test_lists_that_leave_an_action_out_do_not_leave_it_open() -> None:
    """A user with a second factor is asked for the password then, as one without is."""
    pairs = make(
        enable_email_verification=False, reauthentication_seconds=3600,
        factor2_protected_page_endpoints=["/me"], factor2_protected_api_endpoints=["/api/changefactor2"],
    )  # fmt: skip
    pair = next(pairs)
    asyncio.run(pair.world.users.update_user({"id": 1, "admin": True}))
    pair.world.later(minutes=61)
    pair.steal()
    for path, fields in {
        "/api/recoverycodes": {}, "/api/updateuser": {"user_email": EVIL}, "/api/deleteuser": {},
        "/api/configurefactor2": {}, "/admin/api/createuser": {"username": "mole"},
        "/admin/api/changepassword/1": {"new_password": NEW, "repeat_password": NEW},
    }.items():  # fmt: skip
        assert pair.thief.call(path, **fields).json().get("passwordRequired") is True, path
    assert 'name="password"' in pair.owner.get("/recoverycodes").text
    assert asks(pair.thief.call("/api/changefactor2", factor2="none")), "what is listed asks for the code"
    assert pair.owner.call("/api/recoverycodes", password=PASSWORD).json()["ok"] is True
    pairs.close()


def test_the_methods_of_a_protected_route_all_ask() -> None:
    world = World(factor2_protected_page_endpoints=["/multi"])

    @world.server.app.api_route("/multi", methods=["GET", "OPTIONS", "POST", "TRACE"])
    async def multi() -> dict[str, str]:
        return {"secret": "told"}

    with world.open() as url, Browser(url) as owner:
        owner.sign_up(factor2="none")
        owner.add_totp(world)
        for method in ("GET", "OPTIONS", "TRACE", "POST"):
            headers = {CSRF: owner.token()} if method == "POST" else {}
            answer = owner.request(method, "/multi", headers=headers, follow_redirects=False)
            assert "told" not in answer.text, method
            assert answer.status_code == 303


def test_logging_out_everywhere_ends_a_change_of_address_that_waits() -> None:
    pairs = make(factor=False, enable_email_verification=True)
    pair = next(pairs)
    assert pair.owner.call("/api" + pair.owner.link(ALICE)).status_code == 200
    pair.owner.call("/api/updateuser", user_email=EVIL)
    link = pair.owner.link(EVIL)
    asyncio.run(pair.world.manager.logout_from_all(1))
    assert name_of(pair.owner.call("/api" + link)) == "InvalidKey"
    pairs.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_of_two_who_make_recovery_codes_at_once_no_more_than_one_does(
    request: pytest.FixtureRequest, kind: str
) -> None:
    unasked = {"factor2_protected_page_endpoints": ["/me"], "factor2_protected_api_endpoints": []}
    pairs = make(**storages(request, kind), **unasked)
    pair = next(pairs)
    sent = {"Cookie": "; ".join(f"{c.name}={c.value}" for c in pair.owner.cookies.jar), CSRF: pair.owner.token()}

    def make_codes() -> Any:
        with httpx2.Client(base_url=pair.owner.base_url, trust_env=False, timeout=20) as client:
            return client.post("/api/recoverycodes", headers=sent, json={})

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            made = [answer.result() for answer in [pool.submit(make_codes) for _ in range(4)]]
            assert {answer.status_code for answer in made} <= {200, 401}
            assert pair.owner.get("/api/recoverycodes").json()["left"] <= 10, [answer.text for answer in made]
    pairs.close()


@pytest.mark.parametrize("path", ["/resendcode", "/cancelfactor2", "/logout", "/factor2"])
def test_a_form_without_a_page_of_its_own_is_refused_as_any_other(pair: Pair, path: str) -> None:
    with Browser(str(pair.owner.base_url)) as nobody:
        for answer in (nobody.post(path, data={"x": "1"}), nobody.submit(path), pair.owner.submit(path, next="/")):
            assert answer.status_code < 500, answer.text
