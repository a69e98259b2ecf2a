"""An intruder who knows the old password and has requests in flight, an owner and an administrator who take the account back:
random walks in which every order can happen. Nothing that the intruder began counts after the recovery, and no address counts
without proof."""

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from crossauth_backend import EmailAuthenticator, LocalPasswordAuthenticator, TotpAuthenticator, UserState
from crossauth_backend.limits.rules import DEFAULT_LIMITS
from tests.accounts import Browser, World, storages
from tests.extent import extent
from tests.support import CHEAP, PASSWORD

EPOCHS = extent(30, 60)
EVIL, OWNERS, ADMINS = "Evil1password", "Owner1password", "Admin1password"
QUEEN = "queen@victim.example.com"
ANY: Any = {"skip_active_check": True, "skip_email_verified_check": True}


class Pausing(LocalPasswordAuthenticator):
    """Stands still after the next check or hash, as a busy machine may, until it is let go."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.armed, self.waiting, self.go = False, threading.Event(), threading.Event()

    async def _pause(self) -> None:
        if self.armed:
            self.armed = False
            self.waiting.set()
            await asyncio.to_thread(self.go.wait, 10)

    async def authenticate_user(self, *args: Any, **kwargs: Any) -> None:
        await super().authenticate_user(*args, **kwargs)
        await self._pause()

    async def create_persistent_secrets(self, *args: Any, **kwargs: Any) -> Any:
        secrets = await super().create_persistent_secrets(*args, **kwargs)
        await self._pause()
        return secrets


class Walk:
    """One server, an intruder with two browsers, and whoever takes accounts back."""

    def __init__(self, world: World, url: str, stack: ExitStack, seed: int) -> None:
        self.world, self.url, self.chance = world, url, random.Random(seed)
        self.intruder = [stack.enter_context(Browser(url)) for _ in range(2)]
        self.owner, self.admin = stack.enter_context(Browser(url)), stack.enter_context(Browser(url))
        self.passwords: Pausing = world.manager.authenticators["localpassword"]  # type: ignore[assignment]
        self.flight: threading.Thread | None = None
        self.name, self.secrets = "", [""]
        self.seen: dict[str, int] = {}

    # What the intruder does

    def browser(self) -> Browser:
        return self.chance.choice(self.intruder)

    def log_in(self) -> Any:
        return self.browser().submit("/login", username=self.name, password=self.chance.choice([PASSWORD, EVIL]))

    def change_password(self) -> Any:
        old = self.chance.choice([PASSWORD, PASSWORD, EVIL])
        new = EVIL if old == PASSWORD else PASSWORD
        return self.browser().call("/api/changepassword", old_password=old, new_password=new, repeat_password=new)

    def begin_factor(self) -> Any:
        answer = self.browser().call("/api/changefactor2", factor2="totp")
        if answer.status_code == 200 and "totpsecret" in answer.json():
            self.secrets.append(answer.json()["totpsecret"])
        return answer

    def remove_factor(self) -> Any:
        return self.browser().call("/api/changefactor2", factor2="none")

    def complete_factor(self) -> Any:
        return self.browser().call("/api/configurefactor2", otp=self.code())

    def answer_question(self) -> Any:
        return self.browser().call("/api/loginfactor2", otp=self.code())

    def change_address(self) -> Any:
        return self.browser().call("/api/updateuser", user_email="thief@evil.example.com")

    def open_own_link(self) -> Any:
        return self.open_link("thief@evil.example.com", self.browser())

    def sign_up_with_strangers_address(self) -> Any:
        factor2 = self.chance.choice(["none", "totp", "email"])
        answer = self.browser().call(
            "/api/signup", username=f"{self.name}-queen", password=PASSWORD, repeat_password=PASSWORD, user_email=QUEEN,
            factor2=factor2,
        )  # fmt: skip
        if answer.status_code == 200 and "totpsecret" in answer.json():
            self.secrets.append(answer.json()["totpsecret"])
        return answer

    def log_in_as_that(self) -> Any:
        return self.browser().log_in(f"{self.name}-queen")

    def code(self) -> str:
        secret = self.chance.choice(self.secrets[-2:])
        return self.world.code(secret) if secret else "000000"

    def open_link(self, to: str, browser: Browser) -> Any:
        mails = [sent.mail for sent in self.world.outbox.sent if sent.mail.to == to]
        tokens = re.findall(r"verifyemail/([\w.-]+)", mails[0].text) if mails else []
        return browser.call(f"/api/verifyemail/{tokens[0]}") if tokens else None

    def take_off(self) -> None:
        """Send a request that stands still in the middle."""
        if self.flight is not None:
            return
        action = self.chance.choice([self.log_in, self.change_password, self.change_password, self.log_in])
        self.passwords.waiting.clear()
        self.passwords.go.clear()
        self.passwords.armed = True
        self.flight = threading.Thread(target=action, daemon=True)
        self.flight.start()
        deadline = time.monotonic() + 2
        while self.flight.is_alive() and not self.passwords.waiting.is_set() and time.monotonic() < deadline:
            time.sleep(0.001)
        self.passwords.armed = False
        self.count("in flight" if self.passwords.waiting.is_set() else "not in flight")

    def land(self) -> None:
        """Let it go on."""
        if self.flight is not None:
            self.passwords.go.set()
            self.flight.join(10)
            self.flight = None

    def intrude(self, times: int) -> None:
        for _ in range(times):
            action = self.chance.choice(INTRUSIONS)
            answer = action(self)
            if isinstance(answer, httpx2.Response):
                assert answer.status_code < 500, (answer.url, answer.text)
                self.count(f"{action.__name__} {answer.status_code}")

    def count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1

    # How the account is taken back

    def by_new_password(self) -> bool:
        """The owner logs in and chooses another password."""
        self.owner.cookies.clear()
        if not self.owner.log_in(self.name).json().get("ok") or self.owner.who() != self.name:
            return False
        fields = {"old_password": PASSWORD, "new_password": OWNERS, "repeat_password": OWNERS}
        return bool(self.owner.call("/api/changepassword", **fields).status_code == 200)

    def by_link(self) -> bool:
        """The owner, who reads the mail, chooses another password by a link."""
        self.owner.cookies.clear()
        self.owner.call("/api/requestpasswordreset", email=f"{self.name}@example.com")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            mails = [s.mail for s in self.world.outbox.sent if s.mail.to == f"{self.name}@example.com"]
            tokens = re.findall(r"token=([\w.-]+)", mails[0].text) if mails else []
            if tokens:
                fields = {"token": tokens[0], "new_password": OWNERS, "repeat_password": OWNERS}
                return bool(self.owner.call("/api/resetpassword", **fields).status_code == 200)
            time.sleep(0.01)
        return False

    def by_factor(self) -> bool:
        """The owner sets a second factor up, also where an administrator demanded it."""
        self.owner.cookies.clear()
        self.owner.submit("/login", username=self.name, password=PASSWORD)
        displayed = self.owner.call("/api/changefactor2", factor2="totp")
        if displayed.status_code != 200 or "totpsecret" not in displayed.json():
            return False
        code = self.world.code(displayed.json()["totpsecret"])
        return bool(self.owner.call("/api/configurefactor2", otp=code).status_code == 200)

    def by_administrator(self) -> bool:
        """An administrator gives the user another password."""
        fields = {"new_password": ADMINS, "repeat_password": ADMINS}
        return bool(self.admin.call(f"/admin/api/changepassword/{self.userid}", **fields).status_code == 200)

    def by_disabling(self) -> bool:
        """An administrator disables the account."""
        answer = self.admin.call(f"/admin/api/updateuser/{self.userid}", state="disabled")
        return bool(answer.status_code == 200)

    # The walk

    def stored(self) -> dict[str, Any]:
        found = asyncio.run(self.world.users.get_user_by_id(self.userid, ANY))
        return {"password": found.secrets.password, "totpsecret": found.secrets.totpsecret, "state": found.user.state,
                "factor2": found.user.factor2, "email": found.user.email}  # fmt: skip

    def begin(self, number: int) -> None:
        """A new account, whose password the intruder knows."""
        self.name = f"user{number}"
        self.secrets = [""]
        reset = self.chance.random() < 0.35
        secrets = asyncio.run(self.passwords.create_persistent_secrets(self.name, {"password": PASSWORD}, None))
        user = asyncio.run(self.world.users.create_user({
            "username": self.name, "factor1": "localpassword", "email": f"{self.name}@example.com",
            "state": UserState.factor2_reset_needed if reset else UserState.active, "factor2": "totp" if reset else None,
        }, secrets))  # fmt: skip
        self.userid = user.id
        for browser in self.intruder:
            browser.cookies.clear()

    def epoch(self, number: int) -> None:
        self.begin(number)
        self.log_in()
        self.intrude(self.chance.randrange(2, 9))
        if self.chance.random() < 0.7:
            self.take_off()
        recover = self.chance.choice(RECOVERIES)
        done = recover(self)
        self.count(f"{recover.__name__} {done}")
        if not done:
            self.land()
            return
        after = self.stored()
        early = self.chance.random() < 0.5
        self.intrude(self.chance.randrange(0, 4) if early else 0)
        self.land()
        self.intrude(self.chance.randrange(2, 9))
        story = f"epoch {number}, {recover.__name__}"
        assert self.stored() == after, story
        assert [browser.who() == self.name for browser in self.intruder] == [False, False], story
        found = [u for u in asyncio.run(self.world.users.get_users()) if u.email == QUEEN]
        assert [u.username for u in found if u.state == UserState.active or u.email_verified_at] == [], story


INTRUSIONS: list[Callable[[Walk], Any]] = [
    Walk.log_in, Walk.log_in, Walk.change_password, Walk.begin_factor, Walk.begin_factor, Walk.complete_factor,
    Walk.complete_factor, Walk.remove_factor, Walk.answer_question, Walk.change_address, Walk.open_own_link,
    Walk.sign_up_with_strangers_address, Walk.sign_up_with_strangers_address, Walk.log_in_as_that,
]  # fmt: skip
RECOVERIES: list[Callable[[Walk], bool]] = [
    Walk.by_new_password, Walk.by_link, Walk.by_factor, Walk.by_factor, Walk.by_administrator, Walk.by_disabling,
]  # fmt: skip


@pytest.fixture(params=[1, 2, 3, 4])
def walk(request: pytest.FixtureRequest) -> Iterator[Walk]:
    provided = storages(request, "memory")
    passwords = Pausing(provided["users"], CHEAP)
    world = World(
        **provided, enable_email_verification=True, attempt_limits=dict.fromkeys(DEFAULT_LIMITS),
        authenticators={"localpassword": passwords, "totp": TotpAuthenticator("Test"), "email": EmailAuthenticator()},
        allowed_factor2=["none", "totp", "email"],
    )  # fmt: skip
    with world.open() as url, ExitStack() as stack:
        walk = Walk(world, url, stack, request.param)
        secrets = asyncio.run(passwords.create_persistent_secrets("root", {"password": PASSWORD}, None))
        root = {"username": "root", "state": "active", "factor1": "localpassword", "admin": True}
        asyncio.run(world.users.create_user(root, secrets))
        assert walk.admin.log_in("root").json()["ok"] is True
        yield walk


def test_nothing_that_an_intruder_began_counts_after_the_account_was_taken_back(walk: Walk) -> None:
    for number in range(EPOCHS):
        walk.epoch(number)
    # The walk went where it should.
    assert walk.seen.get("in flight", 0) > EPOCHS / 12, walk.seen
    for recovery in {r.__name__ for r in RECOVERIES}:
        assert walk.seen.get(f"{recovery} True", 0) > 0, walk.seen
    assert walk.seen.get("complete_factor 200", 0) > 0, walk.seen
