"""Asking for the second factor before a request that matters."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import Request

from tests.accounts import Browser, World, name_of
from tests.support import CSRF, PASSWORD


@pytest.fixture
def world() -> World:
    world = World(
        factor2_protected_page_endpoints=["/transfer", "/changepassword"],
        factor2_protected_api_endpoints=["/api/transfer", "/api/changepassword"],
    )
    world.made = []  # type: ignore[attr-defined]

    @world.server.app.post("/transfer")
    @world.server.app.post("/api/transfer")
    async def transfer(request: Request) -> dict[str, Any]:
        body = (await request.body()).decode()
        made = {
            "path": request.url.path, "query": str(request.query_params), "body": body,
            "type": request.headers["content-type"], "user": request.state.user.username,
        }  # fmt: skip
        world.made.append(made)  # type: ignore[attr-defined]
        return made

    @world.server.app.put("/api/transfer")
    async def put(request: Request) -> dict[str, Any]:
        world.made.append("put")  # type: ignore[attr-defined]
        return {}

    return world


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.secret, _ = browser.add_totp(world)  # type: ignore[attr-defined]
        yield browser


def made(world: World) -> list[Any]:
    found: list[Any] = world.made  # type: ignore[attr-defined]
    return found


def code(world: World, browser: Browser) -> str:
    return world.code(browser.secret)  # type: ignore[attr-defined]


@pytest.mark.parametrize("where", ["/api/factor2", "/api/transfer"])
def test_a_request_waits_and_is_made_as_it_was(world: World, browser: Browser, where: str) -> None:
    asked = browser.post("/api/transfer?a=b&c=%20d", json={"to": "bob", "sum": "10 €"}, headers={CSRF: browser.token()})
    assert asked.json() == {"ok": True, "factor2Required": True, "factor2": "totp"}
    assert made(world) == []
    done = browser.call(where, otp=code(world, browser))
    assert (done.status_code, len(made(world))) == (200, 1)
    assert done.json() == made(world)[0]
    assert done.json()["path"] == "/api/transfer"
    assert done.json()["query"] == "a=b&c=+d"
    assert done.json()["type"] == "application/json"
    assert '"sum":"10 €"' in done.json()["body"].replace('": "', '":"')
    again = browser.call("/api/factor2", otp=code(world, browser))
    assert (name_of(again), len(made(world))) == ("Unauthorized", 1), "once"


def test_a_form_waits_too(world: World, browser: Browser) -> None:
    asked = browser.submit("/transfer", to="bob")
    assert (asked.status_code, asked.headers["location"]) == (303, "/factor2")
    page = browser.get("/factor2")
    assert 'action="/transfer"' in page.text
    wrong = browser.submit("/transfer", otp="000000")
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/factor2?error=InvalidToken")
    assert "is invalid" in browser.get(wrong.headers["location"]).text
    done = browser.submit("/transfer", otp=code(world, browser))
    assert done.json()["type"] == "application/x-www-form-urlencoded"
    assert "to=bob" in done.json()["body"]
    assert "otp" not in done.json()["body"]


def test_a_request_is_made_with_its_own_method_and_path_only(world: World, browser: Browser) -> None:
    browser.call("/api/transfer", to="bob")
    headers = {CSRF: browser.token()}
    other = browser.put("/api/transfer", json={"otp": code(world, browser)}, headers=headers)
    assert other.json()["factor2Required"] is True, "another method is another request, which waits itself"
    done = browser.call("/api/factor2", otp=code(world, browser))
    assert (done.status_code, made(world)) == (200, ["put"])


def test_looking_at_pages_does_not_forget_what_waits(world: World, browser: Browser) -> None:
    browser.call(
        "/api/changepassword", old_password=PASSWORD, new_password="Another1one", repeat_password="Another1one"
    )
    for page in ("/changepassword", "/updateuser", "/changefactor2", "/deleteuser", "/factor2"):
        browser.get(page)
    assert browser.call("/api/factor2", otp=code(world, browser)).json()["ok"] is True


def test_a_password_change_waits_and_no_password_is_stored(world: World, browser: Browser) -> None:
    import asyncio

    change = {"old_password": PASSWORD, "new_password": "Another1one", "repeat_password": "Another1one"}
    assert browser.call("/api/changepassword", **change).json()["factor2Required"] is True
    stored = [key.data for key in asyncio.run(world.keys.get_all_for_user(1))]
    assert stored
    assert all(PASSWORD not in data and "Another1one" not in data for data in stored)
    assert browser.call("/api/factor2", otp=code(world, browser)).json()["ok"] is True
    browser.call("/api/logout")
    browser.asked(password="Another1one")


def test_a_refused_replay_is_the_refusal_of_the_request(world: World, browser: Browser) -> None:
    browser.call("/api/changepassword", old_password="Wrong1password", new_password="Another1one")
    answer = browser.call("/api/factor2", otp=code(world, browser))
    assert (answer.status_code, name_of(answer)) == (401, "UsernameOrPasswordInvalid")


def test_nothing_waits_without_a_csrf_token(world: World, browser: Browser) -> None:
    assert name_of(browser.post("/api/transfer", json={"to": "bob"})) == "InvalidCsrf"
    browser.call("/api/transfer", to="bob")
    assert name_of(browser.post("/api/factor2", json={"otp": code(world, browser)})) == "InvalidCsrf"
    assert made(world) == []


def test_tries_are_limited_and_then_the_request_is_forgotten(world: World, browser: Browser) -> None:
    browser.call("/api/transfer", to="bob")
    answers = [browser.call("/api/factor2", otp="000000") for _ in range(6)]
    assert [a.status_code for a in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert name_of(browser.call("/api/factor2", otp=code(world, browser))) == "Unauthorized"


def test_what_waits_can_be_cancelled(world: World, browser: Browser) -> None:
    browser.call("/api/transfer", to="bob")
    assert browser.call("/api/cancelfactor2").json() == {"ok": True}
    assert browser.who() == "alice"
    assert name_of(browser.call("/api/factor2", otp=code(world, browser))) == "Unauthorized"


def test_users_without_a_second_factor_and_strangers_pass(world: World, browser: Browser) -> None:
    with Browser(str(browser.base_url)) as bob:
        bob.sign_up("bob", factor2="none")
        assert bob.call("/api/transfer", to="alice").json()["user"] == "bob"
    stranger = httpx2.post(f"{browser.base_url}/api/changepassword", json={}, trust_env=False)
    assert stranger.status_code == 401


@pytest.mark.parametrize("body", [b"x" * 70000, b"{", b"\xff", b"[]", b'{"a":1,"a":2}'])
def test_garbage_waits_for_nothing(world: World, browser: Browser, body: bytes) -> None:
    headers = {CSRF: browser.token(), "Content-Type": "application/json"}
    assert 400 <= browser.post("/api/transfer", content=body, headers=headers).status_code < 500
    assert made(world) == []


def test_a_known_device_is_not_asked_where_that_is_switched_on() -> None:
    world = World(enable_known_devices=True)
    with world.open() as url, Browser(url) as browser, Browser(url) as other:
        browser.sign_up(factor2="none")
        secret, _ = browser.add_totp(world)
        change = {"old_password": PASSWORD, "new_password": "Another1one"}
        other.asked()
        other.give(world.code(secret))
        answer = other.call("/api/updateuser", user_phone="+441632960961").json()
        assert (answer["ok"], answer["emailVerificationRequired"]) == (True, False)
        other.cookies.delete("KNOWNDEVICE")
        assert other.call("/api/changepassword", **change).json()["factor2Required"] is True
