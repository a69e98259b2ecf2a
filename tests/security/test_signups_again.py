"""Whoever signs up with an address again and again, in whatever browser, learns nothing about whether it has an account."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.accounts import Browser, World, name_of, storages

KNOWN, FREE = "known@example.com", "free@example.com"
PHONE = "+441632960961"
FIRST, SECOND = "Attack3rpass", "0therPassw1"


class Prober:
    """A few browsers that sign up with one address, and what they were told."""

    def __init__(self, world: World, url: str, address: str) -> None:
        self.world, self.url, self.address = world, url, address
        self.told: list[Any] = []
        self.browsers: dict[str, Browser] = {}

    def browser(self, name: str) -> Browser:
        return self.browsers.setdefault(name, Browser(self.url))

    def sign_up(self, browser: str, password: str, factor2: str, phone: str = PHONE) -> str:
        """Sign up; returns the code that finishes the second factor, or nothing."""
        fields = {"user_email": self.address, "user_phone": phone, "factor2": factor2}
        answer = self.browser(browser).sign_up(self.address, password, **fields)
        self.note(answer)
        self.browser(browser).mail()  # waits until everything is sent
        if "totpsecret" in answer.json():
            return self.world.code(answer.json()["totpsecret"])
        found = re.search(r"\d{6}", self.world.sms.messages[-1][1]) if factor2 == "sms" else None
        return found.group() if found else ""

    def call(self, browser: str, path: str, **fields: Any) -> None:
        self.note(self.browser(browser).call(path, **fields))
        self.browser(browser).mail()

    def note(self, answer: Any) -> None:
        codes = len(answer.json().get("recoveryCodes", []))
        self.told.append((answer.status_code, name_of(answer), sorted(answer.json()), codes))


def probe(owner: str, address: str, steps: Any, **options: Any) -> Any:
    """What `steps` are told about `address`, where `owner` is the name of the account that has the known one."""
    world = World(enable_email_verification=True, **options)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(owner, user_email=KNOWN, factor2="none")
        assert browser.call(f"/api{browser.link(KNOWN)}").json()["verified"] is True
        prober = Prober(world, url, address)
        steps(prober)
        for one in prober.browsers.values():
            one.close()
        return prober.told


def both(owner: str, steps: Any, **options: Any) -> Iterator[Any]:
    for address in (FREE, KNOWN):
        yield probe(owner, address, steps, **options)


# The account that has the known address may have it as its name, or another name.
OWNERS = pytest.mark.parametrize("owner", ["owner", KNOWN])
FACTORS = pytest.mark.parametrize("factor2", ["totp", "sms"])


@OWNERS
@FACTORS
@pytest.mark.parametrize("reset", [True, False])
def test_a_third_sign_up_does_not_tell(owner: str, factor2: str, reset: bool) -> None:
    """The factor was set up with one password, another followed, and the first comes back: it is worth nothing in any case."""

    def steps(prober: Prober) -> None:
        prober.call("a", "/api/configurefactor2", otp=prober.sign_up("a", FIRST, factor2))
        prober.sign_up("b", SECOND, "totp")
        prober.sign_up("c", FIRST, "totp")
        prober.sign_up("d", SECOND, "none")

    free, known = both(owner, steps, enable_password_reset=reset)
    assert free == known


@OWNERS
@FACTORS
def test_nor_does_a_second_one_with_the_same_password(owner: str, factor2: str) -> None:
    """A sign-up whose factor is set up is begun anew with the factor that is asked for now, like one that does not exist."""

    def steps(prober: Prober) -> None:
        prober.call("a", "/api/configurefactor2", otp=prober.sign_up("a", FIRST, factor2))
        prober.sign_up("b", FIRST, "none", phone="no number")
        prober.call("c", "/api/configurefactor2", otp=prober.sign_up("c", FIRST, "totp"))
        prober.sign_up("d", FIRST, "sms")

    free, known = both(owner, steps)
    assert free == known


@OWNERS
@FACTORS
def test_nor_does_a_set_up_that_another_sign_up_made_void(owner: str, factor2: str) -> None:
    """It goes on to its end, shown, sent again and completed, and nothing comes of it."""

    def steps(prober: Prober) -> None:
        codes = [prober.sign_up(name, FIRST, factor2) for name in "ab"]
        prober.call("a", "/api/configurefactor2", otp=codes[0])
        prober.sign_up("c", SECOND, "none")
        prober.told.append(prober.browser("b").get("/api/configurefactor2").status_code)
        prober.call("b", "/api/resendcode")
        if factor2 == "sms":
            codes[1] = re.findall(r"\d{6}", prober.world.sms.messages[-1][1])[0]
        prober.call("b", "/api/configurefactor2", otp=codes[1])

    free, known = both(owner, steps)
    assert free == known
    assert free[-1][0] == 200


@OWNERS
@pytest.mark.parametrize("again", [0, 3])
def test_nor_does_the_limit_of_logins(owner: str, again: int) -> None:
    """The right password of an unfinished sign-up counts like a wrong one; signing up once more counts as no login."""

    def steps(prober: Prober) -> None:
        prober.sign_up("a", FIRST, "none")
        for _ in range(again):
            prober.sign_up("b", SECOND, "none")
        for _ in range(22):
            prober.call("c", "/api/login", username=prober.address, password=FIRST)

    free, known = both(owner, steps)
    assert free == known
    assert {status for status, *_ in free[1 + again :]} == {401, 429}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_who_begins_again_can_finish(request: pytest.FixtureRequest, kind: str) -> None:
    """With the factor of the last sign-up, whatever an earlier one had set up."""
    world = World(**storages(request, kind), enable_email_verification=True)
    with world.open() as url, Browser(url) as lost, Browser(url) as browser:
        displayed = lost.sign_up(FREE, FIRST, user_email=FREE, factor2="totp").json()
        lost.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"]))
        displayed = browser.sign_up(FREE, FIRST, user_email=FREE, factor2="totp").json()
        done = browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).json()
        assert done["emailVerificationNeeded"] is True
        assert browser.call(f"/api{browser.link(FREE)}").json()["verified"] is True
        browser.call("/api/logout")
        browser.cookies.clear()
        browser.asked(FREE, FIRST)
        assert browser.give(world.code(displayed["totpsecret"])).status_code == 200
        assert browser.who() == FREE
