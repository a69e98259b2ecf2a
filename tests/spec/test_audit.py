"""What an audit of the session server against its specification found: a test for each row of the assembly."""

from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from starlette.types import Scope

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    User,
)
from crossauth_backend.core.options import read_options
from crossauth_backend.sessions.options import SessionCookieSettings
from crossauth_fastapi import AdminUser, FastApiServer, FastApiSessionServer, default_is_admin_fn
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.order import attach_source
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._session.options import SessionServerSettings
from tests.accounts import Browser, World
from tests.services.uvicorn import serve
from tests.support import CHEAP, CSRF, PASSWORD, SECRET, Client, make_server

HTML = {"Accept": "text/html"}


def refused(**options: Any) -> CrossauthError:
    with pytest.raises(CrossauthError) as caught:
        make_server(**options)
    return caught.value


class Bearer:
    """A source of who is asking that is no session."""

    name, ambient, header = "bearer", False, b"authorization"

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        name = state.header(b"authorization").removeprefix("Bearer ")
        if not name:
            return None
        return Identity("oauth", User(id=1, username=name, state="active", factor1="localpassword"))

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """A signed token stands until it ends."""


# --- row 5, 17, 21, 23, 25: endpoints and what is checked at start


@pytest.mark.parametrize("given", [None, []])
def test_no_named_endpoints_mean_the_default(given: list[str] | None) -> None:
    with serve(make_server(endpoints=given).app) as url, Client(url) as client:
        assert client.get("/login").status_code == 200


def test_client_management_is_ignored_where_endpoints_are_named() -> None:
    make_server(enable_oauth_client_management=True, endpoints=["login"])
    for endpoints in (None, []):
        error = refused(enable_oauth_client_management=True, endpoints=endpoints)
        assert error.code is ErrorCode.NotImplemented
        assert "enable_oauth_client_management" in error.message


def test_a_login_page_that_is_added_later_is_where_browsers_log_in() -> None:
    server = make_server(endpoints=["api/login", "api/signup"])
    assert server.session_server is not None
    with serve(server.app) as url, Client(url) as client:
        assert client.get("/me", headers=HTML).status_code == 401
        server.session_server.add_login_endpoints()
        assert client.get("/me", headers=HTML).headers["location"] == "/login?next=%2Fme"
        # The router is included empty and filled afterwards: what is added to it is served.
        assert client.get("/login").status_code == 200


def test_the_landing_page_and_the_links_know_endpoints_that_are_added_later() -> None:
    server = make_server(endpoints=["api/login", "signup"])
    assert server.session_server is not None
    server.session_server.add_login_endpoints()
    server.session_server.add_api_signup_endpoints()
    with serve(server.app) as url, Client(url) as client:
        home = client.get("/", headers=HTML)
        assert (home.status_code, 'href="/signup' in home.text, 'href="/login' in home.text) == (200, True, True)
        assert 'href="/login' in client.get("/signup", headers=HTML).text
        assert 'href="/signup' in client.get("/login", headers=HTML).text


def test_every_documented_endpoint_of_email_verification_is_served() -> None:
    names = ["verifyemail", "emailverified", "login", "signup", "api/signup"]
    world = World(enable_email_verification=True, endpoints=names)
    with world.open() as url, Browser(url) as browser:
        sent = browser.get("/emailverified")
        assert (sent.status_code, sent.headers["location"]) == (302, "/login")


def test_the_first_factors_of_administrators_are_checked_at_start() -> None:
    error = refused(enable_admin_endpoints=True, admin_allowed_factor1=["passkey"])
    assert error.code is ErrorCode.Configuration
    assert "admin_allowed_factor1" in error.message
    assert "admin_allowed_factor1" in refused(admin_allowed_factor1=["passkey"]).message


def test_the_default_of_an_option_that_is_not_used_asks_for_nothing() -> None:
    users = InMemoryUserStorage()
    make_server(users, authenticators={"own": LocalPasswordAuthenticator(users, CHEAP)}, user_allowed_factor1=["own"])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"admin_allowed_factor1": []}, "admin_allowed_factor1"), ({"user_allowed_factor1": []}, "user_allowed_factor1"),
        ({"login_redirect": ""}, "login_redirect"), ({"logout_redirect": ""}, "logout_redirect"),
        ({"smtp_host": ""}, "smtp_host"), ({"session_cookie_options": {"cookie_name": ""}}, "cookie_name"),
        ({"double_submit_cookie_options": {"header_name": ""}}, "header_name"),
        ({"session_cookie_options": {"path": ""}}, "path"),
    ],
)  # fmt: skip
def test_an_option_that_needs_a_value_is_refused_without(options: dict[str, Any], name: str) -> None:
    error = refused(**options)
    assert error.code is ErrorCode.Configuration
    assert f"'{name}' must not be empty" in error.message


