"""Signing up: no address counts without proof, nothing says who has an account, and every sign-up can be finished by its user."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pyotp
import pytest
from sqlalchemy.pool import NullPool

from crossauth_backend import (
    CrossauthError,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    UserState,
    UserStorage,
    open_engine,
)
from crossauth_backend.accounts import admin
from crossauth_backend.accounts.purge import purge_signups
from crossauth_backend.core.clock import utc_now
from tests.accounts import FIELDS, NEW, Browser, World, name_of, storages
from tests.fastapi_users.test_core import add_routes
from tests.support import CSRF, PASSWORD

EMAIL = "owner@example.com"
PHONE = "+441632960961"
ANY: Any = {"skip_active_check": True, "skip_email_verified_check": True}


class Here(World):
    """A world with a way into its storages for the test itself, whose event loops come and go."""

    def __init__(self, request: pytest.FixtureRequest, kind: str) -> None:
        provided = storages(request, kind)
        super().__init__(**provided, enable_email_verification=True)
        self.direct: UserStorage = provided["users"]
        self.direct_keys: KeyStorage = provided["keys"]
        if kind == "postgres":
            engine = open_engine(request.getfixturevalue("postgres_url"), poolclass=NullPool)
            self.direct = SqlAlchemyUserStorage(engine, {"user_editable_fields": FIELDS})
            self.direct_keys = SqlAlchemyKeyStorage(engine)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> Here:
    return Here(request, request.param)


@pytest.fixture
def url(world: Here) -> Iterator[str]:
    with world.open() as url:
        yield url


def user(world: World, name: str) -> Any:
    users = world.direct if isinstance(world, Here) else world.users
    return asyncio.run(users.get_user_by_username(name, ANY)).user


def verified(browser: Browser, name: str = "owner", email: str = EMAIL, **fields: Any) -> None:
    """An account with a verified address; nobody is logged in."""
    browser.sign_up(name, user_email=email, **{"factor2": "none", **fields})
    assert browser.call(f"/api{browser.link(email)}").json()["verified"] is True
    browser.call("/api/logout")
    browser.cookies.clear()


def test_no_address_counts_without_proof_whatever_the_order_of_factors(world: Here, url: str) -> None:
    """A sign-up whose code would prove the address, resumed with a factor that proves nothing."""
    with Browser(url) as browser, Browser(url) as other:
        browser.sign_up("eve", user_email="queen@example.com", factor2="email")
        displayed = browser.sign_up("eve", user_email="queen@example.com", factor2="totp").json()
        assert displayed["emailVerificationNeeded"] is True
        done = browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).json()
        assert (done["user"], browser.who()) == (None, None)
        assert user(world, "eve").state == UserState.awaiting_email_verification
        # A set-up that was begun before, in another browser, is void.
        first = other.sign_up("mallory", user_email="cfo@example.com", factor2="totp").json()
        browser.sign_up("mallory", user_email="cfo@example.com", factor2="email")
        assert other.call("/api/configurefactor2", otp=world.code(first["totpsecret"])).status_code == 401
        # Nor does giving the factor up at the next login make the address one's own.
        assert name_of(browser.log_in("mallory")) == "TwoFactorIncomplete"
        assert browser.call("/api/changefactor2", factor2="none").json()["emailVerificationNeeded"] is True
        assert user(world, "mallory").state == UserState.awaiting_email_verification
        # A code that went to one address does not verify the next.
        browser.sign_up("trudy", user_email="trudy@example.com", factor2="email")
        code = browser.mailed_code("trudy@example.com")
        other.sign_up("trudy", user_email="cio@example.com", factor2="email")
        assert browser.call("/api/configurefactor2", otp=code).status_code == 401
        for name in ("eve", "mallory", "trudy"):
            assert user(world, name).email_normalized is None
            assert user(world, name).email_verified_at is None


def test_a_code_by_email_verifies_the_address_it_went_to(world: Here, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=EMAIL, factor2="email")
        done = browser.call("/api/configurefactor2", otp=browser.mailed_code(EMAIL)).json()
        assert done["user"]["state"] == UserState.active
        assert user(world, "alice").email_verified_at is not None
        assert asyncio.run(world.direct.get_user_by_email(EMAIL)).user.username == "alice"


@pytest.mark.parametrize("factor2", ["none", "totp", "email", "sms"])
def test_nothing_says_whether_an_address_has_an_account(world: Here, url: str, factor2: str) -> None:
    """Sign-up, the same again, another password, login, resending, completing: each answer is the one of a free address."""
    with Browser(url) as browser:
        verified(browser)
        answers = []
        for name, email in (("known", EMAIL), ("fresh", "fresh@example.com")):
            browser.cookies.clear()
            fields = {
                "user_email": email,
                "factor2": factor2,
                "user_phone": PHONE if name == "known" else PHONE[:-1] + "2",
            }
            steps = [browser.sign_up(name, **fields), browser.sign_up(name, **fields)]
            displayed = steps[-1].json()
            if factor2 in ("email", "sms"):
                steps += [browser.call("/api/resendcode"), browser.call("/api/configurefactor2", otp="000000")]
            if factor2 == "totp":
                steps.append(browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])))
            steps += [
                browser.sign_up(name, NEW, **fields), browser.log_in(name), browser.log_in(name, NEW), browser.log_in(name),
                browser.call("/api/requestemailverification", username=name),
            ]  # fmt: skip
            answers.append([seen(step, name, email) for step in steps])
        assert answers[0] == answers[1]
        subjects = [mail["subject"] for mail in browser.mail(EMAIL)]
        assert "You already have an account at localhost" in subjects or factor2 == "sms", (
            "whose set-up was not completed"
        )
        assert not any(text.endswith("code") for text in subjects), "no code goes to somebody who has an account"
        assert subjects.count("Verify your email address for localhost") == 1, "nor another link"


def seen(answer: Any, name: str, email: str) -> tuple[Any, ...]:
    """An answer without what differs from sign-up to sign-up."""
    body = {
        n: v
        for n, v in answer.json().items()
        if n not in ("totpsecret", "otpauthUri", "qr", "qrSvg", "phone", "csrfToken")
    }
    codes = body.pop("recoveryCodes", None)
    text = str(body).replace(email or name, "EMAIL").replace(name, "NAME")
    headers = sorted(n for n in answer.headers if n not in ("date", "content-length"))
    return answer.status_code, text, headers, len(codes or [])


def test_the_note_goes_to_the_stored_address_and_look_alikes_are_different_mailboxes(world: Here, url: str) -> None:
    with Browser(url) as browser:
        verified(browser, email="known@example.com")
        for name, email in (("eve", "known@exámple.com"), ("eve2", "knówn@example.com")):
            browser.cookies.clear()
            assert browser.sign_up(name, user_email=email, factor2="none").status_code == 200
            assert browser.mail(email)[0]["subject"] == "Verify your email address for localhost", (
                "an address like any other"
            )
            assert browser.call(f"/api{browser.link(email)}").json()["verified"] is True
            assert browser.who() == name
        browser.cookies.clear()
        browser.sign_up("eve3", user_email="KNOWN@example.COM", factor2="none")
        assert browser.mail("known@example.com")[0]["subject"] == "You already have an account at localhost"
        assert browser.mail("KNOWN@example.com") == []


@pytest.mark.parametrize("factor2", ["none", "totp"])
def test_a_username_that_is_an_address_says_nothing_either(world: Here, url: str, factor2: str) -> None:
    """Not by sign-up, nor by login, nor by the mail that somebody else gets."""
    with Browser(url) as browser:
        verified(browser, "staff@example.com", None)
        browser.cookies.clear()
        for name in ("staff@example.com", "free@example.com"):
            answer = browser.sign_up(name, user_email="eve@example.net", factor2=factor2)
            assert (answer.status_code, name_of(answer)) == (400, "FormEntry")
        assert browser.mail("eve@example.net") == []
        answers = []
        for name in ("staff@example.com", "free@example.com"):
            browser.cookies.clear()
            steps = [browser.sign_up(name, NEW, factor2=factor2) for _ in range(2)]
            if factor2 == "totp":
                secret = steps[-1].json()["totpsecret"]
                steps.append(browser.call("/api/configurefactor2", otp=world.code(secret)))
            steps += [browser.log_in(name, NEW), browser.sign_up(name, NEW + "x", factor2=factor2)]
            steps += [browser.log_in(name, NEW + "x"), browser.call("/api/requestemailverification", username=name)]
            answers.append([seen(step, name, name) for step in steps])
        assert answers[0] == answers[1]
        assert browser.mail("staff@example.com")[0]["subject"] == "You already have an account at localhost"
        browser.cookies.clear()
        assert browser.log_in("staff@example.com").status_code == 200


OTHERS = ["staff@example.com", "STAFF@example.com", "staff\uff20example.com", "st\u00e1ff@example.com"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_profile_does_not_take_somebody_elses_address_as_username(name: str) -> None:
    """Nor does it ask whether it is taken, nor one that only compares the same; and it may not come with the address itself."""
    users = InMemoryUserStorage({"user_editable_fields": ["username", *FIELDS]})
    world = World(users, enable_email_verification=True)
    with world.open() as url, Browser(url) as browser, Browser(url) as owner:
        verified(browser, "staff@example.com", "staff@example.com")
        verified(browser, "eve", "eve@example.net")
        browser.log_in("eve")
        free = name.replace("st", "fr")
        answers = [
            browser.call("/api/updateuser", user_username=each, **more)
            for each in (name, free)
            for more in ({}, {"user_email": each})
            if not more or each.isascii()
        ]
        assert {(a.status_code, name_of(a), a.json()["errorMessage"]) for a in answers} == {
            (400, "FormEntry", "A username that is an email address must be the account's email address")
        }
        assert browser.call("/api/updateuser", user_username="eve2").status_code == 200
        assert browser.call("/api/updateuser", user_username="EVE@example.net").status_code == 200, "one's own"
        # A stranger's own sign-up gets its link.
        owner.sign_up("free@example.com", factor2="none")
        assert owner.mail("free@example.com")[0]["subject"] == "Verify your email address for localhost"


@pytest.mark.parametrize("name", ["free\uff20example.com", "st\u00e1ff@example.com"])
def test_a_sign_up_does_not_take_a_name_that_compares_as_an_address(world: Here, url: str, name: str) -> None:
    with Browser(url) as browser:
        answer = browser.sign_up(name, user_email="eve@example.net", factor2="none")
        assert (answer.status_code, name_of(answer)) == (400, "FormEntry")


def test_an_administrator_gives_a_username_that_is_an_address_with_that_address_only() -> None:
    """The owner of another could not sign up; the address that an administrator gives needs no link."""
    world = World(enable_email_verification=True)
    rule = "A username that is an email address must be the account's email address"

    async def act() -> None:
        accounts = world.manager.accounts()
        user = await world.users.create_user({"username": "alice", "email": "alice@example.com", "state": "active"}, {})
        with pytest.raises(CrossauthError) as e:
            await admin.update_user(accounts, user, user, {"username": "free@example.com"})
        assert e.value.messages == [rule]
        user = (
            await admin.update_user(accounts, user, user, {"username": "x@example.com", "email": "x@example.com"})
        ).user
        assert user.username == "x@example.com"
        # A name that is the address changes with it: the next owner of the mailbox could not sign up.
        user = (await admin.update_user(accounts, user, user, {"email": "other@example.com"})).user
        assert (user.username, user.email) == ("other@example.com", "other@example.com")

    asyncio.run(act())


def test_codes_of_sign_ups_that_make_no_account_are_spent_each_for_itself(world: Here, url: str) -> None:
    """Or the second of two in half a minute would be told that its code was used."""
    with Browser(url) as browser, Browser(url) as other:
        verified(browser, "staff@example.com", None)
        displayed = [b.sign_up("staff@example.com", NEW, factor2="totp").json()["totpsecret"] for b in (browser, other)]
        codes = [pyotp.TOTP(secret).at(utc_now() + world.ahead) for secret in displayed]
        for each, code in zip((browser, other), codes, strict=True):
            assert each.call("/api/configurefactor2", otp=code).status_code == 200


def test_an_address_is_its_owners_who_verifies_it(world: Here, url: str) -> None:
    """Somebody who signed up with it before holds neither the address nor anything else of the owner's."""
    with Browser(url) as thief, Browser(url) as owner:
        thief.sign_up("thief", user_email=EMAIL, factor2="none")
        half = thief.link(EMAIL)
        thief.sign_up("thief2", user_email=EMAIL, factor2="totp")
        owner.sign_up("alice", user_email=EMAIL, factor2="none")
        assert owner.mail(EMAIL)[0]["subject"] == "Verify your email address for localhost"
        assert owner.submit(owner.link(EMAIL)).status_code == 200
        assert owner.who() == "alice"
        assert asyncio.run(world.direct.get_user_by_email(EMAIL)).user.username == "alice"
        late = owner.call(f"/api{half}")
        assert name_of(late) == "UserExists", "the other sign-up has come too late"
        assert user(world, "thief").state == UserState.awaiting_email_verification
        thief.call("/api/requestpasswordreset", email=EMAIL)
        assert owner.mail(EMAIL)[0]["subject"] == "Reset your localhost password"


