"""The backend-for-frontend: requests of the site's pages, passed on to the API with the access token of the session."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.requests import HTTPConnection
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.bff import Api, Site, open_site, sent
from tests.services.uvicorn import serve
from tests.support import CSRF, Client

World = tuple[Client, Api, Site]


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with open_site() as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    client, api, site = shared
    api.seen.clear()
    api.accepts = None
    api.answer = (200, [], b"")
    return client, api, site


def test_a_request_is_passed_on_with_the_access_token(world: World) -> None:
    client, _, _ = world
    answer = client.get("/bff/echo/a/b?x=1&x=2&y=%2F%20z&empty=&;=", headers={"Accept": "text/x", "X-Tenant": "blue"})
    told = answer.json()
    assert (answer.status_code, told["method"], told["path"]) == (200, "GET", "/v1/echo/a/b")
    assert told["query"] == "x=1&x=2&y=%2F%20z&empty=&;="
    headers = sent(answer)
    assert headers["authorization"] == "Bearer token-1"
    assert (headers["accept"], headers["x-tenant"]) == ("text/x", "blue")
    assert "cookie" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_is_passed_on_as_it_is(world: World, method: str) -> None:
    client, _, _ = world
    body = b'\xff\x00{"not": json'
    answer = client.request(
        method, "/bff/echo", content=body, headers={CSRF: client.token(), "Content-Type": "application/x-own"}
    )
    told = answer.json()
    assert (told["method"], told["body"].encode("latin-1")) == (method, body)
    assert sent(answer)["content-type"] == "application/x-own"
    assert CSRF.lower() not in sent(answer)


class AsHttp2:
    """Tells an application what a server of HTTP/2 tells it: no header says whether there is a body."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/bff/"):
            told = [h for h in scope["headers"] if h[0] not in (b"content-length", b"transfer-encoding")]
            scope = {**scope, "http_version": "2", "headers": told}
        await self.app(scope, receive, send)


def test_a_body_needs_no_header_to_be_there() -> None:
    api = Api()
    with serve(api.app) as api_url:
        site = Site(api_url)
        with serve(AsHttp2(site.server.app)) as url, Client(url) as client:
            client.sign_up()
            for body in (b"short", b"x" * 300_000, b""):
                answer = client.post("/bff/echo", content=body, headers={CSRF: client.token()})
                assert answer.json()["body"].encode() == body
            assert client.get("/bff/echo").json()["body"] == ""


def test_status_and_body_come_back_as_they_are(world: World) -> None:
    client, api, _ = world
    for status in (200, 201, 206, 400, 403, 404, 409, 418, 422, 500, 503, 599):
        api.answer = (status, [(b"content-type", b"application/x-own"), (b"x-total", b"7")], b"\x00\xffbody")
        answer = client.get("/bff/answer")
        assert (answer.status_code, answer.content) == (status, b"\x00\xffbody")
        assert (answer.headers["content-type"], answer.headers["x-total"]) == ("application/x-own", "7")


def test_answers_without_a_body(world: World) -> None:
    client, api, _ = world
    api.answer = (304, [(b"etag", b'"1"'), (b"content-length", b"100")], b"")
    answer = client.get("/bff/answer")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
    api.answer = (204, [], b"")
    assert client.get("/bff/answer").status_code == 204
    api.answer = (200, [(b"content-length", b"5")], b"")
    head = client.head("/bff/answer")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "5", b"")


def test_a_packed_body_stays_packed(world: World) -> None:
    client, api, _ = world
    api.answer = (200, [(b"content-encoding", b"br"), (b"vary", b"Accept-Encoding")], b"not brotli at all")
    with client.stream("GET", "/bff/answer", headers={"Accept-Encoding": "br"}) as answer:
        assert b"".join(answer.iter_raw()) == b"not brotli at all"
        assert answer.headers["content-encoding"] == "br"
        assert {"cookie", "accept-encoding"} <= {v.strip().lower() for v in answer.headers["vary"].split(",")}


def test_without_tokens_nothing_is_passed_on(world: World) -> None:
    client, api, _ = world
    with Client(str(client.base_url)) as stranger:
        answer = stranger.get("/bff/echo")
        told = answer.json()
        assert (answer.status_code, told["ok"], told["error_code_name"]) == (401, False, "Unauthorized")
        assert set(told) == {"ok", "status", "error_message", "error_messages", "error_code", "error_code_name"}
    assert api.seen == []


