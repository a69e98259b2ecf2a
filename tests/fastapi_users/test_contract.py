"""What the documented routes and Python API promise beyond the tables of routes."""

import sqlite3
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import bcrypt
import pytest
from fastapi import Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from crossauth_backend import InMemoryKeyStorage
from crossauth_fastapi.fastapi_users import InvalidID, schemas
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from crossauth_fastapi.fastapi_users.db import BaseUserDatabase
from crossauth_fastapi.fastapi_users.exceptions import UserNotExists
from tests.fastapi_users.app import SECRET, Site, UserRead, UserUpdate
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_oauth import LINK, Flow, Plain, bearer, open_oauth

EMAIL, OTHER = "arthur@camelot.bt", "lancelot@camelot.bt"
FORM = {"username": EMAIL, "password": "guinevere"}
OLD_HASH = bcrypt.hashpw(b"guinevere", bcrypt.gensalt(4)).decode()


def come_back(flow: Flow) -> Any:
    return flow.come_back(code="c", state=flow.asked["state"])


@pytest.mark.parametrize(("sent", "stored"), [
    ("x@xn--bcher-kva.example", "x@bücher.example"), ("  Arthur@CAMELOT.bt ", "Arthur@camelot.bt"),
    ("Arthur Pendragon <a@b.co>", "a@b.co"), ("ArThUr@camelot.bt", "ArThUr@camelot.bt"),
])  # fmt: skip
def test_addresses_are_normalised_in_json(api: Api, sent: str, stored: str) -> None:
    assert api.register(sent).json()["email"] == stored
    assert detail(api.register(stored)) == "REGISTER_USER_ALREADY_EXISTS"
    for path, hook in (("forgot-password", "forgot"), ("request-verify-token", "request_verify")):
        assert api.post(f"/auth/{path}", json={"email": sent}).status_code == 202
        assert api.token(hook)
        assert api.site.calls[-1][:2] == (hook, stored)
    api.register(OTHER)
    taken = api.patch("/users/me", headers=api.bearer(OTHER), json={"email": sent})
    assert detail(taken) == "UPDATE_USER_EMAIL_ALREADY_EXISTS"
    api.sql('DELETE FROM "user" WHERE email = ?', stored)
    assert api.patch("/users/me", headers=api.bearer(OTHER), json={"email": sent}).json()["email"] == stored


@pytest.mark.parametrize("sent", ["x@xn--bcher-kva.example", " x@bücher.example", "X <x@bücher.example>"])
def test_a_login_takes_an_address_as_registering_does(api: Api, sent: str) -> None:
    api.register("x@bücher.example")
    assert api.log_in(sent).status_code == 200
    assert api.log_in("X@BÜCHER.example").status_code == 200


def test_content_types(api: Api) -> None:
    me = api.register().json()
    email = {"email": EMAIL}
    nulls = [api.post(f"/auth/{path}", json=email) for path in ("forgot-password", "request-verify-token")]
    nulls.append(api.post("/auth/reset-password", json={"token": api.token("forgot"), "password": "guinevere"}))
    nulls.append(api.post("/auth/jwt/logout", headers=api.bearer()))
    for answer in nulls:
        assert (answer.text, answer.headers["content-type"]) == ("null", "application/json"), answer.url
    empty = [api.log_in(by="cookie"), api.delete(f"/users/{me['id']}", headers=api.superuser())]
    for answer in empty:
        assert (answer.status_code, answer.content, answer.headers.get("content-type")) == (204, b"", None)


def test_methods_that_are_not_there(api: Api) -> None:
    for ask, path in ((api.put, "/users/me"), (api.post, "/users/x"), (api.get, "/auth/jwt/login"),
                      (api.delete, "/auth/cookie/logout"), (api.put, "/auth/verify")):  # fmt: skip
        answer = ask(path)
        assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


