"""What the routes say of themselves, and whether they hold it against anything that can be sent."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from crossauth_backend import InMemoryKeyStorage
from crossauth_backend.limits.rules import DEFAULT_LIMITS
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from tests.fastapi_users.app import SECRET, Site, UserRead
from tests.fastapi_users.conftest import Api, open_site
from tests.fastapi_users.test_oauth import Plain

UNLIMITED = dict.fromkeys(DEFAULT_LIMITS)


def refreshable() -> Any:
    return AuthenticationBackend(
        "long", BearerTransport("auth/long/login"), lambda: JWTStrategy(SECRET, 60), refresh_lifetime_seconds=60
    )


def add_oauth(site: Site) -> None:
    users: Any = site.users
    site.app.include_router(users.get_oauth_router(Plain(), site.jwt, SECRET), prefix="/oauth")
    site.app.include_router(users.get_oauth_associate_router(Plain(), UserRead, SECRET), prefix="/link")


def describe() -> Any:
    site = Site("sqlite://", more_backends=[refreshable()], key_storage=InMemoryKeyStorage())
    add_oauth(site)
    return site.app.openapi()


# Read here, because what reads it is imported when it is first used: not while a server's thread imports something too.
SCHEMA = schemathesis.openapi.from_dict(describe())


@pytest.fixture(scope="module")
def description() -> Any:
    return describe()


NAMES = [
    "/auth/jwt/login", "/auth/jwt/logout", "/auth/cookie/login", "/auth/cookie/logout", "/auth/long/login",
    "/auth/long/refresh", "/auth/long/logout", "/auth/register", "/auth/forgot-password", "/auth/reset-password",
    "/auth/request-verify-token", "/auth/verify", "/auth/sessions", "/auth/sessions/{handle}", "/users/me", "/users/{id}",
]  # fmt: skip


def test_every_route_is_described_in_order(description: Any) -> None:
    paths = [path for path in description["paths"] if not path.startswith(("/hello", "/maybe", "/oauth", "/link"))]
    assert paths == NAMES


CODES = {
    ("/auth/jwt/login", "post", 400): ["LOGIN_BAD_CREDENTIALS", "LOGIN_USER_NOT_VERIFIED"],
    ("/auth/register", "post", 400): ["REGISTER_USER_ALREADY_EXISTS", "REGISTER_INVALID_PASSWORD"],
    ("/auth/reset-password", "post", 400): ["RESET_PASSWORD_BAD_TOKEN", "RESET_PASSWORD_INVALID_PASSWORD"],
    ("/auth/verify", "post", 400): ["VERIFY_USER_BAD_TOKEN", "VERIFY_USER_ALREADY_VERIFIED"],
    ("/users/me", "patch", 400): [
        "UPDATE_USER_EMAIL_ALREADY_EXISTS", "UPDATE_USER_INVALID_PASSWORD"],
    ("/users/me", "patch", 409): ["UPDATE_USER_CONFLICT", "CONSTRAINT_VIOLATED"],
    ("/users/me", "patch", 429): ["TOO_MANY_ATTEMPTS"],
    ("/auth/long/refresh", "post", 400): ["REFRESH_BAD_TOKEN"],
    ("/auth/sessions/{handle}", "delete", 404): ["SESSION_NOT_FOUND"],
    ("/oauth/authorize", "get", 400): ["OAUTH_REDIRECT_URL_NEEDED", "OAUTH_PROVIDER_ERROR"],
    ("/link/linked/{account_id}", "delete", 404): ["OAUTH_ACCOUNT_NOT_LINKED"],
    ("/link/callback", "get", 400): [
        "OAUTH_INVALID_STATE", "ACCESS_TOKEN_DECODE_ERROR", "ACCESS_TOKEN_ALREADY_EXPIRED", "OAUTH_NOT_AVAILABLE_EMAIL",
        "OAUTH_USER_ALREADY_EXISTS", "OAUTH_PROVIDER_ERROR"],
    ("/users/{id}", "patch", 400): ["UPDATE_USER_EMAIL_ALREADY_EXISTS", "UPDATE_USER_INVALID_PASSWORD"],
    ("/oauth/callback", "get", 400): [
        "OAUTH_INVALID_STATE", "ACCESS_TOKEN_DECODE_ERROR", "ACCESS_TOKEN_ALREADY_EXPIRED", "OAUTH_NOT_AVAILABLE_EMAIL",
        "OAUTH_USER_ALREADY_EXISTS", "OAUTH_PROVIDER_ERROR", "LOGIN_BAD_CREDENTIALS"],
}  # fmt: skip


@pytest.mark.parametrize(("path", "method", "status"), CODES)
def test_every_code_has_an_example(description: Any, path: str, method: str, status: int) -> None:
    response = description["paths"][path][method]["responses"][str(status)]["content"]["application/json"]
    assert list(response["examples"]) == CODES[path, method, status]
    assert response["schema"]["$ref"].endswith("/ErrorModel")
    for code, example in response["examples"].items():
        detail = example["value"]["detail"]
        assert code in (detail, detail["code"] if isinstance(detail, dict) else None)


def test_success_and_security(description: Any) -> None:
    paths, schemes = description["paths"], description["components"]["securitySchemes"]
    assert schemes["APIKeyCookie"] == {"type": "apiKey", "in": "cookie", "name": "fastapiusersauth"}
    assert schemes["OAuth2PasswordBearer"]["flows"]["password"]["tokenUrl"] in ("auth/jwt/login", "auth/long/login")
    login = paths["/auth/jwt/login"]["post"]["responses"]["200"]["content"]["application/json"]
    assert login["schema"]["$ref"].endswith("/BearerResponse")
    assert set(login["example"]) == {"access_token", "token_type"}
    assert "content" not in paths["/auth/cookie/login"]["post"]["responses"]["204"]
    for path, method in (
        ("/users/me", "get"), ("/users/me", "patch"), ("/users/{id}", "get"), ("/users/{id}", "patch"),
        ("/users/{id}", "delete"), ("/auth/jwt/logout", "post"), ("/auth/sessions", "get"),
    ):  # fmt: skip
        route = paths[path][method]
        assert {name for entry in route["security"] for name in entry} == {"OAuth2PasswordBearer", "APIKeyCookie"}
        assert "401" in route["responses"]
    for path, method in (
        ("/auth/reset-password", "post"), ("/oauth/callback", "get"), ("/oauth/authorize", "get"), ("/auth/verify", "post"),
    ):  # fmt: skip
        assert "security" not in paths[path][method], "nobody is logged in there"
    assert all(operation["summary"] for of_path in paths.values() for operation in of_path.values())
    assert {"403", "404"} <= set(paths["/users/{id}"]["get"]["responses"])
    assert paths["/auth/register"]["post"]["responses"]["201"]["content"]["application/json"]["schema"][
        "$ref"
    ].endswith("/UserRead")


def test_the_names_of_routes() -> None:
    site = Site("sqlite://")
    add_oauth(site)
    expected = {
        "auth:jwt.login": "/auth/jwt/login", "auth:cookie.logout": "/auth/cookie/logout",
        "register:register": "/auth/register", "reset:forgot_password": "/auth/forgot-password",
        "reset:reset_password": "/auth/reset-password", "verify:request-token": "/auth/request-verify-token",
        "verify:verify": "/auth/verify", "users:current_user": "/users/me", "users:patch_current_user": "/users/me",
        "oauth:plain.jwt.authorize": "/oauth/authorize", "oauth:plain.jwt.callback": "/oauth/callback",
        "oauth-associate:plain.authorize": "/link/authorize", "oauth-associate:plain.callback": "/link/callback",
    }  # fmt: skip
    for name, path in expected.items():
        assert site.app.url_path_for(name) == path
    for name in ("users:user", "users:patch_user", "users:delete_user"):
        assert site.app.url_path_for(name, id="7") == "/users/7"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("fuzz")
    options = {"attempt_limits": UNLIMITED, "key_storage": InMemoryKeyStorage(), "more_backends": [refreshable()]}
    with open_site(folder, **options) as api:
        add_oauth(api.site)
        yield api


@pytest.fixture(scope="module")
def header(served: Api) -> dict[str, str]:
    return served.superuser()


@pytest.mark.parametrize("path", [*NAMES, "/hello", "/oauth/authorize", "/oauth/callback", "/link/callback"])
def test_nothing_is_a_server_error(served: Api, header: dict[str, str], path: str) -> None:
    """Whatever fits the description of a route, and what does not."""
    for method, mode in itertools.product(SCHEMA[path], GenerationMode):
        operation = SCHEMA[path][method]
        if mode is GenerationMode.NEGATIVE and not operation.body and not operation.query:
            continue  # whatever may be sent fits

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def call(case: Any) -> None:
            for headers in ({}, header):
                case.call_and_validate(base_url=served.url, headers=headers, checks=[not_a_server_error])

        call()
