"""A stolen token or session moves no credential: neither what names its user, nor where codes and links go."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from crossauth_backend import InMemoryUserStorage
from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, schemas
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    JWTStrategy,
    KeyStorageStrategy,
)
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase, SQLAlchemyUserDatabase
from tests.accounts import NEW, World
from tests.fastapi_users.app import CHEAP, SECRET
from tests.fastapi_users.test_core import EMAIL, Both, name_of_refusal
from tests.fastapi_users.test_databases import Account, Create, Knight, Knights, Read, Update
from tests.fastapi_users.test_databases import Base as Tables
from tests.services.uvicorn import serve
from tests.support import PASSWORD

PHONE, THIEF = "+4915112345678", "+436606666666"


class Open(schemas.BaseUserUpdate):
    """An update schema that has every credential of a session server's users."""

    username: str | None = None
    phone: str | None = None
    state: str | None = None
    factor1: str | None = None
    factor2: str | None = None
    admin: bool | None = None


class OpenCreate(schemas.BaseUserCreate):
    admin: bool | None = None


class Shown(schemas.BaseUser[int]):
    username: str
    phone: str | None = None


class Manager(IntegerIDMixin, BaseUserManager[Any, int]):
    reset_password_token_secret = verification_token_secret = SECRET
    login_fields = ("email", "username")
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    """What happens as soon as an old password was found right."""

    async def check_old_password(self, user: Any, password: str | None) -> bool:
        right, meanwhile = await super().check_old_password(user, password), Manager.meanwhile
        Manager.meanwhile = None
        if right and meanwhile is not None:
            await meanwhile()
        return right


class Client(Both):
    """A browser, and the messages to its user's telephone."""

    world: World

    def sms(self) -> tuple[str, str]:
        """The number and the code of the newest message."""
        self.mail()
        to, text = self.world.sms.messages[-1]
        found = re.search(r"\d{6}", text)
        assert found is not None
        return to, found.group()

    def user(self, userid: int = 1) -> Any:
        return asyncio.run(self.world.users.get_user_by_id(userid, {"skip_active_check": True})).user

    def mfa_token(self, answer: Any) -> str:
        assert (answer.status_code, name_of_refusal(answer)) == (403, "LOGIN_FACTOR2_REQUIRED"), answer.text
        return str(answer.json()["detail"]["reason"]["mfa_token"])


@contextmanager
def with_sms(factor2: bool = True) -> Iterator[tuple[Client, dict[str, str]]]:
    """Alice, logged in by a token of the routes; with text messages as her second factor, if she has one."""
    world = World(InMemoryUserStorage({"user_editable_fields": ["email", "phone", "username"]}))

    async def get_user_manager() -> Manager:
        return Manager(CrossauthUserDatabase(world.manager))

    backend: Any = AuthenticationBackend(
        "jwt", BearerTransport("rest/login"), lambda: KeyStorageStrategy(world.keys, 3600)
    )
    users = FastAPIUsers[Any, int](get_user_manager, [backend], session_manager=world.manager)
    for router in (users.get_auth_router(backend), users.get_register_router(Shown, OpenCreate),
                   users.get_users_router(Shown, Open)):  # fmt: skip
        world.server.app.include_router(router, prefix="/rest")
    with world.open() as url, Client(url) as alice:
        alice.world = world
        alice.sign_up("alice", user_email=EMAIL, user_phone=PHONE)
        if not factor2:
            yield alice, alice.header()
            return
        alice.call("/api/changefactor2", factor2="sms")
        assert alice.call("/api/configurefactor2", otp=alice.sms()[1]).status_code == 200
        form = {"mfa_token": alice.mfa_token(alice.rest_login()), "otp": alice.sms()[1]}
        token = alice.post("/rest/login/factor2", data=form).json()["access_token"]
        yield alice, {"Authorization": f"Bearer {token}"}


