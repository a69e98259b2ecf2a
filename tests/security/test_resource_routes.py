"""Ways around the guards of protected endpoints: methods, mounts, parameters, and headers that are nearly right"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from crossauth_backend import CrossauthError
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import CurrentUser, FastApiOAuthResourceServer
from crossauth_fastapi._middleware import sockets
from crossauth_fastapi.testing import issue_token
from tests.resource import AUDIENCE, Answer, add_routes, ask, bearer, close_consumers, consumer_of, serving
from tests.shop import Shop

HOST = "https://api.example.com"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(algorithms=("RS256",)) as issuer:
        yield issuer
        await close_consumers()


def protect(issuer: FakeIssuer, protected: dict[str, Any], audience: Any = AUDIENCE, **options: Any) -> FastAPI:
    app = FastAPI()
    FastApiOAuthResourceServer(app, [consumer_of(issuer, audience)], {"protected_endpoints": protected, **options})
    return app


async def started(app: FastAPI) -> None:
    async with app.router.lifespan_context(app):
        pass


def authorization(token: str) -> tuple[str, bytes]:
    return "authorization", f"Bearer {token}".encode()


@pytest.mark.parametrize("entries", [("GET /a", "POST /a"), ("POST /a", "GET /a"), ("PUT /a", "GET /a", "POST /a")])
async def test_entries_for_several_methods_of_one_route_each_count(
    issuer: FakeIssuer, entries: tuple[str, ...]
) -> None:
    """Each of several entries for one route is asked about, whichever comes first."""
    app = protect(issuer, {entry: {"scope": [entry.partition(" ")[0].lower()]} for entry in entries})

    @app.api_route("/a", methods=["GET", "HEAD", "POST", "PUT"])
    async def a() -> str:
        return "in"

    for entry in entries:
        method = entry.partition(" ")[0]
        assert (await ask(app, "/a", method=method)).status == 401, method
        right, wrong = (authorization(issuer.issue_token(AUDIENCE, scope=s)) for s in (method.lower(), "other"))
        assert [(await ask(app, "/a", token, method=method)).status for token in (right, wrong)] == [200, 403]
    assert (await ask(app, "/a", method="HEAD")).status == 401


async def test_an_entry_with_a_method_opens_no_other_method_of_what_is_protected_below_a_path(
    issuer: FakeIssuer,
) -> None:
    """An entry for `GET` leaves what `suburls` says of the other methods as it is."""
    app = protect(issuer, {"GET /a/b": {"scope": ["read"]}, "/a": {"suburls": True}, "GET /a/c": {"public": True}})
    for path in ("/a/b", "/a/c"):
        app.add_api_route(path, lambda: "in", methods=["GET", "POST", "DELETE"])
    for method in ("POST", "DELETE"):
        assert [(await ask(app, path, method=method)).status for path in ("/a/b", "/a/c")] == [401, 401], method
    assert [(await ask(app, path)).status for path in ("/a/b", "/a/c")] == [401, 200]


async def test_a_method_in_small_letters_is_no_way_past_an_entry(issuer: FakeIssuer) -> None:
    """An endpoint that is a class, or a mounted application, may take `post` for `POST`; the guard does so too."""

    class Endpoint(HTTPEndpoint):
        async def post(self, request: Request) -> Response:
            return PlainTextResponse("in")

        get = post

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("in")(scope, receive, send)

    app = protect(issuer, {"POST /class": {}, "GET /class": {}, "POST /mounted": {}})
    app.router.routes.extend([Route("/class", Endpoint), Mount("/mounted", app=mounted)])
    for method in ("POST", "post", "pOsT"):
        for path in ("/class", "/mounted/", "/mounted/x"):
            answer = await ask(app, path, method=method)
            assert (answer.status, answer.body) == (401, b"{}"), (method, path)
    for method in ("GET", "get", "HEAD", "head"):
        assert (await ask(app, "/class", method=method)).status == 401, method
    assert (await ask(app, "/mounted/x", authorization(issuer.issue_token(AUDIENCE)), method="post")).body == b"in"


async def test_head_and_options_show_nothing_of_a_protected_endpoint(issuer: FakeIssuer) -> None:
    """`HEAD` is refused as `GET` is; `OPTIONS` passes only as a preflight, which carries no credentials (Fetch §4.8)."""
    app = protect(issuer, {"/orders": {"scope": ["read"]}})
    add_routes(app)
    asks = ("access-control-request-method", b"POST")
    for method, headers in (("HEAD", []), ("OPTIONS", []), ("options", [asks]), ("GET", [asks]), ("POST", [asks])):
        refused = await ask(app, "/orders", *headers, method=method)
        assert (refused.status, refused.challenge) == (401, 'Bearer scope="read"'), method
    assert (await ask(app, "/orders", asks, method="OPTIONS")).status == 200


@pytest.mark.parametrize(
    "value",
    [b"Bearer\t%s", b"Bearer,%s", b"Bearer=%s", b'Bearer"%s"', b"Bearer;%s", b"Bearer\x0b%s", b"bearer\xa0%s", b"BEARER/%s"],
)  # fmt: skip
def test_a_header_that_is_nearly_a_token_is_a_bad_one(value: bytes) -> None:
    """What begins with the scheme and then is malformed is refused, and the cookie beside it counts for nothing."""
    shop = Shop()
    cookie, malformed = session_cookie(shop), value % issue_token(shop.app, shop.alice).encode()
    assert asked(shop, "/current", cookie, ("authorization", malformed)).status == 401
    assert asked(shop, "/optional", cookie, ("authorization", malformed)).body == b"null"
    assert asked(shop, "/current", cookie).body == b'"alice"'


def test_a_key_that_a_tab_parts_from_its_scheme_is_a_bad_one() -> None:
    """A malformed key is refused, and the cookie beside it counts for nothing."""
    shop = Shop()
    cookie, key = session_cookie(shop), key_of(shop)
    assert asked(shop, "/current", cookie, ("authorization", key)).status == 200
    assert asked(shop, "/current", cookie, ("authorization", key.replace(b" ", b"\t"))).status == 401


def asked(shop: Shop, path: str, *headers: tuple[str, bytes]) -> Answer:
    return asyncio.run(ask(shop.app, path, *headers))


def session_cookie(shop: Shop) -> tuple[str, bytes]:
    server = shop.server.session_server
    assert server is not None
    sessions = server.session_manager.session
    made = sessions.make_cookie(asyncio.run(sessions.create_session_key(shop.alice.id)))
    return "cookie", f"{made.name}={made.value}".encode()


def key_of(shop: Shop) -> bytes:
    return shop.key(shop.alice)["Authorization"].encode()


@pytest.mark.parametrize(
    "sent", ["/a%22b", '/a"b', "/a\\b", '/a", error="x', "/a\r\nX: y", "/données", "/a b", "/\ud800", "/%", "/\x00"]
)
async def test_the_path_of_a_mount_leaves_no_quotes_of_a_challenge(issuer: FakeIssuer, sent: str) -> None:
    """Whoever asks chooses the path below which an application with a parameter is mounted: it stays in its place
    (RFC 6750 §3, RFC 9728 §5.1)."""
    inner = protect(issuer, {"/orders": {}}, resources=[{"resource": HOST}])
    add_routes(inner)
    outer = FastAPI()
    outer.mount("/{tenant}", inner)
    for path in ("/orders", "/me"):
        refused = await ask(outer, sent + path)
        assert refused.status in (401, 404)
        if refused.status == 401:
            check_challenge(refused, f"{HOST}/")
    direct = await ask(inner, "/orders", root_path=sent)
    assert direct.status == 401
    check_challenge(direct, f"{HOST}/")


def check_challenge(answer: Answer, start: str) -> None:
    header = answer.challenge
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') % 2 == 0
    assert set(re.findall(r'(\w+)="[^"]*"', header)) <= {"realm", "resource_metadata"}
    if "resource_metadata" in header:
        url = header.split('resource_metadata="')[1].split('"')[0]
        assert url.startswith(start)
        assert url.endswith(WELL_KNOWN)
        assert not set(url) & set(' "\\')


async def test_a_resource_with_a_path_that_is_not_ascii_is_served_and_pointed_to(issuer: FakeIssuer) -> None:
    """A resource is an URL, percent-encoded; the paths of an application are not."""
    app = protect(issuer, {"/été/ä": {}}, resources=[{"resource": f"{HOST}/%C3%A9t%C3%A9"}])
    app.get("/été/ä")(lambda: "in")
    for root_path in ("", "/v1"):
        url = (await ask(app, "/été/ä", root_path=root_path)).challenge.split('resource_metadata="')[1].split('"')[0]
        assert url == f"{HOST}{root_path}{WELL_KNOWN}/%C3%A9t%C3%A9"
    assert (await ask(app, f"{WELL_KNOWN}/été")).status == 200
    with pytest.raises(CrossauthError, match="without parameters"):
        protect(issuer, {}, resources=[{"resource": f"{HOST}/%7Bx%7D/y", "path": "/y"}])


async def test_a_token_for_one_resource_opens_no_other_by_a_route_with_parameters(issuer: FakeIssuer) -> None:
    """A route such as `/{name}/items` serves URLs of several resources: each request needs a token for its own (RFC 8707 §2)."""
    files, mail = f"{HOST}/files", f"{HOST}/mail"
    app = protect(
        issuer, {"/{name}/items": {}}, [files, mail, "else"], resources=[{"resource": files}, {"resource": mail}]
    )
    app.get("/{name}/items")(lambda name: name)

    @app.get("/{name}/mine")
    async def mine(name: str, user: CurrentUser) -> str:
        return user.username

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(str(scope["state"]["user"] is not None))(scope, receive, send)

    app.mount("/mail/raw", plain)
    outer = FastAPI()
    outer.mount("/sub", app)
    tokens = {name: authorization(issuer.issue_token(f"{HOST}/{name}")) for name in ("files", "mail")}
    for serving_app, prefix in ((app, ""), (outer, "/sub")):
        for path in ("items", "mine"):
            for name, other in (("files", "mail"), ("mail", "files")):
                assert (await ask(serving_app, f"{prefix}/{name}/{path}", tokens[name])).status == 200
                refused = await ask(serving_app, f"{prefix}/{name}/{path}", tokens[other])
                assert (refused.status, 'error="invalid_token"' in refused.challenge) == (401, True), (name, path)
            assert (await ask(serving_app, f"{prefix}/none/{path}", tokens["files"])).status == 200
        assert (await ask(serving_app, f"{prefix}/mail/raw/x", tokens["mail"])).body == b"True"
        assert (await ask(serving_app, f"{prefix}/mail/raw/x", tokens["files"])).body == b"False"


async def test_a_token_in_the_url_opens_no_socket(issuer: FakeIssuer) -> None:
    """Where a browser cannot send a header with a WebSocket, the URL is still no place for a token (RFC 9700 §4.3.2)."""
    app = protect(issuer, {"/ws": {}})
    add_routes(app)
    token = issuer.issue_token(AUDIENCE)
    async with serving(app) as client:
        url = str(client.base_url).replace("http", "ws").rstrip("/") + "/ws"
        for query, headers in (
            (f"access_token={token}", {}), (f"token={token}", {}), (f"authorization=Bearer {token}", {}),
            ("", {"Sec-WebSocket-Protocol": f"bearer, {token}"}), ("", {"Cookie": f"access_token={token}"}),
        ):  # fmt: skip
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"{url}?{query}".replace(" ", "%20"), additional_headers=headers):
                    pass
            assert refused.value.response.status_code == 403
        async with connect(url, additional_headers=bearer(token)) as socket:
            assert await socket.recv() == "oauth"


def test_every_mixture_of_cookie_token_and_key_is_the_best_that_is_good_or_nobody_s() -> None:
    """A token goes before a key, a key before a cookie; one that is bad lends nothing and borrows nothing."""
    shop = Shop()
    cookie, key = session_cookie(shop), key_of(shop)
    good = f"Bearer {issue_token(shop.app, shop.bob)}".encode()
    cases: list[tuple[list[bytes], Any]] = [
        ([], "alice"), ([good], "bob"), ([key], "alice"), ([b"Bearer x"], 401), ([b"ApiKey x"], 401),
        ([good, key], 400), ([key, good], 400), ([b"Bearer x", key], 400), ([good, b"ApiKey x"], 400), ([good, good], 400),
        ([key, key], 401), ([key, b"Basic YTpi"], 401), ([good, b"Basic YTpi"], 400), ([b"Basic YTpi"], "alice"),
    ]  # fmt: skip
    for values, expected in cases:
        for with_cookie in (True, False):
            headers = [("authorization", value) for value in values]
            answer = asked(shop, "/current", *headers, *([cookie] if with_cookie else []))
            if not with_cookie and values in ([], [b"Basic YTpi"]):
                assert answer.status == 401
            elif isinstance(expected, int):
                assert answer.status == expected, values
            else:
                assert answer.body == f'"{expected}"'.encode(), values


@pytest.mark.parametrize("other", [{"public": True}, {"scope": ["low"]}])
@pytest.mark.parametrize("paths", [("/a", "/b/deep"), ("/b/deep", "/a")])
@pytest.mark.parametrize("suburls", [True, False])
async def test_an_application_that_is_mounted_twice_is_not_opened_by_the_other_path(
    issuer: FakeIssuer, other: dict[str, Any], paths: tuple[str, str], suburls: bool
) -> None:
    """One route that two paths reach has one guard: entries for both stop the start, for one would count at the other."""
    strict = {"/a": {"scope": ["high"], "suburls": True}}
    entry = {"/b/deep": {**other, "suburls": True}} if suburls else {"/b/deep/x": other}
    app, inner = protect(issuer, {**strict, **entry}), FastAPI(openapi_url=None)

    @inner.get("/x")
    async def x() -> str:
        return "in"

    for path in paths:
        app.mount(path, inner)
    with pytest.raises(CrossauthError, match=r"'protected_endpoints'.*'/a/x' and '/b/deep/x' alike"):
        await started(app)
    assert (await ask(app, "/a/x", authorization(issuer.issue_token(AUDIENCE, scope="low")))).status == 500


async def test_what_is_open_at_one_path_is_not_opened_below_another(issuer: FakeIssuer) -> None:
    """An exception for the one path of an application that is mounted twice, at the longer one, is none for the other."""
    app = protect(
        issuer, {"/api": {"scope": ["high"], "suburls": True}, "/open/deep": {"public": True, "suburls": True}}
    )
    inner = FastAPI(openapi_url=None)

    @inner.get("/x")
    async def x() -> str:
        return "in"

    for path in ("/api/v1", "/open/deep/v1"):
        app.mount(path, inner)
    assert (await ask(app, "/api/v1/x")).status != 200


async def test_an_application_that_is_mounted_twice_is_protected_at_both_paths(issuer: FakeIssuer) -> None:
    """One entry for a route that two paths reach counts at both."""
    app, inner = protect(issuer, {"/a": {"scope": ["high"], "suburls": True}}), FastAPI()

    @inner.get("/x")
    async def x() -> str:
        return "in"

    for path in ("/a", "/b"):
        app.mount(path, inner)
    for path in ("/a/x", "/b/x"):
        assert (await ask(app, path)).status == 401
        assert (await ask(app, path, authorization(issuer.issue_token(AUDIENCE, scope="high")))).status == 200


async def test_an_entry_with_a_method_that_a_socket_never_has_stops_the_start(issuer: FakeIssuer) -> None:
    """A handshake is a GET: `POST /ws` would protect nothing, and say nothing of it."""
    app = protect(issuer, {"POST /ws": {}})
    add_routes(app)
    with pytest.raises(CrossauthError, match="'POST /ws' is the path of no route"):
        await started(app)
    app = protect(issuer, {"GET /ws": {}})
    add_routes(app)
    assert (await ask(app, "/orders")).status == 200


async def test_a_socket_ends_with_the_token_that_opened_it(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A WebSocket that is a protected endpoint is closed when its token is revoked, as one with a dependency is."""
    monkeypatch.setattr(sockets, "RECHECK_SECONDS", 0.0)
    app = FastAPI()
    asks: dict[str, Any] = {
        "introspection": "opaque", "introspection_client_id": "rs", "introspection_cache_seconds": 0,
        "introspection_client_secret": "the secret of the resource server",
    }  # fmt: skip
    FastApiOAuthResourceServer(
        app, [consumer_of(issuer, **asks)], {"protected_endpoints": {"/echo": {"scope": ["read"]}}}
    )

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    issuer.tokens["opaque"] = {"aud": AUDIENCE, "sub": "7", "scope": "read"}
    async with serving(app) as client:
        url = str(client.base_url).replace("http", "ws").rstrip("/") + "/echo"
        async with connect(url, additional_headers=bearer("opaque")) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
            issuer.tokens.clear()
            await socket.send("hello")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
