"""What rests on credentials ends with them, also what is in flight: an intruder's request waits at the worst moment, while the
owner or an administrator takes the account back from the beginning to the end."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from crossauth_backend import (
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    RedisKeyStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    UserStorage,
    open_engine,
    open_redis,
)
from crossauth_backend.keys.record import KeyPrefix
from tests.accounts import FIELDS, NEW, Browser, World, name_of, storages
from tests.support import PASSWORD

EVIL = "Intruder1horse"
ALICE = "alice@example.com"
ANY: Any = {"skip_active_check": True, "skip_email_verified_check": True}


class PlainUserStorage(UserStorage):
    """A storage of an application's that knows nothing of stamps: the five methods that are asked for, and no more."""

    def __init__(self) -> None:
        super().__init__({"user_editable_fields": FIELDS})
        self._inner = InMemoryUserStorage()

    async def get_user_by(self, field: str, value: Any, options: Any = None) -> Any:
        found = await self._inner.get_user_by(field, value, options)
        return replace(found, user=replace(found.user, security_stamp=None))

    async def create_user(self, user: Any, secrets: Any = None) -> Any:
        return (await self.get_user_by("id", (await self._inner.create_user(user, secrets)).id, ANY)).user

    async def update_user(self, user: Any, secrets: Any = None) -> None:
        await self._inner.update_user(user, secrets)

    async def delete_user_by_id(self, id: Any) -> None:
        await self._inner.delete_user_by_id(id)

    async def get_users(self, skip: int | None = None, take: int | None = None) -> Any:
        return await self._inner.get_users(skip, take)


def own_table(url: str, *more: str) -> dict[str, Any]:
    """A table of the application's that has no column for the stamp, and columns of its own for texts."""
    path = url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE, username_normalized TEXT UNIQUE, "
            "email TEXT, email_normalized TEXT UNIQUE, state TEXT, factor1 TEXT, factor2 TEXT, admin BOOLEAN, phone TEXT"
            + "".join(f", {name} TEXT" for name in more)
            + ")"
        )
    connection.close()
    names = ("username", "username_normalized", "email", "email_normalized", "state", "factor1", "factor2", "phone")
    table = sa.Table(
        "person", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, unique=name in ("username", *names[1:4:2])) for name in names),
        sa.Column("admin", sa.Boolean), *(sa.Column(name, sa.Text) for name in more),
    )  # fmt: skip
    engine = open_engine(url)
    users = SqlAlchemyUserStorage(engine, {"table": table, "user_editable_fields": [*FIELDS, *more]})
    return {"users": users, "keys": SqlAlchemyKeyStorage(engine)}


def shared_storages(request: pytest.FixtureRequest, kind: str) -> dict[str, Any]:
    """The storages of one of two workers, which share a database and nothing else; `redis` keeps its users in PostgreSQL."""
    if kind != "redis":
        return storages(request, kind)
    keys = storages(request, "redis")["keys"]
    return {"users": storages(request, "postgres")["users"], "keys": keys}


