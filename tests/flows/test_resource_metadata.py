"""Protected resource metadata (RFC 9728), challenges that point to it, and tokens for one resource of several."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from crossauth_backend import CrossauthError
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.resource import AUDIENCE, add_routes, bearer, consumer_of, serving

HOST = "https://api.example.com"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
FILES, MAIL = f"{HOST}/files", f"{HOST}/mail"


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


def metadata_of(answer: httpx2.Response) -> str:
    """The URL that a challenge points to."""
    return answer.headers["www-authenticate"].split('resource_metadata="')[1].split('"')[0]


def an_app(issuer: FakeIssuer, resources: list[Any], audience: Any = AUDIENCE, **protected: Any) -> FastAPI:
    app = FastAPI()
    options: Any = {"protected_endpoints": protected.pop("protected", {}), "resources": resources}
    FastApiOAuthResourceServer(app, [consumer_of(issuer, audience)], options)
    add_routes(app)
    return app


async def test_the_metadata_says_where_tokens_come_from_and_anybody_may_read_it(issuer: FakeIssuer) -> None:
    protected = {"/orders": {"scope": ["read", "write"]}, "/me": {"scope": ["profile", "read"]}}
    resource = {"resource": HOST, "resource_name": "Orders", "resource_documentation": f"{HOST}/docs"}
    async with serving(an_app(issuer, [resource], protected=protected)) as client:
        answer = await client.get(WELL_KNOWN, headers={"Origin": "https://app.example.com"})
        assert answer.json() == {
            "resource": HOST,
            "authorization_servers": [issuer.url],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["read", "write", "profile"],
            "resource_name": "Orders",
            "resource_documentation": f"{HOST}/docs",
        }
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"] == "application/json"
        assert (await client.head(WELL_KNOWN)).is_success
        assert (await client.get(f"{WELL_KNOWN}/other")).status_code == 404
        for headers in ({}, bearer("bad"), bearer(issuer.issue_token(AUDIENCE))):
            assert metadata_of(await client.get("/orders", headers=headers)) == HOST + WELL_KNOWN
        for headers in ({}, bearer("bad")):
            assert metadata_of(await client.get("/me", headers=headers)) == HOST + WELL_KNOWN


async def test_the_resource_is_the_audience_to_the_last_character(issuer: FakeIssuer) -> None:
    async with serving(an_app(issuer, [{"resource": HOST}], audience=HOST, protected={"/orders": {}})) as client:
        named = (await client.get(WELL_KNOWN)).json()["resource"]
        assert not named.endswith("/")
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(named)))).is_success
        for other in (f"{named}/", named.upper(), f"{named}/orders", f"{named}#"):
            assert (await client.get("/orders", headers=bearer(issuer.issue_token(other)))).status_code == 401


async def test_each_mounted_path_has_its_own_metadata_scopes_and_audience(issuer: FakeIssuer) -> None:
    protected = {"/files": {"suburls": True, "scope": ["files"]}, "/mail": {"suburls": True, "scope": ["mail"]}}
    app = an_app(issuer, [{"resource": FILES}, {"resource": MAIL}], [FILES, MAIL], protected=protected)
    for path in ("/files", "/mail"):
        inner = FastAPI()
        add_routes(inner)
        app.mount(path, inner)
    async with serving(app) as client:
        for path, resource in (("/files", FILES), ("/mail", MAIL)):
            refused = await client.get(f"{path}/orders")
            assert metadata_of(refused) == f"{HOST}{WELL_KNOWN}{path}"
            document = (await client.get(f"{WELL_KNOWN}{path}")).json()
            assert (document["resource"], document["scopes_supported"]) == (resource, [path[1:]])
        assert (await client.get(WELL_KNOWN)).status_code == 404
        files = bearer(issuer.issue_token(FILES, scope="files mail"))
        both = bearer(issuer.issue_token([FILES, MAIL], scope="files mail"))
        for path, token, status in (
            ("/files", files, 200),
            ("/mail", files, 401),
            ("/files", both, 200),
            ("/mail", both, 200),
        ):
            assert (await client.get(f"{path}/orders", headers=token)).status_code == status


async def test_two_mounted_applications_with_servers_of_their_own(issuer: FakeIssuer) -> None:
    inner = {
        path: an_app(issuer, [{"resource": HOST + path, "path": ""}], HOST + path, protected={"/orders": {}})
        for path in ("/files", "/mail")
    }

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in inner.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    outer = FastAPI(lifespan=lifespan)
    for path, app in inner.items():
        outer.mount(path, app)
    async with serving(outer) as client:
        for path in inner:
            # Below the mount, where the application itself can serve it.
            url = metadata_of(await client.get(f"{path}/orders"))
            assert (await client.get(f"{path}/me")).headers["www-authenticate"] == 'Bearer realm="api"'
            assert url == f"{HOST}{path}{WELL_KNOWN}"
            assert (await client.get(url.removeprefix(HOST))).json()["resource"] == HOST + path


async def test_metadata_of_a_mounted_application_at_the_root_of_the_outer_one(issuer: FakeIssuer) -> None:
    inner = FastAPI()
    server = FastApiOAuthResourceServer(
        inner,
        [consumer_of(issuer, FILES)],
        {"protected_endpoints": {"/orders": {}}, "resources": [{"resource": FILES, "path": ""}]},
    )
    add_routes(inner)
    outer = FastAPI(lifespan=lambda _: inner.router.lifespan_context(inner))
    outer.mount("/files", inner)
    server.serve_metadata_on(outer)
    async with serving(outer) as client:
        url = metadata_of(await client.get("/files/orders"))
        assert url == f"{HOST}{WELL_KNOWN}/files"
        assert (await client.get(url.removeprefix(HOST))).json()["resource"] == FILES


async def test_behind_a_proxy_that_takes_a_prefix_away(issuer: FakeIssuer) -> None:
    resource = {"resource": f"{HOST}/v1/files", "path": "/files"}
    app = an_app(issuer, [resource], protected={"/files/x": {}})
    app.get("/files/x")(lambda: "x")
    app.root_path = "/v1"
    async with serving(app) as client:
        url = metadata_of(await client.get("/files/x"))
        assert url == f"{HOST}/v1{WELL_KNOWN}/files"
        assert (await client.get(url.removeprefix(f"{HOST}/v1"))).json()["resource"] == f"{HOST}/v1/files"


async def test_an_audience_that_is_no_url(issuer: FakeIssuer) -> None:
    resources = [{"resource": FILES, "audience": "files"}, {"resource": MAIL, "audience": ["mail", "post"]}]
    protected = {"/files": {"suburls": True}, "/mail": {"suburls": True}}
    app = an_app(issuer, resources, ["files", "mail", "post"], protected=protected)
    app.get("/files/x")(lambda: "x")
    app.get("/mail/x")(lambda: "x")
    async with serving(app) as client:
        for audience, expected in (("files", [200, 401]), ("mail", [401, 200]), ("post", [401, 200])):
            token = bearer(issuer.issue_token(audience))
            assert [(await client.get(p, headers=token)).status_code for p in ("/files/x", "/mail/x")] == expected


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ([{"resource": f"{HOST}/"}], "must not end with a slash"),
        ([{"resource": "http://api.example.com"}], "must be an https URL"),
        ([{"resource": f"{HOST}#x"}], "must be an https URL"),
        ([{"resource": f"{HOST}?x=1"}], "must have no query"),
        ([{"resource": "api"}], "must be an https URL"),
        ([{"resource": HOST, "scopes_supported": ["read", "offline_access"]}], "is a scope of clients"),
        ([{"resource": HOST, "scopes_supported": "read write"}], "without blanks"),
        ([{"resource": HOST, "scope": ["read"]}], "'scope' is unknown"),
        ([{"resource": HOST, "path": "files"}], "'path' must be a path"),
        ([{"resource": HOST, "resource_name": 5}], "must be texts"),
        ([{"resource": HOST}, {"resource": HOST, "path": "/x"}], "two have the same 'resource'"),
        ([{"resource": FILES, "path": "/x"}, {"resource": MAIL, "path": "/x"}], "two have the same 'path'"),
        ([{"resource": FILES}, {"resource": MAIL}], "no token has the audience"),
        ([{"resource": HOST, "audience": "other"}], "no token has the audience"),
        ([{}], "must be a list such as"),
        (["x"], "must be a list such as"),
    ],
)
async def test_a_resource_that_cannot_be_meant_stops_the_start(
    issuer: FakeIssuer, resources: list[Any], text: str
) -> None:
    with pytest.raises(CrossauthError, match=text):
        an_app(issuer, resources)


async def test_a_resource_of_this_machine_may_be_plain_http(issuer: FakeIssuer) -> None:
    app = an_app(issuer, [{"resource": "http://127.0.0.1:8000/files"}])
    async with serving(app) as client:
        assert (await client.get(f"{WELL_KNOWN}/files")).is_success
