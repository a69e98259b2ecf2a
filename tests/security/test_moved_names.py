"""A username that is an email address belongs to whoever has that mailbox: it does not stay with an account that has left it."""

import asyncio
import time
from typing import Any

import pytest

from crossauth_backend import InMemoryUserStorage
from crossauth_backend.accounts import admin
from tests.accounts import FIELDS, World, name_of, storages
from tests.fastapi_users.test_core import Both, add_routes, name_of_refusal
from tests.support import PASSWORD

OLD, NEW = "old@example.com", "new@example.com"
TAKEN = "Choose another username for localhost"


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest) -> World:
    made = World(**storages(request, request.param), enable_email_verification=True)
    add_routes(made)
    return made


def registered(browser: Both, username: str = OLD, email: str = OLD) -> None:
    """An account with a verified address, which is logged in."""
    browser.sign_up(username, user_email=email, factor2="none")
    assert browser.call(f"/api{browser.link(email)}").json()["verified"] is True
    browser.log_in(username)
    assert browser.who() == username


def subjects(browser: Both, to: str) -> list[str]:
    return [mail["subject"] for mail in browser.mail(to)]


@pytest.mark.parametrize("how", ["session", "routes"])
def test_a_name_changes_with_the_address_that_it_is(world: World, how: str) -> None:
    """By a link, whoever asked for it. The next owner of the old mailbox signs up like anybody."""
    with world.open() as url, Both(url) as browser, Both(url) as newcomer:
        registered(browser)
        if how == "session":
            assert browser.call("/api/updateuser", user_email=NEW).status_code == 200
        else:
            body = {"email": NEW, "old_password": PASSWORD}
            assert browser.patch("/rest/me", headers=browser.header(OLD), json=body).status_code == 200
        done = browser.call(f"/api{browser.link(NEW)}").json()
        assert (done["user"]["username"], done["user"]["email"]) == (NEW, NEW)
        assert browser.log_in(NEW).status_code == 200
        assert newcomer.log_in(OLD).status_code == 401
        assert newcomer.post("/rest/register", json={"email": OLD, "password": PASSWORD}).status_code == 201
        newcomer.call("/api/requestemailverification", username=OLD)
        assert newcomer.call(f"/api{newcomer.link(OLD)}").json()["verified"] is True
        assert newcomer.log_in(OLD).status_code == 200


def test_a_name_in_another_spelling_changes_too_and_one_that_is_no_address_stays(world: World) -> None:
    with world.open() as url, Both(url) as browser, Both(url) as other:
        registered(browser, "OLD@example.com", OLD)
        registered(other, "bob", "bob@example.com")
        for each, to, name in ((browser, NEW, NEW), (other, "bob2@example.com", "bob")):
            each.call("/api/updateuser", user_email=to)
            assert each.call(f"/api{each.link(to)}").json()["user"]["username"] == name


def test_a_new_address_that_is_somebodys_name_leaves_the_name_and_moves_the_address(world: World) -> None:
    """Whoever signs up with it meanwhile, and finishes nothing, keeps nobody from moving there."""
    with world.open() as url, Both(url) as browser, Both(url) as other:
        registered(browser)
        browser.call("/api/updateuser", user_email=NEW)
        link = browser.link(NEW)
        other.sign_up(NEW, user_email=NEW, factor2="none")
        done = browser.call(f"/api{link}").json()
        assert "user" in done, done
        assert (done["user"]["username"], done["user"]["email"]) == (OLD, NEW)


def test_an_administrator_moves_the_name_with_the_address_as_well() -> None:
    users = InMemoryUserStorage({"user_editable_fields": FIELDS})
    world = World(users, enable_email_verification=True)

    async def act() -> list[tuple[str, str | None]]:
        accounts = world.manager.accounts()
        provided = {"username": OLD, "email": OLD, "state": "active", "admin": True}
        user = await users.create_user(provided, {})
        seen = []
        # The form of an administrator sends every field, changed or not.
        for changed in ({"username": OLD, "email": NEW}, {"username": "alice"}, {"email": OLD}):
            user = (await admin.update_user(accounts, user, user, changed)).user
            seen.append((user.username, user.email))
        return seen

    assert asyncio.run(act()) == [(NEW, NEW), ("alice", NEW), ("alice", OLD)]


