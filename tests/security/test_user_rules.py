"""The rules for users hold whoever writes them: what the session server refuses, no other way of writing a user takes."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI

from crossauth_backend import CrossauthError, InMemoryKeyStorage, InMemoryUserStorage, LocalPasswordAuthenticator
from crossauth_fastapi.development import first_administrator
from crossauth_fastapi.fastapi_users import FastAPIUsers, schemas
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, KeyStorageStrategy
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from crossauth_fastapi.fastapi_users.exceptions import InvalidUserException
from tests.accounts import FIELDS, NEW, Browser, World, name_of
from tests.fastapi_users.test_core import EMAIL, Both, Manager, UserRead, name_of_refusal
from tests.support import CHEAP, PASSWORD

VICTIM = "victim@bank.example"
COMPANY = "Only company addresses"
BAD_NAMES = {
    "": "at least 2", "x" * 2000: "at most 254", "a\u200bb": "invisible", "a\x1bb": "control", " alice": "space",
    "p\u0430ypal": "different alphabets",
}  # fmt: skip


class Create(schemas.BaseUserCreate):
    username: str | None = None
    phone: str | None = None


class Update(schemas.BaseUserUpdate):
    username: str | None = None
    phone: str | None = None


def company_only(user: Any) -> list[str]:
    return [] if str(user.get("email") or "").endswith("@company.example") else [COMPANY]


def world_with_routes(**options: Any) -> World:
    """A session server, and beside it routes whose users may set username and phone number."""
    world = World(attempt_limits={"signup_address": None}, **options)

    async def get_user_manager() -> Manager:
        return Manager(CrossauthUserDatabase(world.manager))

    backend: Any = AuthenticationBackend(
        "jwt", BearerTransport("rest/login"), lambda: KeyStorageStrategy(world.keys, 3600)
    )
    users = FastAPIUsers[Any, int](get_user_manager, [backend], session_manager=world.manager)
    for router in (
        users.get_auth_router(backend), users.get_register_router(UserRead, Create),
        users.get_users_router(UserRead, Update),
    ):  # fmt: skip
        world.server.app.include_router(router, prefix="/rest")
    return world


def register(browser: Both, email: str = EMAIL, **fields: Any) -> Any:
    return browser.post("/rest/register", json={"email": email, "password": PASSWORD, **fields})


def check_refused(answer: Any, reason: str) -> None:
    assert (answer.status_code, name_of_refusal(answer)) == (400, "INVALID_USER"), answer.text
    assert reason in answer.json()["detail"]["reason"]


def stored(world: World, userid: int = 1) -> Any:
    return asyncio.run(
        world.users.get_user_by_id(userid, {"skip_active_check": True, "skip_email_verified_check": True})
    )


def test_a_name_that_no_form_takes_is_not_taken_by_the_routes() -> None:
    """`/register` and `PATCH /me` store an empty, endless, invisible or misleading username for good"""
    world = world_with_routes()
    with world.open() as url, Both(url) as browser:
        assert register(browser).status_code == 201
        header = browser.header()
        for name, reason in BAD_NAMES.items():
            check_refused(register(browser, "bob@example.com", username=name), reason)
            check_refused(
                browser.patch("/rest/me", headers=header, json={"username": name, "old_password": PASSWORD}), reason
            )
        assert stored(world).user.username == EMAIL
        change = {"username": "alice", "old_password": PASSWORD}
        assert browser.patch("/rest/me", headers=header, json=change).json()["username"] == "alice"


def test_somebody_elses_address_is_no_name() -> None:
    """`/register` and `PATCH /me` take the address of somebody else as a username, so that its owner cannot sign up"""
    world = world_with_routes(enable_email_verification=True)
    with world.open() as url, Both(url) as thief, Both(url) as victim:
        check_refused(register(thief, "evil@evil.example", username=VICTIM), "must be the account's email address")
        thief.sign_up("mallory", user_email="evil@evil.example")
        thief.mail()
        thief.call("/api/verifyemail", token=thief.link("evil@evil.example").rsplit("/", 1)[1].rpartition("=")[2])
        header = thief.header("evil@evil.example")
        for change in ({"username": VICTIM}, {"username": VICTIM, "email": VICTIM}):
            proven = {**change, "old_password": PASSWORD}
            check_refused(thief.patch("/rest/me", headers=header, json=proven), "must be the account's email address")
        assert stored(world).user.username == "mallory"
        assert register(victim, VICTIM).status_code == 201


def test_the_applications_own_rule_holds_for_the_routes() -> None:
    """`validate_user_fn` is asked by the forms of the session server only"""
    world = world_with_routes(validate_user_fn=company_only)
    with world.open() as url, Both(url) as browser:
        check_refused(register(browser, "m@evil.example"), COMPANY)
        assert register(browser, "a@company.example").status_code == 201
        header = browser.header("a@company.example")
        change = {"email": "a@evil.example", "password": NEW, "old_password": PASSWORD}
        check_refused(browser.patch("/rest/me", headers=header, json=change), COMPANY)
        assert stored(world).user.email == "a@company.example"
        assert browser.rest_login("a@company.example").status_code == 200, "nor was the password changed"


def test_a_new_address_is_refused_before_its_link_is_sent() -> None:
    """An address that `validate_user_fn` refuses comes by the link that verifies it"""
    world = world_with_routes(validate_user_fn=company_only, enable_email_verification=True)
    with world.open() as url, Both(url) as browser:
        browser.sign_up("alice", user_email="a@company.example")
        browser.mail()
        browser.call("/api/verifyemail", token=browser.link().rsplit("/", 1)[1].rpartition("=")[2])
        header = browser.header("a@company.example")
        change = {"email": "a@evil.example", "username": "alice2", "old_password": PASSWORD}
        check_refused(browser.patch("/rest/me", headers=header, json=change), COMPANY)
        assert browser.mail("a@evil.example") == []
        assert stored(world).user.username == "alice", "nothing of it was done"


def test_a_superuser_and_the_terminal_keep_to_the_rules() -> None:
    """`PATCH /{id}`, and what stores users by the database itself, write what the rules refuse"""
    world = world_with_routes(validate_user_fn=company_only)
    database = CrossauthUserDatabase(world.manager)

    async def create(email: str) -> Any:
        return await database.create({"email": email, "hashed_password": "", "is_superuser": True, "is_verified": True})

    with pytest.raises(InvalidUserException, match=COMPANY):
        asyncio.run(create("m@evil.example"))
    asyncio.run(create("a@company.example"))
    with world.open() as url, Both(url) as browser:
        register(browser, "root@company.example")
        asyncio.run(world.users.update_user({"id": 2, "admin": True}))
        header = browser.header("root@company.example")
        change = {"email": "a@evil.example", "old_password": PASSWORD}
        check_refused(browser.patch("/rest/1", headers=header, json=change), COMPANY)
    assert stored(world).user.email == "a@company.example"


def test_the_manager_keeps_to_the_applications_own_rule() -> None:
    """The documented manager creates and changes users that `validate_user_fn` refuses"""
    world = World(validate_user_fn=company_only)
    user = {"username": "alice", "state": "active", "factor1": "localpassword", "email": "a@evil.example"}
    for empty in (False, True):
        with pytest.raises(CrossauthError, match=COMPANY):
            asyncio.run(world.manager.create_user(user, {"password": PASSWORD}, empty_password=empty))
    good = {**user, "email": "a@company.example"}
    made = asyncio.run(world.manager.create_user(good, {"password": PASSWORD}))
    with pytest.raises(CrossauthError, match=COMPANY):
        asyncio.run(world.manager.update_user(made, {"email": "a@evil.example"}))


def test_the_first_administrator_keeps_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CROSSAUTH_ADMIN` names an administrator whose name no form would take"""
    users, app = InMemoryUserStorage(), FastAPI()
    first_administrator(app, users, LocalPasswordAuthenticator(users, CHEAP))
    monkeypatch.setenv("CROSSAUTH_ADMIN", f"ad\u200bmin:{PASSWORD}")

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(CrossauthError, match="CROSSAUTH_ADMIN: Username must not contain invisible"):
        asyncio.run(start())
    assert asyncio.run(users.get_users(0, 1)) == []