def test_a_deprecated_hash_is_renewed_for_inactive_users_too(api: Api) -> None:
    api.register()
    api.set(hashed_password=OLD_HASH, is_active=0)
    for password, stored in (("wrong", True), ("guinevere", False)):
        answer = api.log_in(password=password)
        assert (answer.status_code, detail(answer)) == (400, "LOGIN_BAD_CREDENTIALS")
        assert (api.sql('SELECT hashed_password FROM "user"')[0][0] == OLD_HASH) is stored
    api.set(is_active=1)
    assert api.log_in().status_code == 200


def test_grant_type(api: Api) -> None:
    api.register()
    for provided, status in (("password", 200), ("Password", 422), ("xpassword", 422), ("code", 422)):
        form = {**FORM, "scope": "a b", "client_id": "c", "client_secret": "s", "grant_type": provided}
        assert api.post("/auth/jwt/login", data=form).status_code == status, provided


def test_logout_is_a_no_op_for_a_jwt(api: Api) -> None:
    api.register()
    header = api.bearer()
    assert api.post("/auth/jwt/logout", headers=header).status_code == 200
    assert api.get("/hello", headers=header).status_code == 200


class WholeUpdate(schemas.BaseUserUpdate):
    id: uuid.UUID | None = None
    oauth_accounts: list[Any] | None = None


def test_what_nobody_can_change(tmp_path: Path) -> None:
    with open_oauth(tmp_path, Plain()) as api:
        api.site.app.include_router(api.site.users.get_users_router(UserRead, WholeUpdate), prefix="/whole")
        header = bearer(come_back(Flow(api)))
        before = api.get("/users/me", headers=header).json()
        assert len(before["oauth_accounts"]) == 1
        own = {"id": str(uuid.uuid4()), "oauth_accounts": [], "is_superuser": True, "email": "p@camelot.bt"}
        answer = api.patch("/whole/me", headers=header, json=own)
        assert (answer.status_code, answer.json()) == (200, before | {"email": "p@camelot.bt"})
        id = {"id": own["id"], "is_verified": True}
        answer = api.patch(f"/whole/{before['id']}", headers=api.superuser(), json=id)
        assert (answer.status_code, answer.json()) == (200, before | {"email": "p@camelot.bt", "is_verified": True})


def test_unverified_users_where_verification_is_required(tmp_path: Path) -> None:
    with open_oauth(tmp_path, Plain(), requires_verification=True) as api:
        users, app = api.site.users, api.site.app
        app.include_router(users.get_users_router(UserRead, UserUpdate, True), prefix="/v")
        app.include_router(users.get_sessions_router(True), prefix="/s")
        app.include_router(users.get_oauth_associate_router(Plain(), UserRead, SECRET, None, True), prefix="/v/link")
        me, boss = api.register().json(), api.superuser()
        asked = [(m, f"/v/{i}") for m in ("GET", "PATCH", "DELETE") for i in (me["id"], uuid.uuid4(), "x")]
        asked += [("GET", "/s/sessions"), ("DELETE", "/s/sessions"), ("DELETE", "/s/sessions/x")]
        asked += [("GET", "/v/link/authorize"), ("GET", "/v/link/callback"), ("DELETE", "/v/link/linked/7")]
        api.set("merlin@camelot.bt", is_verified=0)
        for method, path in asked:
            answer = api.request(method, path, headers=boss)
            assert (answer.status_code, detail(answer)) == (403, "Forbidden"), (method, path)
        api.set("merlin@camelot.bt", is_verified=1)
        assert [api.get(p, headers=boss).status_code for p in (f"/v/{me['id']}", "/s/sessions")] == [200, 200]
        answer = come_back(Flow(api))
        assert (answer.status_code, detail(answer)) == (400, "LOGIN_USER_NOT_VERIFIED")
        api.set("plain@example.com", is_verified=1)
        assert come_back(Flow(api)).status_code == 200


