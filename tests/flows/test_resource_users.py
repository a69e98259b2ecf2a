"""The user of an access token in the user storage, and the options by which `FastApiServer` makes a resource server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
)
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import FastApiOAuthResourceServer, FastApiServer
from tests.resource import AUDIENCE, add_routes, an_api, bearer, consumer_of, serving
from tests.support import CHEAP, SECRET

PROTECTED: dict[str, Any] = {"/orders": {}}
ALICE = {"username": "alice", "state": "active", "factor1": "localpassword"}


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


@pytest.fixture
async def users() -> InMemoryUserStorage:
    users = InMemoryUserStorage()
    await users.create_user({**ALICE, "email": "alice@example.com"})
    return users


async def seen(issuer: FakeIssuer, options: dict[str, Any], **claims: Any) -> str | None:
    """Who a token is for; `None` where it is refused."""
    async with an_api(issuer, PROTECTED, **options) as client:
        answer = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, **claims)))
        assert answer.status_code in (200, 401)
        if answer.status_code == 401:
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            return None
        user: str | None = answer.json()["user"]
        return user


async def test_a_user_of_our_own_issuer_is_found_by_id(issuer: FakeIssuer, users: InMemoryUserStorage) -> None:
    options = {"user_storage": users, "oauth_issuer": issuer.url}
    assert await seen(issuer, options, sub="1") == "alice"
    for other in ("2", "alice", "01", " 1", "1.0", "\u0661", "1" * 300, "-1", "1e0"):
        assert await seen(issuer, options, sub=other) is None, other


async def test_a_user_of_another_issuer_is_found_by_the_field_that_is_named(
    issuer: FakeIssuer, users: InMemoryUserStorage
) -> None:
    options = {"user_storage": users, "user_match_field": "username"}
    assert await seen(issuer, options, sub="alice") == "alice"
    for other in ("1", "Alice", "ALICE", "bob"):
        assert await seen(issuer, options, sub=other) is None, other


async def test_a_storage_that_compares_loosely_makes_nobody_another(issuer: FakeIssuer) -> None:
    class Loose(InMemoryUserStorage):
        async def get_user_by(self, field: str, value: Any, *args: Any) -> Any:
            return await super().get_user_by(field, str(value).lower().strip(), *args)

    users = Loose()
    await users.create_user(ALICE)
    named = {"user_storage": users, "user_match_field": "username"}
    own = {"user_storage": users, "oauth_issuer": issuer.url}
    assert [await seen(issuer, named, sub=sub) for sub in ("alice", "Alice", " alice")] == ["alice", None, None]
    assert [await seen(issuer, own, sub=sub) for sub in ("1", " 1")] == ["alice", None]


async def test_an_address_finds_a_user_only_where_it_is_verified(
    issuer: FakeIssuer, users: InMemoryUserStorage
) -> None:
    options = {"user_storage": users, "user_match_field": "email"}
    await users.update_user({"id": 1, "email_verified_at": datetime.now(UTC)})
    assert await seen(issuer, options, sub="x", email="alice@example.com", email_verified=True) == "alice"
    for verified in (False, None, "true", 1):
        assert await seen(issuer, options, sub="x", email="alice@example.com", email_verified=verified) is None
    assert await seen(issuer, options, sub="alice@example.com") is None
    assert await seen(issuer, options, sub="x", email=["alice@example.com"], email_verified=True) is None


async def test_an_id_of_another_issuer_is_nobody_s_here(issuer: FakeIssuer, users: InMemoryUserStorage) -> None:
    async with FakeIssuer() as own:
        app = FastAPI()
        options = {"protected_endpoints": PROTECTED, "user_storage": users, "oauth_issuer": own.url}
        FastApiOAuthResourceServer(app, [consumer_of(own), consumer_of(issuer)], options)
        add_routes(app)
        async with serving(app) as client:
            ours, theirs = (bearer(i.issue_token(AUDIENCE, sub="1")) for i in (own, issuer))
            assert (await client.get("/orders", headers=ours)).json()["user"] == "alice"
            assert (await client.get("/orders", headers=theirs)).status_code == 401


async def test_a_user_without_an_account_where_none_is_required(issuer: FakeIssuer, users: InMemoryUserStorage) -> None:
    options = {"user_storage": users, "oauth_issuer": issuer.url, "require_local_account": False}
    assert await seen(issuer, options, sub="42") == "42"
    await users.update_user({"id": 1, "state": "disabled"})
    # One who has an account that is closed is not let in as one who has none.
    assert await seen(issuer, options, sub="1") is None


async def test_a_client_needs_no_account(issuer: FakeIssuer, users: InMemoryUserStorage) -> None:
    options = {"user_storage": users, "oauth_issuer": issuer.url}
    async with an_api(issuer, PROTECTED, **options) as client:
        answer = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, sub="client")))
        assert (answer.status_code, answer.json()["user"]) == (200, None)
        # Whatever it is called.
        answer = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, sub="1", client_id="1")))
        assert answer.json()["user"] is None


@pytest.mark.parametrize("state", ["disabled", "awaitingemailverification", "passwordchangeneeded", "deleted"])
async def test_an_account_that_may_not_log_in_has_no_tokens(
    issuer: FakeIssuer, users: InMemoryUserStorage, state: str
) -> None:
    await users.update_user({"id": 1, "state": state})
    assert await seen(issuer, {"user_storage": users, "oauth_issuer": issuer.url}, sub="1") is None


async def test_a_storage_that_is_away_is_no_fault_of_the_token(issuer: FakeIssuer) -> None:
    class Away(InMemoryUserStorage):
        async def get_user_by(self, *args: Any, **kwargs: Any) -> Any:
            raise CrossauthError(ErrorCode.Connection, detail="the database")

    options = {"user_storage": Away(), "oauth_issuer": issuer.url}
    async with an_api(issuer, PROTECTED, **options) as client:
        answer = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE)))
        assert (answer.status_code, "database" in answer.text) == (503, False)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"user_storage": InMemoryUserStorage()}, "needs 'oauth_issuer'"),
        (
            {"user_storage": InMemoryUserStorage(), "oauth_issuer": "https://x.example.com"},
            "must be the 'auth_server_base",
        ),
        ({"oauth_issuer": "https://x.example.com"}, "no effect without option 'user_storage'"),
        ({"user_match_field": "username"}, "no effect without option 'user_storage'"),
        ({"token_locations": ["session"]}, "needs option 'session_adapter'"),
        ({"token_locations": []}, "must not be empty"),
        ({"token_locations": ["cookie"]}, "token_locations"),
        ({"allowed_origins": ["app.example.com"]}, "must be origins"),
        ({"allowed_origins": ["https://app.example.com/"]}, "must be origins"),
        ({"error_body": "no"}, "error_body"),
        ({"protected_endpoint": {}}, "protected_endpoints"),
        ({"token_consumers": []}, "token_consumers"),
        ({"implied_scopes": {"a": "b"}}, "implied_scopes"),
    ],
)
async def test_an_option_that_cannot_take_effect_stops_the_start(
    issuer: FakeIssuer, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(CrossauthError, match=text):
        FastApiOAuthResourceServer(FastAPI(), [consumer_of(issuer)], options)


async def test_a_field_that_anybody_may_choose_is_warned_of(
    issuer: FakeIssuer, users: InMemoryUserStorage, caplog: pytest.LogCaptureFixture
) -> None:
    FastApiOAuthResourceServer(
        FastAPI(), [consumer_of(issuer)], {"user_storage": users, "user_match_field": "username"}
    )
    assert [r.levelname for r in caplog.records if issuer.url in r.getMessage()] == ["WARNING"]


# --- FastApiServer


async def test_a_server_makes_the_token_consumer_of_its_options(issuer: FakeIssuer) -> None:
    token = bearer(issuer.issue_token(AUDIENCE))
    shared = {"auth_server_base_url": issuer.url, "audience": AUDIENCE, "protected_endpoints": PROTECTED}
    for params, options in (
        ({"oauth_resserver": {}}, shared),
        ({"oauth_resserver": {"options": shared}}, {}),
        ({"oauth_resserver": {}, "options": shared}, {}),
        ({"oauth_resserver": {"options": {"audience": AUDIENCE}}}, {**shared, "audience": "overridden"}),
    ):
        server = FastApiServer(params, options)
        assert isinstance(server.oauth_resserver, FastApiOAuthResourceServer)
        assert (server.have_session_server, server.have_session_adapter) == (False, False)
        add_routes(server.app)
        async with serving(server.app) as client:
            assert (await client.get("/orders", headers=token)).is_success
            assert (await client.get("/orders")).status_code == 401


async def test_options_come_from_the_environment(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_AUTH_SERVER_BASE_URL", issuer.url)
    monkeypatch.setenv("CROSSAUTH_OAUTH_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("CROSSAUTH_OAUTH_TOKEN_LOCATIONS", '["header"]')
    monkeypatch.setenv("CROSSAUTH_OAUTH_RESSERVER_ACCESS_DENIED_BODY", '{"no": 1}')
    server = FastApiServer({"oauth_resserver": {"options": {"protected_endpoints": {"/orders": {}}}}})
    add_routes(server.app)
    async with serving(server.app) as client:
        assert (await client.get("/orders")).json() == {"no": 1}
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE)))).is_success
    monkeypatch.setenv("CROSSAUTH_OAUTH_CLIENT_ID", "x")
    with pytest.raises(CrossauthError, match="CROSSAUTH_OAUTH_CLIENT_ID"):
        FastApiServer({"oauth_resserver": {}})


async def test_the_users_of_the_sessions_are_not_those_of_tokens_unless_it_is_said(
    issuer: FakeIssuer, users: InMemoryUserStorage
) -> None:
    shared = {"auth_server_base_url": issuer.url, "audience": AUDIENCE, "protected_endpoints": PROTECTED}
    for more, expected in (({}, "1"), ({"oauth_issuer": issuer.url}, "alice")):
        server = FastApiServer(
            {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_resserver": {"options": {**shared, **more}}},
            {
                "user_storage": users,
                "secret": SECRET,
                "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)},
            },
        )
        add_routes(server.app)
        async with serving(server.app) as client:
            token = bearer(issuer.issue_token(AUDIENCE, sub="1"))
            assert (await client.get("/orders", headers=token)).json()["user"] == expected


@pytest.mark.parametrize(
    ("params", "options", "text"),
    [
        ({"oauth_resserver": {}}, {}, "'auth_server_base_url' is required"),
        ({"oauth_resserver": {}}, {"auth_server_base_url": "https://as.example.com"}, "'audience' is required"),
        ({"oauth_resserver": {"options": {"protected_endpoint": {}}}}, {}, "protected_endpoints"),
        ({"oauth_resserver": {"option": {}}}, {}, "options"),
        ({}, {"protected_endpoints": {"/orders": {}}}, "protected_endpoints"),
        ({}, {"audience": "x"}, "audience"),
        ({"oauth_resserver": {}}, {"client_id": "x"}, "client_id"),
    ],
)
async def test_what_a_server_cannot_make_stops_the_start(
    params: dict[str, Any], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(CrossauthError, match=text):
        FastApiServer(params, options)


async def test_consumers_that_are_given_take_no_options_beside_them(issuer: FakeIssuer) -> None:
    own = {"token_consumers": [consumer_of(issuer)], "audience": "x"}
    with pytest.raises(CrossauthError, match="no effect beside 'token_consumers'"):
        FastApiServer({"oauth_resserver": {"options": own}})
    with pytest.raises(CrossauthError, match="must be a list of OAuthTokenConsumer"):
        FastApiServer({"oauth_resserver": {"options": {"token_consumers": ["x"]}}})


async def test_only_the_tenants_that_are_named_are_accepted() -> None:
    async with FakeIssuer("/good/v2.0") as good, FakeIssuer("/evil/v2.0") as evil:
        options: dict[str, Any] = {
            "audience": AUDIENCE,
            "auth_server_base_url": good.origin + "/{tenantid}/v2.0",
            "protected_endpoints": PROTECTED,
        }
        server = FastApiServer({"oauth_resserver": {"options": {**options, "tenants": ["good", "other"]}}})
        add_routes(server.app)
        async with serving(server.app) as client:

            async def status(token: str) -> int:
                return (await client.get("/orders", headers=bearer(token))).status_code

            assert await status(good.issue_token(AUDIENCE, tid="good")) == 200
            assert await status(evil.issue_token(AUDIENCE, tid="evil")) == 401
            for tenant in ("evil", "{tenantid}", "good/v2.0/../evil", "Good", ""):
                token = good.issue_token(AUDIENCE, iss=f"{good.origin}/{tenant}/v2.0", tid="good")
                assert await status(token) == 401, tenant
        for wrong, text in (
            ({}, "name the tenants"),
            ({"tenants": ["a/b"]}, "letters, digits"),
            ({"tenants": ["a"], "auth_server_base_url": good.url}, "has no {tenantid}"),
            ({"tenants": []}, "must not be empty"),
            ({"auth_server_base_url": good.origin + "/{tenant}"}, "must be an https URL"),
        ):
            with pytest.raises(CrossauthError, match=text):
                FastApiServer({"oauth_resserver": {"options": {**options, **wrong}}})
