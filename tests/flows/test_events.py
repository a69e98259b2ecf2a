"""What listeners are told; and that a changed account ends its other sessions, on every storage."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import Request

from crossauth_backend import (
    AuditStorage,
    CrossauthError,
    Event,
    EventName,
    InMemoryAuditStorage,
    InMemoryKeyStorage,
    SqlAlchemyAuditStorage,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.events.audit import AuditListener
from crossauth_backend.keys.purge import Purger
from crossauth_fastapi.fastapisession import default_create_user
from tests.accounts import NEW, Browser, World, storages
from tests.support import PASSWORD, make_server

EMAIL = "alice@example.com"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def audit(request: pytest.FixtureRequest, kind: str) -> AuditStorage:
    if kind == "memory":
        return InMemoryAuditStorage()
    return SqlAlchemyAuditStorage(open_engine(request.getfixturevalue(f"{kind}_url")))


def test_events_tell_what_happened_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "crossauth")
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email=EMAIL)
        secret, codes = browser.add_totp(world)
        browser.call("/api/logout")
        browser.log_in(password="Wrong1password")
        browser.asked()
        browser.give("000000")
        code = world.code(secret)
        browser.give(code)
        browser.call("/api/logout")
        browser.call("/api/requestpasswordreset", email=EMAIL)
        token = browser.link(EMAIL).split("token=")[1]
        browser.call("/api/resetpassword", token=token, new_password=NEW)
        cookie = browser.cookies["SESSIONID"]
    happened = world.heard.names
    expected = ["signed_up", "login_succeeded", "factor2_set", "logged_out", "login_failed", "factor2_asked",
                "factor2_failed", "password_reset_requested", "password_reset"]  # fmt: skip
    assert [name for name in expected if name not in happened] == []
    text = caplog.text + repr(world.heard.events)
    for hidden in (PASSWORD, NEW, "Wrong1password", secret, code, "000000", token, cookie, *codes, EMAIL):
        assert hidden not in text, hidden
    assert "login_failed userid=1 address=127.0.0.1 reason=UsernameOrPasswordInvalid" in caplog.text


def test_what_was_typed_for_a_name_that_is_none_is_not_kept() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.log_in("my password by mistake")
    (event,) = world.heard.events
    assert (event.name, event.userid, event.username) == ("login_failed", None, None)


def test_a_listener_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def on_event(self, event: Event) -> None:
            raise RuntimeError("broken")

    world = World(event_listeners=[Broken()])
    with world.open() as url, Browser(url) as browser:
        assert browser.sign_up(factor2="none").status_code == 200
    assert "a listener failed at signed_up" in caplog.text
    with pytest.raises(CrossauthError, match=r"event_listeners.*on_event"):
        make_server(event_listeners=[object()])


async def test_an_audit_storage_keeps_events_in_order(audit: AuditStorage) -> None:
    events = [
        Event(name=EventName.login_failed, at=WHEN + timedelta(seconds=n), userid=n % 2 + 1, username=f"user{n % 2}",
              address="2001:db8::1", reason="UsernameOrPasswordInvalid")
        for n in range(5)
    ]  # fmt: skip
    await audit.record(events)
    await audit.record([Event(name=EventName.user_deleted, at=WHEN + timedelta(minutes=1), userid=3, actor=1)])
    found = await audit.latest()
    assert [e.name for e in found] == ["user_deleted"] + ["login_failed"] * 5
    assert found[1:] == events[::-1]
    assert (found[0].actor, found[0].username) == (1, None)
    assert await audit.latest(2, 2) == events[2:4][::-1]
    assert await audit.latest(userid=2) == [events[3], events[1]]
    if isinstance(audit, SqlAlchemyAuditStorage):
        await audit.close()


async def test_an_audit_storage_that_is_away_loses_nothing() -> None:
    class Away(InMemoryAuditStorage):
        away = True

        async def record(self, events: Any) -> None:
            if self.away:
                raise CrossauthError("Connection")  # type: ignore[arg-type]
            await super().record(events)

    storage = Away()
    listener = AuditListener(storage)
    listener.on_event(Event(name=EventName.signed_up, at=WHEN))
    await asyncio.sleep(0)
    storage.away = False
    listener.on_event(Event(name=EventName.logged_out, at=WHEN))
    assert {e.name for e in await listener.latest()} == {"signed_up", "logged_out"}


def test_the_audit_page_shows_what_a_request_left(audit: AuditStorage) -> None:
    world = World(audit_storage=audit)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("root", factor2="none")
        asyncio.run(world.users.update_user({"id": 1, "admin": True}))
        browser.call("/api/logout")
        browser.log_in("root")
        displayed = browser.get("/admin/api/audit").json()["events"]
        assert [e["name"] for e in displayed][:3] == ["login_succeeded", "logged_out", "login_succeeded"]
        assert "Logged in" in browser.get("/admin/audit").text


def change_password(world: World, browser: Browser) -> None:
    browser.call("/api/changepassword", old_password=PASSWORD, new_password=NEW)


def change_factor(world: World, browser: Browser) -> None:
    browser.add_totp(world)


def reset(world: World, browser: Browser) -> None:
    browser.call("/api/requestpasswordreset", email=EMAIL)
    token = browser.link(EMAIL).split("token=")[1]
    assert browser.call("/api/resetpassword", token=token, new_password=NEW).status_code == 200


def leave(world: World, browser: Browser) -> None:
    assert browser.call("/api/deleteuser").status_code == 200


def by_admin(path: str, **fields: Any) -> Callable[[World, Browser], None]:
    def change(world: World, browser: Browser) -> None:
        with Browser(str(browser.base_url)) as admin:
            admin.log_in("root")
            assert admin.call(path, **fields).status_code == 200

    return change


def root_is_admin(request: Request, body: dict[str, Any], editable: list[str], factors: list[str]) -> Any:
    return {**default_create_user(request, body, editable, factors), "admin": body["username"] == "root"}


CHANGES = {
    "a password change": change_password,
    "a factor change": change_factor,
    "a reset": reset,
    "leaving": leave,
    "being disabled": by_admin("/admin/api/updateuser/2", state="disabled"),
    "a new password by an administrator": by_admin("/admin/api/changepassword/2", new_password=NEW),
    "being deleted": by_admin("/admin/api/deleteuser/2"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_other_session_ends_at_once(
    request: pytest.FixtureRequest, kind: str, change: Callable[[World, Browser], None]
) -> None:
    world = World(**storages(request, kind), create_user_fn=root_is_admin)
    with world.open() as url, Browser(url) as browser, Browser(url) as other, Browser(url) as root:
        root.sign_up("root", factor2="none")
        browser.sign_up(factor2="none", user_email=EMAIL)
        other.log_in()
        assert other.get("/me").json() == {"username": "alice"}
        change(world, browser)
        assert other.get("/me").status_code == 401
        assert root.who() == "root"


async def test_expired_keys_are_thrown_away_while_the_application_runs() -> None:
    keys = InMemoryKeyStorage()
    await keys.save_key(None, "s:old", WHEN, WHEN)
    await keys.save_key(None, "s:new", WHEN, utc_now() + timedelta(days=1))
    purger = Purger(keys, every=0.01)
    await purger.start()
    for _ in range(200):
        await asyncio.sleep(0.01)
        try:
            await keys.get_key("s:old")
        except CrossauthError:
            break
    else:
        raise AssertionError("it is still there")
    await purger.close()
    assert (await keys.get_key("s:new")).value == "s:new"