@pytest.mark.parametrize("purpose", ["login", "link"])
def test_the_cookie_of_a_flow_is_as_the_application_says(tmp_path: Path, purpose: str) -> None:
    expected = ("mine", "/c", "camelot.bt", False, False, "strict")
    names = ("name", "path", "domain", "secure", "httponly", "samesite")
    with open_site(tmp_path) as api:
        users = api.site.users
        api.register()
        header = api.bearer()
        if purpose == "login":
            named: Any = {f"csrf_token_cookie_{n}": value for n, value in zip(names, expected, strict=True)}
            router = users.get_oauth_router(Plain(), api.site.jwt, SECRET, **named)
        else:
            every: Any = (SECRET, None, False, *expected)
            router = users.get_oauth_associate_router(Plain(), UserRead, *every)
        api.site.app.include_router(router, prefix="/c")
        flow = Flow(api, "/c", header)
        assert flow.cookie.startswith("mine=")
        assert flow.set_cookie.partition("; ")[2] == "Domain=camelot.bt; Max-Age=3600; Path=/c; SameSite=strict"
        answer = come_back(flow)
        assert answer.status_code == 200, answer.text
        assert answer.headers["set-cookie"] == 'mine=""; Domain=camelot.bt; Max-Age=0; Path=/c; SameSite=strict'


def test_linking_tells_the_application(tmp_path: Path) -> None:
    heard: list[Any] = []
    with open_oauth(tmp_path, Plain()) as api:

        async def on_after_update(self: Any, user: Any, update_dict: Any, request: Any = None) -> None:
            heard.append((user.email, len(user.oauth_accounts), update_dict, request.url.path))

        api.site.manager.on_after_update = on_after_update  # type: ignore[attr-defined]
        api.register()
        assert come_back(Flow(api, LINK, api.bearer())).status_code == 200
    assert heard == [(EMAIL, 1, {}, f"{LINK}/callback")]


def test_the_current_user_and_token(api: Api) -> None:
    authenticator, app = api.site.users.authenticator, api.site.app

    async def only_cookie() -> Any:
        return [api.site.cookie]

    def add(path: str, **demands: Any) -> None:
        @app.get(path)
        async def route(got: Annotated[Any, Depends(authenticator.current_user_token(**demands))]) -> list[Any]:
            user, token = got
            return [user and user.email, token]

    add("/strict", active=True)
    add("/optional", optional=True, active=True)
    add("/cookie", optional=True, get_enabled_backends=only_cookie)
    api.register()
    header, by_cookie = api.bearer(), api.cookie_login()
    token, stored = header["Authorization"].removeprefix("Bearer "), by_cookie["Cookie"].partition("=")[2]
    assert api.get("/strict", headers=header).json() == api.get("/optional", headers=header).json() == [EMAIL, token]
    assert api.get("/strict", headers=by_cookie).json() == [EMAIL, stored]
    assert api.get("/cookie", headers={**header, **by_cookie}).json() == [EMAIL, stored]
    assert api.get("/cookie", headers=header).json() == api.get("/optional").json() == [None, None]
    api.set(is_active=0)
    assert api.get("/optional", headers=header).json() == [None, None]
    assert [api.get("/strict", headers=h).status_code for h in (header, {})] == [401, 401]


class HeaderTransport:
    """A transport with nothing but what is documented."""

    scheme = APIKeyHeader(name="X-Token", auto_error=False)

    async def get_login_response(self, token: str) -> Response:
        return JSONResponse({"mine": token}, 201)

    async def get_logout_response(self) -> Response:
        return PlainTextResponse("bye")

    @staticmethod
    def get_openapi_login_responses_success() -> Any:
        return {201: {"description": "Mine."}}

    @staticmethod
    def get_openapi_logout_responses_success() -> Any:
        return {200: {"description": "Bye."}}