def leave_behind(world: World, browser: Both) -> None:
    """An account whose name is an address it does not have, as older versions left them."""
    registered(browser, "someone", NEW)
    user = asyncio.run(world.users.get_user_by_username("someone")).user
    asyncio.run(world.users.update_user({"id": user.id, "username": OLD}))


@pytest.mark.parametrize("factor2", ["none", "totp"])
def test_a_name_that_was_left_behind_is_told_to_the_owner_of_the_mailbox(factor2: str) -> None:
    """By mail only, and with another username the sign-up goes through."""
    world = World(enable_email_verification=True)
    with world.open() as url, Both(url) as browser, Both(url) as newcomer:
        leave_behind(world, browser)
        answers = [newcomer.sign_up(name, user_email=name, factor2=factor2) for name in (OLD, "free@example.com")]
        assert [(a.status_code, sorted(a.json())) for a in answers[:1]] == [
            (a.status_code, sorted(a.json())) for a in answers[1:]
        ]
        assert subjects(newcomer, OLD) == [TAKEN]
        text = newcomer.mail(OLD)[0]["text"]
        assert "another username" in text
        assert NEW not in text, "whose name it is is not said"
        assert subjects(newcomer, NEW) == ["Verify your email address for localhost"], (
            "of that account nothing is sent to anybody"
        )
        registered(newcomer, "newcomer", OLD)


def test_a_name_that_was_left_behind_is_told_by_the_routes_as_well() -> None:
    world = World(enable_email_verification=True)
    add_routes(world)
    with world.open() as url, Both(url) as browser, Both(url) as newcomer:
        leave_behind(world, browser)
        answer = newcomer.post("/rest/register", json={"email": OLD, "password": PASSWORD})
        assert name_of_refusal(answer) == "REGISTER_USER_ALREADY_EXISTS"
        deadline = time.monotonic() + 10
        while not subjects(newcomer, OLD) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert subjects(newcomer, OLD) == [TAKEN]
        newcomer.post("/rest/register", json={"email": NEW, "password": PASSWORD})
        assert TAKEN not in subjects(newcomer, NEW), "an account's own address"


BAD = "root@localhost"


def test_an_address_that_was_stored_is_not_judged_where_something_else_changes() -> None:
    """Of a user, of an administrator, and with a second factor; a new one is judged."""
    users = InMemoryUserStorage({"user_editable_fields": [*FIELDS, "nick"]})
    world = World(users)
    add_routes(world)
    with world.open() as url, Both(url) as browser:
        browser.sign_up("alice", user_email=OLD, factor2="none")
        user: Any = asyncio.run(users.get_user_by_username("alice")).user
        asyncio.run(users.update_user({"id": user.id, "email": BAD}))
        browser.log_in("alice")
        assert browser.call("/api/updateuser", user_nick="al").status_code == 200
        assert browser.call("/api/updateuser", user_nick="al2", user_email=BAD).status_code == 200
        assert browser.call("/api/updateuser", user_phone="+441632960961").status_code == 200
        assert name_of(browser.call("/api/updateuser", user_email="root2@localhost")) == "InvalidEmail"

        async def administer() -> str:
            accounts = world.manager.accounts()
            stored = await accounts.user(user.id)
            return (await admin.update_user(accounts, stored, stored, {"nick": "al3"})).user["nick"]

        assert asyncio.run(administer()) == "al3"
        # Codes by email could not be sent; with that nothing has to do that changes here.
        asyncio.run(users.update_user({"id": user.id, "factor2": "email"}))

        async def rename() -> str:
            accounts = world.manager.accounts()
            stored = await accounts.user(user.id)
            return (await admin.update_user(accounts, stored, stored, {"username": "alicia"})).user.username

        assert asyncio.run(rename()) == "alicia"
