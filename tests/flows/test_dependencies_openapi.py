"""What OpenAPI says of routes that dependencies guard."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import HTTPBasic
from pydantic import BaseModel

from crossauth_backend import OAuthTokenConsumer
from crossauth_fastapi import CurrentUser, FastApiOAuthResourceServer, OptionalUser, require
from crossauth_fastapi._middleware.described import describe
from crossauth_fastapi._middleware.order import Servers
from tests.shop import API, ISSUER, Shop
from tests.support import make_server

ALL = [{"Session": []}, {"ApiKey": []}, {"Bearer": []}]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    schema: dict[str, Any] = Shop().app.openapi()
    return schema


def test_a_route_says_what_lets_a_request_in(schema: dict[str, Any]) -> None:
    paths = schema["paths"]
    assert paths["/user"]["get"]["security"] == ALL
    assert paths["/user"]["post"]["security"] == [{"Session": [], "CSRF": []}, {"ApiKey": []}, {"Bearer": []}]
    assert paths["/scope"]["get"]["security"] == [{"Session": []}, {"ApiKey": ["orders"]}, {"Bearer": ["orders"]}]
    assert paths["/session"]["post"]["security"] == [{"Session": [], "CSRF": []}]
    assert paths["/program"]["post"]["security"] == [{"ApiKey": ["orders"]}, {"Bearer": ["orders"]}]
    assert paths["/administrator"]["get"]["security"] == paths["/current"]["get"]["security"] == ALL
    assert paths["/optional"]["get"]["security"] == [*ALL, {}]
    schemes = schema["components"]["securitySchemes"]
    kinds = {name: (scheme["type"], scheme.get("in"), scheme.get("name")) for name, scheme in schemes.items()}
    assert kinds == {
        "Session": ("apiKey", "cookie", "SESSIONID"), "CSRF": ("apiKey", "header", "X-CROSSAUTH-CSRF"),
        "ApiKey": ("apiKey", "header", "Authorization"), "Bearer": ("http", None, None),
    }  # fmt: skip


def test_scopes_that_security_repeats_are_said_once() -> None:
    shop = Shop()
    shop.app.get("/a", dependencies=[Security(require(scope="read"), scopes=["read"])])(lambda: None)
    assert shop.app.openapi()["paths"]["/a"]["get"]["security"] == [
        {"Session": []},
        {"ApiKey": ["read"]},
        {"Bearer": ["read"]},
    ]


def test_a_route_that_needs_a_login_names_no_api_key(schema: dict[str, Any]) -> None:
    for path in ("/fresh", "/second"):
        assert schema["paths"][path]["get"]["security"] == [{"Session": []}, {"Bearer": []}]
        assert "429" not in schema["paths"][path]["get"]["responses"]


def test_the_session_cookie_has_the_name_that_the_application_gives_it() -> None:
    server = make_server(session_cookie_options={"cookie_name": "sid"})
    schemes = server.app.openapi()["components"]["securitySchemes"]
    assert schemes["Session"]["name"] == "sid"
    assert "__Host-" not in schemes["Session"]["description"]
    assert "__Host-" in make_server().app.openapi()["components"]["securitySchemes"]["Session"]["description"]


def test_a_route_says_how_it_refuses(schema: dict[str, Any]) -> None:
    responses = schema["paths"]["/scope"]["get"]["responses"]
    assert set(responses) == {"200", "400", "401", "403", "429", "503"}
    for status in ("401", "403", "503"):
        assert responses[status]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
    assert "WWW-Authenticate" in responses["401"]["headers"]
    assert "headers" not in schema["paths"]["/session"]["get"]["responses"]["401"]
    assert "401" not in schema["paths"]["/optional"]["get"]["responses"]
    assert "errorCodeName" in schema["components"]["schemas"]["ErrorBody"]["properties"]


def test_only_the_servers_that_an_application_has_are_named() -> None:
    app = FastAPI()
    FastApiOAuthResourceServer(app, [OAuthTokenConsumer(API, {"auth_server_base_url": ISSUER})])

    @app.post("/a")
    async def a(user: CurrentUser) -> None: ...

    schema = app.openapi()
    assert schema["paths"]["/a"]["post"]["security"] == [{"Bearer": []}]
    assert set(schema["components"]["securitySchemes"]) == {"Bearer"}
    assert app.openapi() is schema
    plain = make_server().app.openapi()
    assert plain["paths"]["/me"]["get"]["security"] == [{"Session": []}]
    assert set(plain["components"]["securitySchemes"]) == {"Session", "CSRF"}


def test_what_the_application_says_itself_stays() -> None:
    class ErrorBody(BaseModel):
        """Another one of this name."""

        text: str

    shop = Shop()
    router = APIRouter(dependencies=[Depends(require(scope="read"))])

    @router.get("/a", responses={401: {"model": ErrorBody, "description": "mine"}})
    async def a(user: Annotated[Any, Depends(require(scope="write", credentials=["bearer", "session"]))]) -> None: ...

    @router.get("/b")
    async def b(user: OptionalUser, basic: Annotated[Any, Depends(HTTPBasic())]) -> None: ...

    @router.get("/hidden", include_in_schema=False)
    async def hidden() -> None: ...

    shop.app.include_router(router, prefix="/sub")

    @shop.app.get("/free")
    async def free() -> None: ...

    schema = shop.app.openapi()
    first, second = schema["paths"]["/sub/a"]["get"], schema["paths"]["/sub/b"]["get"]
    # Of several dependencies on a route all have to be content.
    assert first["security"] == [{"Session": []}, {"Bearer": ["read", "write"]}]
    assert first["responses"]["401"]["description"] == "mine"
    assert second["security"] == [{"Session": []}, {"ApiKey": ["read"]}, {"Bearer": ["read"]}, {"HTTPBasic": []}]
    assert "security" not in schema["paths"]["/free"]["get"]
    assert "/sub/hidden" not in schema["paths"]
    refusals = {str(call["responses"]["403"]["content"]) for call in (first, second)}
    assert all("errorCodeName" in text or "$ref" in text for text in refusals)


def test_routes_that_come_later_are_in_it_too() -> None:
    shop = Shop()
    assert "/late" not in shop.app.openapi()["paths"]

    @shop.app.get("/late")
    async def late(user: CurrentUser) -> None: ...

    assert shop.app.openapi()["paths"]["/late"]["get"]["security"] == ALL


def test_a_schema_of_the_application_s_own_is_completed_where_it_calls_ours() -> None:
    shop = Shop()
    ours = shop.app.openapi
    shop.app.openapi = lambda: {**ours(), "info": {"title": "mine"}}  # type: ignore[method-assign]
    schema = shop.app.openapi()
    assert schema["info"] == {"title": "mine"}
    assert schema["paths"]["/user"]["get"]["security"] == ALL


def test_an_application_without_any_of_our_routes_has_its_schema_as_it_was() -> None:
    app, other = FastAPI(), FastAPI()
    describe(app, Servers())
    assert app.openapi() == other.openapi()


def test_where_clients_get_tokens_is_shown_as_soon_as_it_is_known() -> None:
    app = FastAPI()
    consumer = OAuthTokenConsumer(API, {"auth_server_base_url": ISSUER})
    FastApiOAuthResourceServer(app, [consumer])

    @app.get("/a")
    async def a(user: Annotated[Any, Depends(require(scope="read write"))]) -> None: ...

    assert app.openapi()["components"]["securitySchemes"]["Bearer"]["type"] == "http"
    urls = {"authorization_endpoint": f"{ISSUER}/authorize", "token_endpoint": f"{ISSUER}/token"}
    consumer.oidc_config = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", **urls}
    for _ in range(2):
        schema = app.openapi()
        scheme = schema["components"]["securitySchemes"]["Bearer"]
        assert scheme["type"] == "oauth2"
        assert scheme["flows"] == {
            "authorizationCode": {
                "authorizationUrl": f"{ISSUER}/authorize", "tokenUrl": f"{ISSUER}/token", "scopes": {"read": "", "write": ""},
            }
        }  # fmt: skip
        assert schema["paths"]["/a"]["get"]["security"] == [{"Bearer": ["read", "write"]}]