def test_of_many_who_verify_one_address_at_once_one_gets_it(world: Here, url: str) -> None:
    with Browser(url) as browser, ExitStack() as stack:
        links = []
        for n in range(6):
            browser.sign_up(f"user{n}", user_email=EMAIL, factor2="none")
            links.append(browser.link(EMAIL))
        browsers = [stack.enter_context(Browser(url)) for _ in links]
        tokens = [each.token() for each in browsers]

        def verify(n: int) -> str:
            return name_of(browsers[n].post(f"/api{links[n]}", json={}, headers={CSRF: tokens[n]}))

        with ThreadPoolExecutor(len(links)) as pool:
            assert sorted(pool.map(verify, range(len(links)))) == [""] + ["UserExists"] * 5
        assert sum(u.email_normalized == EMAIL for u in asyncio.run(world.direct.get_users())) == 1


def test_an_administrator_who_activates_an_account_gives_it_its_address(world: Here, url: str) -> None:
    with Browser(url) as browser:
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        alice = user(world, "alice")
        asyncio.run(world.direct.update_user({"id": alice.id, "state": "active"}))
        assert asyncio.run(world.direct.get_user_by_email(EMAIL)).user.id == alice.id
        assert user(world, "alice").signup_expires is None


# Every state that a sign-up can be in, and what may happen to its user. What the user then does ends in an account.
def link_again_by_login(world: Here, url: str, browser: Browser) -> None:
    """Log in with the right password: refused, and a fresh link comes."""
    answer = browser.log_in("alice")
    assert name_of(answer) == "EmailNotVerified"
    assert "sent you a link" in answer.json()["errorMessage"]


