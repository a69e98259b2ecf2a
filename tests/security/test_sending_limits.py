"""Nobody is flooded with mail or text messages, whoever asks and from wherever; and nothing is sent by a GET."""

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounts import NEW, Browser, World, name_of
from tests.support import PASSWORD

VICTIM = "victim@example.com"
PHONE = "+441632960961"
FAR = {"signup_address": None, "login_address": None, "factor2_address": None, "verification_address": None}


@pytest.fixture
def world() -> World:
    return World(enable_email_verification=True, attempt_limits=FAR)


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with world.open() as url:
        yield url


def test_looking_at_a_set_up_sends_nothing(world: World, url: str) -> None:
    with Browser(url) as browser:
        for factor2, name in (("email", "a1"), ("sms", "a2")):
            browser.cookies.clear()
            displayed = browser.sign_up(name, user_email=VICTIM, user_phone=PHONE, factor2=factor2).json()
            sent = (len(browser.mail()), len(world.sms.messages))
            for _ in range(20):
                again = browser.get("/api/configurefactor2").json()
                assert browser.get("/configurefactor2").status_code == 200
            same = [n for n in again if n not in ("ok", "csrfToken")]
            assert {n: again[n] for n in same} == {n: displayed[n] for n in same}
            assert (len(browser.mail()), len(world.sms.messages)) == sent


def test_nothing_begins_by_looking(world: World, url: str) -> None:
    """Not even where nothing is being set up yet."""
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=VICTIM, factor2="email")
        browser.call("/api/configurefactor2", otp=browser.mailed_code(VICTIM))
        sent = len(browser.mail())
        assert name_of(browser.get("/api/configurefactor2")) == "BadRequest"
        page = browser.get("/configurefactor2")
        assert page.status_code == 200, "a form that asks whether to begin"
        assert len(browser.mail()) == sent


@pytest.mark.parametrize("factor2", ["none", "email", "totp"])
@pytest.mark.parametrize("known", [True, False])
def test_an_address_gets_ten_messages_an_hour(world: World, url: str, factor2: str, known: bool) -> None:
    """Links, codes and notes together, by sign-ups, sign-ups again, logins, resending, whatever stands behind a plus sign."""
    with Browser(url) as browser:
        before = 0
        if known:
            browser.sign_up("owner", user_email=VICTIM, factor2="none")
            browser.call(f"/api{browser.link(VICTIM)}")
            world.later(hours=1)
            before = len(browser.mail())
        for n in range(25):
            browser.cookies.clear()
            to = VICTIM if n % 2 else f"victim+{n}@example.com"
            answer = browser.sign_up(f"user{n}", user_email=to if not known else VICTIM, factor2=factor2)
            if factor2 == "totp" and answer.status_code == 200:
                browser.call("/api/configurefactor2", otp=world.code(answer.json()["totpsecret"]))
            browser.call("/api/resendcode")
            browser.log_in(f"user{n}")
            browser.call("/api/requestemailverification", username=f"user{n}")
        assert len(browser.mail()) - before <= 10
        world.later(hours=1)
        again = browser.sign_up("later", user_email=VICTIM, factor2="none")
        assert again.status_code == 200


def test_a_number_gets_five_messages_an_hour(world: World, url: str) -> None:
    with Browser(url) as browser:
        statuses = []
        for n in range(12):
            browser.cookies.clear()
            spelt = PHONE if n % 2 else "+44 1632 960961"
            fields = {"user_email": f"u{n}@example.com", "user_phone": spelt, "factor2": "sms"}
            statuses.append(browser.sign_up(f"user{n}", **fields).status_code)
            browser.call("/api/resendcode")
        browser.mail()
        assert len(world.sms.messages) == 5
        assert 429 in statuses


def test_a_hundred_right_logins_do_not_send_a_hundred_messages(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=VICTIM, user_phone=PHONE, factor2="none")
        browser.call(f"/api{browser.link(VICTIM)}")
        browser.call("/api/changefactor2", factor2="sms")
        browser.mail()
        code = "".join(c for c in world.sms.messages[-1][1] if c.isdigit())[:6]
        assert browser.call("/api/configurefactor2", otp=code).status_code == 200
        before = len(world.sms.messages)
        answers: list[Any] = []
        for _ in range(40):
            browser.cookies.clear()
            answers.append(browser.log_in("alice").json())
            browser.call("/api/resendcode")
        browser.mail()
        assert len(world.sms.messages) - before < 10
        assert ["message" in answer for answer in answers[:3]] == [False] * 3
        assert "couldn't send a code" in answers[-1]["message"]
        world.later(hours=1)
        browser.cookies.clear()
        before = len(world.sms.messages)
        assert "message" not in browser.log_in("alice").json()
        browser.mail()
        assert len(world.sms.messages) == before + 1