CHANGES: list[dict[str, Any]] = [
    {"phone": THIEF}, {"phone": None}, {"phone": ""}, {"phone": PHONE, "username": "mallory"}, {"factor2": ""},
    {"factor2": "email"}, {"factor1": "totp"}, {"email": "mallory@example.com"},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_stolen_token_moves_no_credential_of_a_session_servers_user(change: dict[str, Any]) -> None:
    """Phone number, username, address and factors need the password and the second factor, whose code goes to the old number."""
    with with_sms() as (alice, header):
        before, name = alice.user(), [*change][-1]
        for path in ("me", "1"):
            if path == "1":
                asyncio.run(alice.world.users.update_user({"id": 1, "admin": True}))
                before = alice.user()
            refused = alice.patch(f"/rest/{path}", headers=header, json=change)
            assert (refused.status_code, name_of_refusal(refused)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID"), path
            asked = alice.mfa_token(
                alice.patch(f"/rest/{path}", headers=header, json={**change, "old_password": PASSWORD})
            )
            assert alice.sms()[0] == PHONE
            assert alice.user() == before
        proof = {"old_password": PASSWORD, "mfa_token": asked, "otp": alice.sms()[1]}
        if name == "factor1":
            return
        done = alice.patch("/rest/me", headers=header, json={**change, **proof})
        if not change.get("phone", PHONE):
            assert (done.status_code, name_of_refusal(done)) == (400, "INVALID_USER"), "codes could be sent nowhere"
            assert alice.user() == before
            return
        assert done.status_code == 200, done.text
        assert (alice.user().get(name) or None) == (change[name] or None)


@pytest.mark.parametrize(
    "change", [{"phone": THIEF}, {"username": "mallory"}, {"email": "mallory@example.com"}], ids=str
)
def test_a_proof_is_worth_nothing_once_the_owner_has_taken_the_account_back(change: dict[str, Any]) -> None:
    """The owner chooses another password between the thief's proof by the old one and the write that rests on it."""
    with with_sms(factor2=False) as (alice, header):

        async def take_back() -> None:
            found = await alice.world.users.get_user_by_id(1)
            await alice.world.manager.change_secrets("alice", 1, {"password": NEW}, None, {"password": PASSWORD})
            assert (await alice.world.users.get_user_by_id(1)).user.security_stamp != found.user.security_stamp

        Manager.meanwhile = take_back
        before = alice.user()
        answer = alice.patch("/rest/me", headers=header, json={**change, "old_password": PASSWORD})
        assert answer.status_code >= 400, answer.text
        (name,) = change
        assert alice.user().get(name) == before.get(name)


def test_what_changes_no_credential_needs_no_proof() -> None:
    with with_sms() as (alice, header):
        same = {"phone": PHONE, "username": "alice", "email": EMAIL.upper(), "factor2": "sms"}
        assert alice.patch("/rest/me", headers=header, json=same).status_code == 200
        assert alice.patch("/rest/me", headers=header, json={"username": None, "email": None}).status_code == 200


def test_a_step_up_challenge_opens_no_login_and_a_logins_challenge_is_no_step_up() -> None:
    """Else a stolen token and one code would be a whole login, or the owner's login would confirm the thief's request."""
    with with_sms() as (alice, header):
        change = {"phone": THIEF, "old_password": PASSWORD}
        asked = alice.mfa_token(alice.patch("/rest/me", headers=header, json=change))
        code = alice.sms()[1]
        login = alice.post("/rest/login/factor2", data={"mfa_token": asked, "otp": code})
        assert (login.status_code, name_of_refusal(login)) == (400, "LOGIN_FACTOR2_INVALID")
        begun = alice.mfa_token(alice.rest_login())
        other = alice.sms()[1]
        swapped = alice.patch("/rest/me", headers=header, json={**change, "mfa_token": begun, "otp": other})
        assert (swapped.status_code, name_of_refusal(swapped)) == (400, "LOGIN_FACTOR2_INVALID")
        assert alice.user().get("phone") == PHONE
        # Each is still good for what it was asked for.
        assert alice.post("/rest/login/factor2", data={"mfa_token": begun, "otp": other}).status_code == 200
        done = alice.patch("/rest/me", headers=header, json={**change, "mfa_token": asked, "otp": code})
        assert done.status_code == 200, done.text


def test_a_superusers_step_up_challenge_opens_no_login() -> None:
    with with_sms() as (alice, header):
        other = alice.post("/rest/register", json={"email": "bob@example.com", "password": PASSWORD}).json()["id"]
        asyncio.run(alice.world.users.update_user({"id": 1, "admin": True}))
        for method, change in (("PATCH", {"username": "mallory"}), ("DELETE", {})):
            asked = alice.mfa_token(alice.request(method, f"/rest/{other}", headers=header, json=change))
            form = {"mfa_token": asked, "otp": alice.sms()[1]}
            assert name_of_refusal(alice.post("/rest/login/factor2", data=form)) == "LOGIN_FACTOR2_INVALID"
            assert alice.request(method, f"/rest/{other}", headers=header, json={**change, **form}).is_success


def test_a_username_needs_the_password_where_there_is_no_second_factor() -> None:
    with with_sms(factor2=False) as (alice, header):
        for change in ({"username": "mallory"}, {"phone": THIEF}):
            for proof in ({}, {"old_password": "wrong"}):
                refused = alice.patch("/rest/me", headers=header, json={**change, **proof})
                assert (refused.status_code, name_of_refusal(refused)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID")
        assert (alice.user().username, alice.user().get("phone")) == ("alice", PHONE)
        done = alice.patch("/rest/me", headers=header, json={"username": "al", "old_password": PASSWORD})
        assert (done.status_code, done.json()["username"]) == (200, "al")


def test_the_columns_behind_the_flags_are_no_users_own_whatever_the_schema_names() -> None:
    """`admin` and `state` are `is_superuser` and `is_active` by another name: ignored where users send them, in both routes."""
    with with_sms(factor2=False) as (alice, header):
        sent = {"admin": True, "state": "disabled", "old_password": PASSWORD}
        assert alice.patch("/rest/me", headers=header, json=sent).status_code == 200
        assert (alice.user().admin, alice.user().state) == (False, "active")
        new = {"email": "m@example.com", "password": PASSWORD, "admin": True}
        made = alice.post("/rest/register", json=new).json()
        assert alice.user(made["id"]).admin is False
        asyncio.run(alice.world.users.update_user({"id": 1, "admin": True}))
        provided = {"admin": True, "old_password": PASSWORD}
        assert alice.patch(f"/rest/{made['id']}", headers=header, json=provided).json()["is_superuser"] is True


@pytest.mark.parametrize("field", ["user_phone", "user_username"])
def test_a_stolen_session_moves_no_credential_where_the_step_up_list_leaves_the_profile_out(field: str) -> None:
    """The password is asked for then, as it is for another address."""
    lists = {"factor2_protected_page_endpoints": ["/me"], "factor2_protected_api_endpoints": []}
    users = InMemoryUserStorage({"user_editable_fields": ["email", "phone", "username"]})
    world = World(users, **lists)  # type: ignore[arg-type]
    with world.open() as url, Client(url) as alice:
        alice.world = world
        alice.sign_up("alice", user_email=EMAIL, user_phone=PHONE)
        alice.add_totp(world)
        world.later(minutes=61)
        change = {field: {"user_phone": THIEF, "user_username": "mallory"}[field]}
        before = alice.user()
        assert alice.call("/api/updateuser", **change).json()["passwordRequired"] is True
        assert alice.user() == before
        assert alice.call("/api/updateuser", **change, password=PASSWORD).json()["ok"] is True


@pytest.mark.parametrize("asks", [True, False])
def test_a_login_name_of_an_applications_own_table_changes_as_an_address_does(sqlite_url: str, asks: bool) -> None:
    """By the old password, where the routes ask for one."""
    with serve(_own_table(sqlite_url, asks)) as url, Knights(base_url=url, trust_env=False, timeout=20) as client:
        client.register()
        header = client.log_in("arthur")
        assert client.patch("/users/me", headers=header, json={"deeds": {"a": 1}}).status_code == 200
        answer = client.patch("/users/me", headers=header, json={"username": "mordred"})
        assert answer.status_code == (400 if asks else 200), answer.text
        proven = {"username": "uther", "old_password": "guinevere"}
        assert client.patch("/users/me", headers=header, json=proven).json()["username"] == "uther"


def _own_table(url: str, asks: bool) -> Any:
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))

    async def get_user_manager() -> Any:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield Manager(SQLAlchemyUserDatabase(session, Knight, Account), CHEAP)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        async with engine.begin() as connection:
            await connection.run_sync(Tables.metadata.create_all)
        yield
        await engine.dispose()

    backend: Any = AuthenticationBackend("jwt", BearerTransport("login"), lambda: JWTStrategy(SECRET, 600))
    users = FastAPIUsers[Knight, int](get_user_manager, [backend], site_url="http://localhost")
    app = FastAPI(lifespan=lifespan)
    app.include_router(users.get_auth_router(backend))
    app.include_router(users.get_register_router(Read, Create))
    app.include_router(users.get_users_router(Read, Update, require_old_password=asks), prefix="/users")
    return app