def link_again_by_signup(world: Here, url: str, browser: Browser) -> None:
    """Sign up again, with the same name and password."""
    assert browser.sign_up("alice", user_email=EMAIL, factor2="none").status_code == 200


def link_again_by_request(world: Here, url: str, browser: Browser) -> None:
    """Ask for it by name."""
    assert browser.call("/api/requestemailverification", username="alice").json()["ok"] is True


def link_again_by_page(world: Here, url: str, browser: Browser) -> None:
    """Follow the old link to the page that offers it."""
    page = browser.submit("/requestemailverification", username="alice")
    assert "sent it a new link" in page.text


WAYS = [link_again_by_login, link_again_by_signup, link_again_by_request, link_again_by_page]
HAPPENINGS = ["mail lost", "time up", "browser closed", "other device"]


@pytest.mark.parametrize("happening", HAPPENINGS)
@pytest.mark.parametrize("way", WAYS)
def test_a_sign_up_that_waits_for_its_link_can_be_finished(
    world: Here, url: str, way: Callable[[Here, str, Browser], None], happening: str
) -> None:
    with Browser(url) as browser, Browser(url) as other:
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        old = browser.link(EMAIL)
        if happening == "time up":
            world.later(hours=25)
            page = browser.get(old)
            assert (page.status_code, "Send a new link" in page.text) == (401, True)
        if happening == "browser closed":
            browser.cookies.clear()
        if happening != "mail lost":
            browser.mail(EMAIL)
        device = other if happening == "other device" else browser
        way(world, url, device)
        new = device.link(EMAIL)
        assert new != old
        assert device.submit(new).status_code == 200
        assert user(world, "alice").state == UserState.active
        assert device.who() == "alice" or device.log_in("alice").status_code == 200


