"""What OpenAPI says of protected endpoints."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from crossauth_backend import OAuthTokenConsumer
from crossauth_fastapi import CurrentUser, FastApiOAuthResourceServer, require
from tests.flows.test_resource_sessions import a_server
from tests.shop import API, ISSUER

PROTECTED: dict[str, Any] = {
    "GET /a": {"scope": ["read"]}, "POST /a": {"scope": ["write", "read"]}, "/v1": {"suburls": True, "scope": ["one"]},
    "/v1/open": {"public": True}, "/inner/x": {"scope": ["in"]}, "/both": {"scope": ["list"]},
}  # fmt: skip


def an_app() -> FastAPI:
    app, router, inner = FastAPI(), APIRouter(), FastAPI()
    consumer = OAuthTokenConsumer(API, {"auth_server_base_url": ISSUER})
    FastApiOAuthResourceServer(app, [consumer], {"protected_endpoints": PROTECTED})
    for path in ("/x", "/open"):
        router.add_api_route(path, lambda: "x", methods=["GET"])
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    inner.add_api_route("/x", lambda: "x")
    app.mount("/inner", inner)
    for method in ("get", "post", "put"):
        getattr(app, method)("/a")(lambda: "x")

    @app.get("/both")
    async def both(user: Annotated[Any, Depends(require(scope="read"))]) -> None: ...

    @app.get("/late/{id}")
    async def late(user: CurrentUser) -> None: ...

    return app


def security(schema: dict[str, Any], path: str, method: str = "get") -> Any:
    return schema["paths"][path][method].get("security")


def test_a_protected_endpoint_says_what_it_needs_and_how_it_refuses() -> None:
    schema = an_app().openapi()
    assert security(schema, "/a") == [{"Bearer": ["read"]}]
    assert security(schema, "/a", "post") == [{"Bearer": ["write", "read"]}]
    assert security(schema, "/a", "put") is None
    assert security(schema, "/v1/x") == [{"Bearer": ["one"]}]
    assert [security(schema, path) for path in ("/v1/open", "/v2/x")] == [None, None]
    # Both have to be content.
    assert security(schema, "/both") == [{"Bearer": ["read", "list"]}]
    responses = schema["paths"]["/a"]["get"]["responses"]
    assert set(responses) == {"200", "400", "401", "403", "503"}
    assert "WWW-Authenticate" in responses["401"]["headers"]
    # The body is the application's to choose.
    assert responses["401"]["content"]["application/json"]["schema"] == {"type": "object"}


async def test_a_mounted_application_says_the_same_once_it_is_served() -> None:
    app = an_app()
    async with app.router.lifespan_context(app):
        [inner] = [route.app for route in app.routes if getattr(route, "path", "") == "/inner"]
        assert security(inner.openapi(), "/x") == [{"Bearer": ["in"]}]
        assert security(app.openapi(), "/a") == [{"Bearer": ["read"]}]


def test_a_list_that_names_no_route_leaves_the_schema_alone() -> None:
    """The start says what is wrong."""
    app = FastAPI()
    consumer = OAuthTokenConsumer(API, {"auth_server_base_url": ISSUER})
    FastApiOAuthResourceServer(app, [consumer], {"protected_endpoints": {"/a": {}}})
    assert app.openapi()["paths"] == {}
    app.get("/a")(lambda: "x")
    assert security(app.openapi(), "/a") == [{"Bearer": []}]


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
def test_sessions_are_named_where_they_are_accepted() -> None:
    class Issuer:
        url = ISSUER

    issuer: Any = Issuer()
    accepts = a_server(issuer, {"/orders": {"accept_session_authorization": True, "scope": ["s"]}}).app.openapi()
    assert security(accepts, "/orders") == [{"Session": []}, {"Bearer": ["s"]}]
    assert security(accepts, "/orders", "post") == [{"Session": [], "CSRF": []}, {"Bearer": ["s"]}]
    not_accepted = a_server(issuer, {"/orders": {}}).app.openapi()
    assert security(not_accepted, "/orders", "post") == [{"Bearer": []}]
    in_session = a_server(issuer, {"/orders": {}}, token_locations=["session"]).app.openapi()
    assert security(in_session, "/orders", "post") == [{"Session": [], "CSRF": []}]
