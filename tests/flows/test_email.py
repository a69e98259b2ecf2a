"""What rests on e-mail: proving an address, changing it, choosing a new password; and that nothing of it tells who is known."""

import asyncio
from collections.abc import Iterator

import pytest

from crossauth_backend import CrossauthError, Outbox, UserState
from tests.accounts import NEW, Browser, World, name_of
from tests.support import PASSWORD, make_server

ALICE = "alice@example.com"


@pytest.fixture
def world() -> World:
    return World(enable_email_verification=True)


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as browser:
        yield browser


@pytest.fixture
def other(browser: Browser) -> Iterator[Browser]:
    with Browser(str(browser.base_url)) as other:
        yield other


def verified(browser: Browser, username: str = "alice", email: str = ALICE) -> None:
    """An account with a proven address, logged in."""
    browser.sign_up(username, user_email=email)
    assert browser.call(f"/api{browser.link(email)}").json()["user"]["username"] == username


def state_of(world: World, userid: int = 1) -> str:
    options = {"skip_active_check": True, "skip_email_verified_check": True}
    return asyncio.run(world.users.get_user_by_id(userid, options)).user.state  # type: ignore[arg-type]


def test_an_address_is_proven_before_anybody_is_logged_in(world: World, browser: Browser) -> None:
    answer = browser.sign_up(user_email=ALICE).json()
    assert (answer["user"], answer["emailVerificationNeeded"]) == (None, True)
    assert browser.who() is None
    assert state_of(world) == UserState.awaiting_email_verification
    assert name_of(browser.log_in()) == "EmailNotVerified"
    mail = browser.mail(ALICE)[0]
    assert mail["subject"] == "Verify your email address for localhost"
    assert browser.link() in mail["html"]
    page = browser.get(browser.link())
    assert (page.status_code, "Verify my email address" in page.text, browser.who()) == (200, True, None)
    assert state_of(world) == UserState.awaiting_email_verification, "looking at the link verifies nothing"
    page = browser.submit(browser.link())
    assert (page.status_code, "address is verified" in page.text) == (200, True)
    assert browser.who() == "alice"
    assert state_of(world) == UserState.active
    again = browser.call(f"/api{browser.link()}")
    assert (again.status_code, again.json()["verified"]) == (200, True), "a link that has worked says so"


def test_an_address_is_needed_where_it_must_be_proven(browser: Browser) -> None:
    assert name_of(browser.sign_up()) == "FormEntry"
    assert browser.sign_up(ALICE).json()["ok"] is True, "a username may be the address"
    assert browser.mail(ALICE)


def test_a_link_expires(world: World, browser: Browser) -> None:
    browser.sign_up(user_email=ALICE)
    link = browser.link()
    world.later(days=2)
    assert name_of(browser.call(f"/api{link}")) == "Expired"
    assert state_of(world) == UserState.awaiting_email_verification


def test_sign_up_with_verification_and_a_second_factor(world: World, browser: Browser) -> None:
    displayed = browser.sign_up(user_email=ALICE, factor2="totp").json()
    assert browser.mail() == [], "the mail comes when the factor is set up"
    done = browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).json()
    assert (done["user"], done["emailVerificationNeeded"], len(done["recoveryCodes"])) == (None, True, 10)
    verified = browser.call(f"/api{browser.link()}").json()
    assert verified.pop("csrfToken")
    assert verified == {"ok": True, "verified": True, "user": None, "twoFactorRequired": True}
    assert browser.who() is None, "a link by mail is no second factor"
    assert browser.give(world.code(displayed["totpsecret"])).json()["user"]["username"] == "alice"


def test_a_factor_by_email_proves_the_address(world: World, browser: Browser) -> None:
    answer = browser.sign_up(user_email=ALICE, factor2="email").json()
    assert answer["emailVerificationNeeded"] is False
    assert browser.call("/api/configurefactor2", otp=browser.mailed_code(ALICE)).json()["user"]["state"] == "active"


