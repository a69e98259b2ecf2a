"""Logins: what ends with what, and what is known of a token without asking anybody."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, InMemoryKeyStorage
from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    CookieTransport,
    JWTStrategy,
    KeyStorageStrategy,
)
from crossauth_fastapi.fastapi_users.router import get_auth_router, get_reset_password_router
from tests.fastapi_users.app import SECRET, Site
from tests.fastapi_users.conftest import Api, detail, open_site

EMAIL = "arthur@camelot.bt"


def refreshable(name: str, get_strategy: Any) -> Any:
    return AuthenticationBackend(
        name, BearerTransport(f"auth/{name}/login"), get_strategy, refresh_lifetime_seconds=3600
    )


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    keys = InMemoryKeyStorage()
    backends = [
        refreshable("long", lambda: JWTStrategy[Any, Any](SECRET, 60)),
        refreshable("stored", lambda: KeyStorageStrategy[Any, Any](keys, 60)),
    ]
    with open_site(tmp_path, more_backends=backends, key_storage=keys) as api:
        api.register()
        yield api


def enter(api: Api, by: str) -> tuple[dict[str, str], str]:
    """The header and the refresh token of a new login."""
    answer = api.log_in(by=by).json()
    return {"Authorization": f"Bearer {answer['access_token']}"}, answer["refresh_token"]


def refresh(api: Api, token: str, by: str) -> Any:
    return api.post(f"/auth/{by}/refresh", data={"refresh_token": token})


@pytest.mark.parametrize("by", ["long", "stored"])
def test_a_logout_ends_what_would_renew_the_login(api: Api, by: str) -> None:
    """By the token alone, as clients of these routes have always done it; other logins go on."""
    first, renewing = enter(api, by)
    _, other = enter(api, by)
    renewed = refresh(api, renewing, by).json()
    header = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert api.post(f"/auth/{by}/logout", headers=header).status_code == 200
    assert detail(refresh(api, renewed["refresh_token"], by)) == "REFRESH_BAD_TOKEN"
    assert refresh(api, other, by).status_code == 200
    assert api.get("/hello", headers=header).status_code == (200 if by == "long" else 401), "a JWT ends by itself"
    assert first


def test_a_refresh_token_that_comes_back_ends_stored_tokens_too(api: Api) -> None:
    _, stolen = enter(api, "stored")
    thief = refresh(api, refresh(api, stolen, "stored").json()["refresh_token"], "stored").json()
    header = {"Authorization": f"Bearer {thief['access_token']}"}
    assert api.get("/hello", headers=header).status_code == 200
    assert detail(refresh(api, stolen, "stored")) == "REFRESH_BAD_TOKEN"
    assert api.get("/hello", headers=header).status_code == 401


def test_ending_other_logins_leaves_the_one_that_asks(api: Api) -> None:
    own, my_refresh = enter(api, "stored")
    other, other_refresh = enter(api, "stored")
    cookie = api.cookie_login()
    assert len(api.get("/auth/sessions", headers=own).json()) == 3, "by whatever backend"
    assert api.delete("/auth/sessions", headers=own).status_code == 204
    assert [api.get("/hello", headers=h).status_code for h in (own, other, cookie)] == [200, 401, 401]
    assert refresh(api, other_refresh, "stored").status_code == 400
    assert refresh(api, my_refresh, "stored").status_code == 200


def test_ending_one_login_ends_what_would_renew_it(api: Api) -> None:
    own, _ = enter(api, "stored")
    _, other_refresh = enter(api, "stored")
    handle = next(s["handle"] for s in api.get("/auth/sessions", headers=own).json() if not s["current"])
    assert api.delete(f"/auth/sessions/{handle}", headers=own).status_code == 204
    assert refresh(api, other_refresh, "stored").status_code == 400


@pytest.mark.parametrize("by", ["stored", "cookie"])
def test_the_login_that_changes_the_password_goes_on(api: Api, by: str) -> None:
    own = api.cookie_login() if by == "cookie" else enter(api, by)[0]
    assert api.patch("/users/me", headers=own, json={"password": "merlin"}).status_code == 200
    assert api.patch("/users/me", headers=own, json={"password": "lancelot"}).status_code == 200
    assert api.get("/hello", headers=own).status_code == 200


def test_a_logout_with_a_cookie_and_a_token_ends_both(api: Api) -> None:
    stored, _ = enter(api, "stored")
    both = {**stored, **api.cookie_login()}
    answer = api.post("/auth/stored/logout", headers=both)
    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith('fastapiusersauth="";')
    for name, value in both.items():
        assert api.get("/hello", headers={name: value}).status_code == 401
    alone = api.post("/auth/cookie/logout", headers=api.bearer())
    assert alone.headers["set-cookie"].startswith('fastapiusersauth="";'), "the answer is that of the route"


def test_a_login_may_answer_200(tmp_path: Path) -> None:
    with open_site(tmp_path) as api:
        router = api.site.users.get_auth_router(api.site.cookie, login_status_code=200)
        api.site.app.include_router(router, prefix="/v9")
        api.register()
        answer = api.post("/v9/login", data={"username": EMAIL, "password": "guinevere"})
        assert (answer.status_code, answer.text) == (200, "null")
        assert "fastapiusersauth=" in answer.headers["set-cookie"]


def test_overriding_the_current_user_reaches_every_route_of_the_users(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/o.db")
    with TestClient(site.app) as client:
        me = client.post("/auth/register", json={"email": EMAIL, "password": "guinevere"}).json()

        async def somebody(manager: Any = Depends(site.get_user_manager)) -> Any:  # noqa: B008
            return await manager.get_by_email(EMAIL)

        site.app.dependency_overrides[site.users.current_user(active=True)] = somebody
        assert client.get("/users/me").json()["id"] == me["id"]
        assert client.get("/auth/sessions").json() == []
        changed = client.patch("/users/me", json={"email": "b@camelot.bt"})
        assert changed.json()["email"] == "b@camelot.bt"


def test_a_strategy_can_be_overridden(tmp_path: Path) -> None:
    def get_strategy() -> Any:
        return JWTStrategy[Any, Any](SECRET, 60)

    async def other() -> Any:
        return JWTStrategy[Any, Any]("another secret, as long as they are to be", 60)

    backend: Any = AuthenticationBackend("own", BearerTransport("auth/own/login"), get_strategy)
    site = Site(f"sqlite:///{tmp_path}/s.db", more_backends=[backend])
    with TestClient(site.app) as client:
        client.post("/auth/register", json={"email": EMAIL, "password": "guinevere"})
        form = {"username": EMAIL, "password": "guinevere"}
        login = client.post("/auth/own/login", data=form).json()["access_token"]
        assert client.get("/hello", headers={"Authorization": f"Bearer {login}"}).status_code == 200
        site.app.dependency_overrides[get_strategy] = other
        site.app.dependency_overrides[backend.get_strategy] = other
        assert client.get("/hello", headers={"Authorization": f"Bearer {login}"}).status_code == 200, "the same secret"


class Roles(JWTStrategy[Any, Any]):
    """Tokens that say more."""

    def claims(self, user: Any) -> dict[str, Any]:
        return {**super().claims(user), "roles": ["knight"]}


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Api]:
    roles: Any = AuthenticationBackend("roles", BearerTransport("auth/roles/login"), lambda: Roles(SECRET, 60))
    with open_site(tmp_path, more_backends=[roles]) as api:
        current = api.site.users.current_claims

        @api.site.app.get("/claims")
        async def route(claims: dict[str, Any] = Depends(current())) -> dict[str, Any]:  # noqa: B008
            return claims

        @api.site.app.get("/perhaps")
        async def perhaps(claims: dict[str, Any] | None = Depends(current(optional=True))) -> bool:  # noqa: B008
            return claims is not None

        api.register()
        yield api


def test_claims_are_known_without_a_storage(claims: Api) -> None:
    header = claims.bearer(by="roles")
    response = claims.get("/claims", headers=header).json()
    assert (response["sub"], response["roles"], response["aud"]) == (
        claims.get("/users/me", headers=header).json()["id"], ["knight"], ["fastapi-users:auth"],
    )  # fmt: skip
    claims.sql('DROP TABLE "user"')
    assert claims.get("/claims", headers=header).json() == response
    assert claims.get("/perhaps", headers=header).json() is True
    for wrong in ({}, {"Authorization": "Bearer x"}, claims_of_nobody(header)):
        assert (claims.get("/claims", headers=wrong).status_code, detail(claims.get("/claims", headers=wrong))) == (
            401, "Unauthorized",
        )  # fmt: skip
        assert claims.get("/perhaps", headers=wrong).json() is False


@pytest.mark.parametrize(
    ("transport", "sent", "scheme"),
    [
        (BearerTransport("auth/login"), lambda token: {"Authorization": f"Bearer {token}"}, "OAuth2PasswordBearer"),
        (CookieTransport("auth", cookie_secure=False), lambda token: {"Cookie": f"auth={token}"}, "APIKeyCookie"),
    ],
)
async def test_claims_by_one_backend_are_read_at_once_and_described(transport: Any, sent: Any, scheme: str) -> None:
    strategy = Roles(SECRET, 60)
    backend: Any = AuthenticationBackend("only", transport, lambda: strategy)
    users, app = FastAPIUsers[Any, Any](lambda: None, [backend]), FastAPI()  # type: ignore[arg-type, return-value]
    known, perhaps = users.current_claims(), users.current_claims(optional=True)
    assert known is users.current_claims(), "so that a test can override it"

    @app.get("/claims")
    async def route(claims: dict[str, Any] = Depends(known)) -> dict[str, Any]:  # noqa: B008
        return claims

    @app.get("/perhaps")
    async def maybe(claims: dict[str, Any] | None = Depends(perhaps)) -> bool:  # noqa: B008
        return claims is not None

    client = TestClient(app)
    good = sent(await strategy.write_token(SimpleNamespace(id=1, hashed_password="x")))
    response = client.get("/claims", headers=good)
    assert response.json()["roles"] == ["knight"]
    assert ("no-store" in response.headers.get("cache-control", "")) is (scheme == "APIKeyCookie")
    assert client.get("/perhaps", headers=good).json() is True
    for wrong in ({}, sent("x"), {"Authorization": "Basic eDp5"}):
        assert client.get("/claims", headers=wrong).status_code == 401
        assert client.get("/perhaps", headers=wrong).json() is False
    described = client.get("/openapi.json").json()
    for path in ("/claims", "/perhaps"):
        assert [list(by) for by in described["paths"][path]["get"]["security"]] == [[scheme]]
    assert list(described["components"]["securitySchemes"]) == [scheme]
    app.dependency_overrides[known] = lambda: {"sub": "somebody else"}
    assert client.get("/claims").json() == {"sub": "somebody else"}


def claims_of_nobody(header: dict[str, str]) -> dict[str, str]:
    return {"Authorization": header["Authorization"][:-4] + "AAAA"}


def test_a_stored_token_says_nothing_by_itself(claims: Api) -> None:
    assert claims.get("/claims", headers=claims.cookie_login()).status_code == 401


@pytest.mark.parametrize("audience", [[], "fastapi-users:auth", [""]])
def test_an_audience_that_is_none_does_not_start(audience: Any) -> None:
    with pytest.raises(CrossauthError, match="token_audience"):
        JWTStrategy(SECRET, 60, audience)


def test_routers_made_by_functions_say_what_they_lack(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(f"sqlite:///{tmp_path}/f.db")
    with caplog.at_level(logging.WARNING):
        get_reset_password_router(site.get_user_manager)
    assert "stored logins go on" in caplog.text
    backend = refreshable("long", lambda: JWTStrategy[Any, Any](SECRET, 60))
    with pytest.raises(CrossauthError, match="key_storage"):
        get_auth_router(backend, site.get_user_manager, site.users.authenticator)


def test_routers_made_by_functions_count_together(tmp_path: Path) -> None:
    site, app = Site(f"sqlite:///{tmp_path}/f.db"), FastAPI()
    for number in range(2):
        router = get_auth_router(site.jwt, site.get_user_manager, site.users.authenticator)
        app.include_router(router, prefix=f"/{number}")
    with TestClient(site.app), TestClient(app) as client:
        form = {"username": "nobody@camelot.bt", "password": "x"}
        statuses = [client.post(f"/{number % 2}/login", data=form).status_code for number in range(21)]
    assert statuses == [400] * 20 + [429]


def test_no_token_is_in_a_repr() -> None:
    from crossauth_fastapi.fastapi_users._oauth import ProviderToken
    from crossauth_fastapi.fastapi_users.authentication.authenticator import LoggedIn
    from crossauth_fastapi.fastapi_users.authentication.logins import Logins

    token = ProviderToken(access_token="THE-TOKEN", refresh_token="THE-TOKEN", expires_at=1)
    for displayed in (token, LoggedIn(None, "THE-TOKEN", None, None), Logins([(None, None, "THE-TOKEN")])):  # type: ignore[arg-type, list-item, type-var]
        assert "THE-TOKEN" not in repr(displayed)
