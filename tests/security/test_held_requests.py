"""A request whose body is held back: its headers come before an account is taken back, and its body after it. Who is asking is
looked at again then, so it does no more than a request that comes too late."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from crossauth_backend.accounts import recovery
from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._session.actions import ACTIONS
from tests.accounts import NEW, Browser, World, name_of
from tests.support import CSRF, PASSWORD

ALICE, EVIL = "alice@example.com", "thief@evil.example.com"
OPEN_TO_ALL = {
    "signup", "verifyemail", "requestemailverification", "resendcode", "login", "loginfactor2", "logout",
    "requestpasswordreset", "resetpassword", "changepassword",
}  # fmt: skip
# What each action is sent with, for somebody who is logged in. The others open no door to an account, or check the password.
SENT: dict[str, dict[str, Any]] = {
    "updateuser": {"user_email": EVIL},
    "deleteuser": {},
    "sessions": {"all": True},
    "configurefactor2": {"otp": "000000"},
    "changefactor2": {"factor2": "totp"},
    "factor2": {"otp": "000000"},
    "cancelfactor2": {},
    "recoverycodes": {},
}
ADMINISTRATION: dict[str, dict[str, Any]] = {
    "createuser": {"username": "mole", "password": PASSWORD, "repeat_password": PASSWORD},
    "updateuser/1": {"user_email": EVIL},
    "changepassword/1": {"new_password": "Thiefs1password", "repeat_password": "Thiefs1password"},
    "changepassword/2": {"new_password": "Thiefs1password", "repeat_password": "Thiefs1password"},
    "deleteuser/2": {},
}


class Held:
    """A POST that was sent as far as its body."""

    def __init__(self, browser: Browser, path: str, kind: str, **fields: Any) -> None:
        parts = urlsplit(str(browser.base_url))
        token = browser.token()
        if kind == "form":
            body = "&".join(f"{name}={value}" for name, value in {"csrfToken": token, **fields}.items())
            content, header = "application/x-www-form-urlencoded", ""
        else:
            body, content, header = json.dumps(fields), "application/json", f"{CSRF}: {token}\r\n"
        self._body = body.encode()
        self._socket = socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=20)
        cookies = "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar)
        self._socket.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookies}\r\n{header}Content-Type: {content}\r\n"
            f"Content-Length: {len(self._body)}\r\nConnection: close\r\n\r\n".encode()
            + self._body[:1]
        )

    def send(self) -> tuple[int, str]:
        """Send the rest; the status and the body of the answer."""
        self._socket.sendall(self._body[1:])
        answer = b""
        while chunk := self._socket.recv(65536):
            answer += chunk
        self._socket.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body


class Site:
    """An owner and a thief in one session, and an administrator."""

    def __init__(self, world: World, url: str, browsers: list[Browser]) -> None:
        self.world, self.url = world, url
        self.owner, self.thief, self.boss = browsers
        assert self.owner.sign_up("alice", factor2="none", user_email=ALICE).status_code == 200
        assert self.boss.sign_up("boss", factor2="none").status_code == 200
        asyncio.run(world.users.update_user({"id": 2, "admin": True}))
        self.steal(self.owner)

    def steal(self, victim: Browser) -> None:
        self.thief.cookies.clear()
        for cookie in victim.cookies.jar:
            self.thief.cookies.set(cookie.name, str(cookie.value), domain="127.0.0.1")

    def seen(self) -> None:
        """Wait until the server has read the headers of what was sent: requests are served in the order in which they come."""
        for _ in range(3):
            self.boss.get("/maybe")
        asyncio.run(asyncio.sleep(0.1))

    def stored(self) -> dict[str, Any]:
        users = asyncio.run(self.world.users.get_users())
        links = [s for s in self.world.outbox.sent if s.mail.to == EVIL]
        secrets = [
            asyncio.run(self.world.users.get_user_by_id(u.id, {"skip_active_check": True})).secrets for u in users
        ]
        return {"users": users, "secrets": secrets, "links": len(links)}


@pytest.fixture
def site() -> Iterator[Site]:
    world = World(enable_email_verification=False)
    with world.open() as url, Browser(url) as owner, Browser(url) as thief, Browser(url) as boss:
        yield Site(world, url, [owner, thief, boss])


def by_password(site: Site) -> None:
    fields = {"old_password": PASSWORD, "new_password": NEW, "repeat_password": NEW}
    assert site.owner.call("/api/changepassword", **fields).status_code == 200


def by_factor(site: Site) -> None:
    site.owner.add_totp(site.world)


def by_ending(site: Site) -> None:
    with Browser(site.url) as other:
        assert other.log_in().status_code == 200
        assert other.call("/api/sessions", all=True).status_code == 200


def by_disabling(site: Site) -> None:
    assert site.boss.call("/admin/api/updateuser/1", state="disabled").status_code == 200


RECOVERIES = [by_password, by_factor, by_ending, by_disabling]


def test_every_action_for_somebody_who_is_logged_in_is_tried_held_back() -> None:
    assert {a.name for a in ACTIONS if a.submit and not a.admin} == OPEN_TO_ALL | set(SENT)
    assert {a.name for a in ACTIONS if a.submit and a.admin} == {name.partition("/")[0] for name in ADMINISTRATION}


@pytest.mark.parametrize("kind", ["json", "form"])
@pytest.mark.parametrize("recover", RECOVERIES)
def test_a_request_that_is_held_back_does_nothing_after_the_account_was_taken_back(
    site: Site, kind: str, recover: Callable[[Site], None]
) -> None:
    prefix = "/api/" if kind == "json" else "/"
    held = {name: Held(site.thief, prefix + name, kind, **fields) for name, fields in SENT.items()}
    held["change"] = Held(site.thief, "/change", "json", amount=1)
    site.seen()
    recover(site)
    before, sessions = site.stored(), len(asyncio.run(site.world.keys.get_all_for_user(1)))
    for name, request in held.items():
        status, body = request.send()
        assert status in (401, 403), (name, status, body)
        assert "totpsecret" not in body
        assert "recoveryCodes" not in body
    assert site.stored() == before
    assert len(asyncio.run(site.world.keys.get_all_for_user(1))) == sessions


@pytest.mark.parametrize("how", ["password", "disabled", "demoted"])
def test_what_an_administrator_held_back_does_nothing_afterwards(site: Site, how: str) -> None:
    assert site.owner.call("/api/logout").status_code == 200
    with Browser(site.url) as chief:
        assert chief.sign_up("chief", factor2="none").status_code == 200
        asyncio.run(site.world.users.update_user({"id": 3, "admin": True}))
        site.steal(site.boss)
        held = {n: Held(site.thief, f"/admin/api/{n}", "json", **fields) for n, fields in ADMINISTRATION.items()}
        site.seen()
        if how == "password":
            fields = {"old_password": PASSWORD, "new_password": NEW, "repeat_password": NEW}
            assert site.boss.call("/api/changepassword", **fields).status_code == 200
        elif how == "disabled":
            assert chief.call("/admin/api/updateuser/2", state="disabled").status_code == 200
        else:
            asyncio.run(site.world.users.update_user({"id": 2, "admin": False}))
        before = site.stored()
        answers = {name: request.send() for name, request in held.items()}
        assert {status for status, _ in answers.values()} <= {401, 403}, answers
        assert site.stored() == before


def test_a_body_that_comes_late_is_no_fault_while_the_session_is_good(site: Site) -> None:
    held = Held(site.owner, "/api/updateuser", "json", user_phone="+441632960961")
    site.seen()
    status, body = held.send()
    assert (status, json.loads(body)["ok"]) == (200, True), body


def test_an_administrator_who_is_disabled_while_a_password_is_hashed_changes_nothing(site: Site) -> None:
    """The body was there at once; the hash takes its time."""
    factor = site.world.manager.authenticators["localpassword"]
    real = factor.create_persistent_secrets

    async def slow(*args: Any, **kwargs: Any) -> Any:
        factor.create_persistent_secrets = real  # type: ignore[method-assign]
        secrets = await real(*args, **kwargs)
        await site.world.users.update_user({"id": 2, "state": "disabled"})
        return secrets

    for path, fields in [
        ("changepassword/1", {"new_password": NEW, "repeat_password": NEW}),
        ("createuser", {"username": "mole", "password": NEW, "repeat_password": NEW}),
    ]:
        asyncio.run(site.world.users.update_user({"id": 2, "state": "active"}))
        assert site.boss.log_in("boss").status_code == 200
        factor.create_persistent_secrets = slow  # type: ignore[method-assign]
        before = site.stored()["secrets"]
        assert name_of(site.boss.call(f"/admin/api/{path}", **fields)) == "UserNotActive"
        assert site.stored()["secrets"] == before


def test_a_link_to_a_new_address_rests_on_what_was_known_when_it_was_asked_for() -> None:
    """It is made in the background, by when the account may have been taken back."""
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as owner:
        owner.sign_up("alice", factor2="none", user_email=ALICE)
        assert owner.call("/api" + owner.link(ALICE)).status_code == 200
        user = asyncio.run(world.users.get_user_by_id(1)).user
        emails = world.manager.emails
        assert emails is not None
        asyncio.run(world.users.update_user({"id": 1}, {"password": "another"}))

        async def ask() -> set[str]:
            emails.send_email_verification_token(1, EVIL, stamp=user.security_stamp)
            emails.send_email_verification_token(1, "new@example.com")
            while not (to := {s.mail.to for s in world.outbox.sent} - {ALICE}):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            return to | {s.mail.to for s in world.outbox.sent}

        assert EVIL not in asyncio.run(ask())


def test_recovery_codes_made_while_the_account_was_taken_back_are_void() -> None:
    world = World()
    with world.open() as url, Browser(url) as owner:
        owner.sign_up("alice", factor2="none")
        owner.add_totp(world)
        accounts = world.manager.accounts()
        intruder = asyncio.run(accounts.user(1))
        real, made = world.keys.save_key, []

        async def overtaken(*args: Any, **kwargs: Any) -> None:
            await real(*args, **kwargs)
            made.append(args[1])
            if len(made) == 1:
                await world.users.update_user({"id": 1}, {"password": "another"})

        world.keys.save_key = overtaken  # type: ignore[method-assign]
        try:
            with pytest.raises(CrossauthError):
                asyncio.run(recovery.make_codes(accounts, intruder))
        finally:
            world.keys.save_key = real  # type: ignore[method-assign]
        assert asyncio.run(recovery.count_codes(accounts, intruder)) == 0
        with pytest.raises(CrossauthError):
            asyncio.run(recovery.make_codes(accounts, intruder))