@pytest.mark.parametrize("factor2", ["none", "totp"])
def test_a_sign_up_with_a_known_address_is_answered_as_any_other(world: World, browser: Browser, factor2: str) -> None:
    verified(browser)
    browser.call("/api/logout")
    known = browser.sign_up("mallory", user_email=ALICE, factor2=factor2)
    fresh = browser.sign_up("bob", user_email="bob@example.com", factor2=factor2)
    assert known.status_code == fresh.status_code == 200
    hide = {"totpsecret": "", "otpauthUri": "", "qr": "", "qrSvg": "", "username": "", "csrfToken": ""}
    assert {**known.json(), **hide} == {**fresh.json(), **hide}
    if factor2 == "totp":
        for name, answer in (("mallory", known), ("bob", fresh)):
            browser.sign_up(name, user_email=ALICE if name == "mallory" else "bob2@example.com", factor2="totp")
            displayed = browser.get("/api/configurefactor2").json()
            done = browser.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"]))
            assert (done.status_code, set(done.json())) == (
                200, {"ok", "user", "emailVerificationNeeded", "recoveryCodes", "csrfToken"}
            ), answer.text  # fmt: skip
    assert browser.mail(ALICE)[0]["subject"] == "You already have an account at localhost"
    owner = asyncio.run(world.users.get_user_by_email(ALICE)).user
    assert owner.username == "alice", "the account that was made holds no address"


def test_a_username_that_is_taken_says_so(browser: Browser) -> None:
    verified(browser)
    browser.call("/api/logout")
    assert name_of(browser.sign_up("alice", user_email="other@example.com")) == "UserExists"


def test_an_address_changes_when_the_new_one_is_proven(world: World, browser: Browser, other: Browser) -> None:
    verified(browser)
    answer = browser.call("/api/updateuser", user_email="new@example.com").json()
    assert answer == {"ok": True, "emailVerificationRequired": True}
    assert browser.get("/api/userforsessionkey").json()["user"]["email"] == ALICE
    assert "asked to change" in browser.mail(ALICE)[0]["text"]
    assert other.call(f"/api{browser.link('new@example.com')}").json() == {
        "ok": True, "verified": True, "user": None,
    }  # fmt: skip
    assert other.who() is None, "proving a new address logs nobody in"
    assert browser.who() is None, "every session ends with the address"
    assert browser.log_in().json()["user"]["email"] == "new@example.com"
    assert "was changed" in browser.mail(ALICE)[0]["text"]
    assert {"email_change_requested", "email_changed"} <= set(world.heard.names)


@pytest.mark.parametrize(
    ("proven", "other_mailbox"),
    [
        ("info@bucher.example.com", "info@bücher.example.com"), ("info@strasse.example.com", "info@straße.example.com"),
        ("rene@example.com", "rené@example.com"), ("vicki@example.com", "vıcki@example.com"),
    ],
)  # fmt: skip
def test_what_is_proven_of_an_address_is_not_proven_of_one_that_looks_like_it(
    world: World, browser: Browser, proven: str, other_mailbox: str
) -> None:
    verified(browser, email=proven)
    browser.call("/api/requestpasswordreset", email=proven)
    token = browser.link(proven).split("token=")[1]
    assert browser.call("/api/updateuser", user_email=other_mailbox).json()["emailVerificationRequired"] is True
    assert asyncio.run(world.users.get_user_by_id(1)).user.email == proven
    link = browser.link(other_mailbox)
    assert browser.call(f"/api{link}").json()["ok"] is True
    assert asyncio.run(world.users.get_user_by_id(1)).user.email == other_mailbox
    assert name_of(browser.call("/api/resetpassword", token=token, new_password=NEW)) == "InvalidKey"
    browser.call("/api/requestpasswordreset", email=other_mailbox)
    token = browser.link(other_mailbox).split("token=")[1]
    asyncio.run(world.users.update_user({"id": 1, "email": proven}))
    assert name_of(browser.call("/api/resetpassword", token=token, new_password=NEW)) == "InvalidKey"


def test_another_way_to_write_a_proven_address_is_stored_at_once(world: World, browser: Browser) -> None:
    verified(browser, email="rené@example.com")
    answer = browser.call("/api/updateuser", user_email="RENE\u0301@Example.com").json()
    assert (answer["ok"], answer["emailVerificationRequired"]) == (True, False)
    assert asyncio.run(world.users.get_user_by_id(1)).user.email == "RENÉ@example.com"


