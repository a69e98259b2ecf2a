"""What happens when an action is done is what its record says: the events that are heard, and the limits that are counted."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from crossauth_backend import InMemoryIdentityStorage
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_fastapi._actions.action import Action
from crossauth_fastapi._api_keys import actions as api_keys
from crossauth_fastapi._session import (
    admin,
    factor2,
    login,
    logout,
    password,
    profile,
    sessions,
    signup,
    stepupcode,
    verifyemail,
)
from tests.accounts import NEW, Browser, World
from tests.support import PASSWORD

ALICE = "alice@example.com"
# After what changes a credential or proves who somebody is.
FOLLOWS = {"login_succeeded", "factor2_asked"}
# Mail is counted when it is sent, whichever action is being done by then.
IN_BACKGROUND = {"mail_target"}


class Site:
    """A server, which knows what each action was seen to emit."""

    def __init__(self, world: World, url: str, counted: set[str]) -> None:
        self.world, self.url, self.counted = world, url, counted
        self.missing: dict[str, set[str]] = {}

    @contextmanager
    def during(self, *actions: Action[Any, Any]) -> Iterator[None]:
        """What is emitted and counted meanwhile is declared by one of `actions`."""
        before = len(self.world.heard.names)
        self.counted.clear()
        yield
        limits = self.counted - {limit for action in actions for limit in action.limits}
        assert limits <= IN_BACKGROUND, f"{actions[0].name} does not declare {limits}"
        emitted = set(self.world.heard.names[before:])
        declared = {event.value for action in actions for event in action.events}
        assert emitted <= declared, f"{actions[0].name} does not declare {emitted - declared}"
        # Whether a login follows depends on who did it.
        for action in actions:
            missing = {event.value for event in action.events} - emitted - FOLLOWS
            self.missing[action.operation_id] = self.missing.get(action.operation_id, missing) & missing

    def check_everything_was_emitted(self) -> None:
        """Every event that one of them declares was heard."""
        assert {name: events for name, events in self.missing.items() if events} == {}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    counted: set[str] = set()
    count = AttemptLimits.count

    async def count_and_tell(self: AttemptLimits, subjects: Mapping[str, str | None], *args: Any, **named: Any) -> Any:
        counted.update(name for name, subject in subjects.items() if subject)
        return await count(self, subjects, *args, **named)

    monkeypatch.setattr(AttemptLimits, "count", count_and_tell)
    world = World(enable_email_verification=True, api_key={})
    with world.open() as url:
        yield Site(world, url, counted)


def test_actions_emit_what_they_declare(site: Site) -> None:
    world = site.world
    with Browser(site.url) as alice:
        with site.during(signup.SIGNUP):
            alice.sign_up(factor2="none", user_email=ALICE)
        token = alice.link().rpartition("/")[2]
        with site.during(verifyemail.VERIFY_EMAIL):
            alice.call("/api/verifyemail", token=token)
        with site.during(logout.LOGOUT):
            alice.call("/api/logout")
        with site.during(login.LOGIN):
            assert alice.log_in("alice", NEW).status_code == 401
            assert alice.log_in("alice", PASSWORD).json()["ok"]
        with site.during(profile.UPDATE_USER):
            alice.call("/api/updateuser", user_phone="+4912345678")
            alice.call("/api/updateuser", user_email="new@example.com")
        with site.during(verifyemail.VERIFY_EMAIL):
            alice.call("/api/verifyemail", token=alice.link("new@example.com").rpartition("/")[2])
        with site.during(password.CHANGE_PASSWORD):
            alice.call("/api/changepassword", old_password=PASSWORD, new_password=NEW)
        with Browser(site.url) as other:
            other.log_in("alice", NEW)
            listed = other.get("/api/sessions").json()["sessions"]
            handle = next(s["session"] for s in listed if not s["current"])
            with site.during(sessions.SESSIONS):
                other.call("/api/sessions", session=handle)
            alice.log_in("alice", NEW)
            with site.during(sessions.SESSIONS):
                alice.call("/api/sessions", all=True)
        with site.during(password.REQUEST_RESET):
            alice.call("/api/requestpasswordreset", email="new@example.com")
        link = alice.link("new@example.com").rpartition("=")[2].rpartition("/")[2]
        linked = InMemoryIdentityStorage()
        asyncio.run(linked.link("https://provider.test", "mallory", 1))
        world.manager.identities.append(linked)
        with site.during(password.RESET_PASSWORD):
            assert alice.call("/api/resetpassword", token=link, new_password=PASSWORD).json()["ok"]
        alice.log_in("alice", PASSWORD)
        secret = alice.call("/api/changefactor2", factor2="totp").json()["totpsecret"]
        with site.during(factor2.CONFIGURE_FACTOR2):
            assert alice.call("/api/configurefactor2", otp="000000").status_code == 401
            codes = alice.call("/api/configurefactor2", otp=world.code(secret)).json()["recoveryCodes"]
        with Browser(site.url) as again:
            with site.during(login.LOGIN):
                again.asked()
            with site.during(login.LOGIN_FACTOR2):
                assert again.give("000000").status_code == 401
                assert again.give(codes[0]).json()["ok"]
    site.check_everything_was_emitted()


def test_administrators_and_users_who_leave_emit_what_they_declare(site: Site) -> None:
    world = site.world
    with Browser(site.url) as boss, Browser(site.url) as bob:
        boss.sign_up("root", factor2="none", user_email=ALICE)
        boss.call("/api/verifyemail", token=boss.link().rpartition("/")[2])
        asyncio.run(world.users.update_user({"id": 1, "admin": True}))
        with site.during(admin.CREATE):
            made = boss.call("/admin/api/createuser", username="bob", password=PASSWORD, user_email="bob@example.com")
            number = made.json()["user"]["id"]
        with site.during(admin.UPDATE):
            boss.call(f"/admin/api/updateuser/{number}", user_phone="+4912345678")
            boss.call("/admin/api/updateuser/1", user_phone="+4912345679")
        with site.during(admin.PASSWORD):
            boss.call(f"/admin/api/changepassword/{number}", new_password=NEW)
            boss.call("/admin/api/changepassword/1", new_password=NEW)
        bob.log_in("bob", NEW)
        secret, codes = bob.add_totp(world)
        assert bob.call("/api/recoverycodes").json()["factor2Required"]
        with site.during(stepupcode.FACTOR2_CODE, factor2.RECOVERY_CODES):
            assert bob.call("/api/factor2", otp="000000").status_code == 401
            codes = bob.call("/api/factor2", otp=codes[0]).json()["recoveryCodes"]
        with site.during(factor2.CHANGE_FACTOR2, stepupcode.FACTOR2_CODE):
            assert bob.call("/api/changefactor2", factor2="none").json()["factor2Required"]
            assert bob.call("/api/factor2", otp=world.code(secret)).json()["ok"]
        with site.during(profile.DELETE_USER):
            assert bob.call("/api/deleteuser").json()["ok"]
        number = boss.call("/admin/api/createuser", username="carol", password=PASSWORD).json()["user"]["id"]
        with site.during(admin.DELETE):
            assert boss.call(f"/admin/api/deleteuser/{number}").json()["ok"]
    site.check_everything_was_emitted()


def test_looking_after_api_keys_emits_what_it_declares(site: Site) -> None:
    with Browser(site.url) as boss:
        boss.sign_up("root", factor2="none", user_email=ALICE)
        boss.call("/api/verifyemail", token=boss.link().rpartition("/")[2])
        asyncio.run(site.world.users.update_user({"id": 1, "admin": True}))
        kinds = (
            ("/api/{}", api_keys.CREATE, api_keys.RENAME, api_keys.ROTATE, api_keys.REVOKE),
            (
                "/admin/api/{}/1", api_keys.ADMIN_CREATE, api_keys.ADMIN_RENAME, api_keys.ADMIN_ROTATE,
                api_keys.ADMIN_REVOKE,
            ),
        )  # fmt: skip
        for path, create, rename, rotate, revoke in kinds:
            site.world.later(hours=2)
            with site.during(create):
                made = boss.call(path.format("apikeys"), name="k", password=PASSWORD).json()
            with site.during(rename):
                boss.call(path.format("updateapikey"), key=made["apiKey"]["id"], name="n")
            with site.during(rotate):
                boss.call(path.format("rotateapikey"), key=made["apiKey"]["id"])
            with site.during(revoke):
                boss.call(path.format("revokeapikey"), key=made["apiKey"]["id"])
    site.check_everything_was_emitted()
