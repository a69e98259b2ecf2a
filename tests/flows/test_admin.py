"""What administrators do, and that nobody else does it."""

import asyncio
from collections.abc import Iterator

import pytest

from crossauth_backend import InMemoryUserStorage, UserState
from tests.accounts import NEW, Browser, World, name_of
from tests.support import PASSWORD

BOB = "bob@example.com"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def admin(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("root", factor2="none")
        asyncio.run(world.users.update_user({"id": 1, "admin": True}))
        yield browser


@pytest.fixture
def other(admin: Browser) -> Iterator[Browser]:
    with Browser(str(admin.base_url)) as other:
        yield other


def create(admin: Browser, username: str = "bob", **fields: object) -> int:
    provided = {"username": username, "password": PASSWORD, "repeat_password": PASSWORD, "user_email": BOB} | fields
    made = admin.call("/admin/api/createuser", **provided)
    assert made.status_code == 200, made.text
    return int(made.json()["user"]["id"])


PAGES = ["createuser", "selectuser", "updateuser/1", "changepassword/1", "deleteuser/1", "audit"]
CALLS = ["createuser", "updateuser/1", "changepassword/1", "deleteuser/1"]


def test_only_administrators_get_there(admin: Browser, other: Browser) -> None:
    for who, status in (("nobody", 401), ("bob", 403)):
        if who == "bob":
            other.sign_up("bob", factor2="none")
        for page in PAGES:
            assert other.get(f"/admin/{page}").status_code == status
        for name in ("selectuser", "audit"):
            assert other.get(f"/admin/api/{name}").status_code == status
        for call in CALLS:
            answer = other.call(f"/admin/api/{call}", username="x", new_password=NEW, user_email="x@example.com")
            assert name_of(answer) in ("Unauthorized", "InsufficientPriviledges"), call
            assert other.submit(f"/admin/{call}", username="x", new_password=NEW).status_code == status
    for page in PAGES:
        assert admin.get(f"/admin/{page}").status_code == 200


def test_pages_are_about_the_user_they_name_and_not_about_who_is_logged_in(admin: Browser) -> None:
    userid = create(admin)
    for name in ("updateuser", "changepassword", "deleteuser"):
        page = admin.get(f"/admin/{name}/{userid}").text
        assert f'action="/admin/{name}/{userid}"' in page
        assert "bob" in page.split("<main")[1]
        assert "root" not in page.split("<main")[1]
        assert 'title="root"' in page, "the head names who is logged in"
    done = admin.submit(f"/admin/updateuser/{userid}", username="robert", state="active").text
    assert ("Edit robert" in done, f'action="/admin/updateuser/{userid}"' in done) == (True, True)
    refused = admin.submit(f"/admin/updateuser/{userid}", username="root", state="active")
    assert (refused.status_code, f'action="/admin/updateuser/{userid}"' in refused.text) == (400, True)


def test_every_change_needs_a_csrf_token(admin: Browser) -> None:
    for call in CALLS:
        assert (
            name_of(admin.post(f"/admin/api/{call}", json={"username": "bob", "password": PASSWORD})) == "InvalidCsrf"
        )
        assert admin.post(f"/admin/{call}", data={"username": "bob", "password": PASSWORD}).status_code == 403
    assert len(admin.get("/admin/api/selectuser").json()["users"]) == 1


def test_an_administrator_creates_a_user_with_a_password(admin: Browser, other: Browser) -> None:
    create(admin)
    assert other.log_in("bob").json()["user"]["email"] == BOB
    assert name_of(admin.call("/admin/api/createuser", username="bob", password=PASSWORD)) == "UserExists"
    assert name_of(admin.call("/admin/api/createuser", username="b")) == "FormEntry"
    page = admin.submit("/admin/createuser", username="eve", password=PASSWORD, repeat_password="other", factor2="none")
    assert (page.status_code, 'value="eve"' in page.text) == (400, True)
    page = admin.submit("/admin/createuser", username="eve", password=PASSWORD, repeat_password=PASSWORD)
    assert (page.status_code, page.headers["location"]) == (303, "/admin/selectuser")


def test_without_a_password_the_user_is_sent_a_link(world: World, admin: Browser, other: Browser) -> None:
    create(admin, password="", repeat_password="")
    assert name_of(other.log_in("bob", "")) == "UsernameOrPasswordInvalid"
    token = other.link(BOB).split("token=")[1]
    assert other.call("/api/resetpassword", token=token, new_password=NEW).json()["user"]["username"] == "bob"
    assert name_of(admin.call("/admin/api/createuser", username="carol")) == "FormEntry", "no password and no address"


def test_a_user_created_with_a_second_factor_sets_it_up_at_the_first_login(
    world: World, admin: Browser, other: Browser
) -> None:
    userid = create(admin, factor2="totp")
    assert name_of(other.log_in("bob")) == "Factor2ResetNeeded"
    displayed = other.call("/api/changefactor2", factor2="totp").json()
    assert other.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).json()["user"]["id"] == userid


