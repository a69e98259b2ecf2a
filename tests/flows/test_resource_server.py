"""Access tokens on an application: which routes need one, and what a refused one is worth."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from crossauth_backend import CrossauthError, ErrorCode, User
from crossauth_backend.testing import FakeIssuer, Fault
from crossauth_fastapi import FastApiOAuthResourceServer, require
from tests.resource import AUDIENCE, add_routes, an_api, bearer, consumer_of, serving

READ: dict[str, Any] = {"/orders": {"scope": ["read"]}}
INTROSPECTION = {
    "introspection": "opaque",
    "introspection_client_id": "rs",
    "introspection_client_secret": "the secret of the resource server",
}


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


async def test_a_protected_route_needs_a_token_with_its_scopes(issuer: FakeIssuer) -> None:
    async with an_api(issuer, {"/orders": {"scope": ["read", "write"]}}, error_body={"no": 1}) as client:
        nothing = await client.get("/orders")
        assert (nothing.status_code, nothing.json()) == (401, {"no": 1})
        assert nothing.headers["www-authenticate"] == 'Bearer scope="read write"'
        bad = await client.get("/orders", headers=bearer("abc"))
        assert (bad.status_code, bad.json()) == (401, {"no": 1})
        assert bad.headers["www-authenticate"] == (
            'Bearer error="invalid_token", error_description="The access token is not valid", scope="read write"'
        )
        weak = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope="read")))
        assert (weak.status_code, weak.json()) == (403, {"no": 1})
        assert 'error="insufficient_scope"' in weak.headers["www-authenticate"]
        assert 'scope="read write"' in weak.headers["www-authenticate"]
        good = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope="read write more")))
        assert good.json() == {"user": "1", "auth_type": "oauth", "scope": ["read", "write", "more"], "sub": "1"}
        for answer in (nothing, bad, weak):
            assert answer.headers["cache-control"] == "no-store"


async def test_a_retry_with_the_scopes_of_the_challenge_passes(issuer: FakeIssuer) -> None:
    async with an_api(issuer, {"/orders": {"scope": ["a", "b"]}}) as client:
        weak = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope="a other")))
        named = weak.headers["www-authenticate"].split('scope="')[1].split('"')[0]
        again = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope=named)))
        assert (weak.status_code, named, again.status_code) == (403, "a b", 200)


async def test_a_scope_that_includes_another_is_enough(issuer: FakeIssuer) -> None:
    async with an_api(issuer, READ, implied_scopes={"admin": ["write"], "write": ["read"]}) as client:
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope="admin")))).is_success
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope="x")))).status_code == 403


async def test_the_scheme_is_read_in_any_case_and_other_schemes_are_no_token(issuer: FakeIssuer) -> None:
    token = issuer.issue_token(AUDIENCE, scope="read")
    async with an_api(issuer, READ) as client:
        for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
            assert (await client.get("/orders", headers={"Authorization": f"{scheme} {token}"})).is_success
        for header in (f"Token {token}", token, "Basic YTpi"):
            refused = await client.get("/orders", headers={"Authorization": header})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer scope="read"')


async def test_a_token_in_the_url_a_form_or_a_cookie_is_none(issuer: FakeIssuer) -> None:
    token = issuer.issue_token(AUDIENCE, scope="read")
    async with an_api(issuer, READ) as client:
        for answer in (
            await client.get(f"/orders?access_token={token}"),
            await client.post("/orders", data={"access_token": token}),
            await client.get("/orders", headers={"Cookie": f"access_token={token}"}),
            await client.get("/orders", headers={"Mcp-Session-Id": token, "X-Access-Token": token}),
        ):
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer scope="read"')


async def test_of_several_authorization_headers_none_counts(issuer: FakeIssuer) -> None:
    good = f"Bearer {issuer.issue_token(AUDIENCE, scope='read')}"
    async with an_api(issuer, READ) as client:
        for other in ("Basic YTpi", good, "Bearer x"):
            headers = [("Authorization", good), ("Authorization", other)]
            for pair in (headers, headers[::-1]):
                refused = await client.get("/orders", headers=pair)
                assert refused.status_code == 400
                assert 'error="invalid_request"' in refused.headers["www-authenticate"]


async def test_a_refused_token_is_nobodys_where_none_is_needed(issuer: FakeIssuer) -> None:
    async with an_api(issuer) as client:
        bad = bearer(issuer.issue_token("another"))
        assert (await client.get("/maybe", headers=bad)).json() == {"user": None, "auth_error": "invalid_token"}
        refused = await client.get("/me", headers=bad)
        assert (refused.status_code, refused.json()["errorCodeName"]) == (401, "InvalidToken")
        assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        nothing = await client.get("/me")
        assert (nothing.status_code, nothing.headers["www-authenticate"]) == (401, 'Bearer realm="api"')


async def test_a_dependency_asks_for_scopes(issuer: FakeIssuer) -> None:
    app = FastAPI()
    FastApiOAuthResourceServer(app, [consumer_of(issuer)])

    @app.get("/read")
    async def read(user: Annotated[User, Depends(require(scope="read"))]) -> str:
        return user.username

    async with serving(app) as client:
        good, weak = (bearer(issuer.issue_token(AUDIENCE, scope=scope)) for scope in ("x read", "x"))
        assert (await client.get("/read", headers=good)).json() == "1"
        refused = await client.get("/read", headers=weak)
        expected = 'Bearer realm="api", error="insufficient_scope", scope="read"'
        assert (refused.status_code, refused.headers["www-authenticate"]) == (403, expected)
        assert (await client.get("/read")).headers["www-authenticate"] == 'Bearer realm="api", scope="read"'


async def test_a_token_needs_no_csrf_token(issuer: FakeIssuer) -> None:
    async with an_api(issuer) as client:
        assert (await client.post("/change", headers=bearer(issuer.issue_token(AUDIENCE)))).json() == "1"


@pytest.mark.parametrize("claims", [{"sub": "client"}, {"sub": None}, {"sub": None, "client_id": None}])
async def test_a_client_that_acts_for_itself_is_no_user(issuer: FakeIssuer, claims: dict[str, Any]) -> None:
    token = issuer.issue_token(AUDIENCE, scope="read", **claims)
    async with an_api(issuer, READ) as client:
        found = (await client.get("/authorized", headers=bearer(token))).json()
        assert (found["authorized"], found["user"]) == (True, None)
        refused = await client.get("/me", headers=bearer(token))
        # The token is good, and another one is not what helps.
        assert (refused.status_code, "www-authenticate" in refused.headers) == (403, False)
        assert (await client.get("/orders/1", headers=bearer(token))).is_success


async def test_what_claims_say_of_a_user_makes_no_administrator(issuer: FakeIssuer) -> None:
    app = FastAPI()
    FastApiOAuthResourceServer(app, [consumer_of(issuer)])

    @app.get("/user")
    async def shown(request: Request) -> Any:
        found = request.state.user
        return [found.id, found.username, found.state, found.factor1, found.admin]

    token = issuer.issue_token(AUDIENCE, userid=7, state="active", factor1="oidc", admin=True)
    async with serving(app) as client:
        assert (await client.get("/user", headers=bearer(token))).json() == [7, "1", "active", "oidc", False]


async def test_authorized_says_what_the_token_says(issuer: FakeIssuer) -> None:
    async with an_api(issuer) as client:
        assert (await client.get("/authorized")).json() is None
        assert (await client.get("/authorized", headers={"Authorization": "Basic YTpi"})).json() is None
        good = (await client.get("/authorized", headers=bearer(issuer.issue_token(AUDIENCE, scope="x")))).json()
        assert (good["authorized"], good["user"], good["token_payload"]["scope"]) == (True, "1", "x")
        bad = (await client.get("/authorized", headers=bearer("a.b.c"))).json()
        assert bad == {
            "authorized": False,
            "error": "invalid_token",
            "error_description": "The access token is not valid",
        }


async def test_an_opaque_token_is_asked_about_and_a_revoked_one_refused(issuer: FakeIssuer) -> None:
    issuer.tokens["opaque"] = {"scope": "read", "aud": AUDIENCE, "sub": "7", "client_id": "c"}
    consumer = {**INTROSPECTION, "introspection_cache_seconds": 0}
    async with an_api(issuer, READ, consumer=consumer) as client:
        assert (await client.get("/orders", headers=bearer("opaque"))).json()["sub"] == "7"
        assert (await client.get("/orders", headers=bearer("unknown"))).status_code == 401
        del issuer.tokens["opaque"]
        assert (await client.get("/orders", headers=bearer("opaque"))).status_code == 401


async def test_several_issuers_and_audiences(issuer: FakeIssuer) -> None:
    async with FakeIssuer() as other, FakeIssuer() as stranger:
        app = FastAPI()
        consumers = [consumer_of(issuer, ["a", "b"]), consumer_of(other, "a")]
        FastApiOAuthResourceServer(app, consumers, {"protected_endpoints": {"/orders": {}}})
        add_routes(app)
        async with serving(app) as client:

            async def status(token: str) -> int:
                return (await client.get("/orders", headers=bearer(token))).status_code

            assert [await status(i.issue_token(a)) for i, a in ((issuer, "a"), (issuer, "b"), (other, "a"))] == [
                200
            ] * 3
            assert [await status(i.issue_token(a)) for i, a in ((other, "b"), (stranger, "a"))] == [401, 401]
            # One issuer's key under the name of the other.
            assert await status(stranger.issue_token("a", iss=issuer.url)) == 401


async def test_twenty_requests_at_once_fetch_keys_once(issuer: FakeIssuer) -> None:
    async with an_api(issuer, READ) as client:
        issuer.held = asyncio.Event()
        token = issuer.issue_token(AUDIENCE, scope="read")
        waiting = [asyncio.create_task(client.get("/orders", headers=bearer(token))) for _ in range(20)]
        while not issuer._connections:
            await asyncio.sleep(0.01)
        issuer.held.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 20
        assert issuer.requests == {"metadata": 1, "jwks": 1}


@pytest.mark.parametrize(
    "fault", [Fault.HANGS, Fault.HUGE, Fault.DRIPS, Fault.CHUNKS, Fault.REDIRECT, Fault.WRONG_ISSUER, Fault.DEEP]
)
async def test_an_issuer_that_misbehaves_is_no_fault_of_the_token(issuer: FakeIssuer, fault: Fault) -> None:
    issuer.fault = fault
    token = bearer(issuer.issue_token(AUDIENCE, scope="read"))
    async with an_api(issuer, READ, consumer={"fetch_timeout": 1}) as client:
        away = await client.get("/orders", headers=token)
        assert (away.status_code, away.json()["error"]) == (503, "temporarily_unavailable")
        assert "www-authenticate" not in away.headers
        assert (await client.get("/me", headers=token)).status_code == 503
        # What needs no user is served all the same.
        assert (await client.get("/ordersold", headers=token)).is_success


async def test_an_issuer_that_is_down_takes_nobody_down(issuer: FakeIssuer) -> None:
    first, second = (bearer(issuer.issue_token(AUDIENCE, scope="read")) for _ in range(2))
    async with an_api(issuer, READ) as client:
        assert (await client.get("/orders", headers=first)).is_success
        await issuer.stop()
        assert (await client.get("/orders", headers=second)).is_success


async def test_the_key_that_a_rotation_brings_is_fetched(issuer: FakeIssuer) -> None:
    async with an_api(issuer, READ, consumer={"jwks_cooldown": 1}) as client:
        old = bearer(issuer.issue_token(AUDIENCE, scope="read"))
        assert (await client.get("/orders", headers=old)).is_success
        issuer.rotate()
        new = bearer(issuer.issue_token(AUDIENCE, scope="read"))
        while not (await client.get("/orders", headers=new)).is_success:
            await asyncio.sleep(0.1)
        assert (await client.get("/orders", headers=old)).status_code == 401
        assert issuer.requests["jwks"] == 2


async def test_keys_from_a_file_need_no_issuer(issuer: FakeIssuer, tmp_path: Any) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(issuer.keys.jwks()))
    token = bearer(issuer.issue_token(AUDIENCE, scope="read"))
    async with an_api(issuer, READ, consumer={"jwt_key_type": "ES256", "jwt_public_key_file": str(file)}) as client:
        assert (await client.get("/orders", headers=token)).is_success
        assert not issuer.requests


async def test_a_websocket_is_refused_before_it_is_accepted(issuer: FakeIssuer) -> None:
    async with an_api(issuer, {"/ws": {"scope": ["read"]}}) as client:
        url = str(client.base_url).replace("http", "ws").rstrip("/") + "/ws"
        for headers in ({}, bearer("bad"), bearer(issuer.issue_token(AUDIENCE, scope="other"))):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url, additional_headers=headers):
                    pass
            assert refused.value.response.status_code == 403
        async with connect(url, additional_headers=bearer(issuer.issue_token(AUDIENCE, scope="read"))) as socket:
            assert await socket.recv() == "oauth"


async def test_a_preflight_passes_and_another_options_request_does_not(issuer: FakeIssuer) -> None:
    async with an_api(issuer, READ) as client:
        asks = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        assert (await client.options("/orders", headers=asks)).is_success
        assert (await client.options("/orders")).status_code == 401


async def test_pages_of_other_sites_are_refused_where_origins_are_named(issuer: FakeIssuer) -> None:
    token = bearer(issuer.issue_token(AUDIENCE, scope="read"))
    async with an_api(issuer, READ, allowed_origins=["https://app.example.com"]) as client:

        async def status(origin: str | None) -> int:
            named = {} if origin is None else {"Origin": origin}
            return (await client.get("/orders", headers={**token, **named})).status_code

        here = f"http://{client.base_url.netloc.decode()}"
        assert [await status(origin) for origin in (None, "https://app.example.com", here)] == [200] * 3
        for origin in ("https://evil.example.com", "null", "https://app.example.com.evil.example", "http://[", "x"):
            assert await status(origin) == 403, origin


async def test_connections_are_closed_with_the_application(
    issuer: FakeIssuer,
) -> None:
    closed: list[object] = []

    class Server(FastApiOAuthResourceServer):
        async def aclose(self) -> None:
            closed.append(self)
            await super().aclose()

    app = FastAPI()
    server = Server(app, [consumer_of(issuer)], {"protected_endpoints": {"/orders": {}}})
    add_routes(app)
    async with serving(app) as client:
        assert (await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE)))).is_success
        assert closed == []
    assert closed == [server]


async def test_a_second_resource_server_on_an_application_stops_the_start(issuer: FakeIssuer) -> None:
    app = FastAPI()
    FastApiOAuthResourceServer(app, [consumer_of(issuer)])
    with pytest.raises(CrossauthError, match="already has a bearer server") as refused:
        FastApiOAuthResourceServer(app, [consumer_of(issuer)])
    assert refused.value.code is ErrorCode.Configuration


async def test_tokens_are_in_no_log(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    tokens = [issuer.issue_token(AUDIENCE), issuer.issue_token("another"), "opaque-token-text"]
    async with an_api(issuer, READ) as client:
        for token in tokens:
            await client.get("/orders", headers=bearer(token))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("crossauth")]
    assert ours
    assert not [text for text in ours for token in tokens if token in text or token.rpartition(".")[2] in text]


def test_httpx_sends_headers_as_given() -> None:
    """Otherwise the tests of repeated headers would show nothing."""
    request = httpx2.Request("GET", "http://x", headers=[("Authorization", "a"), ("Authorization", "b")])
    assert request.headers.get_list("authorization") == ["a", "b"]
