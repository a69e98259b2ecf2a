"""Every documented method of the session server, called from an application's own routes."""

import asyncio
from typing import Any

import pytest
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi import FastApiSessionServer
from crossauth_fastapi.fastapisession import JsonOrFormData
from tests.accounts import Browser, World, name_of
from tests.support import CSRF


def session_server(world: World) -> FastApiSessionServer:
    assert world.server.session_server is not None
    return world.server.session_server


def served(world: World) -> None:
    """Routes that ask the session server about the request."""
    server, app = session_server(world), world.server.app

    @app.get("/asked")
    @app.post("/asked")
    async def asked(request: Request) -> dict[str, Any]:
        try:
            csrf = server.validate_csrf_token(request)
        except CrossauthError as e:
            csrf = e.code_name
        return {
            "can_edit_user": server.can_edit_user(request),
            "is_session_user": server.is_session_user(request),
            "user": user.username if (user := server.get_user(request)) else None,
            "username": server.username(request),
            "csrf_token": bool(server.get_csrf_token(request)),
            "csrf_cookie": server.get_csrf_cookie_value(request),
            "valid_csrf": csrf,
            "session_cookie": server.get_session_cookie_value(request),
            "hashes": [server.get_hash_of_session_id(request), server.get_hash_of_csrf_cookie(request)],
        }

    @app.post("/checked")
    async def checked(request: Request) -> dict[str, Any]:
        form = JsonOrFormData(request)
        await form.load()
        return {"token": bool(await server.csrf_token(request, form))}

    @app.post("/enter/{bypass}")
    async def enter(request: Request, response: Response, bypass: bool) -> Response:
        found = await world.users.get_user_by_username("alice")
        return await server.login_with_user(
            found.user, bypass, request, response, lambda answer, user: JSONResponse({"entered": user.username})
        )

    @app.post("/give-up")
    async def give_up(request: Request, response: Response) -> Response:
        return await server.cancel_factor2(request, response, lambda answer: JSONResponse({"given": "up"}))

    @app.get("/wrong/{face}")
    async def wrong(request: Request, response: Response, face: str) -> Response:
        error = CrossauthError(ErrorCode.PasswordInvalid, "the password was not right")
        if face == "json":
            return server.send_json_error(request, response, 418, e=error)
        if face == "page":
            return server.send_page_error(request, response, 418, "That went wrong")
        return server.handle_error(
            error, request, None, lambda data, e: JSONResponse({"code": e.code_name, "data": data}, e.http_status),
            password_invalid_ok=face == "kept",
        )  # fmt: skip


def test_what_a_request_is(world: World, browser: Browser) -> None:
    nobody = browser.get("/asked").json()
    assert nobody["hashes"] == ["", ""]
    del nobody["hashes"]
    assert {name for name, value in nobody.items() if value} == {"csrf_token", "valid_csrf"}
    browser.sign_up(factor2="none")
    told = browser.post("/asked", headers={CSRF: browser.token()}).json()
    assert told["can_edit_user"] is told["is_session_user"] is told["csrf_token"] is True
    assert told["user"] == told["username"] == "alice"
    assert told["csrf_cookie"] == told["valid_csrf"] == browser.cookies["CSRFTOKEN"]
    assert told["session_cookie"] == browser.cookies["SESSIONID"]
    assert all(told["hashes"])
    assert told["session_cookie"].split(".")[0] not in str(told["hashes"])
    assert browser.post("/asked").json()["valid_csrf"] == "InvalidCsrf"


def test_a_csrf_token_in_header_or_body(browser: Browser) -> None:
    token = browser.token()
    assert browser.post("/checked", json={}, headers={CSRF: token}).json() == {"token": True}
    assert browser.post("/checked", json={"csrfToken": token}).json() == {"token": True}
    assert browser.post("/checked", data={"csrfToken": token}).json() == {"token": True}
    for sent in ({}, {"csrfToken": "x"}, {"csrfToken": token + "x"}):
        assert browser.post("/checked", json=sent).json() == {"token": False}


def test_a_user_who_was_proven_by_other_means_goes_through_the_same_stages(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    secret, _ = browser.add_totp(world)
    browser.call("/api/logout")
    assert name_of(browser.call("/enter/false")) == "MfaRequired"
    assert browser.who() is None
    assert browser.give(world.code(secret)).json()["user"]["username"] == "alice"
    browser.call("/api/logout")
    assert browser.call("/enter/true").json() == {"entered": "alice"}
    assert browser.who() == "alice"
    browser.call("/api/logout")
    asyncio.run(world.users.update_user({"id": 1, "state": "disabled"}))
    assert browser.call("/enter/true").status_code in (401, 403)
    assert browser.who() is None


def test_giving_up_a_second_factor(world: World, browser: Browser) -> None:
    browser.sign_up(factor2="none")
    browser.add_totp(world)
    browser.call("/api/logout")
    browser.asked()
    assert browser.call("/give-up").json() == {"given": "up"}
    assert name_of(browser.call("/give-up")) == "Unauthorized"


def test_errors(browser: Browser) -> None:
    told = browser.get("/wrong/json")
    assert (told.status_code, name_of(told)) == (418, "UsernameOrPasswordInvalid")
    page = browser.get("/wrong/page")
    assert (page.status_code, "That went wrong" in page.text) == (418, True)
    assert browser.get("/wrong/handled").json() == {"code": "UsernameOrPasswordInvalid", "data": {}}
    assert browser.get("/wrong/kept").json() == {"code": "PasswordInvalid", "data": {}}


def test_what_a_server_says_of_itself(world: World) -> None:
    server = session_server(world)
    assert [server.error_status(e) for e in (CrossauthError(ErrorCode.Unauthorized), ValueError("x"))] == [401, 500]
    assert server.enable_csrf_protection is server.csrf_protection_enabled() is True
    assert server.enable_email_verification is False
    assert server.allowed_factor2 == ["none", "totp", "email", "sms"]
    assert [d["name"] for d in server.allowed_factor2_details()] == server.allowed_factor2
    assert [d["hasSecrets"] for d in server.allowed_factor2_details()] == [False, True, False, False]
    assert (server.user_allowed_factor1, server.admin_allowed_factor1) == (["localpassword"], ["localpassword"])
    assert (server.login_redirect, server.error_page) == ("/", "error.jinja2")
    assert server.app is world.server.app
    assert server.user_storage is world.users
    assert set(server.authenticators) == {"localpassword", "totp", "email", "sms"}


def test_endpoints_can_be_added_one_by_one() -> None:
    world = World(endpoints=["api/getcsrftoken"])
    server = session_server(world)
    for name in ("login", "logout", "signup", "factor2", "login_factor2"):
        getattr(server, f"add_{name}_endpoints")()
    for name in (
        "login",
        "logout",
        "signup",
        "login_factor2",
        "cancel_factor2",
        "user_for_session_key",
        "getcsrftoken",
    ):
        getattr(server, f"add_api_{name}_endpoints")()
    paths = {context.path for context in iter_route_contexts(world.server.app.routes)}
    added = {"login", "logout", "signup", "loginfactor2"}
    expected = {f"/{n}" for n in added | {"factor2"}} | {
        f"/api/{n}" for n in added | {"cancelfactor2", "userforsessionkey"}
    }
    assert expected <= paths
    assert "/changepassword" not in paths
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        assert browser.who() == "alice"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def browser(world: World) -> Any:
    served(world)
    with world.open() as url, Browser(url) as browser:
        yield browser
