"""What the standards ask of a resource server, rule by rule"""

import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request

from crossauth_backend import CrossauthError, OAuthTokenConsumer
from crossauth_backend.testing import FakeIssuer, Fault
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.resource import AUDIENCE, Answer, add_routes, ask, close_consumers, consumer_of, serving

HOST = "https://api.example.com"
FILES = f"{HOST}/files"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
READ: dict[str, Any] = {"/orders": {"scope": ["read", "list"]}}


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer
        await close_consumers()


def an_app(issuer: FakeIssuer, protected: Any = None, audience: Any = AUDIENCE, **options: Any) -> FastAPI:
    app = FastAPI()
    consumer = consumer_of(issuer, audience, **options.pop("consumer", {}))
    FastApiOAuthResourceServer(
        app, [consumer], {"protected_endpoints": READ if protected is None else protected, **options}
    )
    add_routes(app)
    return app


def token_header(token: str, scheme: str = "Bearer") -> tuple[str, bytes]:
    return "authorization", f"{scheme} {token}".encode()


async def answer_of(app: FastAPI, issuer: FakeIssuer, *audience: str, path: str = "/orders", **claims: Any) -> Answer:
    claims = {"scope": "read list", **claims}
    return await ask(app, path, token_header(issuer.issue_token(list(audience) or AUDIENCE, **claims)))


def attributes(challenge: str) -> list[tuple[str, str]]:
    """The attributes of a challenge, all of it read."""
    assert challenge.startswith("Bearer ")
    found = re.findall(r'([a-z_]+)="([\x20\x21\x23-\x5b\x5d-\x7e]*)"', challenge)
    assert "Bearer " + ", ".join(f'{name}="{value}"' for name, value in found) == challenge
    return found


async def test_a_resource_server_checks_that_it_is_the_audience(issuer: FakeIssuer) -> None:
    """A token is good only at the server that its `aud` names (RFC 9700 §2.3, RFC 9068 §4)."""
    app = an_app(issuer)
    assert (await answer_of(app, issuer)).status == 200
    for audience in ("https://other.example.com", f"{AUDIENCE}/", issuer.url, "*", "client"):
        refused = await answer_of(app, issuer, audience)
        assert (refused.status, 'error="invalid_token"' in refused.challenge) == (401, True), audience


async def test_a_resource_server_checks_that_the_action_is_allowed(issuer: FakeIssuer) -> None:
    """A token is good only for what its scopes allow (RFC 9700 §2.3, RFC 6750 §3.1)."""
    app = an_app(issuer)
    for scope, status in (("read list", 200), ("list read more", 200), ("read", 403), ("", 403), ("READ LIST", 403)):
        assert (await answer_of(app, issuer, scope=scope)).status == status, scope


async def test_a_token_that_is_bound_to_a_key_is_no_bearer_token(issuer: FakeIssuer) -> None:
    """Whoever only presents a sender-constrained token has not shown the key (RFC 9700 §2.2.1, RFC 9449 §7.1, RFC 8705 §3)."""
    app = an_app(issuer)
    for confirmation in ({"jkt": "x"}, {"x5t#S256": "x"}, {"jwk": {}}, {}, "x", 0):
        assert (await answer_of(app, issuer, cnf=confirmation)).status == 401, confirmation
    token = issuer.issue_token(AUDIENCE, scope="read list")
    assert (await ask(app, "/orders", token_header(token, "DPoP"))).status == 401


class OAuthIssuer(FakeIssuer):
    """One that publishes its metadata where RFC 8414 says alone."""

    def _routes(self) -> Any:
        routes = super()._routes()
        return {**routes, "metadata": (f"/.well-known/oauth-authorization-server{self._path}", routes["metadata"][1])}


async def test_the_metadata_of_an_authorization_server_is_read(issuer: FakeIssuer) -> None:
    """Keys are found by the metadata, before the path of the issuer or below it (RFC 9700 §2.6, RFC 8414 §3)."""
    for path in ("", "/tenant"):
        async with OAuthIssuer(path) as other:
            assert (await answer_of(an_app(other), other)).status == 200
            assert other.requests["jwks"] == 1
            await close_consumers()


