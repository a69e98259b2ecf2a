"""A second factor that every user has to have: nobody logs in without one, whichever way the account came to be, and
everybody can set one up alone."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from crossauth_backend import CrossauthError, InMemoryKeyStorage, InMemoryUserStorage
from crossauth_backend.accounts.freshness import lacks_factor2
from crossauth_fastapi import FastApiSessionServer
from tests.accounts import FIELDS, NEW, Browser, World, name_of
from tests.fastapi_users.test_core import EMAIL, Both, add_routes, name_of_refusal
from tests.support import PASSWORD

PHONE = "+4915112345678"
# Everyone needs one because "none" is not offered, or those do whom the application names.
by_name: list[bool] = []


@pytest.fixture(autouse=True, params=["everyone", "whom a function names"])
def _who_needs_one(request: pytest.FixtureRequest) -> Iterator[None]:
    by_name[:] = [request.param != "everyone"]
    yield
    by_name.clear()


def needed(*names: str) -> dict[str, Any]:
    """Options of a server in which everyone of the test needs one of these factors."""
    if by_name == [True]:
        return {"allowed_factor2": ["none", *names], "factor2_required_fn": lambda user: True}
    return {"allowed_factor2": list(names)}


def needing(*names: str, **options: Any) -> World:
    """A server in which alice has signed up when a second factor was still optional."""
    users, keys = InMemoryUserStorage({"user_editable_fields": FIELDS}), InMemoryKeyStorage()
    before = World(users, keys)
    with before.open() as url, Browser(url) as browser:
        assert browser.sign_up(user_email=EMAIL).status_code == 200
    return World(users, keys, **needed(*(names or ["totp"])), **options)


def set_up(world: World, browser: Browser) -> str:
    """Set up TOTP, as the login has demanded; returns its secret."""
    displayed = browser.call("/api/changefactor2", factor2="totp").json()
    done = browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).json()
    assert done["user"]["factor2"] == "totp", done
    return str(displayed["totpsecret"])


def code_in(message: str) -> str:
    found = re.search(r"\d{6}", message)
    assert found is not None
    return found.group()


def check_only_set_up(browser: Browser) -> None:
    """The session that waits for the set-up is good for nothing else."""
    assert browser.who() is None
    assert browser.get("/me").status_code in (302, 303, 401)
    for path in (
        "/api/updateuser",
        "/api/changepassword",
        "/api/deleteuser",
        "/api/recoverycodes",
        "/admin/api/createuser",
    ):
        assert browser.call(path, username="x", old_password=PASSWORD, new_password=NEW).status_code == 401, path
    assert name_of(browser.call("/api/changefactor2", factor2="none")) == "Forbidden"


def test_a_user_from_before_it_was_needed_has_to_set_one_up() -> None:
    """An existing user without a second factor logs in where one is needed"""
    world = needing()
    with world.open() as url, Browser(url) as browser:
        answer = browser.log_in()
        assert (answer.status_code, name_of(answer)) == (403, "Factor2ResetNeeded")
        assert "Set it up" in answer.json()["errorMessage"]
        check_only_set_up(browser)
        set_up(world, browser)
        assert browser.who() == "alice"
        browser.call("/api/logout")
        page = browser.submit("/login", username="alice", password=PASSWORD)
        assert "authenticator app" in page.text


def test_the_page_leads_to_the_set_up() -> None:
    """The same by pages"""
    world = needing()
    with world.open() as url, Browser(url) as browser:
        page = browser.submit("/login", username="alice", password=PASSWORD, next="/maybe")
        assert page.headers["location"].startswith("/changefactor2?required=true")
        assert "Set up two-factor authentication to continue" in browser.get(page.headers["location"]).text
        assert browser.who() is None
        form = browser.submit("/changefactor2", factor2="totp")
        secret = form.text.split('class="key">')[1].split("<")[0]
        browser.submit("/configurefactor2", otp=world.code(secret))
        assert browser.who() == "alice"


def test_a_session_from_before_it_was_needed_ends() -> None:
    """A session that was opened before a second factor was needed goes on without one"""
    users, keys = InMemoryUserStorage({"user_editable_fields": FIELDS}), InMemoryKeyStorage()
    before = World(users, keys)
    with before.open() as url, Browser(url) as browser:
        browser.sign_up(user_email=EMAIL)
        assert browser.who() == "alice"
        cookie = browser.cookies["SESSIONID"]
    world = World(users, keys, **needed("totp"))
    with world.open() as url, Browser(url) as browser:
        browser.cookies["SESSIONID"] = cookie
        assert browser.who() is None
        browser.log_in()
        set_up(world, browser)
        assert browser.who() == "alice", "a session with a second factor is good"


def test_a_user_that_an_administrator_created_has_to_set_one_up() -> None:
    """An administrator creates a user without a second factor, or takes it away: the user logs in without one"""
    world = needing()
    asyncio.run(world.users.update_user({"id": 1, "admin": True}))
    with world.open() as url, Browser(url) as admin, Browser(url) as bob:
        admin.log_in()
        displayed = admin.call("/api/changefactor2", factor2="totp").json()
        admin.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"]))

        def as_admin(path: str, **fields: Any) -> Any:
            assert admin.call(path, **fields).json()["factor2Required"] is True
            return admin.call("/api/factor2", otp=world.code(displayed["totpsecret"]))

        assert as_admin("/admin/api/createuser", username="bob", password=PASSWORD).status_code == 200
        assert name_of(bob.log_in("bob")) == "Factor2ResetNeeded"
        check_only_set_up(bob)
        set_up(world, bob)
        assert bob.who() == "bob"
        assert as_admin("/admin/api/updateuser/2", factor2="none").status_code == 200
        assert bob.who() is None
        assert name_of(bob.log_in("bob")) == "Factor2ResetNeeded"
        set_up(world, bob)
        # One's own too: the session goes no further than setting another one up.
        assert as_admin("/admin/api/updateuser/1", factor2="none").status_code == 200
        assert admin.who() is None
        set_up(world, admin)
        assert admin.who() == "alice"


def test_registering_by_the_routes_is_no_way_around_it() -> None:
    """`/register` makes an account without a second factor, which then logs in by the routes or by the session server"""
    world = needing()
    add_routes(world)
    with world.open() as url, Both(url) as browser:
        body = {"email": "bob@example.com", "password": PASSWORD}
        assert browser.post("/rest/register", json=body).status_code == 201
        refused = browser.rest_login("bob@example.com")
        assert (refused.status_code, name_of_refusal(refused)) == (400, "LOGIN_FACTOR2_SETUP_NEEDED")
        assert name_of(browser.log_in("bob@example.com")) == "Factor2ResetNeeded"
        assert browser.who() is None
        set_up(world, browser)
        assert browser.who() == "bob@example.com"
        assert name_of_refusal(browser.rest_login("bob@example.com")) == "LOGIN_FACTOR2_REQUIRED"


def test_tokens_from_before_it_was_needed_end() -> None:
    """A bearer token or a refresh token from before a second factor was needed goes on without one"""
    users, keys = InMemoryUserStorage({"user_editable_fields": FIELDS}), InMemoryKeyStorage()
    before = World(users, keys)
    add_routes(before)
    with before.open() as url, Both(url) as browser:
        browser.sign_up(user_email=EMAIL)
        tokens = browser.rest_login().json()
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert browser.get("/rest/me", headers=header).status_code == 200
    world = World(users, keys, **needed("totp"))
    add_routes(world)
    with world.open() as url, Both(url) as browser:
        assert browser.get("/rest/me", headers=header).status_code == 401
        renewed = browser.post("/rest/refresh", data={"refresh_token": tokens["refresh_token"]})
        assert name_of_refusal(renewed) == "REFRESH_BAD_TOKEN"


def test_a_verified_address_is_no_way_around_it() -> None:
    """The link that verifies an address logs its user in without a second factor"""
    world = World(**needed("totp"), enable_email_verification=True)
    add_routes(world)
    with world.open() as url, Both(url) as browser:
        browser.post("/rest/register", json={"email": EMAIL, "password": PASSWORD})
        browser.log_in(EMAIL)
        browser.mail()
        token = browser.link(EMAIL).rsplit("/", 1)[1].rpartition("=")[2]
        assert browser.call("/api/verifyemail", token=token).json()["verified"] is True
        assert browser.who() is None
        assert name_of(browser.log_in(EMAIL)) == "Factor2ResetNeeded"
        set_up(world, browser)
        assert browser.who() == EMAIL


@pytest.mark.parametrize("json", [True, False])
def test_a_new_password_is_no_way_around_it(json: bool) -> None:
    """A password reset logs its user in without a second factor; and the answer says that the password was changed, for it was"""
    world = needing()
    with world.open() as url, Browser(url) as browser:
        browser.call("/api/requestpasswordreset", email=EMAIL)
        token = browser.link(EMAIL).rpartition("=")[2]
        sent = {"token": token, "new_password": NEW, "repeat_password": NEW}
        if json:
            done = browser.call("/api/resetpassword", **sent)
            assert (done.status_code, done.json()["ok"]) == (200, True)
            assert (done.json()["user"], done.json()["loginRefused"]) == (None, "Factor2ResetNeeded")
        else:
            done = browser.submit("/resetpassword", **sent)
            assert done.headers["location"].startswith("/changefactor2?required=true")
        assert browser.who() is None
        set_up(world, browser)
        assert browser.who() == "alice"


def test_a_forced_password_change_is_no_way_around_it() -> None:
    """A password change that an administrator demanded logs its user in without a second factor"""
    world = needing()
    asyncio.run(world.users.update_user({"id": 1, "state": "passwordchangeneeded"}))
    with world.open() as url, Browser(url) as browser:
        assert name_of(browser.log_in()) == "PasswordChangeNeeded"
        done = browser.call("/api/changepassword", old_password=PASSWORD, new_password=NEW).json()
        assert (done["ok"], done["loginRefused"]) == (True, "Factor2ResetNeeded")
        assert browser.who() is None
        set_up(world, browser)
        assert browser.who() == "alice"


@pytest.mark.parametrize("bypass", [False, True])
def test_a_login_by_the_application_keeps_to_it_unless_it_bypasses_it(bypass: bool) -> None:
    """A login of the application's own, as by a provider, opens a session without a second factor"""
    world = needing()
    server = world.server.session_server
    assert isinstance(server, FastApiSessionServer)
    app: FastAPI = world.server.app

    @app.post("/own")
    async def own(request: Request) -> Any:
        user = (await world.users.get_user_by_username("alice")).user
        try:
            return await server.login_with_user(user, bypass, request, JSONResponse({}), lambda response, _: response)
        except CrossauthError as e:
            return JSONResponse({"refused": e.code_name}, 403)

    with world.open() as url, Browser(url) as browser:
        answer = browser.call("/own")
        assert answer.json() == ({} if bypass else {"refused": "Factor2ResetNeeded"})
        assert browser.who() == ("alice" if bypass else None)
        if bypass:
            # Nor does what renews the session make more, or less, of it.
            assert browser.call("/api/updateuser", user_phone=PHONE).json()["ok"] is True
            assert browser.who() == "alice"
        else:
            set_up(world, browser)
            assert browser.who() == "alice"


