"""One core, two faces: users of a session server log in by these routes, and the other way round."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import Request

from crossauth_backend import Argon2Parameters, CrossauthError
from crossauth_backend.accounts import second_factor
from crossauth_backend.core.passwords import PasswordHasher
from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, schemas
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, KeyStorageStrategy
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists
from crossauth_fastapi.fastapi_users.jwt import decode_jwt
from crossauth_fastapi.fastapi_users.manager import RESET_PASSWORD_TOKEN_AUDIENCE
from crossauth_fastapi.fastapi_users.password import PasswordHelper
from tests.accounts import Browser, World, storages
from tests.fastapi_users.app import SECRET
from tests.security.test_security_stamp import PlainUserStorage
from tests.support import PASSWORD

EMAIL = "alice@example.com"
NEW = "Another1one"
# What a superuser without a second factor proves a request by.
OWN = {"old_password": PASSWORD}


class UserRead(schemas.BaseUser[int]):
    username: str


class Manager(IntegerIDMixin, BaseUserManager[Any, int]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET
    login_fields = ("email", "username")
    sent: list[str]

    async def on_after_request_verify(self, user: Any, token: str, request: Request | None = None) -> None:
        self.sent.append(token)

    async def on_after_forgot_password(self, user: Any, token: str, request: Request | None = None) -> None:
        self.sent.append(token)


def add_routes(world: World, **options: Any) -> list[str]:
    """Put the routes beside the session server, `options` to those of users; returns what is sent."""
    sent: list[str] = []

    async def get_user_manager() -> Manager:
        manager = Manager(CrossauthUserDatabase(world.manager))
        manager.sent = sent
        return manager

    backend: Any = AuthenticationBackend(
        "jwt",
        BearerTransport("rest/login"),
        lambda: KeyStorageStrategy(world.keys, 3600),
        refresh_lifetime_seconds=3600,
    )
    users = FastAPIUsers[Any, int](get_user_manager, [backend], session_manager=world.manager)
    for router in (
        users.get_auth_router(backend), users.get_register_router(UserRead, schemas.BaseUserCreate),
        users.get_reset_password_router(), users.get_users_router(UserRead, schemas.BaseUserUpdate, **options),
        *([users.get_verify_router(UserRead)] if world.manager.settings.enable_email_verification else []),
    ):  # fmt: skip
        world.server.app.include_router(router, prefix="/rest")
    return sent


class Both(Browser):
    """A browser of the session server, and a client of the routes."""

    def rest_login(self, name: str = EMAIL, password: str = PASSWORD) -> Any:
        return self.post("/rest/login", data={"username": name, "password": password})

    def header(self, name: str = EMAIL, password: str = PASSWORD) -> dict[str, str]:
        answer = self.rest_login(name, password)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def name_of_refusal(answer: Any) -> Any:
    assert answer.status_code >= 400, answer.text
    found = answer.json()["detail"]
    return found["code"] if isinstance(found, dict) else found


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def world(request: pytest.FixtureRequest) -> World:
    return World(**storages(request, request.param))


@pytest.fixture
def both(world: World) -> Iterator[Both]:
    add_routes(world)
    with world.open() as url, Both(url) as both:
        yield both


def test_signed_up_there_logs_in_here(both: Both) -> None:
    assert both.sign_up("alice", user_email=EMAIL).status_code == 200
    me = both.get("/rest/me", headers=both.header()).json()
    assert me == {
        "id": me["id"], "email": EMAIL, "is_active": True, "is_superuser": False, "is_verified": False, "username": "alice",
    }  # fmt: skip
    assert both.get("/rest/me", headers=both.header("ALICE")).json() == me, "by username too"
    assert name_of_refusal(both.rest_login(password="x")) == "LOGIN_BAD_CREDENTIALS"
    assert name_of_refusal(both.rest_login("nobody")) == "LOGIN_BAD_CREDENTIALS"


def test_registered_here_logs_in_there(both: Both) -> None:
    answer = both.post("/rest/register", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    assert both.log_in(EMAIL).status_code == 200
    assert both.who() == EMAIL
    again = both.post("/rest/register", json={"email": "ALICE@example.com", "password": PASSWORD})
    assert name_of_refusal(again) == "REGISTER_USER_ALREADY_EXISTS"


def test_the_second_factor_is_asked_here_too(world: World, both: Both) -> None:
    both.sign_up("alice", user_email=EMAIL)
    secret, codes = both.add_totp(world)
    asked = both.rest_login()
    assert (asked.status_code, name_of_refusal(asked)) == (403, "LOGIN_FACTOR2_REQUIRED")
    reason = asked.json()["detail"]["reason"]
    assert reason["factor2"] == "totp"
    form = {"mfa_token": reason["mfa_token"], "otp": "000000"}
    assert name_of_refusal(both.post("/rest/login/factor2", data=form)) == "LOGIN_FACTOR2_INVALID"
    form["otp"] = world.code(secret)
    done = both.post("/rest/login/factor2", data=form)
    assert done.status_code == 200, done.text
    header = {"Authorization": f"Bearer {done.json()['access_token']}"}
    assert both.get("/rest/me", headers=header).status_code == 200
    assert name_of_refusal(both.post("/rest/login/factor2", data=form)) == "LOGIN_FACTOR2_INVALID", "each counts once"
    renewed = both.post("/rest/refresh", data={"refresh_token": done.json()["refresh_token"]})
    assert renewed.status_code == 200, "it was proven at the login"
    again = both.rest_login().json()["detail"]["reason"]["mfa_token"]
    recovered = both.post("/rest/login/factor2", data={"mfa_token": again, "otp": codes[0]})
    assert recovered.status_code == 200


def test_a_challenge_is_no_session_and_no_session_is_a_challenge(world: World, both: Both) -> None:
    both.sign_up("alice", user_email=EMAIL)
    secret, _ = both.add_totp(world)
    cookie = next(iter(c for c in both.cookies.jar if "SESSIONID" in c.name)).value or ""
    token = both.rest_login().json()["detail"]["reason"]["mfa_token"]
    assert both.get("/rest/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    for wrong in (cookie, cookie.partition(".")[0], "", "x", "\x00", "x" * 10_000):
        answer = both.post("/rest/login/factor2", data={"mfa_token": wrong, "otp": world.code(secret)})
        assert answer.status_code in (400, 422), answer.text


def test_limits_are_counted_together(both: Both) -> None:
    for _ in range(10):
        both.log_in("nobody@example.com", "x")
        both.rest_login("nobody@example.com", "x")
    assert both.rest_login("nobody@example.com").status_code == 429
    assert both.log_in("nobody@example.com").status_code == 429


def test_a_new_password_ends_what_both_faces_opened(both: Both) -> None:
    both.sign_up("alice", user_email=EMAIL)
    assert both.who() == "alice"
    own, other = both.header(), both.header()
    refused = both.patch("/rest/me", headers=own, json={"password": NEW})
    assert name_of_refusal(refused) == "UPDATE_USER_OLD_PASSWORD_INVALID", "as the session server asks for it"
    weak = both.patch("/rest/me", headers=own, json={"password": "x", "old_password": PASSWORD})
    assert name_of_refusal(weak) == "UPDATE_USER_INVALID_PASSWORD", "its rules count here too"
    change = {"password": NEW, "old_password": PASSWORD}
    assert both.patch("/rest/me", headers=own, json=change).status_code == 200
    assert [both.get("/rest/me", headers=h).status_code for h in (own, other)] == [200, 401]
    assert both.who() is None
    assert both.log_in("alice", NEW).status_code == 200
    changed = both.call("/api/changepassword", old_password=NEW, new_password=PASSWORD, repeat_password=PASSWORD)
    assert changed.status_code == 200, changed.text
    assert both.rest_login(password=NEW).status_code == 400
    assert both.rest_login(password=PASSWORD).status_code == 200


def test_a_disabled_account(world: World, both: Both) -> None:
    both.sign_up("alice", user_email=EMAIL)
    header = both.header()
    root = both.post("/rest/register", json={"email": "root@example.com", "password": PASSWORD}).json()
    update(world, {"id": root["id"], "admin": True})
    boss = both.header("root@example.com")
    me = both.get("/rest/me", headers=header).json()
    changed = both.patch(f"/rest/{me['id']}", headers=boss, json={"is_active": False, "is_superuser": True} | OWN)
    assert (changed.json()["is_active"], changed.json()["is_superuser"]) == (False, True)
    assert both.get("/rest/me", headers=header).status_code == 401
    assert name_of_refusal(both.rest_login()) == "LOGIN_BAD_CREDENTIALS"
    assert both.log_in("alice").status_code == 403
    both.patch(f"/rest/{me['id']}", headers=boss, json={"is_active": True, "email": "alice@two.example.com"} | OWN)
    assert both.rest_login("alice@two.example.com").status_code == 200
    assert both.request("DELETE", f"/rest/{me['id']}", headers=boss, json=OWN).status_code == 204
    assert both.log_in("alice").status_code == 401


def test_a_second_factor_is_asked_again_for_what_matters(world: World, both: Both) -> None:
    both.sign_up("alice", user_email=EMAIL)
    secret, _ = both.add_totp(world)
    form = {"mfa_token": both.rest_login().json()["detail"]["reason"]["mfa_token"], "otp": world.code(secret)}
    header = {"Authorization": f"Bearer {both.post('/rest/login/factor2', data=form).json()['access_token']}"}
    for change in ({"password": NEW}, {"email": "b@example.com"}):
        asked = both.patch("/rest/me", headers=header, json={**change, "old_password": PASSWORD})
        assert (asked.status_code, name_of_refusal(asked)) == (403, "LOGIN_FACTOR2_REQUIRED")
        proof = {"old_password": PASSWORD, "mfa_token": asked.json()["detail"]["reason"]["mfa_token"]}
        wrong = both.patch("/rest/me", headers=header, json={**change, **proof, "otp": "000000"})
        assert name_of_refusal(wrong) == "LOGIN_FACTOR2_INVALID"
    proof["otp"] = world.code(secret)
    assert both.patch("/rest/me", headers=header, json={"password": NEW, **proof}).status_code == 200
    assert name_of_refusal(both.patch("/rest/me", headers=header, json={"password": NEW, **proof, "old_password": NEW}))


@pytest.mark.parametrize("event", ["password", "factor2", "admin password", "passwordchangeneeded", "disabled"])
def test_what_happens_on_the_other_face_ends_tokens_of_this_one(world: World, both: Both, event: str) -> None:
    both.sign_up("alice", user_email=EMAIL)
    answer = both.rest_login().json()
    header = {"Authorization": f"Bearer {answer['access_token']}"}
    assert both.get("/rest/me", headers=header).status_code == 200
    if event == "password":
        both.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
    elif event == "factor2":
        both.add_totp(world)
    elif event == "admin password":
        update(world, {"id": 1}, {"password": "$argon2id$another"})
    else:
        update(world, {"id": 1, "state": event})
    assert both.get("/rest/me", headers=header).status_code == 401
    renewed = both.post("/rest/refresh", data={"refresh_token": answer["refresh_token"]})
    assert renewed.status_code == 400 or event == "admin password", "who changes the storage by hand ends no key"


def test_a_deleted_user_leaves_nothing_behind(request: pytest.FixtureRequest) -> None:
    world = World(**storages(request, "sqlite"), enable_email_verification=True)
    sent = add_routes(world)
    with world.open() as url, Both(url) as both:
        root = both.post("/rest/register", json={"email": "root@example.com", "password": PASSWORD}).json()
        update(world, {"id": root["id"], "admin": True, "state": "active"})
        both.post("/rest/register", json={"email": EMAIL, "password": PASSWORD})
        both.post("/rest/request-verify-token", json={"email": EMAIL})
        both.post("/rest/verify", json={"token": wait(sent)})
        header = both.header()
        me = both.get("/rest/me", headers=header).json()
        both.patch("/rest/me", headers=header, json={"email": "m@example.com", "old_password": PASSWORD})
        link = both.link("m@example.com")
        boss = both.header("root@example.com")
        assert both.request("DELETE", f"/rest/{me['id']}", headers=boss, json=OWN).status_code == 204
        new = both.post("/rest/register", json={"email": "new@example.com", "password": PASSWORD}).json()
        assert new["id"] != me["id"], "an id is nobody else's"
        assert both.get(link).status_code >= 400
        assert both.get("/rest/me", headers=header).status_code == 401


async def test_an_administrators_decision_is_not_undone(world: World) -> None:
    """By a change that was begun before it."""
    async with lifespan_of(world):
        database = CrossauthUserDatabase(world.manager)
        create = {"email": EMAIL, "hashed_password": "x"}
        begun = await database.create(create)
        await world.users.update_user({"id": begun.id, "state": "disabled"})
        changed = await database.update(begun, {"is_superuser": False})
        assert changed.is_active is False
        assert await database.replace(begun, {"hashed_password": "y"}, {"hashed_password": "z"}) is None


async def test_a_password_and_an_address_change_together_or_not_at_all(world: World) -> None:
    async with lifespan_of(world):
        database = CrossauthUserDatabase(world.manager)
        user = await database.create({"email": EMAIL, "hashed_password": "x"})
        await database.create({"email": "taken@example.com", "hashed_password": "x"})
        both = {"hashed_password": "y", "email": "taken@example.com"}
        with pytest.raises(UserAlreadyExists):
            await database.replace(user, {"hashed_password": "x"}, both)
        stored = await database.get(user.id)
        assert stored is not None
        assert (stored.hashed_password, stored.email) == ("x", EMAIL)
        changed = await database.replace(user, {"hashed_password": "x"}, {**both, "email": "b@example.com"})
        assert changed is not None
        assert (changed.hashed_password, changed.email, changed.username) == ("y", "b@example.com", "b@example.com")


async def test_an_unproven_address_is_not_proven_by_being_enabled() -> None:
    world = World(enable_email_verification=True)
    async with lifespan_of(world):
        database = CrossauthUserDatabase(world.manager)
        user = await database.create({"email": EMAIL, "hashed_password": "x"})
        assert (user.is_active, user.is_verified) == (True, False)
        user = await database.update(await database.update(user, {"is_active": False}), {"is_active": True})
        assert (user.is_active, user.is_verified) == (True, False)
        assert (await database.update(user, {"is_verified": True})).is_verified is True


@asynccontextmanager
async def lifespan_of(world: World) -> AsyncIterator[None]:
    app = world.server.app
    async with app.router.lifespan_context(app):
        yield


def update(world: World, values: dict[str, Any], secrets: dict[str, Any] | None = None) -> None:
    """Change a user behind the application's back."""
    on_users(world, lambda users: users.update_user(values, secrets))