async def test_pages_of_any_site_may_read_the_metadata_of_a_resource(issuer: FakeIssuer) -> None:
    """CORS is for the metadata, after a preflight too, and not for the routes themselves (RFC 9728 §3.1, Fetch §3.2.2)."""
    app = an_app(issuer, resources=[{"resource": HOST}])
    origin = ("origin", b"https://app.example.com")
    asks = (
        origin,
        ("access-control-request-method", b"GET"),
        ("access-control-request-headers", b"mcp-protocol-version"),
    )
    for method, headers, status in (("GET", [origin], 200), ("OPTIONS", asks, 204)):
        answer = await ask(app, WELL_KNOWN, *headers, method=method)
        response = dict(answer.headers)
        assert (answer.status, response["access-control-allow-origin"]) == (status, "*")
        assert "access-control-allow-credentials" not in response
    assert response["access-control-allow-headers"] == "*"
    for answer in (await ask(app, "/orders", origin), await answer_of(app, issuer)):
        assert not [name for name, _ in answer.headers if name.startswith("access-control")]


async def test_a_token_in_the_query_is_ignored(issuer: FakeIssuer) -> None:
    """A token in the URL is none, whatever it is called; not beside a good one either (RFC 9700 §4.3.2, OAuth 2.1 §5.1.2)."""
    token, bad = issuer.issue_token(AUDIENCE, scope="read list"), issuer.issue_token("other")
    async with serving(an_app(issuer)) as client:
        for name in ("access_token", "token", "bearer_token", "Authorization"):
            assert (await client.get("/orders", params={name: token})).status_code == 401, name
        good = {"Authorization": f"Bearer {token}"}
        assert (await client.get("/orders", params={"access_token": bad}, headers=good)).is_success
        refused = await client.get(
            "/orders", params={"access_token": token}, headers={"Authorization": f"Bearer {bad}"}
        )
        assert refused.status_code == 401