def test_only_named_methods_and_paths_are_served(world: World) -> None:
    client, api, _ = world
    token = client.token()
    refused = client.post("/bff/read", headers={CSRF: token})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.json()["ok"] is False
    assert client.options("/bff/read").status_code == 405
    assert client.get("/bff/read/more").status_code == 404
    assert client.get("/bff/secret").status_code == 404
    assert client.get("/bff/echoes").status_code == 404
    assert api.seen == []


def test_a_request_is_sent_again_with_a_new_token(world: World) -> None:
    client, api, site = world
    before = site.tokens.refreshes
    api.accepts = {f"token-{site.tokens.number + 1}"}
    answer = client.post("/bff/echo", content=b"short", headers={CSRF: client.token()})
    assert (answer.status_code, answer.json()["body"]) == (200, "short")
    assert site.tokens.refreshes == before + 1
    assert len(api.seen) == 2


def test_a_token_that_is_new_is_not_renewed_again_and_again(world: World) -> None:
    client, api, site = world
    api.accepts = set()
    before = site.tokens.refreshes
    for _ in range(4):
        answer = client.get("/bff/echo")
        assert (answer.status_code, answer.text) == (401, "no")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert site.tokens.refreshes == before + 1
    assert len(api.seen) == 5


def test_another_kind_of_401_is_the_apis_own(world: World) -> None:
    client, api, site = world
    before = site.tokens.refreshes
    api.answer = (401, [(b"www-authenticate", b'Basic realm="x"')], b"who?")
    answer = client.get("/bff/answer")
    assert (answer.status_code, answer.text) == (401, "who?")
    assert "www-authenticate" not in answer.headers, "a browser would ask for a name and a password"
    assert site.tokens.refreshes == before


def test_answers_are_for_one_browser(world: World) -> None:
    client, api, _ = world
    for response, stored in ((b"public, max-age=60, s-maxage=900", "private, max-age=60"), (b"", "no-store")):
        api.answer = (200, [(b"cache-control", response)] if response else [], b"mine")
        answer = client.get("/bff/answer")
        assert answer.headers["cache-control"] == stored
        assert "cookie" in answer.headers["vary"].lower()


def test_openapi_says_what_a_call_needs(world: World) -> None:
    client, _, _ = world
    paths = client.get("/openapi.json").json()["paths"]
    read, change = paths["/bff/echo"]["get"], paths["/bff/echo/{path}"]["post"]
    assert read["security"] == [{"Session": []}]
    assert change["security"] == [{"Session": [], "CSRF": []}]
    assert {"401", "403", "413", "429", "502", "504"} <= set(change["responses"])
    assert "head" not in paths["/bff/read"]
    assert "post" not in paths["/bff/read"]
    identifiers = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(identifiers) == len(set(identifiers))


def test_what_the_whole_application_depends_on_is_asked_first() -> None:
    def guard(connection: HTTPConnection) -> None:
        if "x-blocked" in connection.headers:
            raise HTTPException(403, "blocked by the application")

    with open_site(app=FastAPI(dependencies=[Depends(guard)])) as (client, api, _):
        headers = {CSRF: client.token()}
        for method in ("GET", "HEAD", "POST", "DELETE"):
            assert client.request(method, "/bff/echo", headers=headers).status_code == 200
        api.seen.clear()
        for method in ("GET", "HEAD", "POST", "DELETE"):
            refused = client.request(method, "/bff/echo/a", headers=headers | {"X-Blocked": "1"})
            assert refused.status_code == 403
        origin = str(client.base_url).rstrip("/")
        sent_by_page = {"Cookie": "; ".join(f"{k}={v}" for k, v in client.cookies.items()), "Origin": origin}
        target = origin.replace("http", "ws", 1) + "/bff/ws"
        with (
            pytest.raises(InvalidStatus),
            connect(target, additional_headers=sent_by_page | {"X-Blocked": "1"}, proxy=None),
        ):
            pass
        assert api.seen == []
        with connect(target, additional_headers=sent_by_page, proxy=None) as socket:
            socket.send("hello")
            assert socket.recv(timeout=10) == "hello"