def by_signup(world: World, browser: Browser, factor2: str) -> dict[str, Any]:
    """Sign up again, with the same name and password."""
    displayed: dict[str, Any] = browser.sign_up("alice", user_email=EMAIL, user_phone=PHONE, factor2=factor2).json()
    return displayed


def by_login(world: World, browser: Browser, factor2: str) -> dict[str, Any]:
    """Log in with the right password, and choose a factor."""
    assert name_of(browser.log_in("alice")) == "TwoFactorIncomplete"
    displayed: dict[str, Any] = browser.call("/api/changefactor2", factor2=factor2).json()
    return displayed


def by_pages(world: World, browser: Browser, factor2: str) -> dict[str, Any]:
    """The same by the pages."""
    sent_on = browser.submit("/login", username="alice", password=PASSWORD)
    assert (sent_on.status_code, sent_on.headers["location"].startswith("/changefactor2")) == (303, True)
    assert "Set up two-factor authentication to continue" in browser.get(sent_on.headers["location"]).text
    assert browser.submit("/changefactor2", factor2=factor2).status_code == 200
    displayed: dict[str, Any] = browser.get("/api/configurefactor2").json()
    return displayed


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("happening", HAPPENINGS)
@pytest.mark.parametrize("way", [by_signup, by_login, by_pages])
@pytest.mark.parametrize("factor2", ["totp", "email", "sms"])
def test_a_sign_up_that_waits_for_its_factor_can_be_finished(
    way: Callable[[World, Browser, str], dict[str, Any]], happening: str, factor2: str, verify: bool
) -> None:
    world = World(enable_email_verification=verify)
    with world.open() as url, Browser(url) as browser, Browser(url) as other:
        browser.sign_up("alice", user_email=EMAIL, user_phone=PHONE, factor2=factor2)
        if happening == "time up":
            world.later(hours=23)
        if happening == "browser closed":
            browser.cookies.clear()
        device = other if happening == "other device" else browser
        displayed = way(world, device, factor2)
        if happening == "mail lost" and factor2 != "totp":
            assert device.call("/api/resendcode").json()["ok"] is True
        device.mail()
        code = {
            "totp": lambda: world.code(displayed["totpsecret"]), "email": lambda: device.mailed_code(EMAIL),
            "sms": lambda: world.sms.messages[-1][1].split()[-1].strip("."),
        }[factor2]  # fmt: skip
        found = code() if factor2 != "sms" else "".join(c for c in world.sms.messages[-1][1] if c.isdigit())[:6]
        done = device.call("/api/configurefactor2", otp=found)
        assert done.status_code == 200, done.text
        if verify and factor2 != "email":
            assert done.json()["emailVerificationNeeded"] is True
            assert device.call(f"/api{device.link(EMAIL)}").json()["verified"] is True
        assert user(world, "alice").state == UserState.active


