"""What is decided about an attempt, the events that say so, and that no session is touched by it."""

from dataclasses import FrozenInstanceError
from datetime import timedelta

import pytest

from crossauth_backend import ErrorCode, User, UserState
from crossauth_backend.accounts.attempt import Attempt, Demand
from crossauth_backend.accounts.authentication import Authentication
from crossauth_backend.accounts.changes import replace_checked
from crossauth_backend.accounts.context import ClientInfo
from crossauth_backend.accounts.credentials import proven
from crossauth_backend.accounts.decision import Refused, Required, SignedIn
from crossauth_backend.accounts.login import decide, judge, refuse_unfinished
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError
from tests.accounts import World
from tests.support import PASSWORD

HERE = ClientInfo("192.0.2.7")
FIELDS = {"username": "alice", "email": "alice@example.com", "factor1": "localpassword", "state": "active"}
PROVEN = {"password": PASSWORD}


@pytest.fixture
def world() -> World:
    return World()


async def user_of(world: World, **changed: object) -> User:
    fields = {**FIELDS, "username": str(changed.pop("username", "alice"))}
    made = await world.manager.create_user(fields, PROVEN, PROVEN, skip_email_verification=True)
    if changed:
        await world.users.update_user({"id": made.id, **changed})
    world.heard.events.clear()
    return await world.manager.accounts().user(made.id)


async def test_an_attempt_that_lacks_nothing_is_signed_in(world: World) -> None:
    accounts, alice = world.manager.accounts(), await user_of(world)
    decided = await decide(accounts, proven(accounts, alice), origin=HERE)
    assert isinstance(decided, SignedIn)
    assert (decided.user, decided.attempt.methods, decided.acr) == (alice, ("pwd",), None)
    assert world.heard.names == [], "whoever issues a session tells that"
    assert await world.keys.get_all_for_user(alice.id) == []


@pytest.mark.parametrize(
    ("fields", "ask"),
    [
        ({"factor2": "totp"}, Requirement.FACTOR2),
        ({"state": UserState.password_change_needed}, Requirement.PASSWORD_CHANGE),
        ({"state": UserState.factor2_reset_needed, "factor2": "totp"}, Requirement.FACTOR2_CHANGE),
    ],
)
async def test_what_is_lacking_is_required(world: World, fields: dict[str, str], ask: Requirement) -> None:
    accounts, alice = world.manager.accounts(), await user_of(world, **fields)
    decided = await decide(accounts, proven(accounts, alice), origin=HERE)
    assert isinstance(decided, Required)
    assert (decided.ask, decided.user) == (ask, alice)
    assert world.heard.names == []


async def test_a_refusal_is_told(world: World) -> None:
    accounts, alice = world.manager.accounts(), await user_of(world, state=UserState.disabled)
    decided = await decide(accounts, proven(accounts, alice), origin=HERE)
    assert decided == Refused(alice, ErrorCode.UserNotActive)
    assert isinstance(decided, Refused)
    assert decided.error.code is ErrorCode.UserNotActive
    (event,) = world.heard.events
    assert (event.name.value, event.address, event.reason) == ("login_failed", "192.0.2.7", "UserNotActive")


async def test_a_session_that_is_refused_is_no_failed_login(world: World) -> None:
    accounts, alice = world.manager.accounts(), await user_of(world, state=UserState.disabled)
    decided = await decide(accounts, Attempt(alice, auth=Authentication(1)), origin=HERE)
    assert isinstance(decided, Refused)
    assert world.heard.names == []


async def test_an_unfinished_sign_up_is_refused_like_a_wrong_password() -> None:
    world = World(enable_email_verification=True)
    state = UserState.awaiting_email_verification
    accounts, alice = world.manager.accounts(), await user_of(world, username="alice@example.com", state=state)
    decided = await decide(accounts, proven(accounts, alice), origin=HERE)
    assert decided == Refused(alice, ErrorCode.UsernameOrPasswordInvalid)
    assert [event.reason for event in world.heard.events if event.name.value == "login_failed"] == ["EmailNotVerified"]
    with pytest.raises(CrossauthError) as refused:
        await refuse_unfinished(accounts, alice, HERE)
    assert refused.value.code is ErrorCode.UsernameOrPasswordInvalid
    await refuse_unfinished(accounts, await user_of(world, username="bob"), HERE)


async def test_a_user_who_says_no_stamp_is_read(world: World) -> None:
    """What is issued rests on the stamp, and on the state of now."""
    accounts, alice = world.manager.accounts(), await user_of(world, state=UserState.disabled)
    stale = User(id=alice.id, username="alice", state=UserState.active)
    assert isinstance(await decide(accounts, Attempt(stale)), Refused)


async def test_a_session_that_does_not_meet_the_demand_is_required_to_do_more(world: World) -> None:
    accounts, alice = world.manager.accounts(), await user_of(world)
    at = int(accounts.now.timestamp())
    attempt = Attempt(alice, ("pwd",), auth=Authentication(at - 60, ("pwd",), sid="s"))
    for demand, ask in (
        (Demand(max_age=timedelta(seconds=60)), Requirement.LOGIN),
        (Demand(prompt=frozenset({"login"})), Requirement.LOGIN),
        (Demand(acr_values=("2",)), Requirement.FACTOR2_CHANGE),
    ):
        decided = await decide(accounts, attempt, demand)
        assert isinstance(decided, Required)
        assert decided.ask is ask
    decided = await decide(accounts, attempt, Demand(max_age=timedelta(seconds=61), acr_values=("1",)))
    assert isinstance(decided, SignedIn)
    assert decided.acr == "1"


async def test_no_factor_is_asked_for_where_the_server_has_none() -> None:
    world = World(allowed_factor2=["none"])
    accounts, alice = world.manager.accounts(), await user_of(world)
    decided = await decide(
        accounts, Attempt(alice, ("pwd",), auth=Authentication(1, ("pwd",))), Demand(acr_values=("2",))
    )
    assert isinstance(decided, SignedIn)
    assert decided.acr is None, "what is not met is not said"


async def test_where_every_user_has_to_have_a_second_factor_it_is_set_up_first() -> None:
    world = World(allowed_factor2=["totp"])
    accounts, made = world.manager.accounts(), await user_of(world)
    alice = await replace_checked(accounts, made, {"state": UserState.active, "factor2": ""})
    decided = await decide(accounts, proven(accounts, alice))
    assert isinstance(decided, Required)
    assert decided.ask is Requirement.FACTOR2_CHANGE
    assert isinstance(await decide(accounts, Attempt(alice, factor2_bypassed=True)), SignedIn)


def test_decisions_cannot_be_changed_and_show_no_secret() -> None:
    decided = judge(Attempt(User(id=1, username="a", state=UserState.active), auth=Authentication(1, sid="the sid")))
    assert isinstance(decided, SignedIn)
    assert "the sid" not in repr(decided)
    with pytest.raises(FrozenInstanceError):
        decided.acr = "2"  # type: ignore[misc]
