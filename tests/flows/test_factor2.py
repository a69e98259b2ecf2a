"""Second factors: set up, asked for, changed, given up; recovery codes."""

import asyncio
from collections.abc import Iterator

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, TotpAuthenticator, UserState
from crossauth_backend.core.secrets import KeyRing
from tests.accounts import Browser, World, name_of
from tests.support import CSRF, PASSWORD, make_server


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as browser:
        yield browser


@pytest.fixture
def other(browser: Browser) -> Iterator[Browser]:
    with Browser(str(browser.base_url)) as other:
        yield other


def test_totp_is_set_up_and_asked_for(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    displayed = browser.call("/api/changefactor2", factor2="totp").json()
    assert displayed["qr"].startswith("data:image/png;base64,")
    assert displayed["qrSvg"].startswith("<svg")
    assert displayed["otpauthUri"].startswith("otpauth://totp/Test:alice?secret=" + displayed["totpsecret"])
    assert browser.call("/api/configurefactor2", otp="000000").status_code == 401
    assert asyncio.run(world.users.get_user_by_id(1)).user.factor2 is None, "not before it is confirmed"
    done = browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"]))
    assert done.json()["user"]["factor2"] == "totp"
    assert len(set(done.json()["recoveryCodes"])) == 10
    browser.call("/api/logout")
    browser.asked()
    assert browser.get("/me").status_code == 401
    assert name_of(browser.give("123456")) == "InvalidToken"
    assert browser.give(world.code(displayed["totpsecret"])).json()["user"]["username"] == "alice"
    assert browser.who() == "alice"


def test_a_totp_code_counts_once_and_only_around_its_time(world: World, browser: Browser, other: Browser) -> None:
    browser.sign_up(factor2="none")
    secret, _ = browser.add_totp(world)
    browser.call("/api/logout")
    code = world.code(secret)
    browser.asked()
    assert browser.give(code).status_code == 200
    other.asked()
    assert name_of(other.give(code)) == "InvalidToken", "RFC 6238 §5.2"
    world.later(minutes=5)
    assert name_of(other.give(code)) == "InvalidToken"
    for garbage in ("", " ", "12345", "1234567", "١٢٣٤٥٦", "12345a", "-12345", "0x1234"):
        assert other.give(garbage).status_code in (401, 429)


def test_a_form_with_a_mistake_does_not_use_the_code_up(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    secret, _ = browser.add_totp(world)
    browser.call("/api/logout")
    browser.asked()
    code = world.code(secret)
    for mistake in ({"persist": [1]}, {"next": 5}):
        assert name_of(browser.call("/api/loginfactor2", otp=code, **mistake)) == "BadRequest"
    assert browser.give(code).status_code == 200


def test_the_totp_secret_is_encrypted_at_rest_and_its_key_can_be_rotated() -> None:
    old, new = "an old key for stored secrets, long enough", "a new key for stored secrets, long enough"
    world = World(encryption_keys=[old])
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        displayed = browser.call("/api/changefactor2", factor2="totp").json()
        key = asyncio.run(world.keys.get_all_for_user(1))[0]
        assert displayed["totpsecret"] not in key.data
        browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"]))
        stored = asyncio.run(world.users.get_user_by_id(1)).secrets.totpsecret
        assert stored is not None
        assert displayed["totpsecret"] not in stored
        assert KeyRing([old], "stored secrets").decrypt(stored) == displayed["totpsecret"]
    rotated = World(world.users, InMemoryKeyStorage(), encryption_keys=[new, old])
    with rotated.open() as url, Browser(url) as browser:
        browser.asked()
        assert browser.give(rotated.code(displayed["totpsecret"])).status_code == 200
    stored = asyncio.run(world.users.get_user_by_id(1)).secrets.totpsecret
    assert stored is not None
    assert KeyRing([new], "stored secrets").decrypt(stored) == displayed["totpsecret"], (
        "encrypted anew when it was used"
    )
    with pytest.raises(CrossauthError, match=r"InvalidKey|is invalid"):
        KeyRing([old], "stored secrets").decrypt(stored)


def test_a_code_by_email(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none", user_email="alice@example.com")
    browser.call("/api/changefactor2", factor2="email")
    assert browser.call("/api/configurefactor2", otp=browser.mailed_code()).status_code == 200
    browser.call("/api/logout")
    browser.asked()
    code = browser.mailed_code("alice@example.com")
    wrong = "000000" if code != "000000" else "000001"
    assert name_of(browser.give(wrong)) == "InvalidToken"
    assert browser.give(code).status_code == 200
    browser.call("/api/logout")
    browser.asked()
    code = browser.mailed_code()
    world.later(minutes=6)
    assert name_of(browser.give(code)) == "Expired"
    assert browser.who() is None


def test_a_code_is_never_in_an_answer_or_in_the_storage(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none", user_email="alice@example.com")
    answers = [browser.call("/api/changefactor2", factor2="email").text]
    code = browser.mailed_code()
    answers.append(browser.get("/configurefactor2").text)
    assert code not in answers[0]
    assert browser.mailed_code() not in answers[1]
    assert all(code not in key.data for key in asyncio.run(world.keys.get_all_for_user(1)))


def test_a_code_by_text_message(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    assert name_of(browser.call("/api/changefactor2", factor2="sms")) == "InvalidPhoneNumber"
    browser.call("/api/updateuser", user_phone="+441632960961")
    assert browser.call("/api/changefactor2", factor2="sms").status_code == 200
    browser.get("/api/outbox")
    to, text = world.sms.messages[-1]
    assert to == "+441632960961"
    assert browser.call("/api/configurefactor2", otp=text.split()[0]).status_code == 200


def test_recovery_codes_count_once_each(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    _, codes = browser.add_totp(world)
    browser.call("/api/logout")
    browser.asked()
    assert browser.give(codes[0].lower().replace("-", " ")).status_code == 200
    assert browser.get("/api/recoverycodes").json()["left"] == 9
    browser.call("/api/logout")
    browser.asked()
    assert name_of(browser.give(codes[0])) == "InvalidToken"
    assert browser.call("/api/loginfactor2", recovery_code=codes[1]).status_code == 200
    assert "recovery_code_used" in world.heard.names


def test_new_recovery_codes_replace_the_old(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    secret, codes = browser.add_totp(world)
    assert browser.call("/api/recoverycodes").json()["factor2Required"] is True
    fresh = browser.call("/api/factor2", otp=world.code(secret)).json()["recoveryCodes"]
    assert set(fresh).isdisjoint(codes)
    browser.call("/api/logout")
    browser.asked()
    assert name_of(browser.give(codes[5])) == "InvalidToken"
    assert browser.give(fresh[5]).status_code == 200


def test_sign_up_with_a_second_factor(world: World, browser: Browser, other: Browser) -> None:
    displayed = browser.sign_up(factor2="totp").json()
    assert displayed["user"] is None
    assert asyncio.run(world.users.get_user_by_id(1, {"skip_active_check": True})).user.state == (
        UserState.awaiting_two_factor_setup
    )
    assert name_of(other.log_in()) == "TwoFactorIncomplete"
    assert other.sign_up(factor2="totp").json()["ok"] is True, "an interrupted sign-up goes on in any browser"
    again = browser.sign_up(factor2="totp").json()
    assert again["ok"] is True
    wrong = browser.sign_up(password="Wrong1password", factor2="totp")
    assert (wrong.status_code, name_of(wrong)) == (400, "UserExists"), "as any name that is taken"
    assert browser.who() is None
    assert browser.get("/api/configurefactor2").json()["totpsecret"] == again["totpsecret"]
    done = browser.call("/api/configurefactor2", otp=world.code(again["totpsecret"]))
    assert done.json()["user"]["state"] == "active"
    assert browser.who() == "alice"


def test_a_changed_factor_ends_every_other_session(world: World, browser: Browser, other: Browser) -> None:
    browser.sign_up(factor2="none")
    other.log_in()
    secret, _ = browser.add_totp(world)
    assert (browser.who(), other.who()) == ("alice", None)
    other.asked()
    other.give(world.code(secret))
    assert other.who() == "alice"
    browser.call("/api/changefactor2", factor2="none")
    assert browser.call("/api/factor2", otp=world.code(secret)).json()["ok"] is True
    assert (browser.who(), other.who()) == ("alice", None)
    stored = asyncio.run(world.users.get_user_by_id(1))
    assert (stored.user.factor2, stored.secrets.totpsecret) == (None, None)
    other.log_in()
    assert other.who() == "alice"


def test_a_factor_that_is_not_offered_is_refused() -> None:
    world = World(allowed_factor2=["totp"])
    with world.open() as url, Browser(url) as browser:
        for factor2 in ("email", "localpassword", "nonsense"):
            assert name_of(browser.sign_up(factor2=factor2)) == "Forbidden"
        assert name_of(browser.sign_up(factor2="none")) == "Forbidden", "this server demands one"
        assert browser.sign_up().json()["factor2"] == "totp", "the first that is allowed, where none is named"


def test_a_login_that_waits_can_be_given_up(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    secret, _ = browser.add_totp(world)
    browser.call("/api/logout")
    browser.asked()
    assert browser.call("/api/cancelfactor2").json()["ok"] is True
    assert name_of(browser.give(world.code(secret))) == "Unauthorized"
    assert name_of(browser.call("/api/cancelfactor2")) == "Unauthorized"


def test_logging_out_wipes_a_login_that_waits(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    secret, _ = browser.add_totp(world)
    browser.call("/api/logout")
    browser.asked()
    waiting = {"Cookie": f"SESSIONID={browser.cookies['SESSIONID']}"}
    browser.call("/api/logout")
    token = browser.token()
    csrf = browser.cookies["CSRFTOKEN"]
    with Browser(str(browser.base_url)) as thief:
        answer = thief.post(
            "/api/loginfactor2", json={"otp": world.code(secret)},
            headers={"Cookie": f"{waiting['Cookie']}; CSRFTOKEN={csrf}", CSRF: token},
        )  # fmt: skip
    assert answer.status_code == 401, "64.1.0"


def test_a_factor_that_an_administrator_reset_is_set_up_anew(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    browser.call("/api/logout")
    asyncio.run(world.users.update_user({"id": 1, "state": UserState.factor2_reset_needed, "factor2": "totp"}))
    assert name_of(browser.log_in()) == "Factor2ResetNeeded"
    page = browser.submit("/login", username="alice", password=PASSWORD, next="/maybe")
    assert page.status_code == 303
    where = page.headers["location"]
    assert where.startswith("/changefactor2?required=true&next=%2Flogin")
    assert "Set up two-factor authentication to continue" in browser.get(where).text
    assert browser.who() is None
    displayed = browser.call("/api/changefactor2", factor2="totp").json()
    assert (
        browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).json()["user"]["state"]
        == "active"
    )
    assert browser.who() == "alice"


def test_the_second_factor_comes_before_a_forced_password_change(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    secret, _ = browser.add_totp(world)
    browser.call("/api/logout")
    asyncio.run(world.users.update_user({"id": 1, "state": UserState.password_change_needed}))
    browser.asked()
    page = browser.submit("/loginfactor2", otp=world.code(secret), next="/maybe")
    assert page.headers["location"].startswith("/changepassword?required=true")
    assert browser.who() is None
    change = {"old_password": PASSWORD, "new_password": "Another1one", "repeat_password": "Another1one"}
    assert browser.submit("/changepassword", **change, next="/maybe").headers["location"] == "/maybe"
    assert browser.who() == "alice", "the factor was proven in this very login"


def test_pages_work_as_the_api_does(world: World, browser: Browser) -> None:
    form = {"username": "alice", "password": PASSWORD, "repeat_password": PASSWORD, "factor2": "totp"}
    page = browser.submit("/signup", **form)
    assert page.status_code == 200
    assert "<svg" in page.text
    secret = page.text.split('class="key">')[1].split("<")[0]
    again = browser.submit("/configurefactor2", otp="1")
    assert (again.status_code, secret in again.text) == (401, True), "the same set-up is shown again"
    done = browser.submit("/configurefactor2", otp=world.code(secret), next="/maybe")
    assert "Recovery codes" in done.text
    assert 'href="/maybe"' in done.text
    browser.submit("/logout")
    asked = browser.submit("/login", username="alice", password=PASSWORD, next="/maybe")
    assert asked.status_code == 200
    assert "authenticator app" in asked.text
    wrong = browser.submit("/loginfactor2", otp="000000", next="/maybe")
    assert wrong.status_code == 401
    assert "Invalid code" in wrong.text
    right = browser.submit("/loginfactor2", otp=world.code(secret), next="/maybe")
    assert (right.status_code, right.headers["location"]) == (303, "/maybe")


def test_a_factor_must_be_registered_and_given_to_a_server() -> None:
    with pytest.raises(CrossauthError, match="allowed_factor2"):
        make_server(allowed_factor2=["totp"])
    with pytest.raises(CrossauthError, match="SessionManager"):
        asyncio.run(TotpAuthenticator("App").prepare_configuration({"username": "alice"}))
    with pytest.raises(CrossauthError) as e:
        World(mailer=None, enable_password_reset=False)
    assert e.value.code is ErrorCode.Configuration
    assert "mailer" in e.value.message
    with pytest.raises(CrossauthError, match="for tests"):
        World(site_url="https://example.com", mailer=None, smtp_host="localhost", email_from="a@example.com")