def test_requests_before_which_a_code_is_asked_are_limited_too(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=VICTIM, factor2="email")
        browser.call("/api/configurefactor2", otp=browser.mailed_code(VICTIM))
        before = len(browser.mail())
        statuses = [
            browser.call("/api/changepassword", old_password="x", new_password="y").status_code for _ in range(15)
        ]
        assert len(browser.mail()) - before <= 10
        assert statuses[-1] == 429


def test_a_code_is_sent_again_on_request(world: World, url: str) -> None:
    """Page and JSON; the code before stops working, and tries of the new one are counted for the account as before."""
    with Browser(url) as browser, Browser(url) as other:
        browser.sign_up("alice", user_email=VICTIM, factor2="email")
        first = browser.mailed_code(VICTIM)
        assert browser.call("/api/resendcode").json()["factor2"] == "email"
        second = browser.mailed_code(VICTIM)
        if first != second:
            assert name_of(browser.call("/api/configurefactor2", otp=first)) == "InvalidToken"
        assert browser.call("/api/configurefactor2", otp=second).status_code == 200
        other.asked("alice")
        page = other.get("/loginfactor2")
        assert "Resend code" in page.text
        page = other.submit("/resendcode")
        assert (page.status_code, "sent you a new code" in page.text) == (200, True)
        world.later(minutes=6)
        other.submit("/resendcode")
        assert other.give(other.mailed_code(VICTIM)).json()["user"]["username"] == "alice"
        # Before a request that matters, too.
        world.later(hours=1)
        assert other.call("/api/recoverycodes").json()["factor2Required"] is True
        other.call("/api/resendcode")
        assert len(other.call("/api/factor2", otp=other.mailed_code(VICTIM)).json()["recoveryCodes"]) == 10
        assert name_of(other.call("/api/resendcode")) == "Unauthorized"


def test_a_device_that_makes_its_own_codes_is_sent_none(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=VICTIM, factor2="totp")
        assert name_of(browser.call("/api/resendcode")) == "BadRequest"
        assert "Resend code" not in browser.get("/configurefactor2").text


def test_asking_for_a_link_is_limited_for_a_name_that_nobody_has_too(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=VICTIM, factor2="none")
        found = []
        for name in ("alice", "nobody"):
            found.append([browser.call("/api/requestemailverification", username=name).status_code for _ in range(12)])
        assert found[0] == found[1] == [200] * 10 + [429] * 2


def verified(browser: Browser, world: World, name: str = "owner", **fields: Any) -> int:
    """An account of the victim's, an hour ago; how much was sent to it."""
    browser.sign_up(name, user_email=VICTIM, factor2="none", **fields)
    assert browser.call(f"/api{browser.link(VICTIM)}").json()["verified"] is True
    browser.cookies.clear()
    world.later(hours=1)
    return len(browser.mail())


def consume(browser: Browser) -> None:
    """A stranger signs up with the victim's address, more often than anything is sent there."""
    for n in range(12):
        browser.cookies.clear()
        assert browser.sign_up(f"stranger{n}", user_email=VICTIM, factor2="none").status_code == 200
    browser.cookies.clear()


@pytest.mark.parametrize("factor2", ["none", "totp", "email", "sms"])
def test_notes_to_an_address_that_is_taken_as_a_username_are_counted(world: World, url: str, factor2: str) -> None:
    """`factor2: totp` asked for no message of its own, so that nothing counted the note; and no sign-up sends two."""
    with Browser(url) as browser:
        before = verified(browser, world, VICTIM)
        for n in range(15):
            browser.cookies.clear()
            fields = {"user_phone": f"+4416329609{n:02}", "factor2": factor2}
            browser.sign_up(VICTIM, NEW, user_email=VICTIM, **fields)
            if n == 0:
                assert len(browser.mail()) - before == 1
        notes = browser.mail()[: len(browser.mail()) - before]
        assert len(notes) == 10
        assert {mail["subject"] for mail in notes} == {"You already have an account at localhost"}


