"""What an account's keys are worth after what they were handed out for has changed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from crossauth_backend import ApiKeyManager, CrossauthError, UserState
from crossauth_backend.accounts.changes import end_sessions
from crossauth_backend.core.clock import utc_now
from crossauth_backend.keys.kinds import KINDS
from crossauth_backend.keys.record import KeyPrefix
from tests.accounts import NEW, Browser, World, name_of
from tests.support import PASSWORD, SECRET

EMAIL = "alice@example.com"
LOGINS = (
    KeyPrefix.access_token, KeyPrefix.refresh_token, KeyPrefix.mfa_token, KeyPrefix.authorization_code,
    KeyPrefix.device_code, KeyPrefix.user_code, KeyPrefix.grant, KeyPrefix.oauth_access_token,
)  # fmt: skip
KEPT = KeyPrefix.api_key


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def alice(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as alice:
        assert alice.sign_up("alice", user_email=EMAIL, factor2="none").status_code == 200
        yield alice


@pytest.fixture
def admin(world: World, alice: Browser) -> Iterator[Browser]:
    with Browser(str(alice.base_url)) as admin:
        admin.sign_up("root", factor2="none")
        asyncio.run(world.users.update_user({"id": 2, "admin": True}))
        yield admin


def hand_out(world: World) -> None:
    """Store for alice a token of each kind, as other faces of the same accounts do."""
    for prefix in (*LOGINS, KEPT):
        asyncio.run(world.keys.save_key(1, f"{prefix}token", utc_now(), utc_now() + timedelta(hours=2)))


def left(world: World) -> set[str]:
    return {key.value for key in asyncio.run(world.keys.get_all_for_user(1)) if key.value.endswith("token")}


def change(world: World, alice: Browser, admin: Browser) -> None:
    answer = alice.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
    assert answer.status_code == 200, answer.text


def reset(world: World, alice: Browser, admin: Browser) -> None:
    alice.call("/api/requestpasswordreset", email=EMAIL)
    token = alice.link(EMAIL).split("token=")[1]
    answer = alice.call("/api/resetpassword", token=token, new_password=NEW, repeat_password=NEW)
    assert answer.status_code == 200, answer.text


def add_factor2(world: World, alice: Browser, admin: Browser) -> None:
    alice.add_totp(world)


def remove_factor2(world: World, alice: Browser, admin: Browser) -> None:
    secret, _ = alice.add_totp(world)
    asyncio.run(world.keys.delete_all_for_user(1, KEPT))
    hand_out(world)
    alice.call("/api/changefactor2", factor2="none")
    assert alice.call("/api/factor2", otp=world.code(secret)).json()["ok"] is True
    assert asyncio.run(world.users.get_user_by_id(1)).user.factor2 is None


def by_admin(world: World, alice: Browser, admin: Browser) -> None:
    answer = admin.call("/admin/api/changepassword/1", new_password=NEW, repeat_password=NEW)
    assert answer.status_code == 200, answer.text


def other_state(world: World, alice: Browser, admin: Browser) -> None:
    answer = admin.call("/admin/api/updateuser/1", username="alice", state=UserState.disabled)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("act", [change, reset, add_factor2, remove_factor2, by_admin, other_state])
def test_tokens_of_every_face_end_with_what_they_were_given_for(
    world: World, alice: Browser, admin: Browser, act: Callable[[World, Browser, Browser], None]
) -> None:
    hand_out(world)
    assert len(left(world)) == len(LOGINS) + 1
    act(world, alice, admin)
    assert left(world) == {f"{KEPT}token"}, "what an application made with its own hands stays"


def test_with_an_account_every_key_of_it_ends(world: World, alice: Browser) -> None:
    """Of whatever kind, API keys included."""
    for kind in KINDS:
        asyncio.run(world.keys.save_key(1, f"{kind.prefix}token", utc_now(), utc_now() + timedelta(hours=2)))
    manager = ApiKeyManager(world.keys, {"secret": SECRET, "user_storage": world.users})
    token = asyncio.run(manager.create_key("ci", 1)).token
    assert asyncio.run(manager.get_key(token)).userid == 1
    assert alice.call("/api/deleteuser", password=PASSWORD).status_code == 200
    assert asyncio.run(world.keys.get_all_for_user(1)) == []
    with pytest.raises(CrossauthError, match="is invalid"):
        asyncio.run(manager.get_key(token))


async def test_a_face_that_ends_its_own_tokens_can_say_so(world: World) -> None:
    for prefix in LOGINS:
        await world.keys.save_key(1, f"{prefix}token", utc_now())
    await end_sessions(world.manager.accounts(), 1, keep=(KeyPrefix.access_token,))
    assert [key.value for key in await world.keys.get_all_for_user(1)] == [f"{KeyPrefix.access_token}token"]


@contextmanager
def waiting(world: World, alice: Browser) -> Iterator[tuple[Browser, str]]:
    """Another browser, whose login waits for the second factor, and the secret of that."""
    secret, _ = alice.add_totp(world)
    with Browser(str(alice.base_url)) as thief:
        thief.asked()
        yield thief, secret


@pytest.mark.parametrize("act", [reset, by_admin])
def test_a_login_that_waits_ends_with_the_password_it_began_with(
    world: World, alice: Browser, admin: Browser, act: Callable[[World, Browser, Browser], None]
) -> None:
    with waiting(world, alice) as (thief, secret):
        if act is reset:
            alice.call("/api/logout")
            alice.call("/api/requestpasswordreset", email=EMAIL)
            token = alice.link(EMAIL).split("token=")[1]
            assert alice.call("/api/resetpassword", token=token, new_password=NEW).json()["twoFactorRequired"] is True
        else:
            act(world, alice, admin)
        assert name_of(thief.give(world.code(secret))) == "InvalidSession"
        assert thief.who() is None
        thief.asked(password=NEW)
        assert thief.give(world.code(secret)).json()["user"]["username"] == "alice"


def test_a_login_does_not_wait_for_ever(world: World, alice: Browser) -> None:
    with waiting(world, alice) as (thief, secret):
        world.later(minutes=9)
        assert thief.give(world.code(secret)).json()["user"]["username"] == "alice"
        thief.call("/api/logout")
        thief.asked()
        world.later(minutes=10)
        assert name_of(thief.give(world.code(secret))) == "Expired"
        assert thief.who() is None


def test_a_second_factor_that_a_login_must_set_up_waits_for_the_same_password(
    world: World, alice: Browser, admin: Browser
) -> None:
    asyncio.run(world.users.update_user({"id": 1, "state": UserState.factor2_reset_needed, "factor2": "totp"}))
    with Browser(str(alice.base_url)) as thief:
        assert name_of(thief.log_in()) == "Factor2ResetNeeded"
        secret = thief.call("/api/changefactor2", factor2="totp").json()["totpsecret"]
        by_admin(world, alice, admin)
        assert name_of(thief.call("/api/configurefactor2", otp=world.code(secret))) == "InvalidSession"
        assert name_of(thief.call("/api/changefactor2", factor2="totp")) == "Unauthorized"
        assert name_of(thief.log_in(password=NEW)) == "Factor2ResetNeeded"
        secret = thief.call("/api/changefactor2", factor2="totp").json()["totpsecret"]
        assert thief.call("/api/configurefactor2", otp=world.code(secret)).status_code == 200
        assert thief.who() == "alice"


@pytest.mark.parametrize("act", [change, reset])
def test_a_change_of_address_that_waits_ends_with_the_password(
    act: Callable[[World, Browser, Browser], None],
) -> None:
    """Whoever asked for it may have been a thief."""
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", user_email=EMAIL, factor2="none")
        assert alice.submit(alice.link(EMAIL)).status_code == 200
        assert alice.who() == "alice"
        assert alice.call("/api/updateuser", username="alice", user_email="thief@example.com").status_code == 200
        link = alice.link("thief@example.com")
        act(world, alice, alice)
        assert alice.submit(link).status_code >= 400
        assert asyncio.run(world.users.get_user_by_id(1)).user.email == EMAIL


def test_the_link_of_a_sign_up_outlives_a_new_password() -> None:
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", user_email=EMAIL, factor2="none")
        link = alice.link(EMAIL)
        asyncio.run(end_sessions(world.manager.accounts(), 1))
        assert alice.submit(link).status_code == 200
