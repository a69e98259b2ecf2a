"""What a stolen session alone must not do: step-up by the second factor, or by the password where there is none."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.accounts.authentication import auth_of
from crossauth_fastapi._actions.action import StepUp
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi._session.stepup import protected_names
from tests.accounts import NEW, Browser, World, name_of
from tests.support import CSRF, PASSWORD, make_server

ALICE = "alice@example.com"
OTHER = "other@example.com"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with world.open() as url:
        yield url


@pytest.fixture
def owner(world: World, url: str) -> Iterator[Browser]:
    """A user with a second factor."""
    with Browser(url) as browser:
        browser.sign_up(factor2="none", user_email=ALICE)
        browser.secret, _ = browser.add_totp(world)  # type: ignore[attr-defined]
        yield browser


@pytest.fixture
def bob(url: str) -> Iterator[Browser]:
    """A user without one."""
    with Browser(url) as browser:
        browser.sign_up("bob", factor2="none", user_email="bob@example.com")
        yield browser


def thief_of(browser: Browser) -> Browser:
    """Another browser with the same session."""
    thief = Browser(str(browser.base_url))
    thief.cookies.set("SESSIONID", browser.cookies["SESSIONID"], domain="127.0.0.1")
    return thief


def stored(world: World, userid: int = 1) -> Any:
    return asyncio.run(world.users.get_user_by_id(userid, {"skip_active_check": True}))


def asks(answer: httpx2.Response) -> bool:
    return answer.json().get("factor2Required") is True


# Every action says whether it asks


def test_what_asks_by_default_is_derived_from_the_actions() -> None:
    assert set(protected_names(json=False)) >= {
        "/changepassword", "/requestpasswordreset", "/resetpassword", "/updateuser", "/deleteuser", "/configurefactor2",
        "/changefactor2", "/recoverycodes", "/admin/createuser", "/admin/updateuser/{id}", "/admin/changepassword/{id}",
        "/admin/deleteuser/{id}",
    }  # fmt: skip
    field = SessionServerSettings.__dataclass_fields__["factor2_protected_api_endpoints"]
    assert field.metadata["shown"]() == ", ".join(protected_names(json=True))
    for action in ACTIONS:
        assert isinstance(action.step_up, StepUp)
        assert not (action.admin and action.submit and action.step_up is StepUp.NEVER), "all administration asks"


@pytest.mark.parametrize("path", ["/admin/updateuser", "/admin/updateuser/{id}", "POST /admin/updateuser"])
def test_an_action_that_is_listed_without_its_parameter_asks_all_the_same(path: str) -> None:
    """An entry must never be taken and protect nothing."""
    world = World(factor2_protected_page_endpoints=[path], factor2_protected_api_endpoints=[])
    with world.open() as url, Browser(url) as owner:
        owner.sign_up(factor2="none", user_email=ALICE)
        owner.add_totp(world)
        asyncio.run(world.users.update_user({"id": 1, "admin": True}))
        assert owner.submit("/admin/updateuser/1", user_email=OTHER).headers.get("location") == "/factor2"
    assert stored(world).user.email == ALICE


# With a second factor


def test_a_stolen_session_cannot_begin_a_second_factor_anew(world: World, owner: Browser) -> None:
    before = stored(world)
    with thief_of(owner) as thief:
        for path in ("/api/configurefactor2", "/configurefactor2"):
            for _ in range(2):
                page = thief.get(path)
                assert "totpsecret" not in page.text
                assert "qrbox" not in page.text
        assert name_of(thief.get("/api/configurefactor2")) == "BadRequest", "a GET begins nothing"
        assert asks(thief.call("/api/configurefactor2", otp="123456")), "a code of nothing that was begun"
        assert asks(thief.call("/api/configurefactor2"))
        assert thief.submit("/configurefactor2").headers["location"] == "/factor2"
        assert asks(thief.call("/api/configurefactor2", factor2="totp"))
        assert name_of(thief.call("/api/configurefactor2", otp="123456")) == "InvalidToken"
    assert stored(world) == before


def test_the_owner_begins_anew_with_a_code_and_get_shows_what_was_begun(world: World, owner: Browser) -> None:
    assert asks(owner.call("/api/configurefactor2"))
    displayed = owner.call("/api/factor2", otp=world.code(owner.secret)).json()  # type: ignore[attr-defined]
    assert displayed["totpsecret"] != owner.secret  # type: ignore[attr-defined]
    assert owner.get("/api/configurefactor2").json()["totpsecret"] == displayed["totpsecret"]
    done = owner.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).json()
    assert len(done["recoveryCodes"]) == 10
    owner.call("/api/logout")
    owner.asked()
    assert owner.give(world.code(displayed["totpsecret"])).json()["ok"] is True


def test_the_page_begins_anew_by_a_button(world: World, owner: Browser) -> None:
    page = owner.get("/configurefactor2")
    assert page.status_code == 200
    assert 'name="otp"' not in page.text
    assert owner.submit("/configurefactor2").headers["location"] == "/factor2"
    begun = owner.submit("/factor2", otp=world.code(owner.secret))  # type: ignore[attr-defined]
    secret = begun.text.split('class="key">')[1].split("<")[0]
    done = owner.submit("/configurefactor2", otp=world.code(secret))
    assert "Recovery codes" in done.text


@pytest.mark.parametrize("path", ["/api/deleteuser", "/deleteuser"])
def test_deleting_the_account_asks(world: World, owner: Browser, path: str) -> None:
    with thief_of(owner) as thief:
        answer = thief.call(path) if "api" in path else thief.submit(path)
        assert asks(answer) if "api" in path else answer.headers["location"] == "/factor2"
    assert stored(world).user.username == "alice"
    owner.call("/api/deleteuser")
    assert owner.call("/api/factor2", otp=world.code(owner.secret)).json()["ok"] is True  # type: ignore[attr-defined]


def test_administration_asks(world: World, owner: Browser, bob: Browser) -> None:
    asyncio.run(world.users.update_user({"id": 1, "admin": True}))
    before = stored(world, 2)
    calls: dict[str, dict[str, Any]] = {
        "createuser": {"username": "carol", "password": PASSWORD},
        "updateuser/2": {"state": "disabled"},
        "changepassword/2": {"new_password": NEW, "repeat_password": NEW},
        "deleteuser/2": {},
    }
    for name, fields in calls.items():
        assert asks(owner.call(f"/admin/api/{name}", **fields))
        assert owner.submit(f"/admin/{name}", **fields).headers["location"] == "/factor2"
    assert stored(world, 2) == before
    assert owner.get("/admin/api/selectuser").json()["ok"] is True, "looking does not ask"
    owner.call("/admin/api/changepassword/2", **calls["changepassword/2"])
    assert owner.call("/api/factor2", otp=world.code(owner.secret)).json()["ok"] is True  # type: ignore[attr-defined]
    assert bob.who() is None


def test_a_password_change_without_a_code_makes_no_device_known() -> None:
    world = World(
        enable_known_devices=True, factor2_protected_page_endpoints=[], factor2_protected_api_endpoints=["/pay"]
    )

    @world.server.app.post("/pay")
    async def pay() -> str:
        return "paid"

    with world.open() as url, Browser(url) as owner:
        owner.sign_up(factor2="none")
        owner.add_totp(world)
        with thief_of(owner) as thief:
            assert asks(thief.call("/pay"))
            changed = thief.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
            assert changed.json()["ok"] is True
            assert asks(thief.call("/pay"))


def test_a_password_change_with_a_code_makes_the_device_known() -> None:
    world = World(enable_known_devices=True)
    with world.open() as url, Browser(url) as owner:
        owner.sign_up(factor2="none")
        secret, _ = owner.add_totp(world)
        owner.cookies.delete("KNOWNDEVICE")
        assert asks(owner.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW))
        assert owner.call("/api/factor2", otp=world.code(secret)).json()["ok"] is True
        assert owner.call("/api/updateuser", user_phone="+441632960961").json()["emailVerificationRequired"] is False


def test_the_code_of_a_login_sent_while_logged_in_goes_on_and_is_no_fault(world: World, bob: Browser) -> None:
    for form in ({"otp": "1"}, {"csrfToken": "stale", "otp": "1"}):
        answer = bob.post("/loginfactor2", data=form)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert bob.post("/api/loginfactor2", json=form).status_code == 403
    garbage = bob.post("/loginfactor2", content=b"{", headers={"Content-Type": "application/json", CSRF: bob.token()})
    assert garbage.status_code == 400


# Without a second factor

ASKING: dict[str, dict[str, Any]] = {
    "/api/updateuser": {"user_email": OTHER},
    "/api/changefactor2": {"factor2": "totp"},
    "/api/deleteuser": {},
}


@pytest.mark.parametrize("path", ASKING)
def test_an_old_login_is_asked_for_the_password(world: World, bob: Browser, path: str) -> None:
    world.later(minutes=61)
    before = stored(world)
    refused = bob.call(path, **ASKING[path])
    assert (refused.status_code, name_of(refused)) == (401, "Unauthorized")
    assert refused.json()["passwordRequired"] is True
    assert refused.json()["field"] == "password"
    assert "'password'" in refused.json()["errorMessage"]
    wrong = bob.call(path, **ASKING[path], password="Wrong1password")
    assert (wrong.status_code, name_of(wrong)) == (401, "UsernameOrPasswordInvalid")
    assert stored(world) == before
    assert bob.who() == "bob"
    assert bob.call(path, **ASKING[path], password=PASSWORD).json()["ok"] is True


@pytest.mark.parametrize("path", ASKING)
def test_a_recent_login_is_not_asked(world: World, bob: Browser, path: str) -> None:
    world.later(minutes=59)
    assert bob.call(path, **ASKING[path]).json()["ok"] is True


def test_giving_up_a_factor_that_is_not_there_asks_too(world: World, bob: Browser) -> None:
    world.later(minutes=61)
    assert bob.call("/api/changefactor2", factor2="none").json()["passwordRequired"] is True


def test_what_moves_no_mail_does_not_ask(world: World, bob: Browser) -> None:
    world.later(minutes=61)
    assert bob.call("/api/updateuser", user_phone="+441632960961", user_email="BOB@example.com").json()["ok"] is True


def test_the_password_counts_as_a_login(world: World, bob: Browser) -> None:
    world.later(minutes=61)
    assert bob.call("/api/updateuser", user_email=OTHER, password=PASSWORD).json()["ok"] is True
    assert bob.call("/api/updateuser", user_email=ALICE).json()["ok"] is True
    world.later(minutes=61)
    assert bob.call("/api/updateuser", user_email=OTHER).json()["passwordRequired"] is True


def test_guesses_of_the_password_are_limited(world: World, bob: Browser) -> None:
    world.later(minutes=61)
    answers = [bob.call("/api/deleteuser", password="Wrong1password") for _ in range(21)]
    assert [a.status_code for a in answers] == [401] * 20 + [429]
    assert name_of(bob.call("/api/deleteuser", password=PASSWORD)) == "TooManyAttempts"


def test_pages_ask_in_their_form(world: World, bob: Browser) -> None:
    for path in ("/deleteuser", "/changefactor2"):
        assert 'name="password"' not in bob.get(path).text
    world.later(minutes=61)
    for path in ("/deleteuser", "/changefactor2"):
        assert 'name="password"' in bob.get(path).text
    again = bob.submit("/updateuser", user_email=OTHER)
    assert again.status_code == 401
    assert 'name="password"' in again.text
    assert OTHER in again.text, "what was typed is still there"
    wrong = bob.submit("/updateuser", user_email=OTHER, password="Wrong1password")
    assert 'name="password"' in wrong.text
    assert "Wrong1password" not in wrong.text
    assert bob.submit("/updateuser", user_email=OTHER, password=PASSWORD).status_code == 200
    assert stored(world).user.email == OTHER
    assert bob.submit("/deleteuser").status_code == 200


@pytest.mark.parametrize(
    ("seconds", "after", "asked"), [(None, 100_000, False), (0, 0, True), (60, 61, True), (60, 59, False)]
)
def test_how_old_a_login_may_be_is_an_option(seconds: int | None, after: int, asked: bool) -> None:
    world = World(reauthentication_seconds=seconds)
    with world.open() as url, Browser(url) as bob:
        bob.sign_up("bob", factor2="none")
        world.later(seconds=after)
        answer = bob.call("/api/deleteuser")
        assert answer.json().get("passwordRequired", False) is asked
        assert answer.json()["ok"] is not asked


def test_administrators_without_a_second_factor_are_asked_too(world: World, bob: Browser) -> None:
    asyncio.run(world.users.update_user({"id": 1, "admin": True}))
    with Browser(str(bob.base_url)) as carol:
        carol.sign_up("carol", factor2="none")
    world.later(minutes=61)
    for path, fields in {
        "updateuser/2": {"user_email": OTHER}, "changepassword/2": {"new_password": NEW, "repeat_password": NEW},
        "deleteuser/2": {},
    }.items():  # fmt: skip
        assert bob.call(f"/admin/api/{path}", **fields).json()["passwordRequired"] is True
        assert 'name="password"' in bob.get(f"/admin/{path}").text
    assert {a.name for a in ACTIONS if a.admin and a.submit} == {
        "createuser",
        "updateuser",
        "changepassword",
        "deleteuser",
    }
    # Its field `password` is the new user's.
    new = {"username": "mole", "password": NEW, "repeat_password": NEW}
    refused = bob.call("/admin/api/createuser", **new).json()
    assert (refused["passwordRequired"], refused["field"]) == (True, "current_password")
    assert 'name="current_password"' in bob.get("/admin/createuser").text
    assert name_of(bob.call("/admin/api/createuser", **new, current_password=NEW)) == "UsernameOrPasswordInvalid"
    assert bob.call("/admin/api/changepassword/2", new_password=NEW, repeat_password=NEW, password=PASSWORD).json()[
        "ok"
    ]


def test_a_session_of_an_older_version_is_asked(world: World, bob: Browser) -> None:
    (key,) = [k for k in asyncio.run(world.keys.get_all_for_user(1)) if k.value.startswith("s:")]
    asyncio.run(world.keys.update_data(key.value, "crossauth", {"agent": "x", "address": "y"}))
    assert bob.call("/api/deleteuser").json()["passwordRequired"] is True
    assert bob.call("/api/deleteuser", password=PASSWORD).json()["ok"] is True


def test_a_session_remembers_when_and_how_one_logged_in(world: World, owner: Browser) -> None:
    def session() -> Any:
        keys = asyncio.run(world.keys.get_all_for_user(1))
        return auth_of(next(k for k in keys if k.value.startswith("s:")))

    at = session().auth_time
    assert session().amr == ("pwd",), "setting a factor up is no login"
    world.later(minutes=5)
    owner.call("/api/logout")
    owner.asked()
    owner.give(world.code(owner.secret))  # type: ignore[attr-defined]
    assert session().amr == ("pwd", "otp")
    assert timedelta(minutes=4) < timedelta(seconds=session().auth_time - at) < timedelta(minutes=10)


def test_giving_a_factor_up_makes_no_old_login_recent(world: World, owner: Browser) -> None:
    world.later(minutes=61)
    owner.call("/api/changefactor2", factor2="none")
    done = owner.call("/api/factor2", otp=world.code(owner.secret))  # type: ignore[attr-defined]
    assert done.json()["ok"] is True
    assert owner.call("/api/deleteuser").json()["passwordRequired"] is True


@pytest.mark.parametrize("value", [-1, "hour", 1.5])
def test_a_number_that_cannot_be_stops_the_start(value: Any) -> None:
    with pytest.raises(CrossauthError, match="reauthentication_seconds"):
        make_server(reauthentication_seconds=value)