def on_users(world: World, do: Callable[[Any], Any]) -> Any:
    """Do something with the users behind the application's back; not on the storages' own event loop, which is the server's."""
    import asyncio

    from crossauth_backend import SqlAlchemyUserStorage, open_engine

    async def run() -> Any:
        users = world.users
        if isinstance(users, SqlAlchemyUserStorage):
            users = SqlAlchemyUserStorage(open_engine(users.engine.url.render_as_string(hide_password=False)))
        done = await do(users)
        if users is not world.users:
            await users.close()  # type: ignore[attr-defined]
        return done

    return asyncio.run(run())


def test_reset_here(world: World) -> None:
    sent = add_routes(world)
    with world.open() as url, Both(url) as both:
        both.sign_up("alice", user_email=EMAIL)
        assert both.post("/rest/forgot-password", json={"email": EMAIL}).status_code == 202
        token = wait(sent)
        for status in (200, 400):
            answer = both.post("/rest/reset-password", json={"token": token, "password": NEW})
            assert answer.status_code == status, answer.text
        assert both.who() is None
        assert both.log_in("alice", NEW).status_code == 200


def wait(sent: list[str]) -> str:
    import time

    deadline = time.monotonic() + 10
    while not sent:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return sent.pop()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_an_address_that_must_be_proven(request: pytest.FixtureRequest, kind: str) -> None:
    world = World(**storages(request, kind), enable_email_verification=True)
    sent = add_routes(world)
    with world.open() as url, Both(url) as both:
        both.post("/rest/register", json={"email": EMAIL, "password": PASSWORD})
        assert name_of_refusal(both.rest_login()) == "LOGIN_BAD_CREDENTIALS", (
            "as nobody, for nobody has verified the address"
        )
        assert both.log_in(EMAIL).status_code == 401
        both.post("/rest/request-verify-token", json={"email": EMAIL})
        answer = both.post("/rest/verify", json={"token": wait(sent)})
        assert answer.json()["is_verified"] is True, answer.text
        header = both.header()
        assert both.log_in(EMAIL).status_code == 200
        change = {"email": "b@example.com", "old_password": PASSWORD}
        changed = both.patch("/rest/me", headers=header, json=change)
        assert (changed.status_code, changed.json()["email"]) == (200, EMAIL), "not before it is proven"
        assert name_of_refusal(both.rest_login("b@example.com")) == "LOGIN_BAD_CREDENTIALS"
        assert both.mail(EMAIL), "the old address is told"
        assert both.submit(both.link("b@example.com")).status_code == 200
        assert both.rest_login("b@example.com").status_code == 200


