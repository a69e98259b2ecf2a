"""Users and administrators look after API keys, on pages and as JSON."""

import asyncio
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
)
from crossauth_fastapi import FastApiApiKeyServer, FastApiSessionServer
from crossauth_fastapi._api_keys.actions import ACTIONS
from tests.accounts import Browser, World, name_of
from tests.services.uvicorn import serve
from tests.support import CHEAP, PASSWORD, SECRET

ROOT_ID = 2


@pytest.fixture
def world() -> World:
    return World(api_key={"scopes": ["read", "write"]})


@pytest.fixture
def alice(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", factor2="none")
        yield browser


@pytest.fixture
def root(world: World, alice: Browser) -> Iterator[Browser]:
    with Browser(str(alice.base_url)) as browser:
        browser.sign_up("root", factor2="none")
        asyncio.run(world.users.update_user({"id": ROOT_ID, "admin": True}))
        yield browser


def with_key(token: str) -> dict[str, str]:
    return {"Authorization": f"ApiKey {token}"}


def works(browser: Browser, token: str) -> bool:
    """Whether a program gets in by this key."""
    with Browser(str(browser.base_url)) as program:
        return bool(program.get("/me", headers=with_key(token)).is_success)


def keys_of(browser: Browser, path: str = "/api/apikeys") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser.get(path).json()["apiKeys"]
    return found


def test_a_key_is_created_listed_renamed_rotated_and_revoked(world: World, alice: Browser) -> None:
    made = alice.call("/api/apikeys", name="deploy", scope="read", expiry=3600)
    token, key = made.json()["token"], made.json()["apiKey"]
    assert made.headers["cache-control"] == "no-store"
    assert (key["name"], key["scope"], key["hint"]) == ("deploy", ["read"], token[:7])
    lived = datetime.fromisoformat(key["expires"]) - datetime.fromisoformat(key["created"])
    assert lived == timedelta(hours=1)
    assert works(alice, token)
    listed = alice.get("/api/apikeys")
    assert [entry["id"] for entry in listed.json()["apiKeys"]] == [key["id"]]
    assert token not in listed.text, "shown once"
    assert alice.call("/api/updateapikey", key=key["id"], name="release").json()["apiKey"]["name"] == "release"
    new = alice.call("/api/rotateapikey", key=key["id"]).json()["token"]
    assert works(alice, token)
    assert works(alice, new)
    both = keys_of(alice)
    assert [entry["replacedUntil"] is None for entry in both] == [True, False]
    newest = alice.call("/api/rotateapikey", key=key["id"], overlap=0).json()["token"]
    assert not works(alice, new)
    left = alice.call("/api/revokeapikey", key=key["id"]).json()["apiKeys"]
    assert (left, works(alice, newest), works(alice, token)) == ([], False, False)
    for event in ("api_key_created", "api_key_rotated", "api_key_revoked"):
        assert event in world.heard.names


def test_every_key_is_revoked_at_once(alice: Browser) -> None:
    tokens = [alice.call("/api/apikeys", name=f"key {n}").json()["token"] for n in range(3)]
    assert alice.call("/api/revokeapikey", all=True).json()["apiKeys"] == []
    assert not any(works(alice, token) for token in tokens)
    assert name_of(alice.call("/api/revokeapikey")) == "BadRequest"


def test_the_pages_do_the_same(alice: Browser) -> None:
    assert "You have no API keys." in alice.get("/apikeys").text
    assert 'href="/apikeys"' in alice.get("/updateuser").text
    page = alice.submit("/apikeys", name="deploy", expiry="2592000", scope_write="true")
    token = re.findall(r'id="new-key">([^<]+)<', page.text)
    assert (page.status_code, len(token)) == (200, 1)
    assert works(alice, token[0])
    (key,) = keys_of(alice)
    assert key["scope"] == ["write"]
    assert token[0] not in alice.get("/apikeys").text
    one = alice.get("/updateapikey", params={"key": key["id"]})
    assert one.status_code == 200
    assert key["hint"] in one.text
    assert token[0] not in one.text
    assert "has been renamed" in alice.submit("/updateapikey", key=key["id"], name="release").text
    rotated = alice.submit("/rotateapikey", key=key["id"], overlap="0")
    new = re.findall(r'id="new-key">([^<]+)<', rotated.text)
    assert works(alice, new[0])
    assert not works(alice, token[0])
    revoked = alice.submit("/revokeapikey", key=key["id"])
    assert "has been revoked" in revoked.text
    assert "You have no API keys." in revoked.text
    assert alice.get("/updateapikey", params={"key": key["id"]}).status_code == 404
    assert alice.submit("/rotateapikey", key=key["id"]).status_code == 404


def test_a_form_with_a_mistake_is_shown_again(alice: Browser) -> None:
    again = alice.submit("/apikeys", name="", expiry="604800", scope_write="true")
    assert again.status_code == 400
    assert "Name the API key" in again.text
    assert '<option value="604800" selected>' in again.text
    assert 'name="scope_write" value="true" checked' in again.text
    assert keys_of(alice) == []


def test_a_key_lives_for_as_long_as_the_server_says(alice: Browser) -> None:
    made = alice.call("/api/apikeys", name="k").json()["apiKey"]
    lived = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created"])
    assert lived == timedelta(days=90)
    for expiry in (0, -1, 31_536_001, 1e300, "x", 0.5, True, "1e999"):
        assert name_of(alice.call("/api/apikeys", name="k", expiry=expiry)) == "BadRequest", expiry
    assert "Never" not in alice.get("/apikeys").text.partition("<select")[2]


def test_keys_may_live_for_ever_where_that_is_said() -> None:
    world = World(api_key={"max_expiry": None})
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", factor2="none")
        assert alice.call("/api/apikeys", name="k", expiry=0).json()["apiKey"]["expires"] is None
        assert "Never expires" in alice.get("/apikeys").text


def test_only_offered_scopes_are_given(alice: Browser) -> None:
    for scope in ("admin", "read admin", "READ", '"'):
        assert name_of(alice.call("/api/apikeys", name="k", scope=scope)) == "InvalidScope", scope
    assert alice.call("/api/apikeys", name="k", scope="read  write read").json()["apiKey"]["scope"] == ["read", "write"]
    assert alice.call("/api/apikeys", name="k").json()["apiKey"]["scope"] is None


def test_an_administrator_looks_after_the_keys_of_a_user(world: World, alice: Browser, root: Browser) -> None:
    own = alice.call("/api/apikeys", name="own").json()["token"]
    assert [key["name"] for key in keys_of(root, "/admin/api/apikeys/1")] == ["own"]
    made = root.call("/admin/api/apikeys/1", name="service", limit_requests=2, limit_seconds=600).json()
    assert made["apiKey"]["limit"] == {"requests": 2, "seconds": 600}
    answers = [alice.get("/me", headers=with_key(made["token"])) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].json()["username"] == "alice"
    assert name_of(root.call("/admin/api/apikeys/1", name="k", limit_requests=2)) == "BadRequest"
    id = made["apiKey"]["id"]
    assert root.call("/admin/api/updateapikey/1", key=id, name="other").json()["apiKey"]["name"] == "other"
    assert root.call("/admin/api/rotateapikey/1", key=id).json()["ok"] is True
    assert root.call("/admin/api/revokeapikey/1", all=True).json()["apiKeys"] == []
    assert not works(alice, own)
    told = [e for e in world.heard.events if e.name.value.startswith("api_key_") and e.actor == ROOT_ID]
    assert {(e.name.value, e.userid) for e in told} == {
        ("api_key_created", 1), ("api_key_rotated", 1), ("api_key_revoked", 1),
    }  # fmt: skip
    assert root.get("/admin/api/apikeys/77").status_code == 404


def test_an_administrator_has_pages_for_it(alice: Browser, root: Browser) -> None:
    listed = root.get("/admin/selectuser").text
    assert 'href="/admin/apikeys/1"' in listed
    # On a phone the first column is what is seen of the table: it leads to the user, and from there to everything.
    assert '<a href="/admin/updateuser/1">alice</a>' in listed
    assert 'href="/admin/apikeys/1"' in root.get("/admin/updateuser/1").text
    page = root.submit("/admin/apikeys/1", name="service", expiry="604800")
    assert "API keys of alice" in page.text
    token = re.findall(r'id="new-key">([^<]+)<', page.text)[0]
    assert works(alice, token)
    (key,) = keys_of(alice)
    assert 'action="/admin/rotateapikey/1"' in root.get("/admin/updateapikey/1", params={"key": key["id"]}).text
    assert "has been revoked" in root.submit("/admin/revokeapikey/1", key=key["id"]).text
    assert 'action="/admin/apikeys/2"' in root.get("/admin/apikeys/2").text, "also for the administrator's own"
    assert not works(alice, token)


def test_nobody_else_looks_after_the_keys_of_a_user(world: World, alice: Browser) -> None:
    with Browser(str(alice.base_url)) as visitor, Browser(str(alice.base_url)) as bob:
        bob.sign_up("bob", factor2="none")
        assert visitor.get("/api/apikeys").status_code == 401
        assert bob.get("/admin/api/apikeys/1").status_code == 403
        for action in ACTIONS:
            path = f"/{action.api_endpoint}" + ("/1" if action.parameter else "")
            assert visitor.call(path, name="k", key="x").status_code == 401, path
            if action.admin:
                assert bob.call(path, name="k", key="x").status_code == 403, path
    assert keys_of(alice) == []


def test_a_user_with_a_second_factor_is_asked_for_it(world: World, alice: Browser) -> None:
    secret, _ = alice.add_totp(world)
    assert alice.call("/api/apikeys", name="k").json()["factor2Required"] is True
    assert keys_of(alice) == []
    done = alice.call("/api/factor2", otp=world.code(secret)).json()
    assert works(alice, done["token"])
    id = done["apiKey"]["id"]
    assert alice.call("/api/updateapikey", key=id, name="n").json()["ok"] is True
    assert alice.call("/api/rotateapikey", key=id).json()["factor2Required"] is True
    assert alice.call("/api/revokeapikey", key=id).json()["ok"] is True, "taking a key away is always easy"


def test_it_does_not_matter_which_server_comes_first() -> None:
    for first in (True, False):
        app, users, keys = FastAPI(), InMemoryUserStorage(), InMemoryKeyStorage()
        options = {"secret": SECRET, "user_storage": users}

        def add_keys(app: FastAPI = app, keys: InMemoryKeyStorage = keys, options: Any = options) -> None:
            FastApiApiKeyServer(app, keys, options)

        if first:
            add_keys()
        FastApiSessionServer(app, keys, {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}, options)
        if not first:
            add_keys()
        with serve(app) as url, Browser(url) as alice:
            alice.sign_up("alice")
            assert alice.call("/api/apikeys", name="k").json()["ok"] is True
            assert alice.get("/apikeys").status_code == 200
            assert alice.get("/admin/apikeys/1").status_code == 404, "no endpoints for administrators"


def test_the_endpoints_can_be_left_out() -> None:
    with World(api_key={"enable_endpoints": False}).open() as url, Browser(url) as alice:
        alice.sign_up("alice", factor2="none")
        assert alice.get("/api/apikeys").status_code == 404
        assert "apikeys" not in alice.get("/updateuser").text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scopes": ["a b"]}, "'scopes'"),
        ({"scopes": "read"}, "'scopes'"),
        ({"default_expiry": None}, "'max_expiry'"),
        ({"max_expiry": 60}, "'default_expiry'"),
        ({"max_expiry": 0}, "'max_expiry'"),
        ({"api_keys_page": "nowhere.jinja2"}, "nowhere.jinja2"),
        ({"user_storage": InMemoryUserStorage()}, "the one of the session server"),
        ({"scope": ["read"]}, "'scope'"),
        ({"enable_endpoints": "perhaps"}, "'enable_endpoints'"),
    ],
)
def test_what_cannot_be_stops_the_start(options: dict[str, Any], text: str) -> None:
    with pytest.raises(CrossauthError) as caught:
        World(api_key=options)
    assert caught.value.code is ErrorCode.Configuration
    assert text in str(caught.value)


def test_openapi_says_what_there_is(world: World) -> None:
    paths = world.server.app.openapi()["paths"]
    assert {call["operationId"] for call in paths["/api/apikeys"].values()} == {
        "account_create_api_key", "account_list_api_keys",
    }  # fmt: skip
    assert "/admin/api/revokeapikey/{id}" in paths
    assert not [path for path in paths if path.startswith(("/apikeys", "/admin/apikeys"))]


def test_an_older_login_is_asked_for_the_password(world: World, alice: Browser) -> None:
    id = alice.call("/api/apikeys", name="before").json()["apiKey"]["id"]
    world.later(hours=2)
    for path, fields in (("/api/apikeys", {"name": "k"}), ("/api/rotateapikey", {"key": id})):
        refused = alice.call(path, **fields).json()
        assert (refused["errorCodeName"], refused["field"]) == ("Unauthorized", "password")
        wrong = alice.call(path, **fields, password="Wrong1password")
        assert name_of(wrong) == "UsernameOrPasswordInvalid"
    page = alice.get("/apikeys").text
    assert 'name="password"' in page
    assert alice.call("/api/apikeys", name="k", password=PASSWORD).json()["ok"] is True