async def test_a_token_is_a_secret(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    """No log has a token, good or refused, nor its claims or its signature (RFC 9700 §4.9, RFC 6750 §5.3)."""
    caplog.set_level(logging.DEBUG)
    consumer = {
        "introspection": "opaque", "introspection_client_id": "rs",
        "introspection_client_secret": "the secret of the resource server",
    }  # fmt: skip
    app = an_app(issuer, consumer=consumer)
    issuer.tokens["opaque-and-good"] = {"aud": AUDIENCE, "sub": "secret-subject", "scope": "read list"}
    tokens = [
        issuer.issue_token(AUDIENCE, scope="read list", sub="secret-subject"), issuer.issue_token("other"), "opaque-and-good",
        issuer.issue_token(AUDIENCE, exp=1), issuer.issue_token(AUDIENCE), "opaque-and-bad", "a.b.c-malformed",
    ]  # fmt: skip
    for token in tokens:
        for path in ("/orders", "/me", "/maybe"):
            await ask(app, path, token_header(token))
    issuer.fault = Fault.UNAVAILABLE
    await ask(app, "/orders", token_header("opaque-and-away"))
    assert caplog.records
    for text in (
        *tokens,
        *tokens[0].split("."),
        "secret-subject",
        "opaque-and-away",
        consumer["introspection_client_secret"],
    ):
        assert text not in caplog.text


async def test_what_a_request_forwards_is_not_believed(issuer: FakeIssuer) -> None:
    """Headers of a proxy that was not named change nothing of who is asking or of what is said (RFC 9700 §4.13)."""
    app = an_app(issuer, resources=[{"resource": HOST}])
    expected = (await ask(app, "/orders")).challenge
    for name, value in (
        ("x-forwarded-host", b"evil.example"), ("x-forwarded-prefix", b"/evil"), ("x-forwarded-proto", b"http"),
        ("forwarded", b"host=evil.example;proto=http"), ("x-original-url", b"/maybe"), ("x-rewrite-url", b"/maybe"),
        ("x-forwarded-user", b"alice"), ("x-forwarded-access-token", b"x"), ("x-http-method-override", b"OPTIONS"),
        ("host", b"evil.example"), ("x-forwarded-for", b"127.0.0.1"), ("x-client-cert", b"x"),
    ):  # fmt: skip
        refused = await ask(app, "/orders", (name, value))
        assert (refused.status, refused.challenge) == (401, expected), name


async def test_a_client_is_told_from_a_user(issuer: FakeIssuer) -> None:
    """A token that a client has for itself is no user's, whatever the client is called (RFC 9700 §4.15, RFC 9068 §5)."""
    app = an_app(issuer)
    assert (await answer_of(app, issuer, path="/me", sub="alice")).body == b'"alice"'
    for claims in ({"sub": "alice", "client_id": "alice"}, {"sub": None, "client_id": "alice"}, {"sub": None}):
        assert (await answer_of(app, issuer, path="/me", **claims)).status == 403, claims
        assert (await answer_of(app, issuer, **claims)).status == 200, claims


async def test_the_authorization_header_is_read_in_any_case(issuer: FakeIssuer) -> None:
    """The header is supported, and the name of the scheme has no case (OAuth 2.1 §5.1.1, RFC 9110 §11.1)."""
    app, token = an_app(issuer), issuer.issue_token(AUDIENCE, scope="read list")
    for scheme in ("Bearer", "bearer", "BEARER", "bEARER"):
        assert (await ask(app, "/orders", token_header(token, scheme))).status == 200, scheme
    for scheme in ("Token", "JWT", "Bearer2", "Bea rer", ""):
        assert (await ask(app, "/orders", token_header(token, scheme))).status == 401, scheme


async def test_a_token_that_has_expired_is_refused(issuer: FakeIssuer) -> None:
    """Expiry is checked on every request, and a token without an end is none (OAuth 2.1 §5.2, RFC 9068 §4)."""
    app = an_app(issuer)
    for end in (1, 0, None):
        refused = await answer_of(app, issuer, exp=end)
        assert (refused.status, dict(attributes(refused.challenge))["error"]) == (401, "invalid_token")


async def test_a_401_says_how_to_authenticate(issuer: FakeIssuer) -> None:
    """Every 401 has `WWW-Authenticate`, and without a credential it names no error (RFC 6750 §3 and §3.1)."""
    app = an_app(issuer)
    for path in ("/orders", "/me"):
        nothing, bad = await ask(app, path), await ask(app, path, token_header("bad"))
        assert (nothing.status, bad.status) == (401, 401)
        assert "error" not in dict(attributes(nothing.challenge))
        assert dict(attributes(bad.challenge))["error"] == "invalid_token"


async def test_no_attribute_of_a_challenge_comes_twice(issuer: FakeIssuer) -> None:
    """Whatever was wrong, each attribute is there once, in characters that are allowed (RFC 6750 §3)."""
    app = an_app(issuer, resources=[{"resource": HOST}])
    good = token_header(issuer.issue_token(AUDIENCE))
    for headers in ([], [token_header("bad")], [token_header('"')], [token_header("x" * 20_000)], [good], [good, good]):
        for path in ("/orders", "/me"):
            answer = await ask(app, path, *headers)
            names = [name for name, _ in attributes(answer.challenge)] if answer.status != 200 else []
            assert len(names) == len(set(names))
            assert (answer.status == 200) is (path == "/me" and headers == [good])


async def test_every_url_of_the_protocol_is_https(issuer: FakeIssuer) -> None:
    """Plain http is for this machine alone: issuer, keys, introspection, resource (OAuth 2.1 §1.5, RFC 9728 §1.2)."""
    for options in (
        {"auth_server_base_url": "http://issuer.example.com"},
        {"auth_server_base_url": "https://issuer.example.com", "introspection": "opaque", "introspection_client_id": "rs",
         "introspection_endpoint": "http://issuer.example.com/introspect"},
        {"auth_server_base_url": "https://issuer.example.com",
         "oidc_config": {"issuer": "https://issuer.example.com", "jwks_uri": "http://issuer.example.com/jwks"}},
    ):  # fmt: skip
        provided: Any = options
        with pytest.raises(CrossauthError, match="https"):
            OAuthTokenConsumer(AUDIENCE, provided)
    with pytest.raises(CrossauthError, match="https"):
        an_app(issuer, resources=[{"resource": "http://api.example.com"}])
    issuer.fault = Fault.INSECURE_KEYS
    assert (await answer_of(an_app(issuer), issuer)).status == 503


async def test_the_metadata_of_a_resource_is_at_the_path_that_is_inserted(issuer: FakeIssuer) -> None:
    """The well-known path comes before that of the resource, and `resource` is there to the letter (RFC 9728 §3.1, §3.3)."""
    app = an_app(issuer, {}, FILES, resources=[{"resource": FILES}])
    document = await ask(app, f"{WELL_KNOWN}/files")
    assert document.status == 200
    assert f'"resource":"{FILES}"'.encode() in document.body
    assert issuer.url.encode() in document.body
    assert (await ask(app, WELL_KNOWN)).status == (await ask(app, f"/files{WELL_KNOWN}")).status == 404


async def test_a_challenge_names_the_metadata_and_all_scopes(issuer: FakeIssuer) -> None:
    """A 401 says where to read more and which scopes to ask for (RFC 9728 §5.1, RFC 6750 §3)."""
    app = an_app(issuer, resources=[{"resource": HOST}])
    for headers in ([], [token_header("bad")]):
        response = dict(attributes((await ask(app, "/orders", *headers)).challenge))
        assert (response["resource_metadata"], response["scope"]) == (f"{HOST}{WELL_KNOWN}", "read list")


async def test_a_403_names_all_scopes_of_the_operation(issuer: FakeIssuer) -> None:
    """`insufficient_scope` names what the operation needs, also what the token has, and nothing else (RFC 6750 §3.1)."""
    refused = await answer_of(an_app(issuer, resources=[{"resource": HOST}]), issuer, scope="read unrelated")
    response = dict(attributes(refused.challenge))
    assert (refused.status, response["error"], response["scope"]) == (403, "insufficient_scope", "read list")
    assert response["resource_metadata"] == f"{HOST}{WELL_KNOWN}"


async def test_a_scope_that_includes_others_counts_for_them(issuer: FakeIssuer) -> None:
    """Hierarchies of scopes are honoured, one way only."""
    app = an_app(issuer, implied_scopes={"all": ["read", "write"], "write": ["list"]})
    for scope, status in (("all", 200), ("read write", 200), ("write", 403), ("list", 403)):
        assert (await answer_of(app, issuer, scope=scope)).status == status, scope


async def test_a_route_is_never_handed_the_token(issuer: FakeIssuer) -> None:
    """What a route finds in the state of a request are claims, so that it does not pass a token on by accident."""
    app = an_app(issuer, {})

    @app.get("/state")
    async def state(request: Request) -> str:
        return repr(dict(request.scope["state"])) + repr(request.state.access_token_payload)

    token = issuer.issue_token(AUDIENCE)
    text = (await ask(app, "/state", token_header(token))).body.decode()
    assert "jti" in text
    assert not [part for part in (token, *token.split(".")) if part in text]


async def test_offline_access_is_no_scope_of_a_resource(issuer: FakeIssuer) -> None:
    """It is a matter between a client and its authorization server, and stands in no metadata and no challenge."""
    for options in (
        {"protected": {"/orders": {"scope": ["offline_access"]}}},
        {"resources": [{"resource": HOST, "scopes_supported": ["offline_access"]}]},
    ):
        provided: Any = options
        with pytest.raises(CrossauthError, match="offline_access"):
            an_app(issuer, **provided)


async def test_the_id_of_a_session_authenticates_nobody(issuer: FakeIssuer) -> None:
    """A protocol's session id or a cookie of somebody's is no access token."""
    app, token = an_app(issuer), issuer.issue_token(AUDIENCE, scope="read list")
    for name in ("mcp-session-id", "cookie", "x-session-id", "last-event-id", "proxy-authorization"):
        for value in (token, f"Bearer {token}", f"access_token={token}", f"SESSIONID={token}"):
            assert (await ask(app, "/orders", (name, value.encode()))).status == 401, name


async def test_a_hostile_origin_is_refused(issuer: FakeIssuer) -> None:
    """Where origins are named, pages of others call nothing, not with a good token either."""
    app = an_app(issuer, allowed_origins=["https://app.example.com"])
    token = token_header(issuer.issue_token(AUDIENCE, scope="read list"))
    for origin, status in (
        (b"https://app.example.com", 200), (b"https://evil.example", 403), (b"null", 403), (b"http://app.example.com", 403),
        (b"https://app.example.com.evil.example", 403), (b"https://app.example.com:444", 403), (b"\xff", 403),
    ):  # fmt: skip
        assert (await ask(app, "/orders", token, ("origin", origin))).status == status, origin


async def test_a_request_needs_nothing_but_its_token(issuer: FakeIssuer) -> None:
    """Two processes that know nothing of each other accept the same token, and no answer sets a cookie."""
    token = token_header(issuer.issue_token(AUDIENCE, scope="read list"))
    for app in (an_app(issuer), an_app(issuer)):
        for _ in range(2):
            answer = await ask(app, "/orders", token)
            assert answer.status == 200
            assert "set-cookie" not in dict(answer.headers)
