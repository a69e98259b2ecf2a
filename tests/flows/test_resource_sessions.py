"""Access tokens beside sessions: which of both a protected route accepts, and tokens that are kept in a session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from crossauth_backend import CrossauthError, InMemoryKeyStorage, InMemoryUserStorage, LocalPasswordAuthenticator, User
from crossauth_backend.keys.data import KeyDataEntry
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import FastApiApiKeyServer, FastApiOAuthResourceServer, FastApiServer, FastApiSessionAdapter
from tests.resource import AUDIENCE, add_routes, bearer, consumer_of, serving
from tests.support import CHEAP, CSRF, PASSWORD, SECRET


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


def a_server(issuer: FakeIssuer, protected: Any, **options: Any) -> FastApiServer:
    """A session server and a resource server on one application."""
    users = InMemoryUserStorage()
    own = {"protected_endpoints": protected, "auth_server_base_url": issuer.url, "audience": AUDIENCE, **options}
    server = FastApiServer(
        {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_resserver": {"options": own}},
        {
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)},
            "secret": SECRET,
            "user_storage": users,
        },
    )
    add_routes(server.app)

    @server.app.post("/keep")
    async def keep(request: Request, token: str) -> None:
        await server.update_session_data(request, "oauth", {"access_token": token})

    @server.app.api_route("/authorized", methods=["GET", "POST"])
    async def authorized(request: Request) -> Any:
        assert server.oauth_resserver is not None
        found = await server.oauth_resserver.authorized(request)
        return {**found, "user": found["user"].username} if found and found.get("user") else found

    return server


class Browser(httpx2.AsyncClient):
    """Keeps cookies, as browsers do."""

    async def csrf(self) -> dict[str, str]:
        return {CSRF: (await self.get("/api/getcsrftoken")).json()["csrfToken"]}

    async def sign_up(self) -> None:
        fields = {"username": "alice", "password": PASSWORD, "repeat_password": PASSWORD}
        assert (await self.post("/api/signup", json=fields, headers=await self.csrf())).is_success

    async def keep(self, token: str) -> None:
        answer = await self.post("/keep", params={"token": token}, headers=await self.csrf())
        assert answer.is_success


@asynccontextmanager
async def browsing(server: FastApiServer) -> AsyncIterator[Browser]:
    async with (
        serving(server.app) as client,
        Browser(base_url=client.base_url, trust_env=False, timeout=20) as browser,
    ):
        yield browser


@pytest.mark.parametrize("accepts", [False, True, None])
async def test_a_session_counts_only_where_it_is_accepted(issuer: FakeIssuer, accepts: bool | None) -> None:
    endpoint = {} if accepts is None else {"accept_session_authorization": accepts}
    good = bearer(issuer.issue_token(AUDIENCE, sub="bob", scope="x"))
    async with browsing(a_server(issuer, {"/orders": endpoint})) as browser:
        assert (await browser.get("/orders")).status_code == 401
        # An anonymous session.
        await browser.csrf()
        assert (await browser.get("/orders")).status_code == 401
        assert (await browser.get("/orders", headers=good)).json()["user"] == "bob"
        await browser.sign_up()
        alone = await browser.get("/orders")
        if accepts:
            assert alone.json() == {"user": "alice", "auth_type": "cookie", "scope": None, "sub": None}
        else:
            assert (alone.status_code, alone.headers["www-authenticate"]) == (401, "Bearer")
        both = (await browser.get("/orders", headers=good)).json()
        assert both == {"user": "bob", "auth_type": "oauth", "scope": ["x"], "sub": "bob"}
        for bad in (bearer("bad"), bearer(issuer.issue_token("another")), {"Authorization": "Bearer"}):
            refused = await browser.get("/orders", headers=bad)
            assert refused.status_code == 401
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]


async def test_a_session_needs_a_csrf_token_to_change_something(issuer: FakeIssuer) -> None:
    async with browsing(a_server(issuer, {"/orders": {"accept_session_authorization": True}})) as browser:
        await browser.sign_up()
        assert (await browser.post("/orders")).status_code == 403
        assert (await browser.post("/orders", headers=await browser.csrf())).json()["user"] == "alice"
        good = bearer(issuer.issue_token(AUDIENCE, sub="bob"))
        assert (await browser.post("/orders", headers=good)).json()["user"] == "bob"


async def test_an_anonymous_session_is_nobody_even_where_sessions_are_accepted(issuer: FakeIssuer) -> None:
    server = a_server(issuer, {"/orders": {"accept_session_authorization": True}})

    @server.app.post("/anonymous")
    async def anonymous(request: Request, response: Response) -> None:
        await server.create_anonymous_session(request, response, {"cart": 1})

    async with browsing(server) as browser:
        assert (await browser.post("/anonymous")).is_success
        assert (await browser.get("/orders")).status_code == 401
        good = bearer(issuer.issue_token(AUDIENCE, sub="bob"))
        assert (await browser.get("/orders", headers=good)).json()["user"] == "bob"


async def test_a_token_is_no_login_for_the_account(issuer: FakeIssuer) -> None:
    """Whoever a foreign server calls `1` is not the user with the id 1 here."""
    server = a_server(issuer, {})
    token = bearer(issuer.issue_token(AUDIENCE, sub="1", userid=1, scope="edit"))
    async with browsing(server) as browser:
        await browser.sign_up()
        browser.cookies.clear()
        for path, fields in (
            ("/api/updateuser", {"user_email": "mallory@example.com"}),
            (
                "/api/changepassword",
                {"old_password": PASSWORD, "new_password": "Other1pass", "repeat_password": "Other1pass"},
            ),
            ("/api/deleteuser", {}),
        ):
            assert (await browser.post(path, json=fields, headers=token)).status_code == 401, path


async def test_a_token_of_claims_edits_no_account_whatever_its_scope(issuer: FakeIssuer) -> None:
    users = InMemoryUserStorage()
    own = {"auth_server_base_url": issuer.url, "audience": AUDIENCE}
    server = FastApiServer(
        {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_resserver": {"options": own}},
        {
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}, "secret": SECRET,
            "user_storage": users, "edit_user_scope": "edit",
        },
    )  # fmt: skip
    async with browsing(server) as browser:
        await browser.sign_up()
        browser.cookies.clear()
        token = bearer(issuer.issue_token(AUDIENCE, sub="1", userid=1, scope="edit"))
        refused = await browser.post("/api/updateuser", json={"user_email": "m@example.com"}, headers=token)
        assert refused.status_code == 401


async def test_a_token_in_the_session_is_accepted_and_needs_a_csrf_token(issuer: FakeIssuer) -> None:
    protected = {"/orders": {"scope": ["read"]}}
    async with browsing(a_server(issuer, protected, token_locations=["header", "session"])) as browser:
        await browser.sign_up()
        assert (await browser.get("/orders")).status_code == 401
        await browser.keep(issuer.issue_token(AUDIENCE, sub="bob", scope="read"))
        expected = {"user": "bob", "auth_type": "oauth", "scope": ["read"], "sub": "bob"}
        assert (await browser.get("/orders")).json() == expected
        assert (await browser.post("/orders")).status_code == 403
        assert (await browser.post("/orders", headers=await browser.csrf())).json() == expected
        # Elsewhere it is nobody's until it is asked for.
        assert (await browser.get("/me")).json() == "alice"
        assert (await browser.get("/authorized")).json()["user"] == "bob"
        assert (await browser.post("/authorized")).json()["error"] == "access_denied"
        for bad in (issuer.issue_token("another"), issuer.issue_token(AUDIENCE, sub="bob"), "nonsense"):
            await browser.keep(bad)
            assert (await browser.get("/orders")).status_code in (401, 403)
        browser.cookies.clear()
        assert (await browser.get("/orders")).status_code == 401


@pytest.mark.parametrize("locations", [["session"], ["header", "session"]])
async def test_a_token_in_the_session_is_for_the_resource_it_is_used_at(
    issuer: FakeIssuer, locations: list[str]
) -> None:
    api = "https://api.example.com"
    server = a_server(
        issuer,
        {"/orders": {}},
        token_locations=locations,
        audience=[f"{api}/a", f"{api}/b"],
        resources=[
            {"resource": f"{api}/a", "path": "/orders"},
            {"resource": f"{api}/b", "path": "/authorized"},
        ],
    )
    async with browsing(server) as browser:
        await browser.sign_up()
        for audience, orders, authorized in ((f"{api}/a", 200, False), (f"{api}/b", 401, True)):
            await browser.keep(issuer.issue_token(audience))
            assert (await browser.get("/orders")).status_code == orders
            assert (await browser.get("/authorized")).json()["authorized"] is authorized


@pytest.mark.parametrize(
    ("locations", "user"),
    [(["header", "session"], "header"), (["session", "header"], "session"), (["beader"], "header")],
)
async def test_the_first_location_that_holds_a_token_counts(
    issuer: FakeIssuer, locations: list[str], user: str
) -> None:
    header = bearer(issuer.issue_token(AUDIENCE, sub="header"))
    async with browsing(a_server(issuer, {"/orders": {}}, token_locations=locations)) as browser:
        await browser.sign_up()
        assert (await browser.get("/orders", headers=header)).json()["user"] == "header"
        await browser.keep(issuer.issue_token(AUDIENCE, sub="session"))
        assert (await browser.get("/orders", headers=header)).json()["user"] == user
        if locations[0] == "session":
            # A bad one there is not made good by the next.
            await browser.keep("bad")
            assert (await browser.get("/orders", headers=header)).status_code == 401


async def test_without_the_header_among_the_locations_it_is_not_read(issuer: FakeIssuer) -> None:
    good = bearer(issuer.issue_token(AUDIENCE))
    async with browsing(a_server(issuer, {"/orders": {}}, token_locations=["session"])) as browser:
        assert (await browser.get("/orders", headers=good)).status_code == 401
        assert (await browser.get("/me", headers=good)).status_code == 401


@pytest.mark.parametrize("kept", [None, 5, "text", [], {"access_token": 5}, {"access_token": ""}, {"other": "x"}])
async def test_anything_in_the_session_that_is_no_token_is_none(issuer: FakeIssuer, kept: Any) -> None:
    server = a_server(issuer, {"/orders": {}}, token_locations=["session"])

    @server.app.get("/put")
    async def put(request: Request) -> None:
        await server.update_session_data(request, "oauth", kept)

    async with browsing(server) as browser:
        await browser.sign_up()
        assert (await browser.get("/put")).is_success
        assert (await browser.get("/orders")).status_code == 401


async def test_a_websocket_takes_a_session_only_from_a_page_of_this_site(issuer: FakeIssuer) -> None:
    server = a_server(issuer, {"/ws": {"accept_session_authorization": True}}, token_locations=["header", "session"])
    async with browsing(server) as browser:
        await browser.sign_up()
        url = str(browser.base_url).replace("http", "ws").rstrip("/") + "/ws"
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        here = f"http://{browser.base_url.netloc.decode()}"
        for stored in (None, issuer.issue_token(AUDIENCE)):
            if stored:
                await browser.keep(stored)
            async with connect(url, additional_headers={**cookies, "Origin": here}) as socket:
                assert await socket.recv() == ("oauth" if stored else "cookie")
            with pytest.raises(InvalidStatus):
                async with connect(url, additional_headers={**cookies, "Origin": "https://evil.example.com"}):
                    pass


class HeaderSessions(FastApiSessionAdapter):
    """Sessions of another framework, for tests: a cookie says who it is."""

    def __init__(self, csrf: bool) -> None:
        self.csrf = csrf
        self.data: dict[str, Any] = {}

    def csrf_protection_enabled(self) -> bool:
        return self.csrf

    def get_csrf_token(self, request: Request) -> str | None:
        return request.headers.get("x-token")

    def get_user(self, request: Request) -> User | None:
        name = request.cookies.get("who")
        return User(id=9, username=name) if name else None

    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        self.data[name] = value

    async def update_many_session_data(self, request: Request, data_array: list[KeyDataEntry]) -> None: ...

    async def delete_session_data(self, request: Request, name: str) -> None: ...

    async def get_session_data(self, request: Request, name: str) -> dict[str, Any] | None:
        return self.data.get(name) if request.cookies.get("who") else None


@pytest.mark.parametrize("csrf", [True, False])
@pytest.mark.parametrize("assembled", [True, False])
async def test_sessions_of_another_framework(issuer: FakeIssuer, csrf: bool, assembled: bool) -> None:
    adapter = HeaderSessions(csrf)
    options: dict[str, Any] = {
        "protected_endpoints": {"/orders": {"accept_session_authorization": True}, "/orders/{id}": {}},
        "token_locations": ["header", "session"],
    }
    if assembled:
        own = {**options, "token_consumers": [consumer_of(issuer)]}
        app = FastApiServer({"session_adapter": adapter, "oauth_resserver": {"options": own}}).app
    else:
        app = FastAPI()
        FastApiOAuthResourceServer(app, [consumer_of(issuer)], {**options, "session_adapter": adapter})
    add_routes(app)
    cookie = {"Cookie": "who=carol"}
    async with serving(app) as client:
        assert (await client.get("/orders")).status_code == 401
        assert (await client.get("/orders", headers=cookie)).json()["user"] == "carol"
        assert (await client.get("/orders/1", headers=cookie)).status_code == 401
        assert (await client.post("/orders", headers=cookie)).status_code == (403 if csrf else 200)
        assert (await client.post("/orders", headers={**cookie, "X-Token": "t"})).json()["user"] == "carol"
        assert (await client.get("/orders", headers={**cookie, **bearer("bad")})).status_code == 401
        adapter.data["oauth"] = {"access_token": issuer.issue_token(AUDIENCE, sub="bob")}
        assert (await client.get("/orders", headers=cookie)).json()["user"] == "bob"
        assert (await client.post("/orders", headers=cookie)).status_code == (403 if csrf else 200)
        assert (await client.get("/orders/1", headers=cookie)).is_success


async def test_a_websocket_of_another_site_has_no_session_of_another_framework(issuer: FakeIssuer) -> None:
    adapter = HeaderSessions(False)
    adapter.data["oauth"] = {"access_token": issuer.issue_token(AUDIENCE)}
    app = FastAPI()
    options = {"protected_endpoints": {"/ws": {}}, "token_locations": ["session"], "session_adapter": adapter}
    FastApiOAuthResourceServer(app, [consumer_of(issuer)], options)
    add_routes(app)
    async with serving(app) as client:
        url = str(client.base_url).replace("http", "ws").rstrip("/") + "/ws"
        async with connect(url, additional_headers={"Cookie": "who=carol"}) as socket:
            assert await socket.recv() == "oauth"
        with pytest.raises(InvalidStatus):
            async with connect(url, additional_headers={"Cookie": "who=carol", "Origin": "https://evil.example.com"}):
                pass


def test_tokens_in_sessions_need_sessions() -> None:
    with pytest.raises(CrossauthError, match="needs option 'session_adapter'"):
        FastApiServer({"oauth_resserver": {"options": {
            "auth_server_base_url": "https://as.example.com", "audience": "x", "token_locations": ["session"]}}})  # fmt: skip


async def test_a_key_in_the_header_says_more_than_a_token_in_the_session(issuer: FakeIssuer) -> None:
    server = a_server(issuer, {"/orders": {}}, token_locations=["header", "session"])
    users = server.session_server.session_manager.user_storage
    keys = FastApiApiKeyServer(server.app, InMemoryKeyStorage(), {"user_storage": users, "secret": SECRET})
    async with browsing(server) as browser:
        await browser.sign_up()
        await browser.keep(issuer.issue_token(AUDIENCE, sub="alice"))
        csrf = await browser.csrf()
        assert (await browser.post("/orders", headers=csrf)).json()["auth_type"] == "oauth"
        good = (await keys.manager.create_key("mine", 1)).token
        for key in ("bad", good):
            for answer in (
                await browser.get("/orders", headers={"Authorization": f"ApiKey {key}"}),
                await browser.post("/orders", headers={**csrf, "Authorization": f"ApiKey {key}"}),
            ):
                assert answer.status_code == 401