def test_what_would_not_work_does_not_start() -> None:
    world = World()

    async def manager() -> Any: ...

    users = FastAPIUsers[Any, int](manager, [], session_manager=world.manager)
    with pytest.raises(CrossauthError, match="enable_email_verification"):
        users.get_verify_router(UserRead)
    with pytest.raises(CrossauthError, match="give them there"):
        FastAPIUsers[Any, int](manager, [], session_manager=world.manager, key_storage=world.keys)


def test_a_second_factor_proven_with_an_older_password_logs_nobody_in(
    world: World, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changes the password after the code was taken, and before the user is read again."""
    both.sign_up("alice", user_email=EMAIL)
    secret, _ = both.add_totp(world)
    form = {"mfa_token": both.rest_login().json()["detail"]["reason"]["mfa_token"], "otp": world.code(secret)}
    complete = second_factor.complete_login

    async def changed_meanwhile(*args: Any) -> Any:
        done = await complete(*args)
        await world.users.update_user({"id": 1}, {"password": "$argon2id$another"})
        return done

    with monkeypatch.context() as m:
        m.setattr(second_factor, "complete_login", changed_meanwhile)
        answer = both.post("/rest/login/factor2", data=form)
    assert (answer.status_code, name_of_refusal(answer)) == (400, "LOGIN_FACTOR2_INVALID")


def test_a_second_factor_is_taken_where_the_storage_knows_no_stamps() -> None:
    """A digest of the credentials takes their place, here as on the session server."""
    world = World(PlainUserStorage())
    add_routes(world)
    with world.open() as url, Both(url) as both:
        both.sign_up("alice", user_email=EMAIL)
        secret, _ = both.add_totp(world)
        form = {"mfa_token": both.rest_login().json()["detail"]["reason"]["mfa_token"], "otp": world.code(secret)}
        assert both.post("/rest/login/factor2", data=form).status_code == 200


def weaken(world: World) -> None:
    """Keep the password as the hash of other parameters, which the next login replaces."""
    old = stored_hash(world)
    weak = PasswordHelper(PasswordHasher(Argon2Parameters(memory_cost=16, time_cost=1))).hash(PASSWORD)
    assert on_users(world, lambda users: users.rewrite_secret(1, "password", old, weak))


def stored_hash(world: World) -> str:
    return str(on_users(world, lambda users: users.get_user_by_id(1)).secrets.password)


def test_a_login_with_an_old_hash_logs_nobody_out(world: World, both: Both) -> None:
    both.sign_up("alice", user_email=EMAIL)
    own = both.rest_login().json()
    weaken(world)
    old = stored_hash(world)
    with Both(str(both.base_url)) as elsewhere:
        assert elsewhere.rest_login().status_code == 200
    assert stored_hash(world) != old, "it was replaced"
    assert both.who() == "alice"
    assert both.get("/rest/me", headers={"Authorization": f"Bearer {own['access_token']}"}).status_code == 200
    assert both.post("/rest/refresh", data={"refresh_token": own["refresh_token"]}).status_code == 200


def test_a_login_with_an_old_hash_ends_no_login_that_is_under_way(world: World, both: Both) -> None:
    both.sign_up("alice", user_email=EMAIL)
    secret, _ = both.add_totp(world)
    asked = both.rest_login().json()["detail"]["reason"]["mfa_token"]
    weaken(world)
    old = stored_hash(world)
    with Both(str(both.base_url)) as elsewhere:
        assert elsewhere.rest_login().status_code == 403
    assert stored_hash(world) != old
    assert both.post("/rest/login/factor2", data={"mfa_token": asked, "otp": world.code(secret)}).status_code == 200


async def test_a_password_that_was_replaced_meanwhile_is_not_rewritten(world: World) -> None:
    async with lifespan_of(world):
        database = CrossauthUserDatabase(world.manager)
        user = await database.create({"email": EMAIL, "hashed_password": "old"})
        await world.users.update_user({"id": user.id}, {"password": "another"})
        assert await database.rewrite_password(user, "stronger") is None
        current = await database.get(user.id)
        assert current is not None
        assert current.hashed_password == "another"


async def test_a_storage_that_cannot_rewrite_keeps_the_old_hash() -> None:
    database = CrossauthUserDatabase(World(PlainUserStorage()).manager)
    user = await database.create({"email": EMAIL, "hashed_password": "old"})
    stored = await database.rewrite_password(user, "stronger")
    assert stored is not None
    assert stored.hashed_password == "old"


@pytest.mark.parametrize("event", ["factor", "state", "password", "hash"])
def test_a_reset_token_rests_on_all_that_a_login_rests_on(world: World, event: str) -> None:
    sent = add_routes(world)
    with world.open() as url, Both(url) as both:
        both.sign_up("alice", user_email=EMAIL)
        both.post("/rest/forgot-password", json={"email": EMAIL})
        token = wait(sent)
        claims = decode_jwt(token, SECRET, [RESET_PASSWORD_TOKEN_AUDIENCE])
        assert (claims.keys(), claims["sub"]) == ({"sub", "password_fgpt", "aud", "exp"}, "1")
        if event == "factor":
            both.add_totp(world)
        elif event == "state":
            for state in ("disabled", "active"):
                update(world, {"id": 1, "state": state})
        elif event == "password":
            update(world, {"id": 1}, {"password": stored_hash(world)})
        else:
            weaken(world)
            assert both.rest_login().status_code == 200
        answer = both.post("/rest/reset-password", json={"token": token, "password": NEW})
        if event == "hash":
            assert answer.status_code == 200, "it is the same password"
        else:
            assert (answer.status_code, name_of_refusal(answer)) == (400, "RESET_PASSWORD_BAD_TOKEN")