class Site:
    """A server, an owner who has an account, an administrator, and an intruder who knows the password.

    Where there are two workers, the intruder talks to one and the others to the other.
    """

    def __init__(self, request: pytest.FixtureRequest, kind: str, stack: ExitStack, **options: Any) -> None:
        two, kind = kind.startswith("two "), kind.removeprefix("two ")
        if kind == "plain":
            provided: dict[str, Any] = {"users": PlainUserStorage(), "keys": InMemoryKeyStorage()}
        elif kind == "own":
            provided, kind = own_table(request.getfixturevalue("sqlite_url")), "sqlite"
        else:
            provided = shared_storages(request, kind) if two else storages(request, kind)
        options["is_admin_fn"] = lambda user: user.username == "boss"
        self.world = World(**provided, **options)
        self.workers = [self.world]
        self.kind, self.request, self._keys = kind, request, provided["keys"]
        url = others = stack.enter_context(self.world.open())
        if two:
            second = World(**shared_storages(request, kind), mailer=self.world.outbox, **options)
            second.manager.session.clock = self.world.manager.session.clock
            self.workers.append(second)
            others = stack.enter_context(second.open())
        self.intruder_url = url
        self.owner, self.boss = [stack.enter_context(Browser(others)) for _ in range(2)]
        self.intruder = stack.enter_context(Browser(url))
        assert self.owner.sign_up("alice", factor2="none", user_email=ALICE).status_code == 200
        assert self.boss.sign_up("boss", factor2="none").status_code == 200
        assert self.intruder.log_in().status_code == 200

    def meanwhile(self, method: str, other: Callable[[], Any]) -> list[Any]:
        """Let `other` happen, from its beginning to its end, when the password factor has done `method` the next time."""
        factors: list[Any] = [worker.manager.authenticators["localpassword"] for worker in self.workers]
        answers: list[Any] = []

        def interrupting(real: Any) -> Any:
            async def interrupted(*args: Any, **kwargs: Any) -> Any:
                for factor in factors:
                    delattr(factor, method)
                done = await real(*args, **kwargs)
                answers.append(await asyncio.to_thread(other))
                return done

            return interrupted

        for factor in factors:
            setattr(factor, method, interrupting(getattr(factor, method)))
        return answers

    def change(self, browser: Browser, old: str = PASSWORD, new: str = EVIL) -> Any:
        return browser.call("/api/changepassword", old_password=old, new_password=new, repeat_password=new)

    def administer(self, action: str, **fields: Any) -> Any:
        return self.boss.call(f"/admin/api/{action}/1", **fields)

    def ask_keys(self, question: Callable[[KeyStorage], Any]) -> Any:
        """Ask the key storage from the test's own event loop, which no connection of the server belongs to."""

        async def ask() -> Any:
            if self.kind in ("memory", "plain"):
                return await question(self._keys)
            url = self.request.getfixturevalue(f"{self.kind}_url")
            own: Any = RedisKeyStorage(open_redis(url)) if self.kind == "redis" else None
            own = own or SqlAlchemyKeyStorage(open_engine(url, poolclass=NullPool))
            try:
                return await question(own)
            finally:
                await own.close()

        return asyncio.run(ask())

    def sessions(self) -> int:
        return len(self.ask_keys(lambda keys: keys.get_all_for_user(1, KeyPrefix.session)))


