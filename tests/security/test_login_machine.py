"""Nobody is logged in without the second factor, by no sequence of requests: long random walks over every endpoint."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from crossauth_backend import UserState
from crossauth_backend.limits.rules import DEFAULT_LIMITS
from tests.accounts import Browser, World
from tests.extent import extent
from tests.support import CSRF, PASSWORD

STEPS = extent(1000, 3500)
ALICE, MALLORY = 1, 2
EMAIL = "alice@example.com"
PASSWORDS = [PASSWORD, "Another1one", "Third1password"]
FORCED = [UserState.active, UserState.active, UserState.active, UserState.password_change_needed,
          UserState.password_reset_needed, UserState.awaiting_email_verification]  # fmt: skip


class Attacker:
    """Knows Alice's password and reads her mail, has an account with a second factor of its own, and several browsers.

    Parameters:
        world: the server.
        browsers: what it clicks with.
        secret: its own TOTP secret.
        seed: chooses the walk.
    """

    def __init__(self, world: World, browsers: list[Browser], secret: str, seed: int) -> None:
        self.world, self.browsers, self.secret = world, browsers, secret
        self.chance = random.Random(seed)
        self.browser = browsers[0]
        self.password, self.links = PASSWORD, [""]
        self.seen: Counter[str] = Counter()

    def send(self, path: str, page: bool, **fields: Any) -> httpx2.Response:
        """One request, as JSON or as a form."""
        headers = {CSRF: self.browser.token()}
        if page:
            return self.browser.post(path, data={n: str(v) for n, v in fields.items()}, headers=headers)
        return self.browser.post(f"/api{path}", json=fields, headers=headers)

    def code(self) -> str:
        """A code the attacker can come by: its own, a guess, nothing, or one that Alice would be sent by e-mail."""
        found = re.findall(r"\b(\d{6})\b", self.mail()[0]["text"]) if self.mail() else []
        own = self.world.code(self.secret)
        return str(self.chance.choice([own, f"{self.chance.randrange(10**6):06}", "", "000000", *found]))

    def mail(self) -> list[dict[str, Any]]:
        """What was mailed to Alice, newest first."""
        return [{"text": sent.mail.text} for sent in self.world.outbox.sent if sent.mail.to == EMAIL]

    def link(self) -> str:
        """A token that was mailed to Alice: mostly one of the newest."""
        found = self.links[-1:] + [
            t for m in self.mail()[:6] for t in re.findall(r"(?:token=|verifyemail/)([\w.-]+)", m["text"])
        ]
        return self.chance.choice([*found[:2], *found[:2], *found])

    def step(self) -> None:
        """Do one thing."""
        self.browser = self.chance.choice(self.browsers)
        page = self.chance.random() < 0.3
        action = self.chance.choice(ACTIONS)
        answer = action(self, page)
        if isinstance(answer, httpx2.Response):
            assert answer.status_code < 500, (answer.url, answer.text)
            if "twoFactorRequired" in answer.text or 'name="otp"' in answer.text:
                self.seen["asked"] += 1
            self.seen[f"{answer.url.path.removeprefix('/api').split('/')[1]} {answer.status_code}"] += 1

    def new_password(self) -> str:
        return self.chance.choice(PASSWORDS)

    def log_in(self, page: bool) -> Any:
        name, password = self.chance.choice([("alice", self.password)] * 4 + [("mallory", PASSWORD)])
        return self.send("/login", page, username=name, password=password, persist=True)

    def answer(self, page: bool) -> Any:
        field = self.chance.choice(["otp", "otp", "token", "recovery_code"])
        return self.send("/loginfactor2", page, **{field: self.code()})

    def reset(self, page: bool) -> Any:
        new = self.new_password()
        answer = self.send("/resetpassword", page, token=self.link(), new_password=new, repeat_password=new)
        if answer.status_code in (200, 303) and "alert" not in answer.text:
            self.password = new
        return answer

    def change_password(self, page: bool) -> Any:
        new = self.new_password()
        answer = self.send(
            "/changepassword", page, old_password=self.password, new_password=new, repeat_password=new
        )  # fmt: skip
        return answer

    def force(self, page: bool) -> Any:
        state = self.chance.choice(FORCED)
        asyncio.run(self.world.users.update_user({"id": ALICE, "state": state}))
        if state == UserState.awaiting_email_verification:
            emails = self.world.manager.emails
            assert emails is not None
            self.links.append(asyncio.run(emails.create_and_save_email_verification_token(ALICE)))

    def copy(self, page: bool) -> Any:
        """One browser takes the session of another, as an old cookie would."""
        other = self.chance.choice(self.browsers)
        if "SESSIONID" in other.cookies:
            value = other.cookies["SESSIONID"]
            self.browser.cookies.delete("SESSIONID") if "SESSIONID" in self.browser.cookies else None
            self.browser.cookies.set("SESSIONID", value, domain="127.0.0.1")

    def sign_up(self, page: bool) -> Any:
        factor2 = self.chance.choice(["none", "totp", "email"])
        return self.send(
            "/signup", page, username="alice", password=self.password, repeat_password=self.password,
            user_email=EMAIL, factor2=factor2,
        )  # fmt: skip


def poster(path: str, **fields: Any) -> Callable[[Attacker, bool], Any]:
    return lambda attacker, page: attacker.send(path, page, **fields)


def getter(path: str) -> Callable[[Attacker, bool], Any]:
    return lambda attacker, page: attacker.browser.get(path if page else f"/api{path}")


ACTIONS: list[Callable[[Attacker, bool], Any]] = [
    Attacker.log_in, Attacker.log_in, Attacker.log_in, Attacker.answer, Attacker.answer, Attacker.reset, Attacker.reset,
    Attacker.change_password, Attacker.change_password, Attacker.force, Attacker.copy, Attacker.sign_up,
    poster("/requestpasswordreset", email=EMAIL), poster("/requestpasswordreset", email=EMAIL),
    lambda a, page: a.browser.get(f"{'' if page else '/api'}/verifyemail/{a.link() or 'x'}"),
    lambda a, page: a.send("/configurefactor2", page, otp=a.code()),
    lambda a, page: a.send("/factor2", page, otp=a.code()),
    lambda a, page: a.send("/changefactor2", page, factor2=a.chance.choice(["none", "totp", "email"])),
    lambda a, page: a.send("/updateuser", page, user_phone="+441632960961", user_email=EMAIL, otp=a.code()),
    getter("/configurefactor2"), getter("/changefactor2"), getter("/factor2"), getter("/loginfactor2"),
    getter("/changepassword"), getter("/recoverycodes"), getter("/sessions"),
    poster("/recoverycodes"), poster("/cancelfactor2"), poster("/logout"), poster("/sessions", all=True),
]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_walk_never_ends_in_a_session(seed: int) -> None:
    world = World(
        enable_email_verification=True, attempt_limits=dict.fromkeys(DEFAULT_LIMITS),
        factor2_protected_api_endpoints=["/api/changepassword", "/api/updateuser"],
    )  # fmt: skip
    with world.open() as url, ExitStack() as stack:
        browsers = [stack.enter_context(Browser(url)) for _ in range(3)]
        victim, mallory = browsers[:2]
        secrets = []
        for browser, name in ((victim, "alice"), (mallory, "mallory")):
            browser.sign_up(name, user_email=f"{name}@example.com", factor2="none")
            browser.call(f"/api{browser.link(f'{name}@example.com')}")
            secrets.append(browser.add_totp(world)[0])
            browser.call("/api/logout")
        attacker = Attacker(world, browsers, secrets[1], seed)
        stored = asyncio.run(world.users.get_user_by_id(ALICE)).secrets.totpsecret
        for number in range(STEPS):
            attacker.step()
            sessions = [k for k in asyncio.run(world.keys.get_all_for_user(ALICE)) if k.value.startswith("s:")]
            assert sessions == [], f"step {number}: {attacker.seen}"
        options = {"skip_active_check": True, "skip_email_verified_check": True}
        found = asyncio.run(world.users.get_user_by_id(ALICE, options))  # type: ignore[arg-type]
        assert (found.user.factor2, found.secrets.totpsecret) == ("totp", stored)
        # The walk went where it should, and the account can still be entered by its owner.
        assert attacker.seen["asked"] > STEPS / 30
        assert min(attacker.seen[f"resetpassword {status}"] for status in (200, 401)) > STEPS / 200, attacker.seen
        assert min(attacker.seen[f"verifyemail {status}"] for status in (200, 401)) > STEPS / 700, attacker.seen
        asyncio.run(world.users.update_user({"id": ALICE, "state": UserState.active}))
        with Browser(url) as owner:
            owner.asked(password=attacker.password)
            assert owner.give(world.code(secrets[0])).json()["user"]["username"] == "alice"