def test_a_change_to_a_known_address_is_answered_as_any_other(browser: Browser, other: Browser) -> None:
    verified(other, "bob", "bob@example.com")
    verified(browser)
    known = browser.call("/api/updateuser", user_email="bob@example.com")
    fresh = browser.call("/api/updateuser", user_email="fresh@example.com")
    assert (known.status_code, known.json()) == (fresh.status_code, fresh.json())
    assert browser.mail("bob@example.com")[0]["subject"] == "You already have an account at localhost"


def test_of_two_who_want_an_address_the_first_to_prove_it_gets_it(browser: Browser, other: Browser) -> None:
    verified(browser)
    verified(other, "bob", "bob@example.com")
    browser.call("/api/updateuser", user_email="both@example.com")
    first = browser.link("both@example.com")
    other.call("/api/updateuser", user_email="both@example.com")
    second = browser.link("both@example.com")
    assert browser.call(f"/api{first}").status_code == 200
    assert name_of(other.call(f"/api{second}")) == "UserExists"


def test_a_forgotten_password(world: World, browser: Browser, other: Browser) -> None:
    verified(browser)
    assert other.call("/api/requestpasswordreset", email=ALICE.upper()).json()["ok"] is True
    mail = other.mail(ALICE)[0]
    assert mail["subject"] == "Reset your localhost password"
    link = other.link(ALICE)
    page = other.get(link)
    assert (page.status_code, 'name="token"' in page.text) == (200, True)
    token = link.split("token=")[1]
    assert other.get(f"/resetpassword/{token}").status_code == 200, "the older form of the link"
    weak = other.call("/api/resetpassword", token=token, new_password="short", repeat_password="short")
    assert name_of(weak) == "PasswordFormat"
    done = other.call("/api/resetpassword", token=token, new_password=NEW, repeat_password=NEW)
    assert done.json()["user"]["username"] == "alice", "a refused password leaves the link good"
    assert (other.who(), browser.who()) == ("alice", None), "every other session has ended"
    assert name_of(other.call("/api/resetpassword", token=token, new_password=PASSWORD)) == "InvalidKey"
    other.call("/api/logout")
    assert name_of(other.log_in()) == "UsernameOrPasswordInvalid"
    assert other.log_in(password=NEW).status_code == 200


@pytest.mark.parametrize("why", ["used", "expired", "unknown"])
def test_the_page_of_a_bad_reset_link_offers_a_new_one(
    world: World, browser: Browser, other: Browser, why: str
) -> None:
    verified(browser)
    other.call("/api/requestpasswordreset", email=ALICE)
    link = other.link(ALICE) if why != "unknown" else "/resetpassword?token=unknown"
    token = link.split("token=")[1]
    if why == "used":
        browser.call("/api/resetpassword", token=token, new_password=NEW)
    if why == "expired":
        world.later(days=2)
    sent = {"token": token, "new_password": NEW, "repeat_password": NEW}
    for page in (other.get(link), other.get(f"/resetpassword/{token}"), other.submit("/resetpassword", **sent)):
        assert 400 <= page.status_code < 500
        assert ('name="new_password"' in page.text, 'href="/requestpasswordreset"' in page.text) == (False, True)
        assert "This link" in page.text


def test_a_refused_new_password_leaves_the_form_of_a_good_link(browser: Browser, other: Browser) -> None:
    verified(browser)
    other.call("/api/requestpasswordreset", email=ALICE)
    token = other.link(ALICE).split("token=")[1]
    page = other.submit("/resetpassword", token=token, new_password="short", repeat_password="short")
    assert (page.status_code, f'value="{token}"' in page.text) == (400, True)
    assert "requestpasswordreset" not in page.text


def test_a_reset_does_not_get_around_the_second_factor(world: World, browser: Browser, other: Browser) -> None:
    verified(browser)
    secret, _ = browser.add_totp(world)
    other.call("/api/requestpasswordreset", email=ALICE)
    token = other.link(ALICE).split("token=")[1]
    done = other.call("/api/resetpassword", token=token, new_password=NEW)
    assert done.json()["twoFactorRequired"] is True
    assert other.who() is None
    assert other.give(world.code(secret)).json()["user"]["username"] == "alice"


