"""Nobody is flooded with mail or text messages, whoever asks and from wherever; and nothing is sent by a GET."""

from collections.abc import Iterator

import pytest

from tests.accounts import Browser, World, name_of

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
            shown = browser.sign_up(name, user_email=VICTIM, user_phone=PHONE, factor2=factor2).json()
            sent = (len(browser.mail()), len(world.sms.messages))
            for _ in range(20):
                again = browser.get("/api/configurefactor2").json()
                assert browser.get("/configurefactor2").status_code == 200
            assert {n: again[n] for n in again if n != "ok"} == {n: shown[n] for n in again if n != "ok"}
            assert (len(browser.mail()), len(world.sms.messages)) == sent


def test_nothing_begins_by_looking(world: World, url: str) -> None:
    """Not even where nothing is being set up yet."""
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=VICTIM, factor2="email")
        browser.call("/api/configurefactor2", otp=browser.mailed_code(VICTIM))
        sent = len(browser.mail())
        assert name_of(browser.get("/api/configurefactor2")) == "BadRequest"
        page = browser.get("/configurefactor2")
        assert (page.status_code, page.headers["location"]) == (302, "/changefactor2")
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
        statuses = []
        for _ in range(40):
            browser.cookies.clear()
            statuses.append(browser.log_in("alice").status_code)
            browser.call("/api/resendcode")
        browser.mail()
        assert len(world.sms.messages) - before < 10
        assert statuses[-1] == 429
        world.later(hours=1)
        browser.cookies.clear()
        assert browser.log_in("alice").json()["twoFactorRequired"] is True


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
        assert "Send a new code" in page.text
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
        assert "Send a new code" not in browser.get("/configurefactor2").text


def test_asking_for_a_link_is_limited_for_a_name_that_nobody_has_too(world: World, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=VICTIM, factor2="none")
        found = []
        for name in ("alice", "nobody"):
            found.append([browser.call("/api/requestemailverification", username=name).status_code for _ in range(12)])
        assert found[0] == found[1] == [200] * 10 + [429] * 2