def test_users_are_found_page_by_page(admin: Browser) -> None:
    for n in range(12):
        create(admin, f"user{n:02}", user_email=f"user{n}@example.com")
    first = admin.get("/admin/api/selectuser").json()
    assert (len(first["users"]), first["haveNext"]) == (10, True)
    rest = admin.get("/admin/api/selectuser?skip=10&take=5").json()
    assert ([u["username"] for u in rest["users"]], rest["haveNext"]) == (["user09", "user10", "user11"], False)
    assert [u["username"] for u in admin.get("/admin/api/selectuser?search=USER03").json()["users"]] == ["user03"]
    found = admin.get("/admin/api/selectuser?search=user4@example.com").json()["users"]
    assert [u["username"] for u in found] == ["user04"]
    for query in (
        "skip=-5",
        "take=-1",
        "take=100000",
        "skip=x",
        "skip=99999999999999999999",
        "search=%00",
        "search=%ff",
    ):
        assert admin.get(f"/admin/api/selectuser?{query}").status_code == 200, query
        assert admin.get(f"/admin/selectuser?{query}").status_code == 200
    assert "user00" in admin.get("/admin/selectuser").text


@pytest.mark.parametrize("change", [{"state": "disabled"}, {"factor2": "totp"}, {"state": "passwordresetneeded"}])
def test_a_changed_state_or_factor_ends_sessions_at_once(
    admin: Browser, other: Browser, change: dict[str, str]
) -> None:
    userid = create(admin)
    other.log_in("bob")
    assert other.who() == "bob"
    assert admin.call(f"/admin/api/updateuser/{userid}", **change).json()["ok"] is True
    assert other.who() is None
    assert other.log_in("bob").status_code == 403


def test_an_administrator_changes_a_user(world: World, admin: Browser, other: Browser) -> None:
    userid = create(admin)
    page = admin.submit(
        f"/admin/updateuser/{userid}", username="robert", user_email="robert@example.com", state="active"
    )
    assert "has been updated" in page.text
    stored = asyncio.run(world.users.get_user_by_id(userid)).user
    assert (stored.username, stored.email, stored.admin) == ("robert", "robert@example.com", False)
    assert name_of(admin.call(f"/admin/api/updateuser/{userid}", state="nonsense")) == "BadRequest"
    assert name_of(admin.call(f"/admin/api/updateuser/{userid}", factor2="nonsense")) == "Forbidden"
    both = admin.call(f"/admin/api/updateuser/{userid}", factor2="totp", state="disabled")
    assert name_of(both) == "BadRequest"
    admin.call(f"/admin/api/updateuser/{userid}", user_admin=True, user_id=1, user_state="disabled")
    stored = asyncio.run(world.users.get_user_by_id(userid)).user
    assert (stored.id, stored.admin, stored.state) == (userid, False, "active"), "C20: only what may be edited"
    reset = admin.call(f"/admin/api/updateuser/{userid}", state=UserState.password_reset_needed)
    assert "sent them a link" in reset.json()["message"]
    assert admin.mail("robert@example.com")


def test_an_administrator_gives_a_user_a_password(admin: Browser, other: Browser) -> None:
    userid = create(admin)
    other.log_in("bob")
    assert name_of(admin.call(f"/admin/api/changepassword/{userid}", new_password="x")) == "PasswordFormat"
    answer = admin.call(f"/admin/api/changepassword/{userid}", new_password=NEW, repeat_password=NEW)
    assert answer.json()["ok"] is True
    assert other.who() is None
    assert other.log_in("bob", NEW).status_code == 200


