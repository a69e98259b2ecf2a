"""Where the browser was going is where it comes out, whatever lies between: walks from a client through the pages and back."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import Request

from crossauth_backend import InMemoryKeyStorage, InMemoryUserStorage
from crossauth_backend.users.states import UserState
from tests.accounts import FIELDS, NEW, World, storages
from tests.authorize import Walker, code_of, provide
from tests.support import PASSWORD

ALICE = "alice@example.com"
SIGNUP = {"username": "alice", "user_email": ALICE, "password": PASSWORD, "repeat_password": PASSWORD}
START = "/authorize?client_id=shop&state=s1"


@contextmanager
def walking(kind: str = "memory", request: pytest.FixtureRequest | None = None, **options: Any) -> Iterator[Any]:
    """A world with a provider, and two browsers in it."""
    world = World(**(storages(request, kind) if request is not None else {}), **options)
    provide(world)

    @world.server.app.get("/shop/{rest:path}")
    async def shop(request: Request) -> dict[str, str]:
        return {"here": request.url.path, "query": request.url.query}

    with world.open() as url, ExitStack() as stack:
        yield world, stack.enter_context(Walker(url)), stack.enter_context(Walker(url))


def make_alice(walker: Walker, state: UserState | None = None, world: World | None = None, **fields: Any) -> None:
    assert walker.sign_up(user_email=ALICE, factor2="none", **fields).status_code == 200
    if state is not None and world is not None:
        asyncio.run(world.users.update_user({"id": 1, "state": state}))
    walker.cookies.clear()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_login_comes_back_after_a_wrong_password(kind: str, request: pytest.FixtureRequest) -> None:
    with walking(kind, request) as (_, walker, _other):
        make_alice(walker)
        walker.open(START)
        assert walker.heading() == "Log in"
        walker.press("Log in", username="alice", password="Wrong1password")
        assert walker.page.status_code == 401
        walker.press("Log in", username="alice", password=PASSWORD)
        assert code_of(walker) == "code-of-alice"
        assert "state=s1" in walker.arrived


def test_a_login_comes_back_after_a_form_that_was_too_old() -> None:
    with walking() as (_, walker, _other):
        make_alice(walker)
        walker.open(START)
        del walker.cookies["CSRFTOKEN"]
        walker.press("Log in", username="alice", password=PASSWORD)
        assert walker.page.status_code == 403
        walker.press("Log in", username="alice", password=PASSWORD)
        assert code_of(walker) == "code-of-alice"


def test_a_login_comes_back_after_a_second_factor_and_a_wrong_code() -> None:
    with walking() as (world, walker, _):
        assert walker.sign_up(user_email=ALICE, factor2="none").status_code == 200
        secret, _codes = walker.add_totp(world)
        walker.cookies.clear()
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        walker.press("Continue", otp="000000")
        assert walker.page.status_code == 401
        walker.press("Continue", otp=world.code(secret))
        assert code_of(walker) == "code-of-alice"


def test_a_login_comes_back_after_its_code_was_sent_again() -> None:
    with walking() as (_, walker, _other):
        assert walker.sign_up(user_email=ALICE, factor2="none").status_code == 200
        assert walker.call("/api/changefactor2", factor2="email").status_code == 200
        assert walker.call("/api/configurefactor2", otp=walker.mailed_code(ALICE)).status_code == 200
        walker.cookies.clear()
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        walker.press("Resend code")
        walker.press("Continue", otp=walker.mailed_code(ALICE))
        assert code_of(walker) == "code-of-alice"


def test_a_login_whose_second_factor_took_too_long_begins_anew_and_comes_back() -> None:
    with walking() as (world, walker, _):
        assert walker.sign_up(user_email=ALICE, factor2="none").status_code == 200
        secret, _codes = walker.add_totp(world)
        walker.cookies.clear()
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        del walker.cookies["SESSIONID"]
        walker.open("/api/getcsrftoken")
        token = walker.page.json()["csrfToken"]
        walker.open(START)
        after = walker.trail[-1].partition("next=")[2]
        walker._come_to("POST", "/loginfactor2", data={"csrfToken": token, "otp": "1", "next": unquote(after)})
        assert walker.page.status_code == 401
        walker.click("Log in").press("Log in", username="alice", password=PASSWORD)
        walker.press("Continue", otp=world.code(secret))
        assert code_of(walker) == "code-of-alice"


def test_somebody_else_may_log_in_instead_on_the_way() -> None:
    with walking() as (world, walker, _):
        assert walker.sign_up(user_email=ALICE, factor2="none").status_code == 200
        walker.add_totp(world)
        walker.cookies.clear()
        assert walker.sign_up("bob", user_email="bob@example.com", factor2="none").status_code == 200
        walker.cookies.clear()
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        walker.click("Use a different account").press("Log in", username="bob", password=PASSWORD)
        assert code_of(walker) == "code-of-bob"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_login_comes_back_after_a_forced_change_of_the_password(kind: str, request: pytest.FixtureRequest) -> None:
    with walking(kind, request) as (world, walker, _):
        make_alice(walker, UserState.password_change_needed, world)
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        assert walker.heading() == "Change your password"
        weak = {"old_password": PASSWORD, "new_password": "x", "repeat_password": "x"}
        walker.press("Change password", **weak)
        assert walker.page.status_code == 400
        walker.press("Change password", **weak | {"new_password": NEW, "repeat_password": NEW})
        assert code_of(walker) == "code-of-alice"


def test_a_login_comes_back_after_a_forced_change_of_the_second_factor() -> None:
    with walking() as (world, walker, _):
        assert walker.sign_up(user_email=ALICE, factor2="none").status_code == 200
        walker.add_totp(world)
        walker.cookies.clear()
        asyncio.run(world.users.update_user({"id": 1, "state": UserState.factor2_reset_needed}))
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        # As by the back button of the browser, once the set-up is gone.
        walker.open(f"/configurefactor2?{walker.trail[-1].partition('?')[2]}")
        walker.press("Continue", factor2="totp")
        walker.press("Confirm", otp="000000")
        walker.press("Confirm", otp=world.code(_secret(walker)))
        walker.click("Continue")
        assert code_of(walker) == "code-of-alice"


def _secret(walker: Walker) -> str:
    found = re.search(r'<code class="key">(\w+)</code>', walker.page.text)
    assert found is not None, walker.page.text
    return found[1]


def test_a_login_comes_back_after_setting_up_a_second_factor_that_is_needed() -> None:
    users, keys = InMemoryUserStorage({"user_editable_fields": FIELDS}), InMemoryKeyStorage()
    before = World(users, keys)
    with before.open() as url, Walker(url) as walker:
        make_alice(walker)
    with walking(users=users, keys=keys, allowed_factor2=["totp"]) as (world, walker, _):
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        walker.press("Continue", factor2="totp").press("Confirm", otp=world.code(_secret(walker))).click("Continue")
        assert code_of(walker) == "code-of-alice"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_newcomer_signs_up_on_the_way(kind: str, request: pytest.FixtureRequest) -> None:
    with walking(kind, request) as (_, walker, _other):
        walker.open(START).click("Sign up").click("Log in").click_first("Sign up").click_first("Log in").click(
            "Sign up"
        )
        walker.press("Sign up", **SIGNUP | {"password": "x"})
        assert walker.page.status_code == 400
        walker.press("Sign up", **SIGNUP, factor2="none")
        assert code_of(walker) == "code-of-alice"


def test_a_client_may_ask_for_the_sign_up_page() -> None:
    with walking() as (_, walker, _other):
        walker.open(f"{START}&page=signup")
        assert walker.heading() == "Create your account"
        walker.press("Sign up", **SIGNUP, factor2="none")
        assert code_of(walker) == "code-of-alice"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_newcomer_verifies_the_address_in_the_same_browser(kind: str, request: pytest.FixtureRequest) -> None:
    with walking(kind, request, enable_email_verification=True) as (_, walker, _other):
        walker.open(START).click("Sign up").press("Sign up", **SIGNUP, factor2="none")
        assert walker.heading() == "Check your inbox"
        walker.press("Resend email")
        walker.open(walker.link(ALICE)).press("Verify my email address")
        assert code_of(walker) == "code-of-alice"


def test_a_newcomer_verifies_the_address_in_another_browser() -> None:
    with walking(enable_email_verification=True) as (_, walker, other):
        walker.open(START).click("Sign up").press("Sign up", **SIGNUP, factor2="none")
        other.open(walker.link(ALICE)).press("Verify my email address")
        assert (other.arrived, other.heading()) == ("", "Email address verified")
        assert "interaction" not in other.page.text
        # The first one goes on where it was.
        walker.click("Log in").press("Log in", username="alice", password=PASSWORD)
        assert code_of(walker) == "code-of-alice"


def test_a_newcomer_sets_up_a_factor_and_verifies_the_address() -> None:
    with walking(enable_email_verification=True) as (world, walker, _):
        walker.open(START).click("Sign up").press("Sign up", **SIGNUP, factor2="totp")
        secret = _secret(walker)
        walker.press("Confirm", otp=world.code(secret))
        assert walker.heading() == "Check your inbox"
        walker.open(walker.link(ALICE)).press("Verify my email address")
        walker.click("Continue with two-factor authentication").press("Continue", otp=world.code(secret))
        assert code_of(walker) == "code-of-alice"


def test_whoever_opens_the_link_twice_comes_back_too() -> None:
    with walking(enable_email_verification=True) as (_, walker, other):
        walker.open(START).click("Sign up").press("Sign up", **SIGNUP, factor2="none")
        link = walker.link(ALICE)
        other.open(link).press("Verify my email address")
        walker.open(link)
        walker.click("Log in").press("Log in", username="alice", password=PASSWORD)
        assert code_of(walker) == "code-of-alice"


def test_a_login_that_waits_for_its_address_comes_back_by_the_link() -> None:
    with walking(enable_email_verification=True) as (_, walker, other):
        other.open("/signup").press("Sign up", **SIGNUP, factor2="none")
        walker.open(START).press("Log in", username="alice", password=PASSWORD)
        assert walker.page.status_code == 403
        walker.open(walker.link(ALICE)).press("Verify my email address")
        walker.click("Log in").press("Log in", username="alice", password=PASSWORD)
        assert code_of(walker) == "code-of-alice"


def test_another_link_may_be_asked_for_on_the_way() -> None:
    with walking(enable_email_verification=True) as (_, walker, other):
        other.open("/signup").press("Sign up", **SIGNUP, factor2="none")
        walker.open(START).click("Get a new verification email").press("Send a new link", username="alice")
        walker.click("Back to login").click("Get a new verification email")
        walker.open(walker.link(ALICE)).press("Verify my email address")
        walker.click("Log in").press("Log in", username="alice", password=PASSWORD)
        assert code_of(walker) == "code-of-alice"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_password_that_was_forgotten_is_chosen_anew_on_the_way(kind: str, request: pytest.FixtureRequest) -> None:
    with walking(kind, request) as (_, walker, _other):
        make_alice(walker)
        walker.open(START).click("Forgot your password?").press("Send link", email=ALICE)
        walker.click("Back to login").click("Forgot your password?")
        walker.open(walker.link(ALICE)).press("Save password", new_password="x", repeat_password="x")
        walker.press("Save password", new_password=NEW, repeat_password=NEW).click("Continue")
        assert code_of(walker) == "code-of-alice"


def test_a_password_that_was_forgotten_is_chosen_anew_before_a_second_factor() -> None:
    with walking() as (world, walker, _):
        assert walker.sign_up(user_email=ALICE, factor2="none").status_code == 200
        secret, _codes = walker.add_totp(world)
        walker.cookies.clear()
        walker.open(START).click("Forgot your password?").press("Send link", email=ALICE)
        walker.open(walker.link(ALICE)).press("Save password", new_password=NEW, repeat_password=NEW)
        walker.press("Continue", otp=world.code(secret))
        assert code_of(walker) == "code-of-alice"


def test_a_password_is_chosen_anew_in_another_browser_which_was_going_nowhere() -> None:
    with walking() as (_, walker, other):
        make_alice(walker)
        walker.open(START).click("Forgot your password?").press("Send link", email=ALICE)
        other.open(walker.link(ALICE)).press("Save password", new_password=NEW, repeat_password=NEW)
        assert "interaction" not in other.page.text
        other.click("Continue")
        assert other.who() == "alice"
        walker.click("Back to login").press("Log in", username="alice", password=NEW)
        assert code_of(walker) == "code-of-alice"


def test_a_link_that_does_not_work_leads_on_to_another_one() -> None:
    with walking() as (world, walker, _):
        make_alice(walker)
        walker.open(START).click("Forgot your password?").press("Send link", email=ALICE)
        link = walker.link(ALICE)
        world.later(days=1, seconds=60)
        # The flow has ended as well by then; a path of the application's has not.
        walker.open("/login?next=/shop/1").click("Forgot your password?").press("Send link", email=ALICE)
        assert walker.open(link).page.status_code == 401
        walker.click("Send a new link").press("Send link", email=ALICE)
        walker.open(walker.link(ALICE)).press("Save password", new_password=NEW, repeat_password=NEW)
        assert walker.click("Continue").page.json() == {"here": "/shop/1", "query": ""}


def test_where_nothing_was_to_go_on_to_no_session_is_kept_for_it() -> None:
    with walking() as (_, walker, _other):
        make_alice(walker)
        walker.open("/login").click("Forgot your password?").press("Send link", email=ALICE)
        assert "SESSIONID" not in walker.cookies


LONG = "/shop/" + "a" * 3000 + "?q=" + "%C3%A4" * 500


@pytest.mark.parametrize("state", [None, UserState.password_change_needed])
def test_a_long_path_survives(state: UserState | None) -> None:
    with walking() as (world, walker, _):
        make_alice(walker, state, world)
        walker.open(f"/login?next={LONG.replace('%', '%25')}").press("Log in", username="alice", password=PASSWORD)
        if state is not None:
            walker.press("Change password", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
        assert walker.page.json()["here"] == LONG.partition("?")[0]
        assert walker.page.json()["query"] == LONG.partition("?")[2]


def test_a_path_that_no_server_takes_is_left_out_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with walking() as (_, walker, _other), caplog.at_level("DEBUG", "crossauth.pages"):
        make_alice(walker)
        walker.open("/login")
        walker.press("Log in", username="alice", password=PASSWORD)
        sent = {"csrfToken": walker.token(), "username": "alice", "password": PASSWORD, "next": "/" + "a" * 8001}
        answer = walker.post("/login", data=sent)
        assert answer.headers["location"] == "/"
        assert "more than 8000 bytes" in caplog.text
