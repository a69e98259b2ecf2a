"""A factor of the application's own that sends codes to a column of the application's: that column is a credential."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest
import sqlalchemy as sa

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryUserStorage,
    KeyPrefix,
    LocalPasswordAuthenticator,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_backend.accounts.admin import update_user
from crossauth_backend.accounts.changes import replace_checked
from crossauth_backend.accounts.code_targets import targets
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_fastapi.fastapi_users import FastAPIUsers, schemas
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, KeyStorageStrategy
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from tests.accounts import World, name_of
from tests.fastapi_users.test_core import EMAIL, Both, Manager, name_of_refusal
from tests.security.test_needed_factor import PHONE
from tests.security.test_security_stamp import PlainUserStorage
from tests.support import CHEAP, PASSWORD

THIEF = "+436606666666"


class MobileAuthenticator(SentCodeAuthenticator):
    """Sends codes to the column `mobile`, by whatever channel."""

    default_friendly_name = "Mobile"
    channel: Literal["none", "email", "sms"] = "sms"

    def __init__(self, fields: tuple[str, ...] = ("mobile",)) -> None:
        super().__init__()
        self.fields, self.sent = list(fields), list[tuple[str, str]]()

    @property
    def code_seconds(self) -> int:
        return 300

    def where_to(self, user: Any) -> dict[str, str]:
        if not user.get("mobile"):
            raise CrossauthError(ErrorCode.InvalidPhoneNumber)
        return {"mobile": str(user.get("mobile"))}

    def send_code(self, to: str, code: str, username: str) -> None:
        self.sent.append((to, code))

    def user_fields(self) -> list[str]:
        return self.fields

    def mfa_channel(self) -> Literal["none", "email", "sms"]:
        return self.channel


class MobileUpdate(schemas.BaseUserUpdate):
    mobile: str | None = None
    nickname: str | None = None


class MobileRead(schemas.BaseUser[int]):
    username: str
    mobile: str | None = None


class MobileWorld(World):
    """A server with that factor beside it, and the routes of users whose update schema names its column."""

    def __init__(
        self, users: Any = None, keys: Any = None, *, mobile: MobileAuthenticator | None = None, **o: Any
    ) -> None:
        self.mobile = mobile or MobileAuthenticator()
        users = users or InMemoryUserStorage({"user_editable_fields": ["email", "mobile", "nickname"]})
        factors = {"localpassword": LocalPasswordAuthenticator(users, CHEAP), "mobile": self.mobile}
        super().__init__(users, keys, **{"authenticators": factors, "allowed_factor2": ["none", "mobile"], **o})

        async def get_user_manager() -> Manager:
            return Manager(CrossauthUserDatabase(self.manager))

        backend: Any = AuthenticationBackend(
            "jwt", BearerTransport("rest/login"), lambda: KeyStorageStrategy(self.keys, 3600)
        )
        own = FastAPIUsers[Any, int](get_user_manager, [backend], session_manager=self.manager)
        for router in (own.get_auth_router(backend), own.get_users_router(MobileRead, MobileUpdate)):
            self.server.app.include_router(router, prefix="/rest")

    def user(self) -> Any:
        """Alice as stored, with the stamp or what stands in for it."""
        return asyncio.run(self.manager.accounts().user(1))


def table_without_stamp(url: str) -> dict[str, Any]:
    """A table of the application's with the column, and without one for stamps."""
    texts = ("username", "username_normalized", "email", "email_normalized", "state", "factor1", "factor2", "mobile")
    unique = ("username", "username_normalized", "email_normalized")
    table = sa.Table(
        "person", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, unique=name in unique) for name in texts), sa.Column("nickname", sa.Text),
        sa.Column("admin", sa.Boolean),
    )  # fmt: skip
    made = sa.create_engine(url)
    table.metadata.create_all(made)
    made.dispose()
    engine = open_engine(url)
    users = SqlAlchemyUserStorage(engine, {"table": table, "user_editable_fields": ["email", "mobile", "nickname"]})
    return {"users": users, "keys": SqlAlchemyKeyStorage(engine)}