def test_a_name_from_before_a_rule_keeps_nobody_from_other_changes() -> None:
    """A user whose name is older than a rule can change nothing by the routes any more"""
    users, keys = InMemoryUserStorage({"user_editable_fields": FIELDS}), InMemoryKeyStorage()
    world = world_with_routes(users=users, keys=keys)
    with world.open() as url, Both(url) as browser:
        register(browser)
        asyncio.run(users.update_user({"id": 1, "username": "a\u200bb"}))
        header = browser.header()
        assert (
            browser.patch(
                "/rest/me", headers=header, json={"phone": "+4915112345678", "old_password": PASSWORD}
            ).status_code
            == 200
        )
        assert (
            browser.patch("/rest/me", headers=header, json={"password": NEW, "old_password": PASSWORD}).status_code
            == 200
        )


def test_a_sign_up_whose_number_is_bad_leaves_nothing_behind() -> None:
    """A sign-up by text message with a bad number stores the user, and refuses"""
    world = World()
    with world.open() as url, Browser(url) as browser:
        for phone in ("0151 12345678", "", "nonsense"):
            answer = browser.sign_up("alice", factor2="sms", user_phone=phone)
            assert (answer.status_code, name_of(answer)) == (400, "InvalidPhoneNumber")
            assert "+441632960961" in answer.json()["errorMessage"]
        assert name_of(browser.sign_up("bob", factor2="email")) == "InvalidEmail"
        assert asyncio.run(world.users.get_users(0, 10)) == []
        assert world.heard.names.count("signed_up") == 0