def test_giving_it_up_through_the_manager_is_refused() -> None:
    """The documented manager gives a second factor up that is needed"""
    world = needing()
    user = asyncio.run(world.users.get_user_by_username("alice")).user
    with pytest.raises(CrossauthError, match="requires two-factor authentication"):
        asyncio.run(world.manager.initiate_two_factor_setup(user, None, "x"))
    tokens = asyncio.run(world.manager.login("alice", {"password": PASSWORD}))
    assert tokens.user is None


@pytest.mark.parametrize(
    ("factor2", "fields", "bad"),
    [
        ("sms", {"user_phone": PHONE}, {"user_phone": "0151 12345678"}),
        ("email", {"user_email": EMAIL}, {"user_email": "nobody"}),
    ],
)
def test_whoever_has_no_address_for_it_gives_one_with_the_choice(
    factor2: str, fields: dict[str, str], bad: dict[str, str]
) -> None:
    """A user without a phone number or email address is locked out where only codes sent there are allowed"""
    world = needing(factor2)
    asyncio.run(world.users.update_user({"id": 1, "email": None}))
    with world.open() as url, Browser(url) as browser:
        page = browser.submit("/login", username="alice", password=PASSWORD)
        assert f'name="{next(iter(fields))}"' in browser.get(page.headers["location"]).text
        for sent in ({}, bad):
            assert browser.call("/api/changefactor2", factor2=factor2, **sent).status_code == 400
        displayed = browser.call("/api/changefactor2", factor2=factor2, **fields)
        assert displayed.status_code == 200, displayed.text
        stored = asyncio.run(world.users.get_user_by_id(1)).user
        assert (stored.email, stored.get("phone")) == (None, None), "nothing is stored before the code has come"
        browser.mail()
        otp = browser.mailed_code() if factor2 == "email" else code_in(world.sms.messages[-1][1])
        assert browser.call("/api/configurefactor2", otp=otp).status_code == 200
        assert browser.who() == "alice"
        stored = asyncio.run(world.users.get_user_by_id(1)).user
        assert stored.get(next(iter(fields)).removeprefix("user_")) == next(iter(fields.values()))