def test_a_sign_up_that_is_over_gives_its_name_to_the_next(world: Here, url: str) -> None:
    with Browser(url) as browser, Browser(url) as other:
        browser.sign_up("alice", user_email="typo@example.com", factor2="none")
        browser.sign_up("bob", user_email="typo@example.com", factor2="totp")
        old = browser.link("typo@example.com")
        for name in ("alice", "bob"):
            assert name_of(other.sign_up(name, NEW, user_email=EMAIL, factor2="none")) == "UserExists"
        world.later(hours=25)
        first = user(world, "alice").id
        for name in ("alice", "bob"):
            other.cookies.clear()
            assert other.sign_up(name, NEW, user_email=f"{name}@example.com", factor2="none").status_code == 200
            assert other.call(f"/api{other.link(f'{name}@example.com')}").json()["verified"] is True
            assert other.who() == name
        assert user(world, "alice").id != first
        assert name_of(other.call(f"/api{old}")) == "InvalidKey", "the link has ended with the sign-up"


def test_sign_ups_that_are_over_are_thrown_away_in_the_background(world: Here, url: str) -> None:
    with Browser(url) as browser:
        verified(browser)
        for n in range(5):
            browser.sign_up(f"user{n}", user_email=f"user{n}@example.com", factor2="none")
        asyncio.run(world.direct.update_user({"id": user(world, "user0").id, "state": "active"}))
        world.later(hours=20)
        browser.log_in("user1")
        world.later(hours=5)
        aside = World(world.direct, world.direct_keys, enable_email_verification=True)
        aside.ahead = world.ahead
        assert asyncio.run(purge_signups(aside.manager.accounts(), batch=2)) == 3
        left = {u.username for u in asyncio.run(world.direct.get_users())}
        assert left == {"owner", "user0", "user1"}, "neither an account nor one whose link was sent again"