def test_a_password_by_an_administrator_does_not_get_around_the_second_factor(
    world: World, admin: Browser, other: Browser
) -> None:
    other.sign_up("bob", factor2="none")
    other.add_totp(world)
    admin.call("/admin/api/changepassword/2", new_password=NEW)
    other.asked("bob", NEW)


def test_an_administrator_deletes_a_user(admin: Browser, other: Browser) -> None:
    userid = create(admin)
    other.log_in("bob")
    assert "Delete this account?" in admin.get(f"/admin/deleteuser/{userid}").text
    assert admin.call(f"/admin/api/deleteuser/{userid}").json() == {"ok": True, "userid": userid}
    assert other.who() is None
    assert admin.call(f"/admin/api/deleteuser/{userid}").status_code == 404
    assert name_of(admin.call("/admin/api/deleteuser/1")) == "BadRequest", "not oneself"


@pytest.mark.parametrize("userid", ["99", "x", "-1", "%00", "99999999999999999999", "1 OR 1=1"])
def test_garbage_for_an_id_is_nobody(admin: Browser, userid: str) -> None:
    for name in ("updateuser", "changepassword", "deleteuser"):
        assert admin.get(f"/admin/{name}/{userid}").status_code == 404
        assert admin.call(f"/admin/api/{name}/{userid}", new_password=NEW).status_code == 404


def test_what_happened_can_be_read(world: World, admin: Browser, other: Browser) -> None:
    userid = create(admin)
    other.log_in("bob", "Wrong1password")
    other.log_in("nobody-of-this-name", "Wrong1password")
    events = admin.get("/admin/api/audit").json()["events"]
    newest, known, made = events[0], events[1], events[2]
    assert (newest["name"], newest["username"]) == ("login_failed", None), "what was typed in vain is not kept"
    assert (known["name"], known["username"], known["reason"]) == ("login_failed", "bob", "UsernameOrPasswordInvalid")
    assert (made["name"], made["userid"], made["actor"]) == ("user_created", userid, 1)
    page = admin.get("/admin/audit").text
    assert "Login failed" in page
    assert "by root" in page, "people are named, not numbered"
    assert len(admin.get("/admin/api/audit?take=1&skip=1").json()["events"]) == 1


def test_the_pages_show_every_field_that_may_be_edited() -> None:
    users = InMemoryUserStorage(
        {"user_editable_fields": ["username", "email", "nick_name", "state"], "admin_editable_fields": ["credit"]}
    )
    world = World(users, allowed_factor2=["none"])
    with world.open() as url, Browser(url) as browser:
        page = browser.get("/signup").text
        assert ('name="user_email"' in page, ">Nick name " in page) == (True, True)
        for hidden in ("user_credit", "user_state", "user_username"):
            assert hidden not in page
        refused = browser.submit("/signup", username="x", password="short", user_nick_name="Al")
        assert (refused.status_code, 'value="Al"' in refused.text) == (400, True)
        browser.submit("/signup", username="root", password=PASSWORD, repeat_password=PASSWORD, user_nick_name="Ro")
        asyncio.run(users.update_user({"id": 1, "admin": True}))
        fields = {"user_nick_name": "Bo", "user_credit": "10", "user_email": BOB}
        page = browser.get("/admin/createuser").text
        assert all(f'name="{name}"' in page for name in fields)
        assert "user_state" not in page
        sent = {"password": PASSWORD, "repeat_password": PASSWORD, **fields}
        refused = browser.submit("/admin/createuser", **sent, username="root")
        assert all(f'value="{value}"' in refused.text for value in fields.values())
        assert browser.submit("/admin/createuser", **sent, username="bob").status_code == 303
        page = browser.get("/admin/updateuser/2").text
        assert all(f'value="{value}"' in page for value in fields.values())
        page = browser.submit("/admin/updateuser/2", **{**fields, "user_credit": "20"}).text
        assert 'value="20"' in page
        assert asyncio.run(users.get_user_by_id(2)).user["credit"] == "20"
