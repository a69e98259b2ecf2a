"""What a route can require, over every credential: `require`, `Principal`, and the helpers for tests of applications."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, InMemoryUserStorage, User
from crossauth_backend.core.clock import utc_now
from crossauth_fastapi import (
    FastApiApiKeyServer,
    FastApiServer,
    FastApiSessionAdapter,
    Principal,
    current_user,
    optional_user,
    require,
    require_admin,
)
from crossauth_fastapi.testing import alogin_as, issue_token, login_as
from tests.resource import bearer
from tests.shop import ISSUER, Shop, Shopper, add_routes
from tests.support import PASSWORD, SECRET, make_server

HTML = {"Accept": "text/html"}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def client(shop: Shop) -> Iterator[TestClient]:
    with TestClient(shop.app, follow_redirects=False) as client:
        yield client


def test_a_session_a_key_and_a_token_are_the_application_s_own_user(shop: Shop, client: TestClient) -> None:
    refused = client.get("/scope")
    assert (refused.status_code, refused.json()["errorCodeName"]) == (401, "Unauthorized")
    assert refused.headers.get_list("www-authenticate") == ['ApiKey realm="api"', 'Bearer realm="api", scope="orders"']
    assert client.get("/scope", headers=shop.key(shop.alice, scope=["orders"])).json() == "a 1"
    assert client.get("/scope", headers=bearer(issue_token(client, shop.bob, scope="x orders"))).json() == "b 2"
    csrf = login_as(client, shop.alice)
    assert client.get("/scope").json() == "a 1"
    assert client.post("/scope", headers=csrf).json() == "a 1"


def test_a_principal_says_who_asks_and_by_what(shop: Shop, client: TestClient) -> None:
    def said(headers: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = client.get("/principal", headers=headers).json()
        return found

    nothing = {"user": None, "sub": None, "client": None, "key": False, "claims": False, "scopes": None}
    token = bearer(issue_token(client, shop.bob, scope="orders x", client_id="app"))
    assert said(token) == {
        **nothing, "user": "b", "auth_type": "oauth", "credential": "bearer", "scopes": ["orders", "x"], "client": "app",
        "sub": "2", "claims": True,
    }  # fmt: skip
    machine = bearer(issue_token(client, scope="orders", client_id="robot", sub="robot"))
    assert said(machine) == {
        **nothing, "auth_type": "oauth", "credential": "bearer", "scopes": ["orders"], "client": "robot", "sub": "robot",
        "claims": True,
    }  # fmt: skip
    key = shop.key(shop.alice, scope=["orders"])
    of_key = {"auth_type": "apiKey", "credential": "api_key", "scopes": ["orders"], "key": True}
    assert said(key) == {**nothing, **of_key, "user": "a"}
    assert said(shop.key(None, scope=["orders"])) == {**nothing, **of_key}
    login_as(client, shop.alice)
    assert said({}) == {**nothing, "user": "a", "auth_type": "cookie", "credential": "session"}
    assert said(token)["user"] == "b", "the header counts before the cookie"


def test_a_principal_cannot_be_changed_and_its_claims_are_in_no_log() -> None:
    found: Principal = Principal(user=None, auth_type="oauth", credential="bearer", claims={"email": "a@example.com"})
    with pytest.raises(AttributeError):
        found.user = None  # type: ignore[misc]
    assert "example.com" not in repr(found)


def test_what_needs_a_user_lets_in_no_client(shop: Shop, client: TestClient) -> None:
    for headers in (bearer(issue_token(client, scope="orders")), shop.key(None, scope=["orders"])):
        for path in ("/user", "/scope", "/current", "/administrator"):
            refused = client.get(path, headers=headers)
            assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "Forbidden"), path
        assert client.get("/optional", headers=headers).json() is None
        assert client.get("/principal", headers=headers).status_code == 200


def test_scopes_limit_keys_and_tokens_and_no_session(shop: Shop, client: TestClient) -> None:
    for headers, scheme in ((shop.key(shop.alice), "ApiKey"), (bearer(issue_token(client, shop.alice)), "Bearer")):
        refused = client.get("/scope", headers=headers)
        assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "InsufficientScope")
        challenge = f'{scheme} realm="api", error="insufficient_scope", scope="orders"'
        assert refused.headers["www-authenticate"] == challenge
        assert client.get("/user", headers=headers).json() == "a 1"


def test_the_refusal_of_a_bad_token_names_the_scopes_too(client: TestClient) -> None:
    wrong = client.get("/scope", headers=bearer(issue_token(client, aud="another"))).headers.get_list(
        "www-authenticate"
    )[1]
    assert wrong.startswith('Bearer error="invalid_token"')
    assert wrong.endswith(', scope="orders"')
    assert wrong.count("scope=") == 1
    assert "scope=" not in client.get("/user", headers=bearer("x")).headers["www-authenticate"]


def test_a_scope_that_another_includes_counts_for_dependencies_too() -> None:
    shop = Shop(implied_scopes={"everything": ["orders"]})
    with TestClient(shop.app) as client:
        assert client.get("/scope", headers=bearer(issue_token(client, shop.alice, scope="everything"))).json() == "a 1"
        # It is the resource server's option: what a key may do is in the key.
        assert client.get("/scope", headers=shop.key(shop.alice, scope=["everything"])).status_code == 403


def test_an_administrator(shop: Shop, client: TestClient) -> None:
    for user, status in ((shop.alice, 403), (shop.root, 200)):
        login_as(client, user)
        assert client.get("/admin").status_code == client.get("/administrator").status_code == status


def test_a_verified_address(shop: Shop, client: TestClient) -> None:
    login_as(client, shop.alice)
    refused = client.get("/verified")
    assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "EmailNotVerified")
    shop.change(shop.alice, email_verified_at=utc_now())
    assert client.get("/verified").json() == "a 1"


def test_a_recent_login(shop: Shop, client: TestClient) -> None:
    login_as(client, shop.alice, minutes_ago=9)
    assert client.get("/fresh").json() == "a 1"
    csrf = login_as(client, shop.alice, minutes_ago=10)
    refused = client.get("/fresh")
    assert (refused.status_code, refused.json()["errorCodeName"]) == (401, "Unauthorized")
    assert "Log in again" in refused.json()["errorMessage"]
    # A browser goes to the login form, which is there for one who is logged in too, and back.
    to_form = client.get("/fresh?x=1", headers=HTML)
    assert (to_form.status_code, to_form.headers["location"]) == (302, "/login?next=%2Ffresh%3Fx%3D1&prompt=login")
    form = client.get(to_form.headers["location"], headers=HTML)
    assert form.status_code == 200
    assert "Log in again to continue" in form.text
    assert 'value="alice"' in form.text
    sent = client.post("/fresh", headers={**csrf, **HTML})
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?prompt=login")


def test_logging_in_again_makes_a_login_recent() -> None:
    server = make_server()

    @server.app.get("/fresh")
    async def fresh(user: Annotated[User, Depends(require(fresh=10))]) -> str:
        return user.username

    with TestClient(server.app, base_url="http://localhost", follow_redirects=False) as client:
        body = {"username": "alice", "password": PASSWORD, "repeat_password": PASSWORD}
        csrf = {"X-CROSSAUTH-CSRF": client.get("/api/getcsrftoken").json()["csrfToken"]}
        assert client.post("/api/signup", json=body, headers=csrf).status_code == 200
        assert client.get("/fresh").status_code == 200
        login_as(client, client_user(client), minutes_ago=60)
        assert client.get("/fresh").status_code == 401
        csrf = {"X-CROSSAUTH-CSRF": client.get("/api/getcsrftoken").json()["csrfToken"]}
        form = {"username": "alice", "password": PASSWORD, "next": "/fresh"}
        done = client.post("/login", data=form, headers={**csrf, **HTML})
        assert (done.status_code, done.headers["location"]) == (303, "/fresh")
        assert client.get("/fresh").json() == "alice"


def client_user(client: TestClient) -> User:
    found = client.get("/api/userforsessionkey").json()["user"]
    return User(id=found["id"], username=found["username"])


def test_a_login_with_a_second_factor(shop: Shop, client: TestClient) -> None:
    login_as(client, shop.alice)
    refused = client.get("/second")
    # Logging in again would not help.
    assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "TwoFactorIncomplete")
    shop.change(shop.bob, factor2="totp")
    login_as(client, shop.bob)
    refused = client.get("/second")
    assert (refused.status_code, refused.json()["errorCodeName"]) == (401, "MfaRequired")
    assert client.get("/second", headers=HTML).headers["location"] == "/login?next=%2Fsecond&prompt=login"
    login_as(client, shop.bob, factor2=True)
    assert client.get("/second").json() == "b 2"


@pytest.mark.parametrize(
    ("claims", "fresh", "factor2"),
    [
        ({}, 401, 401),
        ({"auth_time": 0, "amr": ["pwd"]}, 401, 401),
        ({"auth_time": "now", "amr": "mfa"}, 401, 401),
        ({"auth_time": True, "amr": [{"mfa": 1}, None, ["otp"]]}, 401, 401),
        ({"auth_time": 1e300, "amr": {"mfa": True}}, 401, 401),
        ({"auth_time": 10**400, "amr": ["otp"]}, 401, 401),
        ({"auth_time": -1, "amr": ["otp", "sms"]}, 401, 401),
        # In milliseconds it would be recent for ever.
        ({"auth_time": lambda now: now * 1000, "amr": ["otp", "pwd"]}, 401, 200),
        ({"auth_time": lambda now: now - 601, "amr": ["mfa"]}, 401, 200),
        ({"auth_time": lambda now: now - 590, "amr": ["fpt", "hwk"]}, 200, 200),
        ({"auth_time": lambda now: now + 5, "amr": ["pwd", "mfa"]}, 200, 200),
    ],
)
def test_a_token_says_when_and_how_its_user_logged_in(
    shop: Shop, client: TestClient, claims: dict[str, Any], fresh: int, factor2: int
) -> None:
    now = utc_now().timestamp()
    claims = {name: value(now) if callable(value) else value for name, value in claims.items()}
    token = bearer(issue_token(client, shop.alice, **claims))
    recent, with_factor2 = client.get("/fresh", headers=token), client.get("/second", headers=token)
    assert (recent.status_code, with_factor2.status_code) == (fresh, factor2)
    step_up = 'Bearer realm="api", error="insufficient_user_authentication", error_description='
    if fresh == 401:
        challenge = recent.headers.get_list("www-authenticate")[1]
        assert challenge == f'{step_up}"You logged in too long ago to do this", max_age="600"'
    if factor2 == 401:
        challenge = with_factor2.headers.get_list("www-authenticate")[1]
        assert challenge == f'{step_up}"This requires a login with two-factor authentication"'


def test_a_key_is_no_login(shop: Shop, client: TestClient) -> None:
    for path in ("/fresh", "/second"):
        refused = client.get(path, headers=shop.key(shop.alice))
        assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "Forbidden")


def test_a_route_chooses_its_credentials(shop: Shop, client: TestClient) -> None:
    key, token = shop.key(shop.alice, scope=["orders"]), bearer(issue_token(client, shop.alice, scope="orders"))
    for headers in (key, token):
        assert client.get("/program", headers=headers).json() == "a 1"
        refused = client.get("/session", headers=headers)
        assert (refused.status_code, "www-authenticate" in refused.headers) == (401, False)
    login_as(client, shop.alice)
    assert client.get("/session").json() == "a 1"
    refused = client.get("/program")
    assert refused.status_code == 401
    assert refused.headers.get_list("www-authenticate") == ['ApiKey realm="api"', 'Bearer realm="api", scope="orders"']
    # A login page would not help there.
    assert client.get("/program", headers=HTML).status_code == 401


def test_a_token_without_an_account_is_no_user_of_the_application_s_class() -> None:
    shop = Shop(require_local_account=False)
    with TestClient(shop.app) as client:
        stranger = bearer(issue_token(client, sub="999", client_id="app"))
        assert client.get("/current", headers=stranger).json() == "999"
        refused = client.get("/user", headers=stranger)
        assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "Forbidden")


def test_a_storage_with_another_class_of_users_is_a_fault_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    server = make_server()

    @server.app.get("/mine")
    async def mine(user: Annotated[Shopper, Depends(require(Shopper))]) -> str:
        return str(user.id)

    with TestClient(server.app, base_url="http://localhost") as client:
        body = {"username": "alice", "password": PASSWORD, "repeat_password": PASSWORD}
        csrf = {"X-CROSSAUTH-CSRF": client.get("/api/getcsrftoken").json()["csrfToken"]}
        client.post("/api/signup", json=body, headers=csrf)
        failed = client.get("/mine")
    assert (failed.status_code, failed.json()["errorCodeName"]) == (500, "Configuration")
    assert "'record': Shopper" in caplog.text


def test_users_of_another_framework_s_sessions(shop: Shop) -> None:
    class Sessions(FastApiSessionAdapter):
        user: User | None = None
        protected = False

        def get_user(self, request: Any) -> User | None:
            return self.user

        def get_csrf_token(self, request: Any) -> str | None:
            return None

        def csrf_protection_enabled(self) -> bool:
            return self.protected

        async def get_session_data(self, request: Any, name: str) -> Any:
            return None

        async def update_session_data(self, request: Any, name: str, value: Any) -> None: ...

        async def update_many_session_data(self, request: Any, entries: Any) -> None: ...

        async def delete_session_data(self, request: Any, name: str) -> None: ...

    app, sessions = FastAPI(), Sessions()
    FastApiServer({"session_adapter": sessions}, {"app": app})
    add_routes(app, programs=False)
    with TestClient(app) as client:
        assert client.get("/user").status_code == 401
        sessions.user = shop.alice
        assert client.get("/scope").json() == "a 1"
        assert client.post("/session").json() == "a 1"
        assert client.get("/principal").json()["credential"] == "session"
        for path in ("/fresh", "/second"):
            assert client.get(path).status_code in (401, 403), path
        sessions.protected = True
        assert client.post("/session").status_code == 403
        sessions.user = Shopper(id=1, username="alice", state="disabled")
        refused = client.get("/user")
        assert (refused.status_code, refused.json()["errorCodeName"]) == (403, "UserNotActive")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"scope": ""}, "'scope'"), ({"scope": []}, "'scope'"), ({"scope": ["a b"]}, "'scope'"), ({"scope": 5}, "'scope'"),
        ({"scope": ['a"']}, "'scope'"), ({"scope": {"a": 1}}, "'scope'"),
        ({"credentials": []}, "'credentials'"), ({"credentials": "session"}, "'credentials'"),
        ({"credentials": ["cookie"]}, "'bearer', 'api_key', 'session', 'id_token'"),
        ({"fresh": 0}, "'fresh'"), ({"fresh": -1}, "'fresh'"), ({"fresh": True}, "'fresh'"), ({"fresh": 1.5}, "'fresh'"),
        ({"fresh": 10**9}, "'fresh'"), ({"fresh": "10"}, "'fresh'"),
        ({"credentials": [["session"]]}, "'credentials'"), ({"credentials": [None]}, "'credentials'"),
        ({"admin": "no"}, "'admin' must be True or False"), ({"verified": 1}, "'verified'"), ({"factor2": None}, "'factor2'"),
        ({"fresh": 10, "credentials": ["api_key"]}, "no API key"), ({"factor2": True, "credentials": ["api_key"]}, "no API key"),
    ],
)  # fmt: skip
def test_what_cannot_be_required_is_said_at_once(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(CrossauthError, match="require: ") as refused:
        require(**arguments)
    assert refused.value.code is ErrorCode.Configuration
    assert said in str(refused.value)


@pytest.mark.parametrize("kind", ["orders", dict, None, 5, list[int]])
def test_a_route_is_given_a_user_or_a_principal(kind: Any) -> None:
    with pytest.raises(CrossauthError, match="subclass"):
        require(kind)


def test_two_that_require_the_same_are_one_dependency(shop: Shop, client: TestClient) -> None:
    assert require() == current_user != optional_user
    assert require(admin=True) == require_admin
    assert require(Shopper, scope="b a") == require(Shopper, scope=["a", "b"]) != require(scope="a b")
    assert len({require(fresh=1), require(fresh=1), require(fresh=2)}) == 2
    assert require(Principal[Shopper]) == require(Principal[Shopper]) != require(Principal)
    shop.app.dependency_overrides[require(Shopper, scope="orders")] = lambda: shop.bob
    assert client.get("/scope").json() == "b 2"
    assert client.get("/user").status_code == 401
    shop.app.dependency_overrides.clear()
    assert client.get("/scope").status_code == 401


async def test_a_client_of_an_async_test(shop_of_async: Shop) -> None:
    shop = shop_of_async
    transport = httpx2.ASGITransport(shop.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        csrf = await alogin_as(client, shop.alice)
        assert (await client.post("/user", headers=csrf)).json() == "a 1"
        await alogin_as(client, shop.bob)
        assert (await client.get("/user")).json() == "b 2"
        token = issue_token(client, shop.alice, lifetime=timedelta(seconds=60))
        assert (await client.get("/user", headers=bearer(token))).json() == "a 1"
        old = issue_token(shop.app, shop.alice, lifetime=timedelta(seconds=-60), iss=ISSUER)
        assert (await client.get("/user", headers=bearer(old))).status_code == 401


@pytest.fixture
def shop_of_async() -> Shop:
    return Shop()


def test_the_helpers_say_what_is_lacking(shop: Shop) -> None:
    bare = FastAPI()
    with TestClient(bare) as client:
        with pytest.raises(CrossauthError, match="session server"):
            login_as(client, shop.alice)
        with pytest.raises(CrossauthError, match="resource server"):
            issue_token(client)
    with pytest.raises(CrossauthError, match="'app'"):
        login_as(object(), shop.alice)

    # Without a `with` block, and where something is around the application.
    async def around(scope: Any, receive: Any, send: Any) -> None:
        await shop.app(scope, receive, send)

    wrapped = TestClient(around)
    login_as(wrapped, shop.alice, app=shop.app)
    assert wrapped.get("/user").json() == "a 1"


def test_an_application_that_cannot_read_what_a_route_accepts_does_not_start(shop: Shop) -> None:
    router = APIRouter(dependencies=[Depends(require(credentials=["session", "id_token"]))])
    router.get("/fine")(lambda: None)
    shop.app.include_router(router)
    with TestClient(shop.app):
        pass
    server = make_server()

    @server.app.websocket("/ws")
    async def ws(
        socket: WebSocket, user: Annotated[User, Depends(require(credentials=["api_key", "bearer"]))]
    ) -> None: ...

    with (
        pytest.raises(
            CrossauthError, match=r"/ws: .* lets nobody in: it accepts 'api_key', 'bearer', .* reads 'session'"
        ),
        TestClient(server.app),
    ):
        pass


def test_dependencies_of_one_route_that_exclude_each_other_stop_the_start(shop: Shop) -> None:
    router = APIRouter(dependencies=[Depends(require(credentials=["session"]))])
    router.get("/jobs", dependencies=[Depends(require(credentials=["api_key"]))])(lambda: None)
    shop.app.include_router(router)
    with (
        pytest.raises(CrossauthError, match=r"/jobs: .* accepts 'api_key', and another dependency reads 'session'"),
        TestClient(shop.app),
    ):
        pass


@pytest.mark.parametrize("asked", [{"fresh": 10}, {"factor2": True}])
def test_a_login_that_an_application_of_keys_alone_never_sees_stops_the_start(asked: dict[str, Any]) -> None:
    app, users = FastAPI(), InMemoryUserStorage()
    FastApiApiKeyServer(app, InMemoryKeyStorage(), {"secret": SECRET, "user_storage": users})
    app.get("/pay", dependencies=[Depends(require(**asked))])(lambda: None)
    with pytest.raises(CrossauthError, match=r"/pay: .* and this application reads 'api_key'"), TestClient(app):
        pass


def test_scopes_that_are_given_to_fastapi_stop_the_start_where_they_would_not_count() -> None:
    for dependency, stops in (
        (Security(require(), scopes=["orders"]), True), (Security(require(scope="a"), scopes=["a", "b"]), True),
        (Security(require(scope="a b"), scopes=["a"]), False),
    ):  # fmt: skip
        server = make_server()
        server.app.get("/orders", dependencies=[dependency])(lambda: None)
        if stops:
            with pytest.raises(CrossauthError, match=r"/orders: Security.*require\(scope="), TestClient(server.app):
                pass
        else:
            with TestClient(server.app) as client:
                assert client.get("/orders").status_code == 401


def test_an_application_mounted_on_another_asks_the_same() -> None:
    shop, inner = Shop(), FastAPI()

    @inner.get("/inner")
    async def route(user: Annotated[Shopper, Depends(require(Shopper, scope="orders"))]) -> str:
        return str(user.nickname)

    shop.app.mount("/sub", inner)
    with TestClient(shop.app) as client:
        assert client.get("/sub/inner", headers=shop.key(shop.alice, scope=["orders"])).json() == "a"
        assert client.get("/sub/inner", headers=shop.key(shop.alice)).status_code == 403
        refused = client.get("/sub/inner")
        assert (refused.status_code, refused.json()["errorCodeName"]) == (401, "Unauthorized")
        assert (
            client.get("/sub/inner", headers=HTML, follow_redirects=False)
            .headers["location"]
            .startswith("/login?next=%2Fsub%2Finner")
        )
        described = client.get("/sub/openapi.json").json()["paths"]["/inner"]["get"]
        assert described["security"] == [{"Session": []}, {"ApiKey": ["orders"]}, {"Bearer": ["orders"]}]