def test_a_name_whose_account_waits_is_taken_as_any_other(world: Here, url: str) -> None:
    with Browser(url) as browser, Browser(url) as other:
        verified(browser, "active")
        browser.sign_up("half", user_email="half@example.com", factor2="totp")
        browser.sign_up("waits", user_email="waits@example.com", factor2="none")
        answers = [
            seen(other.sign_up(name, NEW, user_email="x@example.com", factor2=factor2), name, "")
            for name in ("active", "half", "waits") for factor2 in ("none", "totp")
        ]  # fmt: skip
        assert {answer[:2] for answer in answers} == {answers[0][:2]}
        assert answers[0][0] == 400
        # Nor do many tries, which are tries of its password, say what the account is doing.
        for _ in range(25):
            assert name_of(other.sign_up("half", NEW, user_email="x@example.com", factor2="totp")) in (
                "UserExists", "TooManyAttempts",
            )  # fmt: skip


def test_a_half_sign_up_takes_what_was_wrong_from_the_same_sign_up_again(world: Here, url: str) -> None:
    """A mistyped address or number is corrected by signing up again."""
    with Browser(url) as browser:
        browser.sign_up("alice", user_email="typo@example.com", factor2="none")
        old = browser.link("typo@example.com")
        browser.sign_up("alice", user_email=EMAIL, factor2="none")
        assert name_of(browser.call(f"/api{old}")) == "InvalidKey"
        assert browser.call(f"/api{browser.link(EMAIL)}").json()["user"]["email"] == EMAIL
        assert browser.who() == "alice"
        assert user(world, "alice").email == EMAIL


def test_keys_of_a_sign_up_that_gave_way_are_gone() -> None:
    keys = InMemoryKeyStorage()
    world = World(keys=keys, enable_email_verification=True)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", user_email="typo@example.com", factor2="none")
        browser.mail()
        first = user(world, "alice").id
        assert asyncio.run(keys.get_all_for_user(first))
        world.later(hours=25)
        browser.sign_up("alice", NEW, user_email=EMAIL, factor2="none")
        assert asyncio.run(keys.get_all_for_user(first)) == []


# A name that is an address is its mailbox's