def test_links_of_a_sign_up_that_is_repeated_after_its_factor_was_set_up_are_counted(world: World, url: str) -> None:
    """It goes on as one with no factor to set up, which sends a link."""
    with Browser(url) as browser:
        displayed = browser.sign_up("eve", user_email=VICTIM, factor2="totp").json()
        assert browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).status_code == 200
        before = len(browser.mail())
        world.later(hours=1)
        for _ in range(15):
            browser.cookies.clear()
            assert browser.sign_up("eve", user_email=VICTIM, factor2="totp").status_code == 200
        assert len(browser.mail()) - before == 10


@pytest.mark.parametrize("known", [True, False])
def test_a_limit_that_is_reached_does_not_say_who_has_an_account(world: World, url: str, known: bool) -> None:
    """How much was sent differs: a login sends another link to a sign-up, and none to an account with another password."""
    with Browser(url) as browser:
        if known:
            verified(browser, world, VICTIM)
        steps = [browser.sign_up(VICTIM, NEW, user_email=VICTIM, factor2="none")]
        steps += [browser.log_in(VICTIM, NEW) for _ in range(12)]
        for n, factor2 in enumerate(("none", "totp", "email", "sms")):
            browser.cookies.clear()
            fields = {"user_email": VICTIM, "user_phone": PHONE, "factor2": factor2}
            steps.append(browser.sign_up(f"probe{n}", **fields))
            if factor2 == "email":
                steps.append(browser.call("/api/resendcode"))
        # The numbers are as many as it takes; only the name is the same.
        for n in range(12):
            browser.cookies.clear()
            fields = {"user_phone": f"+4416329609{n:02}", "factor2": "sms"}
            steps.append(browser.sign_up(VICTIM, NEW, user_email=VICTIM, **fields))
        found = [step.status_code for step in steps]
        assert found == [200] + [401] * 12 + [200] * 5 + [200] * 10 + [429] * 2


def test_a_change_of_address_is_counted_and_refused_in_silence(world: World, url: str) -> None:
    with Browser(url) as browser, Browser(url) as other:
        browser.sign_up("alice", user_email="alice@example.com", factor2="none")
        browser.call(f"/api{browser.link('alice@example.com')}")
        consume(other)
        before = len(browser.mail(VICTIM))
        answer = browser.call("/api/updateuser", user_email=VICTIM).json()
        assert answer["emailVerificationRequired"] is True
        assert len(browser.mail(VICTIM)) == before


def test_strangers_cannot_keep_from_an_owner_what_the_owner_needs(world: World, url: str) -> None:
    """A reset link, a login code and the note of a change come though the limit of the mailbox is reached."""
    with Browser(url) as browser, Browser(url) as stranger:
        verified(browser, world, "alice")
        browser.log_in("alice")
        browser.call("/api/changefactor2", factor2="email")
        assert browser.call("/api/configurefactor2", otp=browser.mailed_code(VICTIM)).status_code == 200
        world.later(minutes=1)
        consume(stranger)
        assert stranger.call("/api/requestpasswordreset", email=VICTIM).status_code == 200
        assert stranger.mail(VICTIM)[0]["subject"] == "Reset your localhost password"
        browser.cookies.clear()
        browser.asked("alice")
        assert stranger.mail(VICTIM)[0]["subject"].endswith(" is your localhost code")
        assert browser.give(browser.mailed_code(VICTIM)).status_code == 200
        asked = browser.call("/api/updateuser", user_email="new@example.com").json()
        assert asked.get("factor2Required") is True, asked
        done = browser.call("/api/factor2", otp=browser.mailed_code(VICTIM)).json()
        assert done["emailVerificationRequired"] is True, done
        assert stranger.mail(VICTIM)[0]["subject"] == "A change of your localhost email address was requested"


def test_reset_links_are_counted_by_mailbox(world: World, url: str) -> None:
    """They are sent whatever else was; so many names for one mailbox do not make many limits."""
    with Browser(url) as browser:
        found = [
            browser.call("/api/requestpasswordreset", email=f"victim+{n}@example.com").status_code for n in range(7)
        ]
        assert found == [200] * 5 + [429] * 2


def test_login_codes_to_an_address_that_was_not_verified_are_limited_by_it() -> None:
    """Where addresses are not verified, many accounts may name one mailbox."""
    world = World(attempt_limits=FAR)
    with world.open() as url, Browser(url) as browser:
        for n in range(3):
            browser.cookies.clear()
            browser.sign_up(f"eve{n}", user_email=f"eve{n}@example.net", factor2="email")
            assert browser.call("/api/configurefactor2", otp=browser.mailed_code()).status_code == 200
            browser.call("/api/updateuser", user_email=f"victim+{n}@example.com")
            browser.call("/api/factor2", otp=browser.mailed_code())
        unsent = []
        for n in range(24):
            browser.cookies.clear()
            unsent.append("message" in browser.log_in(f"eve{n % 3}").json())
        assert unsent.count(False) == 10
        assert len([mail for mail in browser.mail() if mail["to"].startswith("victim")]) == 10