def test_an_option_that_may_be_empty_may_be() -> None:
    make_server(allowed_factor2=[], encryption_keys=[], trusted_proxies=[], endpoints=[])


# --- row 12: options of parts that are not there


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_search_fn", print),
        ("client_serach_dn", print), ("delete_client_page", "x.html"), ("admin_create_client_page", "x.html"),
    ],
)  # fmt: skip
def test_an_option_that_nothing_reads_is_refused_by_name(name: str, value: Any) -> None:
    error = refused(**{name: value})
    assert error.code is ErrorCode.NotImplemented
    assert repr(name) in error.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("protected_endpoints", {"/secret": {}}), ("audience", "api"), ("client_id", "shop"), ("client_secret", "s"),
        ("valid_flows", ["authorizationCode"]), ("bff_endpoints", []), ("error_fn", print),
    ],
)  # fmt: skip
def test_an_option_of_a_server_that_is_not_there_is_refused_by_name(name: str, value: Any) -> None:
    error = refused(**{name: value})
    assert error.code is ErrorCode.Configuration
    assert repr(name) in error.message


@pytest.mark.parametrize(("name", "value"), [("key_storage", InMemoryKeyStorage()), ("session_adapter", object())])
def test_a_parameter_given_as_an_option_is_refused_saying_where_it_belongs(name: str, value: Any) -> None:
    error = refused(**{name: value})
    assert error.code is ErrorCode.Configuration
    assert "parameters" in error.message


# --- row 15, 16: one site, and everybody agrees about it


def with_session_options(**own: Any) -> FastApiServer:
    users = InMemoryUserStorage()
    return FastApiServer(
        {"session": {"key_storage": InMemoryKeyStorage(), "options": own}},
        {
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)},
            "secret": SECRET,
            "user_storage": users,
            "is_admin_fn": lambda user: False,
            "error_page": "layout.jinja2",
        },
    )


def test_the_session_servers_own_options_count_for_the_server_too() -> None:
    server = with_session_options(is_admin_fn=lambda user: user.username == "root", error_page="error.jinja2")
    assert server.session_server is not None
    for name, expected in (("root", True), ("alice", False)):
        user = User(id=1, username=name, state="active", factor1="localpassword")
        assert (server.is_admin(user), server.session_server.is_admin(user)) == (expected, expected)
    assert (server.error_page, server.session_server.error_page) == ("error.jinja2", "error.jinja2")
    assert with_session_options().error_page == "layout.jinja2"


def test_the_class_asks_the_record_and_so_does_the_default() -> None:
    user = User(id=1, username="a", state="active", factor1="localpassword", admin=True)
    assert FastApiSessionServer.is_admin(user) is True
    assert (default_is_admin_fn(user), default_is_admin_fn({"admin": True}), default_is_admin_fn({})) == (
        True,
        True,
        False,
    )


def test_is_admin_cannot_ask_an_async_function_and_says_what_can() -> None:
    async def is_admin(user: User) -> bool:
        return True

    server = make_server(is_admin_fn=is_admin)
    user = User(id=1, username="a", state="active", factor1="localpassword")
    assert server.session_server is not None
    for ask in (server.is_admin, server.session_server.is_admin):
        with pytest.raises(CrossauthError, match="AdminUser") as caught:
            ask(user)
        assert caught.value.code is ErrorCode.Configuration


@pytest.mark.parametrize("answer", [True, False])
def test_an_async_is_admin_fn_decides_what_pages_show(answer: bool) -> None:
    async def is_admin(user: User) -> bool:
        return answer

    server = make_server(is_admin_fn=is_admin, enable_admin_endpoints=True)

    @server.app.get("/own")
    async def own(request: Request) -> Response:
        return server.render(request, "home.jinja2")

    with serve(server.app) as url, Client(url) as client:
        client.sign_up()
        for path in ("/own", "/updateuser", "/"):
            page = client.get(path, headers=HTML)
            assert page.status_code == 200
            assert ("/admin/selectuser" in page.text) is answer, path
            assert int(page.headers["content-length"]) == len(page.content)


def test_who_is_an_administrator_does_not_need_a_session_server() -> None:
    app = FastAPI()
    attach_source(app, Bearer())
    server = FastApiServer({}, {"app": app, "is_admin_fn": lambda user: user.username == "root"})

    @app.get("/boss")
    async def boss(user: AdminUser) -> str:
        return user.username

    with serve(server.app) as url, Client(url) as client:
        assert client.get("/boss", headers={"Authorization": "Bearer root"}).json() == "root"
        refusal = client.get("/boss", headers={"Authorization": "Bearer alice"})
        assert (refusal.status_code, refusal.json()["errorCodeName"]) == (403, "InsufficientPriviledges")
        page = client.get("/boss", headers={"Authorization": "Bearer alice", **HTML})
        assert (page.status_code, "have access to this page" in page.text) == (403, True)