def kept_in(request: pytest.FixtureRequest, kind: str) -> dict[str, Any]:
    if kind == "own table without stamps":
        return table_without_stamp(request.getfixturevalue("sqlite_url"))
    if kind == "own storage without stamps":
        users = PlainUserStorage()
        users.settings = replace(users.settings, user_editable_fields=["email", "mobile", "nickname"])
        return {"users": users}
    if kind == "memory":
        return {}
    engine = open_engine(request.getfixturevalue(f"{kind}_url"))
    columns = [sa.Column("mobile", sa.String(200)), sa.Column("nickname", sa.String(200))]
    options: Any = {"user_editable_fields": ["email", "mobile", "nickname"], "extra_columns": columns}
    return {"users": SqlAlchemyUserStorage(engine, options), "keys": SqlAlchemyKeyStorage(engine)}


KINDS = ["memory", "sqlite", "own table without stamps", "own storage without stamps"]


@contextmanager
def with_mobile(world: MobileWorld) -> Iterator[tuple[Both, dict[str, str]]]:
    """Alice, with the factor set up and a token of the routes."""
    with world.open() as url, Both(url) as alice:
        assert alice.sign_up("alice", user_email=EMAIL, user_mobile=PHONE).status_code == 200
        alice.call("/api/changefactor2", factor2="mobile")
        done = alice.call("/api/configurefactor2", otp=world.mobile.sent[-1][1])
        assert done.status_code == 200, done.text
        asked = alice.rest_login().json()["detail"]["reason"]["mfa_token"]
        form = {"mfa_token": asked, "otp": world.mobile.sent[-1][1]}
        token = alice.post("/rest/login/factor2", data=form).json()["access_token"]
        yield alice, {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stolen_token_does_not_send_the_codes_elsewhere(request: pytest.FixtureRequest, kind: str) -> None:
    """A stolen access token changes the column that a factor of the application's own sends its codes to, and the next code goes
    to the thief"""
    world = MobileWorld(**kept_in(request, kind))
    with with_mobile(world) as (alice, header):
        for change in ({"mobile": THIEF}, {"mobile": None}, {"mobile": ""}):
            refused = alice.patch("/rest/me", headers=header, json=change)
            assert (refused.status_code, name_of_refusal(refused)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID"), change
        proof: dict[str, Any] = {"mobile": THIEF, "old_password": PASSWORD}
        asked = alice.patch("/rest/me", headers=header, json=proof)
        assert (asked.status_code, name_of_refusal(asked)) == (403, "LOGIN_FACTOR2_REQUIRED")
        assert world.user()["mobile"] == PHONE
        assert world.mobile.sent[-1][0] == PHONE
        assert alice.patch("/rest/me", headers=header, json={"nickname": "al", "mobile": PHONE}).status_code == 200
        proof |= {"mfa_token": asked.json()["detail"]["reason"]["mfa_token"], "otp": world.mobile.sent[-1][1]}
        done = alice.patch("/rest/me", headers=header, json=proof)
        assert done.status_code == 200, done.text
        assert world.user()["mobile"] == THIEF, "with all proofs it changes"
        assert alice.who() is None, "and the sessions from before end"


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_the_column_ends_what_rests_on_the_old_one(request: pytest.FixtureRequest, kind: str) -> None:
    """Sessions and tokens go on after the column that a factor's codes go to has changed in the storage"""
    world = MobileWorld(**kept_in(request, kind))
    with with_mobile(world) as (alice, header):
        before = world.user().security_stamp
        asyncio.run(world.users.update_user({"id": 1, "nickname": "al", "mobile": PHONE}))
        assert world.user().security_stamp == before
        assert alice.get("/rest/me", headers=header).status_code == 200
        assert alice.who() == "alice"
        asyncio.run(world.users.update_user({"id": 1, "mobile": THIEF}))
        assert world.user().security_stamp != before
        assert alice.get("/rest/me", headers=header).status_code == 401
        assert alice.who() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_rests_on_the_old_column_is_refused(request: pytest.FixtureRequest, kind: str) -> None:
    """A request that was checked before the column changed is written after it"""
    world = MobileWorld(**kept_in(request, kind))
    with with_mobile(world):
        accounts, read = world.manager.accounts(), world.user()
        changed = asyncio.run(replace_checked(accounts, read, {"mobile": THIEF}))
        assert world.user().security_stamp == changed.security_stamp, "whoever wrote it goes on"
        with pytest.raises(CrossauthError) as refused:
            asyncio.run(replace_checked(accounts, read, {"nickname": "thief"}))
        assert refused.value.code is ErrorCode.InvalidSession
        assert world.user().get("nickname") is None
        assert asyncio.run(replace_checked(accounts, changed, {"nickname": "al"})).get("nickname") == "al"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_the_database_itself_renews_the_stamp(request: pytest.FixtureRequest, kind: str) -> None:
    """The column changes between the read and the write of a storage, and the security stamp stays"""
    users = kept_in(request, kind)["users"]
    users.add_credentials(["mobile"])
    made = await users.create_user({"username": "alice", "mobile": PHONE})
    for values, same in (
        ({"mobile": PHONE, "nickname": "al"}, True),
        ({"mobile": None}, False),
        ({"mobile": THIEF}, False),
    ):
        before = (await users.get_user_by_id(made.id)).user.security_stamp
        await users.update_user({"id": made.id, **values})
        assert ((await users.get_user_by_id(made.id)).user.security_stamp == before) is same, values
    await users.close()


def test_a_stolen_session_does_not_send_the_codes_elsewhere() -> None:
    """The same by the profile of the session server, where the step-up list leaves the profile out"""
    lists = {"factor2_protected_page_endpoints": ["/me"], "factor2_protected_api_endpoints": []}
    world = MobileWorld(**lists)
    with with_mobile(world) as (alice, _):
        world.later(minutes=61)
        assert alice.call("/api/updateuser", user_nickname="al").json()["ok"] is True
        assert alice.call("/api/updateuser", user_mobile=THIEF).json()["passwordRequired"] is True
        assert world.user()["mobile"] == PHONE
        assert alice.call("/api/updateuser", user_mobile=THIEF, password=PASSWORD).json()["ok"] is True


def test_an_administrators_change_of_the_column_ends_the_sessions() -> None:
    world = MobileWorld()
    with with_mobile(world) as (alice, header):
        accounts = world.manager.accounts()
        admin = asyncio.run(accounts.users.create_user({"username": "root", "admin": True}))
        assert alice.get("/rest/me", headers=header).status_code == 200
        assert asyncio.run(world.keys.get_all_for_user(1, KeyPrefix.session))
        asyncio.run(update_user(accounts, admin, world.user(), {"mobile": THIEF}))
        assert alice.get("/rest/me", headers=header).status_code == 401
        assert asyncio.run(world.keys.get_all_for_user(1, KeyPrefix.session)) == [], "they are deleted, not only void"


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_by_the_routes_that_was_proven_too_early_is_not_stored(
    request: pytest.FixtureRequest, kind: str
) -> None:
    """The owner changes the password between the thief's proof and the write of the column"""
    world = MobileWorld(**kept_in(request, kind))
    with with_mobile(world):
        database = CrossauthUserDatabase(world.manager)
        seen = asyncio.run(database.get(1))
        assert seen is not None
        change = {"password": "Another1one"}
        asyncio.run(world.manager.change_secrets("alice", 1, change, None, {"password": PASSWORD}))
        assert asyncio.run(database.replace(seen, {}, {"mobile": THIEF})) is None
        assert world.user()["mobile"] == PHONE
        assert asyncio.run(database.replace(seen, {}, {"nickname": "al"})) is not None, "that needed no proof"


class InnerUserStorage(PlainUserStorage):
    """A storage of an application's that keeps users in another one, which does not know what its factors read."""

    async def get_user_by(self, field: str, value: Any, options: Any = None) -> Any:
        return await self._inner.get_user_by(field, value, options)

    async def replace_user(
        self,
        id: Any,
        expected: Any,
        values: Any,
        *,
        expected_secrets: Any = None,
        secrets: Any = None,
        stamp: str | None = None,
    ) -> bool:
        more = {"expected_secrets": expected_secrets, "secrets": secrets, "stamp": stamp}
        return await self._inner.replace_user(id, expected, values, **more)


def test_the_routes_say_the_stamp_to_a_storage_that_does_not_know_the_column() -> None:
    """A storage around another one keeps the security stamp when the column changes"""
    world = MobileWorld(InnerUserStorage())
    with world.open() as url, Both(url) as alice:
        alice.sign_up("alice", user_email=EMAIL)
        before, database = world.user(), CrossauthUserDatabase(world.manager)
        seen = asyncio.run(database.get(1))
        assert seen is not None
        assert asyncio.run(database.replace(seen, {}, {"mobile": THIEF})) is not None
        assert world.user().security_stamp != before.security_stamp


def test_a_factor_that_does_not_say_which_column_it_reads_is_not_set_up() -> None:
    """A factor sends its codes to a column that its `user_fields` leaves out, which nobody would protect then"""
    world = MobileWorld(mobile=MobileAuthenticator(fields=()))
    with world.open() as url, Both(url) as alice:
        alice.sign_up("alice", user_email=EMAIL, user_mobile=PHONE)
        refused = alice.call("/api/changefactor2", factor2="mobile")
        assert (refused.status_code, name_of(refused)) == (500, "Configuration")
        assert world.mobile.sent == []


def test_a_code_is_sent_again_while_such_a_factor_is_set_up() -> None:
    """Whoever lost the first code cannot set up a factor of the application's own"""
    world = MobileWorld()
    with world.open() as url, Both(url) as alice:
        alice.sign_up("alice", user_email=EMAIL, user_mobile=PHONE)
        displayed = alice.call("/api/changefactor2", factor2="mobile").json()
        again = alice.call("/api/resendcode")
        assert again.status_code == 200, again.text
        assert [to for to, _ in world.mobile.sent] == [PHONE, PHONE]
        assert alice.get("/api/configurefactor2").json()["mobile"] == displayed["mobile"] == PHONE
        assert alice.call("/api/configurefactor2", otp=world.mobile.sent[-1][1]).status_code == 200
        once_more = asyncio.run(world.mobile.reprepare_configuration("alice", {"username": "alice", "mobile": PHONE}))
        assert once_more is not None
        assert world.mobile.sent[-1] == (PHONE, once_more["newSessionData"]["otp"])


@pytest.mark.parametrize(
    ("channel", "to", "other", "most"),
    [
        ("sms", PHONE, "+49 (151) 1234-5678", 5),
        ("none", "Device-1", "device-1", 5),
        ("email", "victim@example.com", "Victim+1@example.com", 10),
    ],
)
def test_what_such_a_factor_sends_is_limited_by_where_it_goes(channel: Any, to: str, other: str, most: int) -> None:
    """Many accounts have the codes of a factor of the application's own sent to one telephone or mailbox, in other spellings"""
    world = MobileWorld(enable_email_verification=False)
    world.mobile.channel = channel
    with world.open() as url, Both(url) as browser:
        statuses = []
        for n in range(8):
            browser.cookies.clear()
            browser.sign_up(f"user{n}", user_email=f"u{n}@example.com", user_mobile=to if n % 2 else other)
            statuses.append(browser.call("/api/changefactor2", factor2="mobile").status_code)
            statuses.append(browser.call("/api/resendcode").status_code)
        assert len(world.mobile.sent) == most
        assert 429 in statuses


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_the_owner_of_a_number_that_is_flooded_logs_in_still(channel: Any) -> None:
    """Strangers reach the limit of somebody's telephone, or of a mailbox that is not the account's address, to lock the owner
    out; and nobody is sent codes without end"""
    world = MobileWorld()
    world.mobile.channel = channel
    most = {"sms": 5, "email": 10}[channel]
    with with_mobile(world) as (alice, _):
        accounts = world.manager.accounts()
        (target,) = targets(world.mobile, world.user())
        for _ in range(most):
            asyncio.run(accounts.limits.allows({target.limit: target.subject}, accounts.events))
        alice.cookies.clear()
        before = len(world.mobile.sent)
        alice.asked()
        assert len(world.mobile.sent) == before + 1
        assert alice.give(world.mobile.sent[-1][1]).json()["ok"] is True
        for _ in range(20):
            asyncio.run(accounts.limits.allows({"sms_login_target": target.subject}, accounts.events))
        alice.cookies.clear()
        assert "couldn't send a code" in alice.log_in().json()["message"]
