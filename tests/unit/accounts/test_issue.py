"""The sessions that come of a decision, and what they remember of it."""

import json
from typing import Any

import pytest

from crossauth_backend import ErrorCode, Key, User
from crossauth_backend.accounts.attempt import Attempt, Demand, attempt_of
from crossauth_backend.accounts.authentication import Authentication, auth_of
from crossauth_backend.accounts.context import ClientInfo
from crossauth_backend.accounts.credentials import proven
from crossauth_backend.accounts.decision import Required
from crossauth_backend.accounts.issue import open_session, sign_in
from crossauth_backend.accounts.sessions import sessions_of_login
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError
from tests.accounts import World
from tests.support import PASSWORD

PROVEN = {"password": PASSWORD}
HERE = ClientInfo("192.0.2.7", agent="Browser")


@pytest.fixture
def world() -> World:
    return World()


async def user_of(world: World, name: str = "alice") -> User:
    fields = {"username": name, "email": f"{name}@example.com", "factor1": "localpassword", "state": "active"}
    made = await world.manager.create_user(fields, PROVEN, PROVEN, skip_email_verification=True)
    return await world.manager.accounts().user(made.id)


async def log_in(world: World, user: User, previous: Key | None = None, demand: Demand | None = None) -> Key:
    """A login by password; the session as it is stored."""
    accounts = world.manager.accounts()
    done = await sign_in(accounts, proven(accounts, user), demand or Demand(), previous=previous, origin=HERE)
    return await world.manager.session.get_session_key(done.session.value)


def facts(key: Key) -> Authentication:
    found = auth_of(key)
    assert found is not None
    return found


async def test_a_session_remembers_how_it_began(world: World) -> None:
    alice = await user_of(world)
    world.heard.events.clear()
    key = await log_in(world, alice)
    now = int(world.manager.accounts().now.timestamp())
    assert now - 5 < (facts(key).auth_time or 0) <= now
    assert (facts(key).amr, facts(key).acr) == (("pwd",), None)
    assert facts(key).sid is not None
    assert world.heard.names == ["login_succeeded"]
    assert facts(key).sid not in key.value


async def test_a_context_class_is_kept_where_it_was_demanded_and_is_met(world: World) -> None:
    alice = await user_of(world)
    assert facts(await log_in(world, alice, demand=Demand(acr_values=("gold", "1")))).acr == "1"


async def test_a_user_who_logs_in_again_in_the_same_browser_keeps_the_sid_and_another_does_not(world: World) -> None:
    alice, bob = await user_of(world), await user_of(world, "bob")
    first = await log_in(world, alice)
    world.later(minutes=5)
    again = await log_in(world, alice, first)
    assert facts(again).sid == facts(first).sid
    assert (facts(again).auth_time or 0) >= (facts(first).auth_time or 0) + 300
    assert facts(await log_in(world, bob, again)).sid != facts(first).sid
    assert facts(await log_in(world, alice)).sid != facts(first).sid, "another browser"


async def test_the_session_of_before_ends(world: World) -> None:
    alice = await user_of(world)
    first = await log_in(world, alice)
    again = await log_in(world, alice, first)
    assert [key.value for key in await world.keys.get_all_for_user(alice.id, "s:")] == [again.value]


async def test_a_session_that_goes_on_keeps_its_facts_and_data(world: World) -> None:
    alice, accounts = await user_of(world), world.manager.accounts()
    first = await log_in(world, alice)
    await world.keys.update_data(first.value, "cart", [1])
    await world.keys.update_data(first.value, "login", "the application's")
    await world.keys.update_data(first.value, "2fa", {"purpose": "setup"})
    first = await world.keys.get_key(first.value)
    world.heard.events.clear()
    world.later(minutes=5)
    done = await sign_in(accounts, attempt_of(alice, first), previous=first, origin=HERE)
    data = json.loads(done.session.data)
    assert facts(done.session) == facts(first)
    assert (data["cart"], data["login"], "2fa" in data) == ([1], "the application's", False)
    assert world.heard.names == [], "that is no login"


async def test_a_session_of_an_older_version_gets_a_sid_and_no_later_time(world: World) -> None:
    alice, accounts = await user_of(world), world.manager.accounts()
    first = await log_in(world, alice)
    for stored, auth_time in (({"at": 1, "amr": ["pwd"]}, 1), (None, None)):
        await world.keys.update_data(first.value, "crossauth", {"auth": stored} if stored else {})
        old = await world.keys.get_key(first.value)
        done = await sign_in(accounts, attempt_of(alice, old), origin=HERE)
        assert facts(done.session).auth_time == auth_time
        assert facts(done.session).sid is not None


async def test_the_sid_survives_the_sessions_that_wait(world: World) -> None:
    """Alice logs in again: with a second factor, and a change that her account demands."""
    alice, accounts = await user_of(world), world.manager.accounts()
    first = await log_in(world, alice)
    waiting = first
    for ask in (Requirement.FACTOR2_CHANGE, Requirement.PASSWORD_CHANGE):
        opened = await open_session(accounts, Required(Attempt(alice, ("pwd",)), ask), previous=waiting)
        assert (opened.asked, opened.session.userid) == (ask, None)
        waiting = await world.manager.session.get_session_key(opened.session.value)
    assert facts(await log_in(world, alice, waiting)).sid == facts(first).sid
    bob = await user_of(world, "bob")
    opened = await open_session(accounts, Required(Attempt(bob, ("pwd",)), Requirement.PASSWORD_CHANGE), previous=first)
    waiting = await world.manager.session.get_session_key(opened.session.value)
    assert facts(await log_in(world, bob, waiting)).sid != facts(first).sid


async def test_no_session_waits_for_another_login(world: World) -> None:
    alice, accounts = await user_of(world), world.manager.accounts()
    first = await log_in(world, alice)
    with pytest.raises(CrossauthError) as refused:
        await sign_in(accounts, attempt_of(alice, first), Demand(prompt=frozenset({"login"})), previous=first)
    assert refused.value.code is ErrorCode.Unauthorized
    assert await world.keys.get_key(first.value) == first, "it stays as it was"


async def test_sessions_are_found_by_sid(world: World) -> None:
    alice, accounts = await user_of(world), world.manager.accounts()
    one, other = await log_in(world, alice), await log_in(world, alice)
    await world.keys.save_key(alice.id, "s:old", one.created, None, '{"crossauth": {"auth": {"at": 1, "amr": []}}}')
    await world.keys.save_key(alice.id, "s:odd", one.created, None, '{"crossauth": {"auth": {"sid": 7, "at": 1}}}')
    for key in (one, other):
        sid: Any = facts(key).sid
        assert [found.value for found in await sessions_of_login(accounts, alice.id, sid)] == [key.value]
    assert await sessions_of_login(accounts, alice.id, "nothing") == []
    assert await sessions_of_login(accounts, "nobody", str(facts(one).sid)) == []