@pytest.mark.parametrize("bearer_first", [True, False])
def test_cookies_look_the_same_whichever_server_came_first(bearer_first: bool) -> None:
    app = FastAPI()
    if bearer_first:
        attach_source(app, Bearer())
    make_server(app=app, site_url="https://shop.example")
    if not bearer_first:
        attach_source(app, Bearer())
    with serve(app) as url, Client(url) as client:
        cookie = client.get("/api/getcsrftoken", headers={"Host": "localhost"}).headers["set-cookie"]
        assert cookie.startswith("__Host-CSRFTOKEN=")
        assert "Secure" in cookie


def test_servers_that_disagree_about_the_site_are_a_mistake() -> None:
    app = FastAPI()
    make_server(app=app, is_admin_fn=lambda user: True)
    with pytest.raises(CrossauthError, match="is_admin_fn") as caught:
        FastApiServer({}, {"app": app, "is_admin_fn": lambda user: False})
    assert caught.value.code is ErrorCode.Configuration


# --- row 13, 14, 18, 19, 24: answers


def test_both_spellings_of_the_repetition_count() -> None:
    with serve(make_server().app) as url, Client(url) as client:
        for name in ("repeat_password", "repeatPassword"):
            answer = client.call("/api/signup", username="alice", password=PASSWORD, **{name: "Other1password"})
            assert (answer.status_code, answer.json()["errorCodeName"]) == (400, "PasswordMatch"), name
        done = client.call("/api/signup", username="alice", password=PASSWORD, repeatPassword=PASSWORD)
        assert done.json()["ok"] is True


def test_an_anonymous_session_has_its_key_in_the_same_request() -> None:
    server = make_server()

    @server.app.get("/open")
    async def opened(request: Request, response: Response) -> dict[str, Any]:
        await server.create_anonymous_session(request, response, {"basket": 1})
        key = request.state.session_key
        return {"stored": key.value != request.state.session_id, "data": key.data, "user": key.userid}

    @server.app.get("/later")
    async def later(request: Request) -> str:
        return str(request.state.session_key.value)

    with serve(server.app) as url, Client(url) as client:
        assert client.get("/open").json() == {"stored": True, "data": '{"basket":1}', "user": None}


def test_setting_a_second_factor_up_by_json_says_the_token_to_confirm_with() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.call("/api/changefactor2", factor2="totp")
        displayed = browser.get("/api/configurefactor2").json()
        assert displayed["csrfToken"]
        sent = {"otp": world.code(displayed["totpsecret"])}
        done = browser.post("/api/configurefactor2", json=sent, headers={CSRF: displayed["csrfToken"]})
        assert done.json()["ok"] is True


# --- row 26: the contract's names in the environment


def test_the_contracts_environment_names_count() -> None:
    environ = {"CROSSAUTH_ENDPOINTS": '["login"]'}
    assert read_options(SessionServerSettings, {}, component="x", environ=environ).endpoints == ["login"]
    environ |= {"CROSSAUTH_SESSION_ENDPOINTS": '["logout"]'}
    assert read_options(SessionServerSettings, {}, component="x", environ=environ).endpoints == ["logout"]
    environ = {"CROSSAUTH_SESSION_COOKIE_maxAge": "60", "CROSSAUTH_SESSIONCOOKIE_HTTPONLY": "false"}
    cookie = read_options(SessionCookieSettings, {}, component="x", environ=environ)
    assert (cookie.maxAge, cookie.httpOnly) == (60, False)


# --- low rows of the attack and of public reports


def test_the_outbox_is_shown_to_pages_of_this_machine_only() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        for path in ("/outbox", "/api/outbox"):
            assert browser.get(path).status_code == 200
            assert browser.get(path, headers={"Host": "evil.example"}).status_code == 404
            assert browser.get(path, headers={"Host": "localhost.evil.example:8000"}).status_code == 404


def test_two_applications_on_ports_of_one_host_leave_each_others_sessions_alone() -> None:
    other = make_server(secret="another application's secret, long enough")
    with serve(make_server().app) as first, serve(other.app) as second, Client(first) as browser:
        browser.sign_up()
        answer = browser.get(f"{second}/maybe")
        assert (answer.json()["username"], answer.headers.get_list("set-cookie")) == (None, [])
        assert browser.who() == "alice"