def wait_for_mail(browser: Browser, word: str, count: int = 1) -> list[str]:
    """The paths of the links in the mails to the mailbox that have this word in them, once there are so many."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [
            path for m in browser.mail(EMAIL) for path in re.findall(rf"http://localhost:8000(/{word}\S+)", m["text"])
        ]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError([m["text"] for m in browser.mail(EMAIL)])


@pytest.mark.parametrize("factor2", ["none", "totp", "email"])
def test_a_squatter_of_a_name_that_is_an_address_gets_nothing(world: Here, url: str, factor2: str) -> None:
    """The owner of the mailbox signs up too, with another password, and presses whatever link comes."""
    with Browser(url) as squatter, Browser(url) as owner, Browser(url) as other:
        first = squatter.sign_up(EMAIL, user_email=EMAIL, factor2=factor2)
        assert first.status_code == 200
        old = [m["text"] for m in squatter.mail(EMAIL)]
        answer = owner.sign_up(EMAIL, NEW, user_email=EMAIL, factor2="none")
        assert answer.json()["emailVerificationNeeded"] is True
        (link,) = wait_for_mail(owner, "resetpassword")
        # The squatter tries to get it back: nothing that was sent before is void by that.
        assert squatter.sign_up(EMAIL, user_email=EMAIL, factor2="none").status_code == 200
        wait_for_mail(owner, "resetpassword", 2)
        for path in re.findall(r"/verifyemail/[\w.-]+", " ".join(old)):
            assert name_of(other.call(f"/api{path}")) == "InvalidKey"
        token = link.rpartition("=")[2].rpartition("/")[2]
        chosen = "Third1password"
        fields = {"token": token, "new_password": chosen, "repeat_password": chosen}
        done = other.call("/api/resetpassword", **fields)
        if factor2 == "none":
            assert (done.status_code, other.who()) == (200, EMAIL)
            assert other.log_in(EMAIL, chosen).status_code == 200
        for word in (PASSWORD, NEW):
            assert squatter.log_in(EMAIL, word).status_code == 401
        stored = user(world, EMAIL)
        assert stored.email_verified_at is not None
        assert squatter.call("/api/configurefactor2", otp="000000").status_code == 401
        assert squatter.who() is None


def test_a_forgotten_sign_up_of_ones_own_address_is_taken_over_by_mail(world: Here, url: str) -> None:
    with Browser(url) as squatter, Browser(url) as owner:
        squatter.sign_up(EMAIL, user_email=EMAIL, factor2="none")
        owner.call("/api/requestpasswordreset", email=EMAIL)
        token = wait_for_mail(owner, "resetpassword")[0].rpartition("=")[2].rpartition("/")[2]
        assert owner.call("/api/resetpassword", token=token, new_password=NEW, repeat_password=NEW).status_code == 200
        assert owner.who() == EMAIL
        assert squatter.log_in(EMAIL).status_code == 401


def test_where_nobody_chooses_a_password_by_mail_the_newest_sign_up_counts() -> None:
    world = World(enable_email_verification=True, enable_password_reset=False)
    with world.open() as url, Browser(url) as squatter, Browser(url) as owner:
        squatter.sign_up(EMAIL, user_email=EMAIL, factor2="none")
        old = wait_for_mail(squatter, "verifyemail")[0]
        owner.sign_up(EMAIL, NEW, user_email=EMAIL, factor2="none")
        new = wait_for_mail(owner, "verifyemail", 2)[0]
        assert name_of(owner.call(f"/api{old}")) == "InvalidKey"
        assert owner.call(f"/api{new}").status_code == 200
        assert owner.log_in(EMAIL, NEW).status_code == 200
        assert squatter.log_in(EMAIL).status_code == 401


def test_an_address_is_not_held_by_the_routes_for_ever() -> None:
    """`POST /register` beside a session server: as a sign-up there, it ends where nobody verifies it."""
    world = World(enable_email_verification=True)
    add_routes(world)
    with world.open() as url, Browser(url) as squatter, Browser(url) as owner:
        sent = {"email": EMAIL, "password": PASSWORD}
        assert squatter.post("/rest/register", json=sent).status_code == 201
        assert squatter.post("/rest/register", json=sent).status_code == 400
        # The session server's own page lets the mailbox decide meanwhile.
        owner.sign_up(EMAIL, NEW, user_email=EMAIL, factor2="none")
        wait_for_mail(owner, "resetpassword")
        world.later(days=2)
        assert owner.post("/rest/register", json=sent).status_code == 201
