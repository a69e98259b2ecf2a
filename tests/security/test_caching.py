"""Answers that depend on who is asking are kept by nobody: no proxy on the way, no back button after logging out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles

from crossauth_fastapi import OptionalUser
from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, CookieTransport, JWTStrategy
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, open_site
from tests.services.uvicorn import serve
from tests.support import Client, make_server


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    server = make_server()
    (tmp_path / "logo.txt").write_text("logo")

    @server.app.get("/public")
    async def public() -> str:
        return "everybody's"

    @server.app.get("/greeting")
    async def greeting(request: Request) -> str:
        return f"hello {request.state.user}"

    @server.app.get("/own")
    async def own(user: OptionalUser, response: Response) -> str:
        response.headers["Cache-Control"] = "private, max-age=60"
        response.headers["Vary"] = "Accept-Language, cookie"
        return "mine"

    server.app.mount("/static", StaticFiles(directory=tmp_path))
    with serve(server.app) as url, Client(url) as client:
        yield client


@pytest.mark.parametrize("path", ["/me", "/maybe", "/greeting"])
def test_a_personal_answer_is_kept_by_nobody(client: Client, path: str) -> None:
    client.sign_up()
    answer = client.get(path)
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Cookie")


@pytest.mark.parametrize("path", ["/maybe", "/greeting"])
def test_neither_is_the_same_answer_to_an_anonymous_visitor(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Cookie")


@pytest.mark.parametrize("path", ["/public", "/static/logo.txt"])
def test_an_answer_that_asks_for_nobody_is_left_alone(client: Client, path: str) -> None:
    client.sign_up()
    answer = client.get(path)
    assert answer.status_code == 200
    assert not {"cache-control", "vary"} & set(answer.headers)


def test_what_the_route_says_counts(client: Client) -> None:
    client.sign_up()
    answer = client.get("/own")
    assert answer.headers.get_list("cache-control") == ["private, max-age=60"]
    assert answer.headers.get_list("vary") == ["Accept-Language, cookie"]


PRIVATE = ("no-store", "Cookie")


def caching(answer: Any) -> tuple[str | None, str | None]:
    return answer.headers.get("cache-control"), answer.headers.get("vary")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The routes of FastAPI Users, by cookie and bearer, and some of the application's own."""
    with open_site(tmp_path) as api:
        app, current = api.site.app, Depends(api.site.users.current_user(active=True))

        @app.get("/cached")
        async def cached(response: Response, user: Any = current) -> str:
            response.headers["Cache-Control"] = "private, max-age=60"
            response.headers["Vary"] = "Accept-Language, cookie"
            return "mine"

        @app.get("/languages")
        async def languages(response: Response, user: Any = current) -> str:
            response.headers.add_vary_header("Accept-Language")
            return "mine"

        @app.get("/public")
        async def public() -> str:
            return "everybody's"

        api.register()
        yield api


@pytest.mark.parametrize("path", ["/users/me", "/auth/sessions", "/hello", "/maybe"])
def test_an_answer_of_the_routes_by_cookie_is_kept_by_nobody(api: Api, path: str) -> None:
    answer = api.get(path, headers=api.cookie_login())
    assert answer.status_code == 200
    assert caching(answer) == PRIVATE


@pytest.mark.parametrize("path", ["/users/me", "/auth/sessions", "/hello", "/maybe", "/users/1"])
def test_neither_is_the_answer_of_the_routes_to_whoever_is_not_logged_in(api: Api, path: str) -> None:
    assert caching(api.get(path)) == PRIVATE


def test_neither_is_what_the_routes_answer_and_refuse_themselves(api: Api) -> None:
    cookie = api.cookie_login()
    missing = api.delete("/auth/sessions/x", headers=cookie)
    refused = api.get("/users/1", headers=cookie)
    assert (missing.status_code, caching(missing)) == (404, PRIVATE)
    assert (refused.status_code, caching(refused)) == (403, PRIVATE)
    ended = api.delete("/auth/sessions", headers=cookie)
    assert (ended.status_code, caching(ended)) == (204, PRIVATE)
    login = api.log_in(by="cookie")
    assert (login.status_code, login.headers["cache-control"]) == (204, "no-store"), "it sets a cookie"


def test_what_a_route_behind_the_routes_says_counts(api: Api) -> None:
    cookie = api.cookie_login()
    answer = api.get("/cached", headers=cookie)
    assert answer.headers.get_list("cache-control") == ["private, max-age=60"]
    assert answer.headers.get_list("vary") == ["Accept-Language, cookie"]
    assert api.get("/languages", headers=cookie).headers.get_list("vary") == ["Cookie, Accept-Language"]
    assert caching(api.get("/public", headers=cookie)) == (None, None)


def test_a_response_that_a_route_makes_itself_is_private_beside_a_session_server() -> None:
    """Without one nothing of the library sees it; see docs/fastapi_users.md."""
    server = make_server()

    async def get_user_manager() -> None: ...

    backend: Any = AuthenticationBackend("cookie", CookieTransport(), lambda: JWTStrategy(SECRET, 60))
    users = FastAPIUsers[Any, Any](get_user_manager, [backend])
    maybe = Depends(users.current_claims(optional=True))

    @server.app.get("/finished")
    async def finished(claims: Any = maybe) -> Response:
        return PlainTextResponse("mine")

    @server.app.get("/missing")
    async def missing(claims: Any = maybe) -> None:
        raise HTTPException(404)

    with serve(server.app) as url, Client(url) as client:
        assert caching(client.get("/finished")) == PRIVATE
        assert caching(client.get("/missing")) == PRIVATE


def test_answers_by_bearer_alone_are_left_alone(tmp_path: Path) -> None:
    """Shared caches keep no answer to a request with `Authorization` (RFC 9111 §3.5)."""
    with open_site(tmp_path) as api:
        users: Any = FastAPIUsers(api.site.get_user_manager, [api.site.jwt])
        current = Depends(users.current_user())

        @api.site.app.get("/by-bearer")
        async def by_bearer(user: Any = current) -> str:
            return "mine"

        api.register()
        answer = api.get("/by-bearer", headers=api.bearer())
        assert (answer.status_code, *caching(answer)) == (200, None, None)
