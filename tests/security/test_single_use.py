"""What may be used once is used once, however many try at the same moment; on every storage."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.accounts import NEW, Browser, World, storages
from tests.support import CSRF, PASSWORD

MANY = 20
EMAIL = "alice@example.com"
NO_LIMITS = dict.fromkeys(
    ("login_account", "login_address", "factor2_account", "factor2_challenge", "factor2_address", "token_address",
     "token_credential")
)  # fmt: skip


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def world(request: pytest.FixtureRequest) -> World:
    found = storages(request, request.param)
    return World(**found, enable_email_verification=True, attempt_limits=NO_LIMITS)


@pytest.fixture
def browsers(world: World) -> Iterator[list[Browser]]:
    """Twenty browsers; in the first, alice has signed up."""
    with world.open() as url, ExitStack() as stack:
        found = [stack.enter_context(Browser(url)) for _ in range(MANY)]
        found[0].sign_up(user_email=EMAIL, factor2="none")
        yield found


def at_once(browsers: list[Browser], send: Callable[[Browser, str], Any]) -> list[int]:
    """Statuses of what `send` gets in every browser, all at the same moment; it is given the browser and a CSRF token."""
    prepared = [(browser, browser.token()) for browser in browsers]
    with ThreadPoolExecutor(MANY) as pool:
        return sorted(pool.map(lambda pair: send(*pair).status_code, prepared))


def post(path: str, **fields: str) -> Callable[[Browser, str], Any]:
    return lambda browser, token: browser.post(path, json=fields, headers={CSRF: token})


def logged_in(browsers: list[Browser]) -> int:
    return sum(browser.who() == "alice" for browser in browsers)


def test_a_verification_token(world: World, browsers: list[Browser]) -> None:
    statuses = at_once(browsers, post(f"/api{browsers[0].link(EMAIL)}"))
    assert statuses == [200] * MANY, "the others are told that it is verified"
    assert world.heard.names.count("email_verified") == 1
    assert logged_in(browsers[1:]) == 0, "the link logs in the browser that signed up, and no other"


def test_a_reset_token(browsers: list[Browser]) -> None:
    browsers[0].call(f"/api{browsers[0].link(EMAIL)}")
    browsers[0].call("/api/requestpasswordreset", email=EMAIL)
    token = browsers[0].link(EMAIL).split("token=")[1]
    browsers[0].call("/api/logout")
    statuses = at_once(browsers, post("/api/resetpassword", token=token, new_password=NEW))
    assert statuses == [200] + [401] * (MANY - 1)
    assert logged_in(browsers) == 1


@pytest.mark.parametrize("kind", ["recovery code", "TOTP step"])
def test_a_code_in_many_logins(world: World, browsers: list[Browser], kind: str) -> None:
    browsers[0].call(f"/api{browsers[0].link(EMAIL)}")
    secret, codes = browsers[0].add_totp(world)
    browsers[0].call("/api/logout")
    for browser in browsers:
        browser.asked()
    code = codes[0] if kind == "recovery code" else world.code(secret)
    assert at_once(browsers, post("/api/loginfactor2", otp=code)) == [200] + [401] * (MANY - 1)
    assert logged_in(browsers) == 1


def test_a_code_by_e_mail_in_one_login(browsers: list[Browser]) -> None:
    first = browsers[0]
    first.call(f"/api{first.link(EMAIL)}")
    first.call("/api/changefactor2", factor2="email")
    first.call("/api/configurefactor2", otp=first.mailed_code(EMAIL))
    first.call("/api/logout")
    first.asked(password=PASSWORD)
    code = first.mailed_code(EMAIL)
    for browser in browsers[1:]:
        browser.cookies.set("SESSIONID", first.cookies["SESSIONID"], domain="127.0.0.1")
    statuses = at_once(browsers, post("/api/loginfactor2", otp=code))
    # Where the session is over already, the token for it is worth nothing.
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {401, 403}
    assert logged_in(browsers) == 1


def test_a_request_that_waits(world: World, browsers: list[Browser]) -> None:
    first = browsers[0]
    first.call(f"/api{first.link(EMAIL)}")
    secret, _ = first.add_totp(world)
    first.call("/api/updateuser", user_phone="+441632960961")
    assert first.call("/api/recoverycodes").json()["factor2Required"] is True
    code = world.code(secret)
    token = first.token()
    send = post("/api/factor2", otp=code)
    with ThreadPoolExecutor(MANY) as pool:
        statuses = sorted(pool.map(lambda _: send(first, token).status_code, range(MANY)))
    assert statuses.count(200) == 1
