"""Hooks that return what is no user: refused before anything is stored, named in the log, and nothing of it is answered."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from crossauth_backend import InMemoryUserStorage
from crossauth_fastapi.fastapisession import default_create_user, default_update_user
from tests.accounts import FIELDS, Browser, World, name_of

Hook = Callable[..., Any]
BASE = {"username": "alice", "state": "active", "factor1": "localpassword"}
NO_USERS: list[Any] = [None, 5, "alice", [1], [("username", "alice")], {}, {5: "x"}, object]
WRONG: list[dict[str, Any]] = [
    {"username": 5}, {"state": 5}, {"state": "nostate"}, {"factor1": None}, {"factor2": 5}, {"email": 5}, {"admin": 2},
    {"admin": "yes"}, {"id": 99}, {5: "x"},
]  # fmt: skip


def returns(value: Any) -> Hook:
    return lambda *args: value


def refused(answer: Any, caplog: pytest.LogCaptureFixture, option: str) -> None:
    assert answer.status_code == 500
    assert name_of(answer) == "Configuration"
    assert answer.json()["errorMessage"] == "The server isn't configured correctly"
    assert any(f"option '{option}': the function must" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("value", [*NO_USERS, {"username": "alice"}, *({**BASE, **wrong} for wrong in WRONG)], ids=repr)
def test_a_sign_up_hook_that_returns_no_user_stores_nothing(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    world = World(create_user_fn=returns(value))
    with world.open() as url, Browser(url) as browser:
        refused(browser.sign_up("alice", user_email="a@example.com"), caplog, "create_user_fn")
        assert browser.submit("/signup", username="alice", password="Right1right").status_code == 500
        assert browser.who() is None
    assert asyncio.run(world.users.get_users()) == []


@pytest.mark.parametrize(
    "change", [*(returns(value) for value in NO_USERS if value != {}), *(lambda u, wrong=w: {**u, **wrong} for w in WRONG)]
)  # fmt: skip
def test_an_update_hook_that_returns_no_user_changes_nothing(change: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """Of the user, nor of a user whom an administrator changes."""
    caplog.set_level(logging.ERROR)
    world = World(update_user_fn=lambda user, *args: change(user))
    with world.open() as url, Browser(url) as alice, Browser(url) as root:
        alice.sign_up("alice", user_email="a@example.com")
        root.sign_up("root", user_email="r@example.com")
        root_id = root.get("/api/userforsessionkey").json()["user"]["id"]
        asyncio.run(world.users.update_user({"id": root_id, "admin": True}))
        before = asyncio.run(world.users.get_users())
        refused(alice.call("/api/updateuser", user_email="new@example.com"), caplog, "update_user_fn")
        assert alice.submit("/updateuser", user_email="new@example.com").status_code == 500
        refused(
            root.call(f"/admin/api/updateuser/{before[0].id}", user_email="n@example.com"), caplog, "update_user_fn"
        )
        assert asyncio.run(world.users.get_users()) == before
        assert alice.who() == "alice"


@pytest.mark.parametrize("option", ["create_user_fn", "update_user_fn", "add_to_session", "validate_user_fn"])
@pytest.mark.parametrize("error", [RuntimeError("secret of the hook"), KeyError("secret"), TypeError("secret")])
def test_whatever_such_a_hook_raises_refuses_and_is_not_answered(option: str, error: Exception) -> None:
    def hook(*args: Any) -> Any:
        raise error

    world = World(**{option: hook})
    with world.open() as url, Browser(url) as browser:
        answer = browser.sign_up("alice", user_email="a@example.com")
        if option == "update_user_fn":
            assert answer.status_code == 200
            answer = browser.call("/api/updateuser", user_email="new@example.com")
        assert (answer.status_code, name_of(answer)) == (500, "UnknownError")
        assert "secret" not in answer.text
    stored = asyncio.run(world.users.get_users())
    assert [user.email for user in stored] == (["a@example.com"] if option == "update_user_fn" else [])


@pytest.mark.parametrize("value", [5, [1], "x", {5: 1}])
def test_columns_for_a_session_that_are_none_open_none(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    world = World(add_to_session=returns(value))
    with world.open() as url, Browser(url) as browser:
        refused(browser.sign_up("alice", user_email="a@example.com"), caplog, "add_to_session")
    assert asyncio.run(world.users.get_users()) == []


def test_what_a_client_sends_is_no_fault_of_the_defaults() -> None:
    """Whatever its type: the default hooks refuse it, or the storage does, as a bad request."""
    users = InMemoryUserStorage({"user_editable_fields": [*FIELDS, "username"]})
    world = World(users, create_user_fn=default_create_user, update_user_fn=default_update_user)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", user_email="a@example.com")
        for name in ("username", "email"):
            for value in (5, True, 1.5, [1], {"a": 1}):
                answer = browser.call("/api/updateuser", **{f"user_{name}": value})
                assert (answer.status_code, name_of(answer)) == (400, "BadRequest")
                assert f"user_{name}" in answer.json()["errorMessage"]


@pytest.mark.parametrize("value", [None, 5, "alice", {"a": 1}, [5], [BASE]])
def test_a_search_that_finds_what_are_no_users_finds_nobody(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    world = World(user_search_fn=returns(value), is_admin_fn=lambda user: True)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", user_email="a@example.com")
        refused(browser.get("/admin/api/selectuser?search=a"), caplog, "user_search_fn")
        assert browser.get("/admin/selectuser?search=a").status_code == 500
