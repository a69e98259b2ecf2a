"""What may be sent to the routes, by whom, and what of the application's own they leave alone."""

import asyncio
import json
import logging
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from crossauth_backend import Argon2Parameters, CrossauthError, InMemoryKeyStorage, SqlAlchemyKeyStorage, open_engine
from crossauth_backend import ErrorCode as CrossauthErrorCode
from crossauth_backend.core.passwords import PasswordHasher
from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, UUIDIDMixin, schemas
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    Authenticator,
    BearerTransport,
    JWTStrategy,
    KeyStorageStrategy,
)
from crossauth_fastapi.fastapi_users.db import SQLAlchemyBaseUserTable, SQLAlchemyUserDatabase
from crossauth_fastapi.fastapi_users.db.sqlalchemy.transactions import reads
from crossauth_fastapi.fastapi_users.password import PasswordHelper
from crossauth_fastapi.fastapi_users.router import (
    get_auth_router,
    get_oauth_associate_router,
    get_oauth_router,
    get_sessions_router,
)
from tests.accounts import World
from tests.fastapi_users.app import CHEAP, SECRET, Site, UserRead
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_core import EMAIL, Both, add_routes, name_of_refusal
from tests.fastapi_users.test_providers import Says
from tests.services.uvicorn import serve
from tests.support import PASSWORD

LARGE = 64 * 1024 + 1


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with open_site(tmp_path) as api:
        api.register()
        yield api