def test_every_message_passes_where_it_is_counted() -> None:
    """No sender puts a message into the queue by itself, and no code is asked of a factor but where it was counted."""
    root = Path(__file__).parents[2] / "src"
    allowed = {
        r"(pre|repre)pare_configuration|create_one_time_secrets|prepare_unsent|send_code": (
            "accounts/codes.py", "accounts/sent_codes.py", "factors/", "accounts/factor2_setup.py",
        ),
        r"put": ("email_tokens/manager.py", "factors/", "accounts/email_change.py", "accounts/signup_names.py"),
    }  # fmt: skip
    found = []
    for path in root.rglob("*.py"):
        calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        for call in (call for call in calls if isinstance(call, ast.Attribute)):
            if call.attr == "put" and not (isinstance(call.value, ast.Attribute) and call.value.attr == "queue"):
                continue
            for names, places in allowed.items():
                if re.fullmatch(names, call.attr) and not any(place in path.as_posix() for place in places):
                    found.append(f"{path.name}:{call.lineno} {call.attr}")
    assert found == []
    manager = (root / "crossauth_backend/email_tokens/manager.py").read_text()
    assert manager.count("queue.put(") == 1
    setup = (root / "crossauth_backend/accounts/factor2_setup.py").read_text()
    assert setup.count("prepare_configuration(") == 1, "to show again what makes its own codes"


def test_codes_that_others_had_sent_do_not_keep_the_owner_out() -> None:
    """Whoever knows the password can have as many codes sent as may be; a recovery code and a new password are good still."""
    world = World(attempt_limits={"code_account": (3, 3600)})
    with world.open() as url, Browser(url) as owner, Browser(url) as thief:
        owner.sign_up(factor2="none", user_email=VICTIM)
        owner.call("/api/changefactor2", factor2="email")
        codes = owner.call("/api/configurefactor2", otp=owner.mailed_code(VICTIM)).json()["recoveryCodes"]
        owner.call("/api/logout")
        for _ in range(5):
            thief.cookies.clear()
            thief.asked()
        sent = len(owner.mail(VICTIM))
        answer = owner.log_in().json()
        assert (answer["twoFactorRequired"], len(owner.mail(VICTIM))) == (True, sent)
        assert "recovery code" in answer["message"]
        assert name_of(owner.give("000000")) == "InvalidToken"
        assert owner.give(codes[0]).status_code == 200
        owner.call("/api/logout")
        page = owner.submit("/login", username="alice", password=PASSWORD)
        assert page.status_code == 200
        assert "send a code: this account has received too many" in page.text
        assert "We sent you" not in page.text
        assert name_of(owner.call("/api/resendcode")) == "TooManyAttempts"
        owner.call("/api/requestpasswordreset", email=VICTIM)
        token = owner.link(VICTIM).rpartition("=")[2].rpartition("/")[2]
        done = owner.call("/api/resetpassword", token=token, new_password=NEW, repeat_password=NEW)
        assert (done.status_code, done.json()["twoFactorRequired"]) == (200, True)
        assert owner.give(codes[1]).status_code == 200


def test_many_accounts_that_name_one_number_do_not_flood_it() -> None:
    """A number that is changed in a profile is not proven; the login codes of all accounts that name it are limited together."""
    world = World(attempt_limits={**FAR, "sms_target": (2, 3600), "sms_login_target": (4, 3600)})
    with world.open() as url, Browser(url) as browser:
        for n in range(5):
            browser.cookies.clear()
            browser.sign_up(f"eve{n}", user_phone=f"+4416329609{n:02}", factor2="none")
            browser.call("/api/changefactor2", factor2="sms")
            browser.mail()
            code = "".join(c for c in world.sms.messages[-1][1] if c.isdigit())[-6:]
            assert browser.call("/api/configurefactor2", otp=code).status_code == 200
            asyncio.run(world.users.update_user({"id": n + 1, "phone": PHONE}))
        for n in range(20):
            browser.cookies.clear()
            assert browser.log_in(f"eve{n % 5}").json()["twoFactorRequired"] is True
        browser.mail()
        assert len([to for to, _ in world.sms.messages if to == PHONE]) == 6