class Backwards:
    """A strategy with nothing but what is documented."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def read_token(self, token: str | None, user_manager: Any) -> Any:
        try:
            return None if token in (None, *self.ended) else await user_manager.get(user_manager.parse_id(token[::-1]))
        except (InvalidID, UserNotExists):
            return None

    async def write_token(self, user: Any) -> str:
        return str(user.id)[::-1]

    async def destroy_token(self, token: str, user: Any) -> None:
        self.ended.append(token)


def test_a_transport_and_a_strategy_of_the_application(tmp_path: Path) -> None:
    strategy: Any = Backwards()
    own: Any = AuthenticationBackend("own", HeaderTransport(), lambda: strategy)  # type: ignore[arg-type]
    with open_site(tmp_path, more_backends=[own]) as api:
        me = api.register().json()
        answer = api.log_in(by="own")
        assert (answer.status_code, answer.json()) == (201, {"mine": me["id"][::-1]})
        header = {"X-Token": me["id"][::-1]}
        assert api.get("/users/me", headers=header).json() == me
        assert api.get("/users/me", headers={"X-Token": "x"}).status_code == 401
        assert api.get("/auth/sessions", headers=header).json() == []
        assert api.patch("/users/me", headers=header, json={"password": "merlin"}).status_code == 200
        answer = api.post("/auth/own/logout", headers=header)
        assert (answer.status_code, answer.text) == (200, "bye")
        assert api.get("/users/me", headers=header).status_code == 401
        described = api.get("/openapi.json").json()["paths"]
        assert described["/auth/own/login"]["post"]["responses"]["201"]["description"] == "Mine."
        assert described["/auth/own/logout"]["post"]["responses"]["200"]["description"] == "Bye."


class OwnBackend(AuthenticationBackend[Any, Any]):
    """A backend that is made, and answers, its own way."""

    def __init__(self) -> None:
        self.name, self.transport = "own", BearerTransport("auth/own/login")
        self.get_strategy = lambda: JWTStrategy[Any, Any](SECRET, 60)

    async def login(self, strategy: Any, user: Any) -> Response:
        return JSONResponse({"access_token": await strategy.write_token(user), "email": user.email})


class Telling(BearerTransport):
    async def get_login_response(self, token: str) -> Response:
        response = await super().get_login_response(token)
        response.headers["X-Castle"] = "camelot"
        response.set_cookie("seen", "1")
        response.set_cookie("theme", "dark")
        return response


def test_a_backend_of_the_application(tmp_path: Path) -> None:
    with open_site(tmp_path, more_backends=[OwnBackend()]) as api:
        api.register()
        assert api.log_in(by="own").json()["email"] == EMAIL
        assert api.post("/auth/own/logout", headers=api.bearer(by="own")).status_code == 200


def test_headers_of_a_transport_stay_beside_refresh_tokens(tmp_path: Path) -> None:
    own: Any = AuthenticationBackend(
        "own", Telling("auth/own/login"), lambda: JWTStrategy(SECRET, 60), refresh_lifetime_seconds=60
    )
    with open_site(tmp_path, more_backends=[own], key_storage=InMemoryKeyStorage()) as api:
        api.register()
        login = api.log_in(by="own")
        refreshed = api.post("/auth/own/refresh", data={"refresh_token": login.json()["refresh_token"]})
        for answer in (login, refreshed):
            assert answer.headers["x-castle"] == "camelot"
            cookies = [c.partition("=")[0] for c in answer.headers.get_list("set-cookie")]
            assert cookies == ["seen", "theme"] + ["fastapiusersbrowser"] * (answer is login)
            for name in ("cache-control", "content-type", "content-length"):
                assert len(answer.headers.get_list(name)) == 1


class Knight(SimpleNamespace):
    """A user of an application without SQLAlchemy."""

    is_active, is_superuser, is_verified, oauth_accounts = True, False, False, ()


class Memory(BaseUserDatabase[Any, uuid.UUID]):
    """A database with nothing but what is documented. What it gives out is a copy each time."""

    def __init__(self) -> None:
        self.users: dict[uuid.UUID, Knight] = {}

    def _first(self, is_it: Any) -> Knight | None:
        return next((Knight(**vars(user)) for user in self.users.values() if is_it(user)), None)

    async def get(self, id: uuid.UUID) -> Knight | None:
        return self._first(lambda user: user.id == id)

    async def get_by_email(self, email: str) -> Knight | None:
        return self._first(lambda user: user.email.lower() == email.lower())

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> Knight | None:
        expected = (oauth, account_id)
        return self._first(lambda user: expected in [(a.oauth_name, a.account_id) for a in user.oauth_accounts])

    async def create(self, create_dict: dict[str, Any]) -> Knight:
        return await self.update(Knight(id=uuid.uuid4()), create_dict)

    async def update(self, user: Any, update_dict: dict[str, Any]) -> Knight:
        self.users[user.id] = Knight(**{**vars(self.users.get(user.id, user)), **update_dict})
        return Knight(**vars(self.users[user.id]))

    async def delete(self, user: Any) -> None:
        del self.users[user.id]

    async def add_oauth_account(self, user: Any, create_dict: dict[str, Any]) -> Any:
        account = SimpleNamespace(id=uuid.uuid4(), **create_dict)
        return await self.update(user, {"oauth_accounts": [*user.oauth_accounts, account]})

    async def update_oauth_account(self, user: Any, oauth_account: Any, update_dict: dict[str, Any]) -> Any:
        others = [a for a in user.oauth_accounts if a.id != oauth_account.id]
        changed = SimpleNamespace(**{**vars(oauth_account), **update_dict})
        return await self.update(user, {"oauth_accounts": [*others, changed]})


def test_a_database_of_the_application(tmp_path: Path) -> None:
    memory = Memory()
    with open_oauth(tmp_path, Plain()) as api:
        api.site.app.dependency_overrides[api.site.get_user_db] = lambda: memory
        id = uuid.UUID(api.register().json()["id"])
        assert detail(api.register()) == "REGISTER_USER_ALREADY_EXISTS"
        memory.users[id].hashed_password = OLD_HASH
        header = api.bearer()
        assert memory.users[id].hashed_password.startswith("$argon2id$")
        assert api.get("/hello", headers=header).json() == {"email": EMAIL}
        api.post("/auth/request-verify-token", json={"email": EMAIL})
        verified = api.post("/auth/verify", json={"token": api.token("request_verify")})
        assert (verified.status_code, verified.json()["is_verified"]) == (200, True)
        api.post("/auth/forgot-password", json={"email": EMAIL})
        reset = {"token": api.token("forgot"), "password": "merlin"}
        assert [api.post("/auth/reset-password", json=reset).status_code for _ in "12"] == [200, 400]
        assert [api.log_in(password=p).status_code for p in ("guinevere", "merlin")] == [400, 200]
        header = api.bearer(password="merlin")
        changed = api.patch("/users/me", headers=header, json={"email": OTHER, "password": "excalibur"}).json()
        assert (changed["email"], changed["is_verified"]) == (OTHER, False)
        assert api.get("/hello", headers=header).status_code == 401, "a JWT ends with its password"
        memory.users[id].is_superuser = True
        boss = api.bearer(OTHER, "excalibur")
        by_provider = [api.get("/users/me", headers=bearer(come_back(Flow(api)))).json() for _ in "12"]
        assert [(u["email"], len(u["oauth_accounts"])) for u in by_provider] == [("plain@example.com", 1)] * 2
        assert detail(come_back(Flow(api, LINK, boss))) == "OAUTH_USER_ALREADY_EXISTS"
        assert api.delete(f"/users/{by_provider[0]['id']}", headers=boss).status_code == 204
        assert len(come_back(Flow(api, LINK, boss)).json()["oauth_accounts"]) == 1
        assert list(memory.users) == [id]
        assert api.sql('SELECT * FROM "user"') == []


def test_a_websocket_of_an_inactive_user(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/users.db")
    with TestClient(site.app) as client:
        client.post("/auth/register", json={"email": EMAIL, "password": "guinevere"})
        header = {"Authorization": f"Bearer {client.post('/auth/jwt/login', data=FORM).json()['access_token']}"}
        with client.websocket_connect("/ws", headers=header) as ws:
            assert ws.receive_text() == EMAIL
        with sqlite3.connect(tmp_path / "users.db") as connection:
            connection.execute('UPDATE "user" SET is_active = 0')
        connection.close()
        with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/ws", headers=header):
            pass
        assert refused.value.code == 1008