@pytest.mark.parametrize("told", [True, False])
def test_no_route_reads_a_body_beyond_64_kib(api: Api, told: bool) -> None:
    """Of known length or in chunks, JSON or form, with or without a token: refused, and not read to its end."""
    header = api.bearer()
    json, form = {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for method, path, headers in (
        *(("POST", f"/auth/{path}", json) for path in (
            "register", "forgot-password", "reset-password", "request-verify-token", "verify")),
        ("POST", "/auth/jwt/login", form), ("POST", "/auth/cookie/login", multipart),
        ("PATCH", "/users/me", {**json, **header}), ("PATCH", f"/users/{uuid.uuid4()}", {**json, **header}),
    ):  # fmt: skip
        body = b"[" * LARGE
        content: Any = body if told else iter([body[: LARGE // 2], body[LARGE // 2 :]])
        with api.another() as client:
            answer = client.request(method, path, content=content, headers=headers)
        assert (answer.status_code, path) == (413, path)
    described = api.get("/openapi.json").json()["paths"]
    assert "413" in described["/auth/register"]["post"]["responses"]
    assert "413" not in described["/users/me"]["get"]["responses"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_of_thousands_of_fields_is_not_taken_apart(api: Api, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.formparsers import FormParser, MultiPartParser

    async def parse(self: Any) -> Any:
        raise AssertionError("it was parsed")

    for parser in (FormParser, MultiPartParser):
        monkeypatch.setattr(parser, "parse", parse)
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = b"a=1&" * 8000 if "www" in kind else part * 1000 + b"--x--"
    answer = api.post("/auth/jwt/login", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400


def test_a_client_that_goes_away_in_the_middle_of_a_body(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    async def half() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
        writer.write(b"POST /auth/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 1000\r\n\r\n{")  # fmt: skip
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    asyncio.run(half())
    assert api.get("/maybe").status_code == 200
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_a_hash_is_never_taken_from_a_request(tmp_path: Path) -> None:
    """A schema that lets everything through does not let through what the schema does not name, nor a hash by any name."""

    class Open(schemas.BaseUserUpdate):
        model_config = ConfigDict(extra="allow")

    class Hash(schemas.BaseUserUpdate):
        hashed_password: str | None = None

    with open_site(tmp_path) as api:
        for name, schema in (("open", Open), ("hash", Hash)):
            router = api.site.users.get_users_router(UserRead, schema, require_old_password=True)
            api.site.app.include_router(router, prefix=f"/{name}")
        api.register()
        boss = api.superuser()
        before = api.sql('SELECT email, hashed_password, is_superuser FROM "user" ORDER BY email')
        me = api.get("/users/me", headers=api.bearer()).json()["id"]
        for path, header in (("me", api.bearer()), (me, boss)):
            for name in ("open", "hash"):
                sent = {"hashed_password": CHEAP.hash("mordred"), "oauth_accounts": []}
                answer = api.patch(f"/{name}/{path}", headers=header, json=sent)
                assert answer.status_code < 500
        assert api.sql('SELECT email, hashed_password, is_superuser FROM "user" ORDER BY email') == before


def test_a_superuser_is_nobody_else_at_the_own_id(tmp_path: Path) -> None:
    with open_site(tmp_path, require_old_password=True) as api:
        boss = api.superuser()
        own = api.get("/users/me", headers=boss).json()["id"]
        other = api.register().json()["id"]
        refused = api.patch(f"/users/{own}", headers=boss, json={"password": "mine"})
        assert (refused.status_code, detail(refused)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID")
        assert api.patch(f"/users/{other}", headers=boss, json={"password": "another"}).status_code == 200
        sent = {"password": "mine", "old_password": "sword", "is_verified": True}
        assert api.patch(f"/users/{own}", headers=boss, json=sent).status_code == 200


def test_a_superusers_second_factor_is_asked_at_the_own_id(tmp_path: Path) -> None:
    world = World()
    add_routes(world)
    with world.open() as url, Both(url) as both:
        both.sign_up("alice", user_email=EMAIL)
        user = asyncio.run(world.manager.accounts().users.get_user_by_username("alice")).user
        asyncio.run(world.manager.accounts().users.update_user({"id": user.id, "admin": True}))
        header = both.header()
        own = both.get("/rest/me", headers=header).json()["id"]
        secret, _ = both.add_totp(world)
        world.later(seconds=31)
        asked = both.rest_login().json()["detail"]["reason"]["mfa_token"]
        code = both.post("/rest/login/factor2", data={"mfa_token": asked, "otp": world.code(secret)})
        header = {"Authorization": f"Bearer {code.json()['access_token']}"}
        body = {"password": "Another1one", "old_password": PASSWORD}
        for path in ("me", own):
            refused = both.patch(f"/rest/{path}", headers=header, json=body)
            assert (refused.status_code, name_of_refusal(refused)) == (403, "LOGIN_FACTOR2_REQUIRED"), path


@contextmanager
def superuser_and_alice(**options: Any) -> Iterator[tuple[World, Both, dict[str, str], str]]:
    """A session server, a browser of its superuser, a stolen token of the superuser, and the path of another account."""
    world = World()
    add_routes(world, **options)
    with world.open() as url, Both(url) as both:
        other = both.post("/rest/register", json={"email": "alice@two.example.com", "password": PASSWORD}).json()
        both.sign_up("boss", user_email=EMAIL)
        user = asyncio.run(world.manager.accounts().users.get_user_by_username("boss")).user
        asyncio.run(world.manager.accounts().users.update_user({"id": user.id, "admin": True}))
        yield world, both, both.header(), f"/rest/{other['id']}"


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("PATCH", {"password": "Another1one"}), ("PATCH", {"email": "mallory@example.com"}), ("PATCH", {"is_superuser": True}),
    ("PATCH", {"is_active": False}), ("DELETE", {}),
]  # fmt: skip


@pytest.mark.parametrize("require_old_password", [None, False])
def test_a_stolen_superuser_token_is_not_enough_where_a_session_server_stands_behind(
    require_old_password: bool | None,
) -> None:
    """Without a second factor the superuser's own password is asked for, before any change of another account."""
    with superuser_and_alice(require_old_password=require_old_password) as (_, both, header, alice):
        before = both.get(alice, headers=header).json()
        for method, change in CHANGES:
            for proof in ({}, {"old_password": ""}, {"old_password": "wrong"}, {"mfa_token": "x", "otp": "000000"}):
                refused = both.request(method, alice, headers=header, json={**change, **proof})
                assert (refused.status_code, name_of_refusal(refused)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID")
        assert name_of_refusal(both.delete(alice, headers=header)) == "UPDATE_USER_OLD_PASSWORD_INVALID"
        assert both.get(alice, headers=header).json() == before
        for method, change in CHANGES:
            done = both.request(method, alice, headers=header, json={**change, "old_password": PASSWORD})
            assert done.status_code in (200, 204), done.text
        wrong = {"old_password": "wrong"}
        path = f"/rest/{both.get('/rest/me', headers=header).json()['id']}"
        answers = [both.request("DELETE", path, headers=header, json=wrong).status_code for _ in range(21)]
        assert answers[-1] == 429, "guesses are counted, at the own account too"


def test_a_superusers_second_factor_is_asked_where_a_session_server_stands_behind() -> None:
    """The password alone is not enough then; a code that is anybody else's, or was used, is none."""
    with superuser_and_alice() as (world, both, _, alice):
        secret, codes = both.add_totp(world)
        asked = both.rest_login().json()["detail"]["reason"]["mfa_token"]
        login = both.post("/rest/login/factor2", data={"mfa_token": asked, "otp": world.code(secret)})
        header = {"Authorization": f"Bearer {login.json()['access_token']}"}
        for method, change in CHANGES:
            for proof in ({}, {"old_password": PASSWORD}):
                refused = both.request(method, alice, headers=header, json={**change, **proof})
                assert (refused.status_code, name_of_refusal(refused)) == (403, "LOGIN_FACTOR2_REQUIRED")
            proof = {"mfa_token": refused.json()["detail"]["reason"]["mfa_token"]}
            wrong = both.request(method, alice, headers=header, json={**change, **proof, "otp": "000000"})
            assert (wrong.status_code, name_of_refusal(wrong)) == (400, "LOGIN_FACTOR2_INVALID")
            proof["otp"] = world.code(secret) if method == "PATCH" else codes[0]
            done = both.request(method, alice, headers=header, json={**change, **proof})
            assert done.status_code in (200, 204), done.text
            if method == "PATCH":
                again = both.request(method, alice, headers=header, json={**change, **proof})
                assert name_of_refusal(again) == "LOGIN_FACTOR2_INVALID"


def test_a_stolen_superuser_token_is_not_enough_at_the_own_id() -> None:
    """Neither to disable the account, nor to delete it."""
    with superuser_and_alice() as (_, both, header, _):
        own = f"/rest/{both.get('/rest/me', headers=header).json()['id']}"
        for method, body in (("PATCH", {"is_active": False}), ("DELETE", {})):
            refused = both.request(method, own, headers=header, json=body)
            assert (refused.status_code, name_of_refusal(refused)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID")
        assert both.patch("/rest/me", headers=header, json={"is_active": False}).json()["is_active"] is True
        assert both.request("DELETE", own, headers=header, json={"old_password": PASSWORD}).status_code == 204


def test_what_superusers_send_is_documented(tmp_path: Path) -> None:
    """And without a session server it is what it always was."""
    with superuser_and_alice() as (world, *_), open_site(tmp_path) as api:
        described, plain = world.server.app.openapi(), api.site.app.openapi()
        path, usual = described["paths"]["/rest/{id}"], plain["paths"]["/users/{id}"]
        assert "requestBody" in path["delete"]
        assert {"400", "403", "429"} <= set(path["delete"]["responses"])
        for method in ("patch", "delete"):
            assert "LOGIN_FACTOR2_REQUIRED" in str(path[method]["responses"]["403"])
            assert "UPDATE_USER_OLD_PASSWORD_INVALID" in str(path[method]["responses"]["400"])
            assert "LOGIN_FACTOR2_REQUIRED" not in str(usual[method])
        assert "requestBody" not in usual["delete"]
        assert "400" not in usual["delete"]["responses"]
        boss = api.superuser()
        other = api.register().json()["id"]
        assert api.patch(f"/users/{other}", headers=boss, json={"is_superuser": True}).status_code == 200
        assert api.delete(f"/users/{other}", headers=boss).status_code == 204


@pytest.mark.parametrize(
    ("by", "how"),
    [
        ("jwt", "password"),
        ("jwt", "deactivated"),
        ("cookie", "password"),
        ("cookie", "deactivated"),
        ("cookie", "logout"),
    ],
)
def test_a_request_that_is_held_back_is_judged_by_what_its_user_has_when_it_goes_on(
    api: Api, by: str, how: str
) -> None:
    """Its headers come before, its body after the login they show has ended: it changes nothing."""
    header = api.bearer() if by == "jwt" else api.cookie_login()
    body = json.dumps({"password": "mordred", "email": "mordred@camelot.bt"}).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in header.items())
    with socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2])), timeout=20) as held:
        held.sendall(
            f"PATCH /users/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{head}\r\n".encode()
            + body[:1]
        )
        # An answer to a request that came later: the first has been looked at.
        assert api.get("/maybe").status_code == 200
        if how == "password":
            assert api.patch("/users/me", headers=api.bearer(), json={"password": "merlin"}).status_code == 200
        elif how == "deactivated":
            api.set(is_active=0)
        else:
            assert api.post(f"/auth/{by}/logout", headers=header).status_code == 200
        held.sendall(body[1:])
        answer = b"".join(iter(lambda: held.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 401 "), answer
    assert api.sql('SELECT email FROM "user"') == [("arthur@camelot.bt",)]


class OpenClient:
    """An OAuth client that says whose it is."""

    authorize_endpoint, access_token_endpoint = "https://provider.test/authorize", "https://provider.test/token"

    def __init__(self, client_id: str, name: str = "openid") -> None:
        self.client_id, self.name = client_id, name

    async def get_authorization_url(self, *args: Any) -> str:
        return "https://provider.test/"


def test_two_oauth_clients_of_one_name_do_not_start(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/x.db")
    users = site.users
    users.get_oauth_router(OpenClient("a"), site.jwt, SECRET)
    users.get_oauth_associate_router(OpenClient("a"), UserRead, SECRET)
    users.get_oauth_router(OpenClient("b", "other"), site.jwt, SECRET)
    for make in (
        lambda: users.get_oauth_router(OpenClient("b"), site.cookie, SECRET),
        lambda: users.get_oauth_associate_router(OpenClient("b"), UserRead, SECRET),
    ):
        with pytest.raises(CrossauthError, match="'openid'"):
            make()


class Bare:
    """An OAuth client of the application's own that says no more than its name."""

    name = "company"

    def __init__(self, url: str) -> None:
        self._url = url

    async def get_authorization_url(self, *args: Any) -> str:
        return "https://provider.test/"


def test_two_oauth_clients_that_say_nothing_but_one_name_do_not_start(tmp_path: Path) -> None:
    """They are two providers where they were made of something else."""
    site = Site(f"sqlite:///{tmp_path}/x.db")
    client = Bare("https://one.test")
    site.users.get_oauth_router(client, site.jwt, SECRET)
    site.users.get_oauth_associate_router(client, UserRead, SECRET)
    site.users.get_oauth_associate_router(Bare("https://one.test"), UserRead, SECRET)
    with pytest.raises(CrossauthError, match=r"'company'.*the same client"):
        site.users.get_oauth_router(Bare("https://other.test"), site.cookie, SECRET)


def test_oauth_clients_of_routers_made_by_functions_are_compared_too(tmp_path: Path) -> None:
    """Of one application: another one in the process has users of its own."""
    one, other = (Site(f"sqlite:///{tmp_path}/{name}.db") for name in "ab")

    def routers(site: Site, client: Any) -> None:
        get_oauth_router(client, site.jwt, site.get_user_manager, SECRET)
        get_oauth_associate_router(client, site.users.authenticator, site.get_user_manager, UserRead, SECRET)

    routers(one, OpenClient("a"))
    routers(one, OpenClient("a"))
    routers(other, OpenClient("b"))
    with pytest.raises(CrossauthError, match="'openid'"):
        get_oauth_router(OpenClient("b"), one.jwt, one.get_user_manager, SECRET)
    with pytest.raises(CrossauthError, match="'openid'"):
        get_oauth_associate_router(
            OpenClient("b"), one.users.authenticator, one.get_user_manager, UserRead, SECRET
        )  # fmt: skip


def test_nobody_is_sent_to_a_provider_whose_accounts_are_not_kept(tmp_path: Path) -> None:
    async def manager() -> Any: ...

    backend: Any = AuthenticationBackend("jwt", BearerTransport("x"), lambda: JWTStrategy(SECRET, 60))
    users = FastAPIUsers[Any, Any](manager, [backend], session_manager=World().manager)
    for make in (
        lambda: users.get_oauth_router(OpenClient("a"), backend, SECRET),
        lambda: users.get_oauth_associate_router(OpenClient("a"), UserRead, SECRET),
    ):
        with pytest.raises(CrossauthError, match="session server keeps no accounts"):
            make()
    with open_site(tmp_path) as api:
        api.site.app.include_router(
            api.site.users.get_oauth_router(OpenClient("a"), api.site.jwt, SECRET), prefix="/oauth"
        )
        real = api.site.manager.__init__

        def without(self: Any, db: Any, helper: Any) -> None:
            db.oauth_account_table = None
            real(self, db, helper)

        api.site.manager.__init__ = without  # type: ignore[method-assign]
        assert api.get("/oauth/authorize").status_code == 500


def test_ids_that_the_key_storage_cannot_keep_do_not_start(tmp_path: Path) -> None:
    async def manager() -> Any: ...

    engine = open_engine(f"sqlite:///{tmp_path}/k.db")
    numbers, uuids = SqlAlchemyKeyStorage(engine), SqlAlchemyKeyStorage(engine, {"userid_type": sa.Uuid()})
    jwt: Any = AuthenticationBackend("jwt", BearerTransport("x"), lambda: JWTStrategy(SECRET, 60))
    stored: Any = AuthenticationBackend("s", BearerTransport("x"), lambda: KeyStorageStrategy(numbers, 60))
    for users in (
        FastAPIUsers[Any, Any](manager, [jwt], key_storage=numbers),
        FastAPIUsers[Any, Any](manager, [stored], key_storage=uuids),
    ):
        for make in (
            lambda users=users: users.get_register_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserCreate),
            lambda users=users: users.get_users_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserUpdate),
        ):
            with pytest.raises(CrossauthError, match="userid_type"):
                make()
    FastAPIUsers[Any, Any](manager, [jwt], key_storage=uuids).get_register_router(
        schemas.BaseUser[uuid.UUID], schemas.BaseUserCreate
    )
    FastAPIUsers[Any, Any](manager, [jwt], key_storage=numbers).get_register_router(
        schemas.BaseUser[int], schemas.BaseUserCreate
    )


def test_neither_do_they_where_only_logins_are_served(tmp_path: Path) -> None:
    """By what the application says of its users anywhere; where it says nothing, the first login finds out."""

    class Sub(FastAPIUsers[Any, uuid.UUID]):
        pass

    class Manager(UUIDIDMixin, BaseUserManager[Any, Any]):
        pass

    async def silent() -> Any: ...

    async def telling() -> AsyncIterator[Manager]:
        yield Manager(None)  # type: ignore[arg-type]

    engine = open_engine(f"sqlite:///{tmp_path}/k.db")
    numbers, uuids = SqlAlchemyKeyStorage(engine), SqlAlchemyKeyStorage(engine, {"userid_type": sa.Uuid()})
    stored: Any = AuthenticationBackend("s", BearerTransport("x"), lambda: KeyStorageStrategy(numbers, 60))
    jwt: Any = AuthenticationBackend("jwt", BearerTransport("x"), lambda: JWTStrategy(SECRET, 60))
    wrong: list[FastAPIUsers[Any, Any]] = [
        FastAPIUsers[Any, uuid.UUID](silent, [jwt], key_storage=numbers),
        FastAPIUsers[Any, uuid.UUID](silent, [stored, jwt], key_storage=uuids),
        FastAPIUsers(telling, [jwt], key_storage=numbers),
        Sub(silent, [jwt], key_storage=numbers),
    ]
    for users in wrong:
        for make in (lambda users=users: users.get_auth_router(jwt), lambda users=users: users.get_sessions_router()):
            with pytest.raises(CrossauthError, match=r"ids are UUID.*userid_type"):
                make()
    for made in (
        lambda: get_auth_router(stored, telling, Authenticator([stored], telling)),
        lambda: get_sessions_router(Authenticator[Any, uuid.UUID]([stored], silent)),
    ):
        with pytest.raises(CrossauthError, match=r"ids are UUID.*userid_type"):
            made()
    for users in (
        FastAPIUsers[Any, int](silent, [jwt], key_storage=numbers),
        FastAPIUsers[Any, Any](silent, [jwt], key_storage=numbers),
        FastAPIUsers[Any, uuid.UUID](silent, [jwt], key_storage=uuids),
    ):
        users.get_auth_router(jwt)
        users.get_sessions_router()


def test_unlinking_catches_no_route_of_anybody_else(tmp_path: Path) -> None:
    """Included without a prefix and before everything else, it leaves every DELETE below it to its owner."""
    with open_site(tmp_path) as api:
        app = FastAPI()
        app.include_router(api.site.users.get_oauth_associate_router(Says(), UserRead, SECRET))
        app.include_router(api.site.users.get_users_router(UserRead, schemas.BaseUserUpdate), prefix="/users")

        @app.delete("/things/{id}")
        async def thing(id: str) -> str:
            return id

        me = api.register().json()["id"]
        with serve(app) as url, httpx2.Client(base_url=url, trust_env=False) as client:
            assert client.delete("/things/7").json() == "7"
            assert client.delete(f"/users/{me}", headers=api.superuser()).status_code == 204


def test_a_logout_that_cannot_end_a_token_says_so(api: Api) -> None:
    """By the route of another backend too; what can be ended is ended and nothing is said."""
    for by in ("jwt", "cookie"):
        answer = api.post(f"/auth/{by}/logout", headers=api.bearer())
        assert (answer.status_code, answer.headers["x-crossauth-logout"]) == (200, "not-ended")
        answer = api.post(f"/auth/{by}/logout", headers=api.cookie_login())
        assert answer.status_code == 200
        assert "x-crossauth-logout" not in answer.headers


def test_every_401_of_a_bearer_face_has_its_challenge(api: Api) -> None:
    @api.site.app.get("/claims")
    async def claims(said: Any = Depends(api.site.users.current_claims())) -> Any:  # noqa: B008
        return said

    bad = {"Authorization": "Bearer x"}
    for method, path in (
        ("GET", "/hello"), ("GET", "/claims"), ("GET", "/users/me"), ("PATCH", "/users/me"), ("GET", "/users/x"),
        ("DELETE", "/users/x"), ("POST", "/auth/jwt/logout"), ("GET", "/auth/sessions"), ("DELETE", "/auth/sessions"),
    ):  # fmt: skip
        for header, challenge in (
            ({}, 'Bearer realm="users"'), (bad, 'Bearer realm="users", error="invalid_token"'),
            ({"Authorization": "Basic eA=="}, 'Bearer realm="users"'),
        ):  # fmt: skip
            answer = api.request(method, path, headers=header)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge), (method, path)


class Base(DeclarativeBase):
    pass


class Knight(SQLAlchemyBaseUserTable[int], Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    nick: Mapped[str] = mapped_column(sa.String(40), unique=True)


class Horse(Base):
    __tablename__ = "horse"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[int] = mapped_column(sa.ForeignKey("user.id"))


class Read(schemas.BaseUser[int]):
    nick: str | None = None


class Create(schemas.BaseUserCreate):
    nick: str | None = None


class Update(schemas.BaseUserUpdate):
    nick: str | None = None


class Manager(IntegerIDMixin, BaseUserManager[Knight, int]):
    reset_password_token_secret = verification_token_secret = SECRET
    tokens: ClassVar[dict[str, str]] = {}

    async def on_after_request_verify(self, user: Knight, token: str, request: Any = None) -> None:
        self.tokens["verify"] = token

    async def on_after_forgot_password(self, user: Knight, token: str, request: Any = None) -> None:
        self.tokens["reset"] = token


@pytest.fixture(params=["sqlite", "postgres"])
def knights(request: pytest.FixtureRequest) -> Iterator[tuple[httpx2.Client, Any]]:
    engine = open_engine(request.getfixturevalue(f"{request.param}_url"))
    sessions = async_sessionmaker(engine)

    async def get_user_manager() -> AsyncIterator[Manager]:
        async with sessions() as session:
            yield Manager(SQLAlchemyUserDatabase(session, Knight), CHEAP)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    backend: Any = AuthenticationBackend("jwt", BearerTransport("login"), lambda: JWTStrategy(SECRET, 600))
    users = FastAPIUsers[Knight, int](get_user_manager, [backend], key_storage=InMemoryKeyStorage())
    app = FastAPI(lifespan=lifespan)
    app.include_router(users.get_auth_router(backend))
    app.include_router(users.get_register_router(Read, Create))
    app.include_router(users.get_users_router(Read, Update), prefix="/users")
    app.include_router(users.get_verify_router(Read))
    app.include_router(users.get_reset_password_router())

    @app.post("/sql")
    async def run(statement: str) -> None:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(statement)

    with serve(app) as url, httpx2.Client(base_url=url, trust_env=False, timeout=20) as client:
        yield client, users


def test_what_the_database_refuses_is_a_conflict(
    knights: tuple[httpx2.Client, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Unique and needed columns of the application's own, and rows that refer to a user."""
    client, _ = knights

    def register(name: str, **more: Any) -> httpx2.Response:
        return client.post("/register", json={"email": f"{name}@b.co", "password": "guinevere", **more})

    def header(name: str) -> dict[str, str]:
        token = client.post("/login", data={"username": f"{name}@b.co", "password": "guinevere"}).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    assert register("a", nick="Lance").status_code == 201
    assert register("b", nick="Gal").status_code == 201
    client.post("/sql", params={"statement": "UPDATE \"user\" SET is_superuser = true WHERE email = 'b@b.co'"})
    owner = client.get("/users/me", headers=header("a")).json()["id"]
    client.post("/sql", params={"statement": f"INSERT INTO horse (owner) VALUES ({owner})"})
    for answer in (
        register("c", nick="Lance"), register("c"),
        client.patch("/users/me", headers=header("b"), json={"nick": "Lance"}),
        client.patch("/users/me", headers=header("b"), json={"nick": "Lance", "password": "merlin"}),
        client.patch(f"/users/{owner}", headers=header("b"), json={"nick": "Gal"}),
        client.delete(f"/users/{owner}", headers=header("b")),
    ):  # fmt: skip
        assert (answer.status_code, detail(answer)) == (409, "CONSTRAINT_VIOLATED"), answer.request
    assert "nick" in caplog.text
    assert "b.co" not in "".join(r.getMessage() for r in caplog.records if "refuses" in r.getMessage())
    assert register("a", nick="Lance").json()["detail"] == "REGISTER_USER_ALREADY_EXISTS"
    assert header("b"), "the password is still the old one"
    described = client.get("/openapi.json").json()["paths"]
    for path, method in (
        ("/register", "post"),
        ("/users/me", "patch"),
        ("/users/{id}", "patch"),
        ("/users/{id}", "delete"),
        ("/verify", "post"),
        ("/reset-password", "post"),
    ):
        response = described[path][method]["responses"]["409"]["content"]["application/json"]["examples"]
        assert "CONSTRAINT_VIOLATED" in response


TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER never BEFORE UPDATE OF hashed_password ON \"user\" BEGIN SELECT RAISE(ABORT, 'never'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION never() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''%'', NEW.email; END' LANGUAGE plpgsql",
        'CREATE TRIGGER never BEFORE UPDATE OF hashed_password ON "user" FOR EACH ROW EXECUTE FUNCTION never()',
    ],
}


def test_what_the_database_refuses_of_a_link_in_a_mail_is_a_conflict(
    knights: tuple[httpx2.Client, Any], caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    """An index of the application's own on verified users, and a trigger on passwords. A login goes on by the old hash."""
    client, _ = knights

    def sql(statement: str) -> None:
        assert client.post("/sql", params={"statement": statement}).status_code == 200

    def token_of(kind: str, path: str) -> str:
        Manager.tokens.clear()
        client.post(path, json={"email": "a@b.co"})
        deadline = time.monotonic() + 10
        while kind not in Manager.tokens:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return Manager.tokens[kind]

    for name in ("a", "b"):
        client.post("/register", json={"email": f"{name}@b.co", "password": "guinevere", "nick": name})
    older = PasswordHelper(PasswordHasher(Argon2Parameters(memory_cost=16, time_cost=1, parallelism=1)))
    sql(f"UPDATE \"user\" SET hashed_password = '{older.hash('guinevere')}' WHERE email = 'a@b.co'")
    sql("UPDATE \"user\" SET is_verified = true WHERE email = 'b@b.co'")
    sql('CREATE UNIQUE INDEX one_verified ON "user" (is_verified) WHERE is_verified')
    for statement in TRIGGERS["postgresql" if "postgres" in request.node.callspec.id else "sqlite"]:
        sql(statement)
    answers = (
        client.post("/verify", json={"token": token_of("verify", "/request-verify-token")}),
        client.post("/reset-password", json={"token": token_of("reset", "/forgot-password"), "password": "merlin"}),
    )
    for answer in answers:
        assert (answer.status_code, detail(answer)) == (409, "CONSTRAINT_VIOLATED"), answer.request
    response = [r.getMessage() for r in caplog.records if "refuses" in r.getMessage()]
    assert len(response) == 2
    assert "verified" in response[0]
    assert "never" in response[1]
    assert "b.co" not in "".join(response)
    assert client.post("/login", data={"username": "a@b.co", "password": "guinevere"}).status_code == 200


async def test_an_application_that_handles_an_unreachable_storage_itself_goes_on_doing_so() -> None:
    """In its own routes. Where it does not, the answer is a 503 that says nothing of the storage."""

    def app_with(*handled: Any) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def own() -> None:
            with reads(CrossauthErrorCode.BadRequest):
                raise OSError("secret.host:5432")

        for kind in handled:
            app.add_exception_handler(kind, handle)
        return app

    async def handle(request: Any, e: Exception) -> JSONResponse:
        return JSONResponse(type(e).__mro__[1].__name__, 418)

    for handled, status, text in (
        ((), 503, '{"detail":"The database cannot be reached"}'),
        ((CrossauthError,), 418, '"CrossauthError"'),
        ((HTTPException,), 418, '"CrossauthError"'),
    ):
        transport = httpx2.ASGITransport(app_with(*handled))
        async with httpx2.AsyncClient(transport=transport, base_url="http://a") as client:
            answer = await client.get("/")
        assert (answer.status_code, answer.text) == (status, text)
        assert status == 418 or answer.headers["retry-after"] == "5"
