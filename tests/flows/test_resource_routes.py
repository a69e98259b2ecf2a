"""Which routes an entry of `protected_endpoints` means: decided by the routes, not by the text of a URL."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.resource import AUDIENCE, bearer, consumer_of, serving


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


def page(name: str) -> Callable[[], Any]:
    async def show() -> str:
        return name

    return show


def protect(app: FastAPI, issuer: FakeIssuer, protected: dict[str, Any], **options: Any) -> None:
    FastApiOAuthResourceServer(app, [consumer_of(issuer)], {"protected_endpoints": protected, **options})


def an_app(issuer: FakeIssuer, protected: dict[str, Any], *paths: str, **settings: Any) -> FastAPI:
    app = FastAPI(**settings)
    protect(app, issuer, protected)
    for path in paths:
        app.add_api_route(path, page(path), methods=["GET", "POST"])
    return app


async def statuses(client: httpx2.AsyncClient, *paths: str, method: str = "GET") -> list[int]:
    return [(await client.request(method, path)).status_code for path in paths]


async def started(app: FastAPI) -> None:
    async with app.router.lifespan_context(app):
        pass


async def test_an_entry_means_its_own_path_alone(issuer: FakeIssuer) -> None:
    app = an_app(issuer, {"/a": {}}, "/a", "/ab", "/a/b", "/b/a")
    async with serving(app) as client:
        assert await statuses(client, "/a", "/ab", "/a/b", "/b/a") == [401, 200, 200, 200]
        assert await statuses(client, "/a", method="HEAD") == [401]
        assert await statuses(client, "/a", method="PUT") == [401]


async def test_suburls_mean_what_is_below_and_no_neighbour(issuer: FakeIssuer) -> None:
    app = an_app(issuer, {"/a": {"suburls": True}}, "/a", "/ab", "/a/b", "/a/{x}/c", "/")
    async with serving(app) as client:
        assert await statuses(client, "/a", "/a/b", "/a/1/c", "/ab", "/") == [401, 401, 401, 200, 200]
        assert await statuses(client, "/%61/b", "/a/%62", "/a/b?x=/ab") == [401, 401, 401]
        assert 200 not in await statuses(client, "//a/b", "/./a/b", "/x/../a/b", "/a//b", "/A/b")


@pytest.mark.parametrize("entry", ["/a", "/a/"])
@pytest.mark.parametrize("declared", ["/a", "/a/"])
async def test_a_slash_at_the_end_makes_no_other_path(issuer: FakeIssuer, entry: str, declared: str) -> None:
    app = an_app(issuer, {entry: {}}, declared)
    async with serving(app) as client:
        assert await statuses(client, declared) == [401]
        client.follow_redirects = True
        assert await statuses(client, "/a", "/a/") == [401, 401]


async def test_exact_goes_before_suburls_and_the_longest_before_others(issuer: FakeIssuer) -> None:
    protected = {
        "/a": {"suburls": True, "scope": ["s1"]},
        "/a/b": {"suburls": True, "scope": ["s2"]},
        "/a/b/c": {"scope": ["s3"]},
        "POST /a/b/c": {"scope": ["s4"]},
        "/a/open": {"public": True},
    }
    app = an_app(issuer, protected, "/a", "/a/x", "/a/b", "/a/b/x", "/a/b/c", "/a/open")
    async with serving(app) as client:

        async def scope(path: str, method: str = "GET") -> str:
            return (await client.request(method, path)).headers["www-authenticate"]

        assert [await scope(path) for path in ("/a", "/a/x")] == ['Bearer scope="s1"'] * 2
        assert [await scope(path) for path in ("/a/b", "/a/b/x")] == ['Bearer scope="s2"'] * 2
        assert await scope("/a/b/c") == 'Bearer scope="s3"'
        assert await scope("/a/b/c", "POST") == 'Bearer scope="s4"'
        assert await statuses(client, "/a/open") == [200]


async def test_an_entry_with_a_method_means_that_method(issuer: FakeIssuer) -> None:
    app = an_app(issuer, {"POST /a": {"scope": ["write"]}, "GET /b": {}}, "/a", "/b")
    async with serving(app) as client:
        assert await statuses(client, "/a", "/b") == [200, 401]
        assert await statuses(client, "/a", "/b", method="POST") == [401, 200]
        assert await statuses(client, "/b", method="HEAD") == [401]
        token = bearer(issuer.issue_token(AUDIENCE, scope="read"))
        assert (await client.post("/a", headers=token)).status_code == 403


async def test_a_parameter_is_the_whole_route(issuer: FakeIssuer) -> None:
    app = an_app(issuer, {"/orders/{x}": {}, "/users/secret": {}}, "/orders/{id}", "/users/{name}")
    async with serving(app) as client:
        # How a handler reads `SECRET` or `secret%20` is not to be guessed.
        assert set(await statuses(client, "/orders/1", "/users/secret", "/users/SECRET", "/users/any")) == {401}


async def test_an_application_behind_a_prefix(issuer: FakeIssuer) -> None:
    protected, paths = {"/a": {"suburls": True}}, ("/a", "/a/b", "/c")
    async with serving(an_app(issuer, protected, *paths), root_path="/api") as client:
        assert await statuses(client, "/a", "/a/b", "/c") == [401, 401, 200]
    app = an_app(issuer, protected, *paths)
    app.root_path = "/api"
    async with serving(app) as client:
        assert await statuses(client, "/a", "/a/b", "/c") == [401, 401, 200]
        assert await statuses(client, "/api/a", "/api/a/b", "/api/c") == [401, 401, 200]


async def test_a_mounted_application_without_users_of_its_own(issuer: FakeIssuer) -> None:
    inner, plain = FastAPI(), Starlette(routes=[Route("/x", lambda _: PlainTextResponse("x"))])
    inner.get("/x")(page("x"))
    inner.get("/y")(page("y"))
    app = an_app(issuer, {"/inner/x": {}, "/plain": {"suburls": True}})
    app.mount("/inner", inner)
    app.mount("/plain", plain)
    async with serving(app) as client:
        assert await statuses(client, "/inner/x", "/inner/y", "/plain/x") == [401, 200, 401]
        token = bearer(issuer.issue_token(AUDIENCE))
        assert (await client.get("/plain/x", headers=token)).text == "x"


async def test_what_is_mounted_and_cannot_be_seen_is_protected_as_a_whole(issuer: FakeIssuer, tmp_path: Any) -> None:
    (tmp_path / "f").write_text("f")
    app = an_app(issuer, {"/files": {"suburls": True}})
    app.mount("/files", StaticFiles(directory=tmp_path))
    async with serving(app) as client:
        assert await statuses(client, "/files/f", "/files/x/../f", "/files/%66") == [401, 401, 401]
        assert (await client.get("/files/f", headers=bearer(issuer.issue_token(AUDIENCE)))).text == "f"


async def test_an_application_below_another(issuer: FakeIssuer) -> None:
    inner = an_app(issuer, {"/a": {}}, "/a", "/b")
    outer = FastAPI(lifespan=lambda _: inner.router.lifespan_context(inner))
    outer.mount("/sub", inner)
    async with serving(outer) as client:
        assert await statuses(client, "/sub/a", "/sub/b") == [401, 200]
        assert (await client.get("/sub/a", headers=bearer(issuer.issue_token(AUDIENCE)))).is_success


async def test_routes_of_included_routers(issuer: FakeIssuer) -> None:
    app, router = FastAPI(), APIRouter()
    protect(app, issuer, {"/v1": {"suburls": True}, "/v2/x": {"scope": ["two"]}})
    router.get("/x")(page("x"))
    router.get("/y")(page("y"))
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    async with serving(app) as client:
        assert await statuses(client, "/v1/x", "/v1/y", "/v2/x", "/v2/y") == [401, 401, 401, 200]
        assert (await client.get("/v2/x")).headers["www-authenticate"] == 'Bearer scope="two"'
        assert (await client.get("/v1/x")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("protected", [{"/nowhere": {}}, {"POST /docs": {}}, {"/none": {"suburls": True}}])
async def test_an_entry_that_means_no_route_stops_the_start(issuer: FakeIssuer, protected: dict[str, Any]) -> None:
    with pytest.raises(CrossauthError, match="path of no route") as refused:
        await started(an_app(issuer, protected, "/a"))
    assert refused.value.code is ErrorCode.Configuration


async def test_suburls_alone_need_no_route_of_the_path_itself(issuer: FakeIssuer) -> None:
    async with serving(an_app(issuer, {"/api": {"suburls": True}}, "/api/x", "/x")) as client:
        assert await statuses(client, "/api/x", "/x") == [401, 200]


async def test_a_route_that_serves_more_than_is_protected_must_be_named(issuer: FakeIssuer, tmp_path: Any) -> None:
    (tmp_path / "index.html").write_text("home")

    def made(protected: dict[str, Any], fallback: bool) -> FastAPI:
        app = an_app(issuer, {"/api": {"suburls": True}, **protected}, "/api/x")
        if fallback:
            app.get("/{path:path}")(page("fallback"))
        else:
            app.mount("/", StaticFiles(directory=tmp_path, html=True))
        return app

    for fallback, response in ((True, "/{path:path}"), (False, "/")):
        with pytest.raises(CrossauthError, match="serves other URLs besides"):
            await started(made({}, fallback))
        async with serving(made({response: {"public": True}}, fallback)) as client:
            assert await statuses(client, "/api/x", "/") == [401, 200]
        async with serving(made({response: {}}, fallback)) as client:
            assert await statuses(client, "/api/x", "/", "/api/unknown") == [401, 401, 401]


async def test_an_application_with_users_of_its_own_protects_itself(issuer: FakeIssuer) -> None:
    async with FakeIssuer() as other:
        inner = FastAPI()
        FastApiOAuthResourceServer(inner, [consumer_of(other)], {"protected_endpoints": {"/x": {}}})
        inner.get("/x")(page("x"))

        def made(protected: dict[str, Any]) -> FastAPI:
            app = an_app(issuer, protected, "/a/b", lifespan=lambda _: inner.router.lifespan_context(inner))
            app.mount("/a/inner", inner)
            return app

        for protected in ({"/a": {"suburls": True}}, {"/a/inner/x": {}}):
            with pytest.raises(CrossauthError, match="has users of its own; protect it there"):
                await started(made(protected))
        async with serving(made({"/a": {"suburls": True}, "/a/inner": {"public": True}})) as client:
            ours, theirs = (bearer(i.issue_token(AUDIENCE)) for i in (issuer, other))
            seen = [(await client.get("/a/inner/x", headers=h)).status_code for h in ({}, ours, theirs)]
            assert seen == [401, 401, 200]
            assert await statuses(client, "/a/b") == [401]


@pytest.mark.parametrize(
    ("protected", "text"),
    [
        ({"a": {}}, "must begin with a slash"),
        ({"GET a": {}}, "must begin with a slash"),
        ({"": {}}, "must be a path such as"),
        ({"/a?x=1": {}}, "must be a path such as"),
        ({"/a": {"scope": ["a b"]}}, "without blanks"),
        ({"/a": {"scope": ['a"']}}, "without blanks"),
        ({"/a": {"scope": [5]}}, "without blanks"),
        ({"/a": {"scope": "read"}}, "'scope' must be a list"),
        ({"/a": {"suburl": True}}, "'suburl' is unknown"),
        ({"/a": {"suburls": "yes"}}, "'suburls' must be a bool"),
        ({"/a": {"public": True, "scope": ["a"]}}, "have no effect"),
        ({"/a": ["read"]}, "must map to"),
        ({"/a": {"accept_session_authorization": True}}, "needs option 'session_adapter'"),
        ({"/a": {"scope": ["offline_access"]}}, "is a scope of clients"),
    ],
)
async def test_an_entry_that_cannot_be_meant_stops_the_start(
    issuer: FakeIssuer, protected: dict[str, Any], text: str
) -> None:
    with pytest.raises(CrossauthError, match=text) as refused:
        an_app(issuer, protected, "/a")
    assert refused.value.code is ErrorCode.Configuration


async def test_two_entries_for_the_same_stop_the_start(issuer: FakeIssuer) -> None:
    with pytest.raises(CrossauthError, match="mean the same route"):
        await started(an_app(issuer, {"/a": {"scope": ["x"]}, "/a/": {"scope": ["y"]}}, "/a"))
    with pytest.raises(CrossauthError, match="mean the same route"):
        await started(an_app(issuer, {"GET /a": {}, "POST /a": {}, "get /a/": {"scope": ["y"]}}, "/a"))
    await started(an_app(issuer, {"GET /a": {}, "POST /a": {}}, "/a"))


async def test_all_of_an_application(issuer: FakeIssuer) -> None:
    resource = {"resource": "https://api.example.com"}
    app = FastAPI()
    protect(app, issuer, {"/": {"suburls": True}, "/health": {"public": True}}, resources=[resource])
    for path in ("/a", "/health"):
        app.get(path)(page(path))
    async with serving(app) as client:
        assert await statuses(client, "/a", "/docs", "/openapi.json", "/health") == [401, 401, 401, 200]
        # Where to get a token is what one needs to know without having one.
        assert await statuses(client, "/.well-known/oauth-protected-resource") == [200]


async def test_a_response_without_a_body_of_ours_is_streamed_as_it_is(issuer: FakeIssuer) -> None:
    app = an_app(issuer, {"/a": {}})

    @app.get("/a")
    async def answer() -> Response:
        return Response(b"\x00", headers={"WWW-Authenticate": "Basic"}, status_code=401)

    async with serving(app) as client:
        got = await client.get("/a", headers=bearer(issuer.issue_token(AUDIENCE)))
        assert (got.content, got.headers["www-authenticate"]) == (b"\x00", "Basic")


async def test_a_host_and_a_mount_of_routes(issuer: FakeIssuer) -> None:
    app = an_app(issuer, {"/m": {"suburls": True}})
    app.router.routes.append(Mount("/m", routes=[Route("/x", lambda _: PlainTextResponse("x"))]))
    async with serving(app) as client:
        assert await statuses(client, "/m/x") == [401]