@pytest.fixture(params=["memory", "plain", "own", "two sqlite", "two postgres", "two redis"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(request, request.param, stack)


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(request, "memory", stack)


# A password that is being changed


def test_a_password_that_is_being_changed_does_not_undo_that_the_account_was_disabled(site: Site) -> None:
    other = site.meanwhile("create_persistent_secrets", lambda: site.administer("updateuser", state="disabled"))
    refused = site.change(site.intruder)
    assert other[0].status_code == 200, other[0].text
    assert name_of(refused) == "UserNotActive"
    assert site.intruder.who() is None
    assert [name_of(site.intruder.log_in(password=word)) for word in (PASSWORD, EVIL)] == [
        "UserNotActive", "UsernameOrPasswordInvalid",
    ]  # fmt: skip


def test_a_password_that_is_being_changed_does_not_undo_the_administrators(site: Site) -> None:
    other = site.meanwhile(
        "create_persistent_secrets", lambda: site.administer("changepassword", new_password=NEW, repeat_password=NEW)
    )
    # The administrator's own hash comes through the same factor, which is not interrupted twice.
    refused = site.change(site.intruder)
    assert other[0].status_code == 200, other[0].text
    assert name_of(refused) == "InvalidSession"
    assert site.intruder.who() is None
    assert name_of(site.intruder.log_in(password=EVIL)) == "UsernameOrPasswordInvalid"
    assert site.owner.log_in(password=NEW).status_code == 200


def test_a_password_that_is_being_changed_does_not_undo_a_reset(site: Site) -> None:
    site.owner.call("/api/requestpasswordreset", email=ALICE)
    link = site.owner.link(ALICE).rpartition("=")[2].rpartition("/")[2]
    with Browser(str(site.owner.base_url)) as fresh:
        other = site.meanwhile(
            "create_persistent_secrets",
            lambda: fresh.call("/api/resetpassword", token=link, new_password=NEW, repeat_password=NEW),
        )
        refused = site.change(site.intruder)
        assert other[0].status_code == 200, other[0].text
        assert name_of(refused) == "InvalidSession"
        assert (fresh.who(), site.intruder.who()) == ("alice", None)
        assert name_of(site.intruder.log_in(password=EVIL)) == "UsernameOrPasswordInvalid"
        assert fresh.log_in(password=NEW).status_code == 200


def test_of_two_who_change_the_password_at_once_one_does(site: Site) -> None:
    other = site.meanwhile("create_persistent_secrets", lambda: site.change(site.owner, new=NEW))
    refused = site.change(site.intruder)
    assert other[0].status_code == 200, other[0].text
    assert name_of(refused) == "InvalidSession"
    assert (site.owner.who(), site.intruder.who()) == ("alice", None)
    assert site.sessions() == 1


def test_an_administrator_does_not_lose_to_a_password_that_changes_over_and_over(site: Site) -> None:
    """Whose change may come at any time: it is decided anew then, or does not rest on it."""
    words = [PASSWORD, EVIL, NEW]
    for number in range(3):
        other = site.meanwhile(
            "create_persistent_secrets", lambda n=number: site.change(site.intruder, words[n], words[(n + 1) % 3])
        )
        answer = site.administer("changepassword", new_password=words[(number + 1) % 3] + "x")
        assert (answer.status_code, other[0].status_code) == (200, 200), answer.text
        assert site.intruder.who() is None
        assert site.intruder.log_in(password=words[(number + 1) % 3] + "x").status_code == 200
        words[(number + 1) % 3] += "x"


# A login that is in flight


def test_a_login_that_read_the_old_password_ends_with_it(site: Site) -> None:
    with Browser(site.intruder_url) as late:
        other = site.meanwhile("authenticate_user", lambda: site.change(site.owner, new=NEW))
        late.log_in()
        assert other[0].status_code == 200, other[0].text
        assert late.who() is None
        assert late.get("/me").status_code == 401
    assert site.owner.who() == "alice"


def test_a_login_that_read_no_second_factor_ends_when_there_is_one(site: Site) -> None:
    with Browser(site.intruder_url) as late:
        site.meanwhile("authenticate_user", lambda: site.owner.add_totp(site.world))
        late.log_in()
        assert late.who() is None
        assert late.log_in().json()["twoFactorRequired"] is True


def test_a_login_that_waits_for_its_code_ends_with_the_password(site: Site) -> None:
    secret, _ = site.owner.add_totp(site.world)
    site.intruder.asked()
    answer = site.change(site.owner, new=NEW)
    assert answer.json().get("factor2Required") is True, answer.text
    assert site.owner.call("/api/factor2", otp=site.world.code(secret)).status_code == 200
    assert name_of(site.intruder.give(site.world.code(secret))) == "InvalidSession"
    assert site.intruder.who() is None


def test_a_session_without_a_stamp_signs_nobody_in(site: Site) -> None:
    """As the version before wrote it: it is asked for anew."""
    (key,) = [
        k for k in site.ask_keys(lambda keys: keys.get_all_for_user(1, KeyPrefix.session))
        if k.value == site.world.manager.session.hash_session_id(site.owner.cookies["SESSIONID"].partition(".")[0])
    ]  # fmt: skip
    assert site.owner.who() == "alice"
    site.ask_keys(lambda keys: keys.update_key({"value": key.value, "stamp": None}))
    assert site.owner.who() is None
    assert site.intruder.who() == "alice", "another session is as good as before"


# A set-up that waits


def test_a_set_up_begun_with_the_password_alone_ends_when_the_owner_has_a_factor(site: Site) -> None:
    assert site.administer("updateuser", factor2="totp").status_code == 200
    secrets = []
    for browser in (site.intruder, site.owner):
        browser.cookies.clear()
        assert name_of(browser.log_in()) == "Factor2ResetNeeded"
        secrets.append(browser.call("/api/changefactor2", factor2="totp").json()["totpsecret"])
    done = site.owner.call("/api/configurefactor2", otp=site.world.code(secrets[1]))
    assert done.status_code == 200, done.text
    refused = site.intruder.call("/api/configurefactor2", otp=site.world.code(secrets[0]))
    assert name_of(refused) in ("InvalidSession", "Unauthorized")
    assert site.intruder.who() is None
    with Browser(str(site.owner.base_url)) as again:
        again.asked()
        assert again.give(site.world.code(secrets[1])).status_code == 200, "it is the owner's factor"


@pytest.mark.parametrize("step", ["begin", "complete"])
def test_a_set_up_that_a_login_was_sent_to_ends_after_an_hour(memory: Site, step: str) -> None:
    assert memory.administer("updateuser", factor2="totp").status_code == 200
    memory.owner.cookies.clear()
    assert name_of(memory.owner.log_in()) == "Factor2ResetNeeded"
    if step == "complete":
        secret = memory.owner.call("/api/changefactor2", factor2="totp").json()["totpsecret"]
    memory.world.later(minutes=61)
    if step == "begin":
        assert name_of(memory.owner.call("/api/changefactor2", factor2="totp")) == "Unauthorized"
    else:
        refused = memory.owner.call("/api/configurefactor2", otp=memory.world.code(secret))
        assert name_of(refused) == "Expired"
    assert name_of(memory.owner.log_in()) == "Factor2ResetNeeded", "it is begun anew"
    memory.owner.add_totp(memory.world)
    assert memory.owner.who() == "alice"


# A browser that is known


@pytest.mark.parametrize("ends", ["password", "age", "disabled"])
def test_a_known_browser_is_forgotten(memory: Site, ends: str) -> None:
    """With the password, with thirty days, and with what an administrator decides; then its guesses count as anybody's."""
    cookie = memory.intruder.cookies["KNOWNDEVICE"]
    if ends == "password":
        assert memory.change(memory.owner, new=NEW).status_code == 200
    elif ends == "age":
        memory.world.later(days=30)
    else:
        for state in ("disabled", "active"):
            assert memory.administer("updateuser", state=state).status_code in (200, 401)
    limits = memory.world.manager.limits
    assert limits is not None
    for known in (True, False):
        with Browser(str(memory.owner.base_url)) as guesser:
            names = []
            for _ in range(21):
                guesser.cookies.clear()
                if known:
                    guesser.cookies.set("KNOWNDEVICE", cookie, domain="127.0.0.1")
                names.append(name_of(guesser.log_in(password="Wrong1horse")))
        expected = "UsernameOrPasswordInvalid" if known else "TooManyAttempts"
        assert names[0] == expected, "the twenty of the cookie were counted for the account"


def test_a_known_browser_is_counted_by_itself_for_its_own_user(memory: Site) -> None:
    """Guesses from elsewhere do not lock it out, and it does not lift the limit of another account."""
    with Browser(str(memory.owner.base_url)) as stranger:
        for _ in range(21):
            refused = stranger.log_in(password="Wrong1horse")
        assert name_of(refused) == "TooManyAttempts"
    memory.intruder.call("/api/logout")
    assert memory.intruder.log_in().status_code == 200
    with Browser(str(memory.owner.base_url)) as mixed:
        mixed.cookies.set("KNOWNDEVICE", memory.intruder.cookies["KNOWNDEVICE"], domain="127.0.0.1")
        names = [name_of(mixed.log_in("boss", "Wrong1horse")) for _ in range(21)]
        assert names[-1] == "TooManyAttempts"
    with Browser(str(memory.owner.base_url)) as elsewhere:
        assert name_of(elsewhere.log_in("boss")) == "TooManyAttempts", "it was counted for that account"


def test_a_known_browser_does_not_lift_the_limit_of_codes(memory: Site) -> None:
    """Right passwords in between give none of the guesses back."""
    secret, _ = memory.owner.add_totp(memory.world)
    names = []
    for _ in range(6):
        memory.owner.call("/api/logout")
        answer = memory.owner.log_in()
        assert answer.json().get("twoFactorRequired") is True, answer.text
        names += [name_of(memory.owner.give("000000")) for _ in range(5)]
    assert memory.owner.cookies.get("KNOWNDEVICE")
    assert names.count("InvalidToken") <= 20
    assert names[-1] == "TooManyAttempts"
    memory.owner.call("/api/logout")
    memory.owner.log_in()
    assert name_of(memory.owner.give(memory.world.code(secret))) == "TooManyAttempts"


def test_an_account_of_the_same_letters_is_another_where_names_are_not_normalised() -> None:
    users = InMemoryUserStorage({"normalize_username": False, "user_editable_fields": FIELDS})
    world = World(users)
    with world.open() as url, Browser(url) as victim, Browser(url) as other:
        victim.sign_up("victim", factor2="none")
        other.sign_up("VICTIM", factor2="none")
        other.call("/api/logout")
        cookie = other.cookies["KNOWNDEVICE"]
        names = []
        for _ in range(25):
            other.cookies.clear()
            other.cookies.set("KNOWNDEVICE", cookie, domain="127.0.0.1")
            names.append(name_of(other.log_in("victim", "Wrong1horse")))
        assert names[-1] == "TooManyAttempts"
        with Browser(url) as elsewhere:
            assert name_of(elsewhere.log_in("victim")) == "TooManyAttempts"
            assert elsewhere.log_in("VICTIM").status_code == 200


# A change of address that waits


@pytest.mark.parametrize("by", ["owner", "administrator"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_change_of_address_that_waits_ends(request: pytest.FixtureRequest, kind: str, by: str) -> None:
    """When its owner ends all other sessions, and when an administrator sets the address."""
    with ExitStack() as stack:
        world = World(**storages(request, kind), enable_email_verification=True, is_admin_fn=lambda u: u.id == 2)
        url = stack.enter_context(world.open())
        owner, thief, boss = [stack.enter_context(Browser(url)) for _ in range(3)]
        owner.sign_up("alice", factor2="none", user_email=ALICE)
        owner.call(f"/api{owner.link(ALICE)}")
        thief.log_in()
        boss.sign_up("boss", factor2="none", user_email="boss@example.com")
        boss.call(f"/api{boss.link('boss@example.com')}")
        boss.log_in("boss")
        assert thief.call("/api/updateuser", user_email="thief@evil.example.com").json()["emailVerificationRequired"]
        link = thief.link("thief@evil.example.com")
        if by == "owner":
            owner.log_in()
            assert owner.call("/api/sessions", all=True).status_code == 200
        else:
            assert boss.call("/admin/api/updateuser/1", user_email="right@example.com").status_code == 200
        assert name_of(thief.call(f"/api{link}")) == "InvalidKey"
        owner.log_in()
        address = owner.get("/api/userforsessionkey").json()["user"]["email"]
        assert address == (ALICE if by == "owner" else "right@example.com")


# Whoever changes a credential in a session


def test_whoever_changes_a_credential_goes_on_in_a_new_session(memory: Site) -> None:
    before = memory.owner.cookies["SESSIONID"]
    assert memory.owner.call("/api/updateuser", user_email="new@example.com").status_code == 200
    assert memory.owner.cookies["SESSIONID"] != before
    assert (memory.owner.who(), memory.intruder.who()) == ("alice", None)


def test_what_is_no_credential_ends_nothing(site: Site) -> None:
    before = site.owner.cookies["SESSIONID"]
    assert site.owner.call("/api/updateuser", user_email=ALICE).status_code == 200
    assert site.owner.cookies["SESSIONID"] == before
    assert (site.owner.who(), site.intruder.who()) == ("alice", "alice")


@pytest.mark.parametrize("kind", ["memory", "sqlite", "own table without the stamp"])
def test_a_field_that_is_no_credential_ends_no_session_and_no_link(sqlite_url: str, kind: str) -> None:
    """Another nickname logs nobody out, and a link to choose a new password that was mailed before is good still."""
    provided: dict[str, Any] = {"user_editable_fields": ["email", "phone", "nick"]}
    if kind == "memory":
        world = World(InMemoryUserStorage(provided))
    elif kind == "sqlite":
        engine = open_engine(sqlite_url)
        provided["extra_columns"] = [sa.Column("nick", sa.String(20))]
        world = World(SqlAlchemyUserStorage(engine, provided), SqlAlchemyKeyStorage(engine))
    else:
        world = World(**own_table(sqlite_url, "nick"))
    with world.open() as url, Browser(url) as owner, Browser(url) as other:
        owner.sign_up("alice", factor2="none", user_email=ALICE)
        other.log_in()
        owner.call("/api/requestpasswordreset", email=ALICE)
        owner.mail()
        token = owner.link(ALICE).rsplit("/", 1)[1].rpartition("=")[2]
        answer = owner.call("/api/updateuser", user_nick="Al")
        assert (answer.status_code, other.who(), owner.who()) == (200, "alice", "alice")
        new = {"new_password": NEW, "repeat_password": NEW}
        assert other.call("/api/resetpassword", token=token, **new).json()["ok"] is True
        assert owner.who() is None, "which ends sessions"


# Sessions do not grow without bound


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "redis"])
def test_a_user_has_so_many_sessions_and_the_oldest_end(request: pytest.FixtureRequest, kind: str) -> None:
    """Within a quarter more than the option says; 0 is no bound, and a number below is refused."""
    with ExitStack() as stack:
        site = Site(request, kind, stack, session_max_per_user=4)
        browsers = [stack.enter_context(Browser(str(site.owner.base_url))) for _ in range(9)]
        for browser in browsers:
            assert browser.log_in().status_code == 200
        assert site.sessions() == 4
        assert [browser.who() for browser in browsers] == [None] * 5 + ["alice"] * 4
        assert site.boss.who() == "boss"