def test_an_address_that_is_known_is_not_replaced_by_the_choice() -> None:
    """Whoever knows the password of a user without a second factor sends the codes to a number of their own, over the user's"""
    world = needing("sms")
    asyncio.run(world.users.update_user({"id": 1, "phone": PHONE}))
    with world.open() as url, Browser(url) as thief:
        thief.log_in()
        displayed = thief.call("/api/changefactor2", factor2="sms", user_phone="+4366600000001").json()
        assert displayed["phone"] == PHONE


def test_where_none_is_a_choice_nobody_is_asked() -> None:
    """A server whose second factors are optional asks for one"""
    by_name.clear()
    world = needing("none", "totp")
    assert world.manager.session.user_refusal is not lacks_factor2
    with world.open() as url, Browser(url) as browser:
        assert browser.log_in().json()["user"]["username"] == "alice"
        assert browser.who() == "alice"


def test_only_those_need_one_whom_the_function_names() -> None:
    """An administrator goes on without a second factor where an option demands one of administrators, and gives it up again"""
    world = World(factor2_required_fn=lambda user: user.admin)
    with world.open() as url, Browser(url) as bob, Browser(url) as alice:
        bob.sign_up("bob", user_email="bob@example.com")
        alice.sign_up()
        assert (alice.who(), bob.who()) == ("alice", "bob")
        assert 'value="none"' in alice.get("/changefactor2").text
        asyncio.run(world.users.update_user({"id": 2, "admin": True}))
        assert (alice.who(), bob.who()) == (None, "bob"), "a session from before it was needed ends, and no other"
        page = alice.submit("/login", username="alice", password=PASSWORD)
        assert page.headers["location"].startswith("/changefactor2?required=true")
        check_only_set_up(alice)
        secret = set_up(world, alice)
        assert alice.who() == "alice"
        assert 'value="none"' not in alice.get("/changefactor2").text
        assert alice.call("/api/changefactor2", factor2="none").json()["factor2Required"] is True
        assert name_of(alice.call("/api/factor2", otp=world.code(secret))) == "Forbidden"
        assert alice.who() == "alice"
        assert bob.log_in("bob").json()["ok"] is True


@pytest.mark.parametrize("answer", [None, "no", RuntimeError("the directory does not answer")])
def test_a_function_that_does_not_answer_lets_nobody_go_without(answer: Any) -> None:
    """A function of the application that fails, or forgets to return, opens the door"""

    def required(user: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    world = World(factor2_required_fn=required)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        assert name_of(browser.log_in()) == "Factor2ResetNeeded"
        assert browser.who() is None
        set_up(world, browser)
        assert browser.who() == "alice"


def test_a_function_that_would_never_be_asked_stops_the_start() -> None:
    async def later(user: Any) -> bool:
        return True

    with pytest.raises(CrossauthError, match="must be a plain function"):
        World(factor2_required_fn=later)
    with pytest.raises(CrossauthError, match='has no effect: without "none"'):
        World(factor2_required_fn=lambda user: True, allowed_factor2=["totp"])
    with pytest.raises(CrossauthError, match="'factor2_required_fn' has no effect without"):
        World(factor2_required_fn=lambda user: True, allowed_factor2=[])