def test_known_and_unknown_addresses_are_answered_alike(browser: Browser, other: Browser) -> None:
    verified(browser)
    known = other.call("/api/requestpasswordreset", email=ALICE)
    unknown = other.call("/api/requestpasswordreset", email="nobody@example.com")
    assert known.status_code == unknown.status_code == 200
    assert known.json() | {"email": ""} == unknown.json() | {"email": ""}
    assert set(known.headers) == set(unknown.headers)
    assert browser.mail("nobody@example.com") == []
    pages = [other.submit("/requestpasswordreset", email=e).text.replace(e, "") for e in (ALICE, "nobody@example.com")]
    assert pages[0] == pages[1]


def test_an_inactive_account_is_sent_nothing_and_nobody_is_told(world: World, browser: Browser) -> None:
    verified(browser)
    asyncio.run(world.users.update_user({"id": 1, "state": "disabled"}))
    before = len(browser.mail())
    assert browser.call("/api/requestpasswordreset", email=ALICE).status_code == 200
    assert len(browser.mail()) == before


def test_a_link_dies_with_what_it_was_sent_for(world: World, browser: Browser) -> None:
    verified(browser)
    browser.call("/api/requestpasswordreset", email=ALICE)
    token = browser.link(ALICE).split("token=")[1]
    asyncio.run(world.users.update_user({"id": 1, "email": "elsewhere@example.com"}))
    assert name_of(browser.call("/api/resetpassword", token=token, new_password=NEW)) == "InvalidKey"
    browser.call("/api/requestpasswordreset", email="elsewhere@example.com")
    token = browser.link("elsewhere@example.com").split("token=")[1]
    asyncio.run(world.users.update_user({"id": 1, "state": "disabled"}))
    assert browser.call("/api/resetpassword", token=token, new_password=NEW).status_code == 403


def test_states_that_demand_a_reset(world: World, browser: Browser) -> None:
    verified(browser)
    browser.call("/api/logout")
    for state, after in (
        (UserState.password_reset_needed, UserState.active),
        (UserState.password_and_factor2_reset_needed, UserState.factor2_reset_needed),
    ):
        asyncio.run(world.users.update_user({"id": 1, "state": state, "factor2": None}))
        assert name_of(browser.log_in()) == "PasswordResetNeeded"
        browser.call("/api/requestpasswordreset", email=ALICE)
        token = browser.link(ALICE).split("token=")[1]
        browser.call("/api/resetpassword", token=token, new_password=PASSWORD)
        assert state_of(world) == after
        browser.call("/api/logout")


@pytest.mark.parametrize("token", ["", "x", "%00", "%ud800", "../..", "x" * 5000, "e:abc", "%F0%9F%92%A9"])
def test_garbage_in_links_is_refused(browser: Browser, token: str) -> None:
    for path in (f"/verifyemail/{token}", f"/api/verifyemail/{token}", f"/resetpassword?token={token}"):
        assert 400 <= browser.get(path, follow_redirects=True).status_code < 500
    assert 400 <= browser.call("/api/resetpassword", token=token, new_password=NEW).status_code < 500


@pytest.mark.parametrize("email", ["", "x", "a@b@c", "a\nb@example.com", "x" * 500 + "@example.com", 7, None, ["a"]])
def test_garbage_for_an_address_is_refused(browser: Browser, email: object) -> None:
    assert browser.call("/api/requestpasswordreset", email=email).status_code == 400


def test_e_mail_must_be_configured() -> None:
    for options in ({"enable_password_reset": True}, {"enable_email_verification": True}):
        with pytest.raises(CrossauthError, match="smtp_host"):
            make_server(site_url="http://localhost:8000", **options)
    with pytest.raises(CrossauthError, match="localhost"):
        make_server(enable_password_reset=True, mailer=Outbox(), site_url="https://example.com")
    with pytest.raises(CrossauthError, match="email_from"):
        make_server(enable_password_reset=True, smtp_host="localhost", site_url="https://example.com")
    with pytest.raises(CrossauthError, match="needs option 'enable_password_reset'"):
        make_server(endpoints=["resetpassword"])
