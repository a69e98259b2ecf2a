"""A resource server: which consumer a token goes to, and what is said where none accepts it."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, OAuthResourceServer, OAuthTokenConsumer
from crossauth_backend.oauth.wire.errors import InsufficientScope, InvalidToken, TemporarilyUnavailable
from crossauth_backend.testing import FakeClock, FakeIssuer, Fault
from tests.unit.oauth.conftest import MakeConsumer

OPAQUE: dict[str, Any] = {"introspection": "opaque", "introspection_client_id": "rs"}


async def test_a_token_goes_to_the_consumer_of_its_issuer_and_audience(
    issuer: FakeIssuer, clock: FakeClock, make_consumer: MakeConsumer
) -> None:
    async with FakeIssuer(clock=clock) as other:
        first, second, third = make_consumer("api"), make_consumer("api", of=other), make_consumer("files")
        server = OAuthResourceServer([first, second, third])
        assert server.token_consumers == (first, second, third)
        for token in (issuer.issue_token("api"), issuer.issue_token(["files"]), other.issue_token("api")):
            assert (await server.authorize(token))["sub"] == "1"
            assert await server.access_token_authorized(token)
        mixed = other.issue_token("api", iss=issuer.url)
        for token in (
            other.issue_token("files"),
            mixed,
            issuer.issue_token("x"),
            issuer.issue_token(iss=None),
            "opaque",
            "",
            "a.b.c",
        ):
            with pytest.raises(InvalidToken):
                await server.authorize(token)
            assert await server.access_token_authorized(token) is None
        assert other.requests["jwks"] == 1


@pytest.mark.parametrize("claim", ["iss", "aud"])
@pytest.mark.parametrize("value", [None, 1, True, [], {}, [[]], [{}], "\u00e9", 10**400, ["api", 1], {"api": 1}])
async def test_a_hostile_claim_chooses_no_consumer(
    claim: str, value: Any, issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    server = OAuthResourceServer([make_consumer("api"), make_consumer("files")])
    with pytest.raises(InvalidToken):
        await server.authorize(issuer.issue_token(**{"audience": "api", claim: value}))


async def test_an_opaque_token_is_shown_to_the_one_issuer_that_is_asked(
    issuer: FakeIssuer, clock: FakeClock, make_consumer: MakeConsumer
) -> None:
    issuer.clients = {"rs": ""}
    async with FakeIssuer(clock=clock) as other:
        asks = make_consumer("api", **OPAQUE)
        server = OAuthResourceServer([make_consumer("api", of=other), asks])
        assert await server.authorize(issuer.issue_opaque_token())
        assert other.requests["introspect"] == 0
        with pytest.raises(CrossauthError, match="only one token consumer may have 'introspection'"):
            OAuthResourceServer([asks, make_consumer("api", of=other, **OPAQUE)])


async def test_an_issuer_that_is_away_is_no_fault_of_the_token(issuer: FakeIssuer, make_consumer: MakeConsumer) -> None:
    issuer.fault = Fault.UNAVAILABLE
    server = OAuthResourceServer([make_consumer()])
    with pytest.raises(TemporarilyUnavailable):
        await server.authorize(issuer.issue_token())
    with pytest.raises(CrossauthError) as away:
        await server.access_token_authorized(issuer.issue_token())
    assert away.value.http_status == 503
    await server.aclose()


def test_consumers_that_are_not_told_apart_stop_the_start(make_consumer: MakeConsumer) -> None:
    for consumers in ([], [make_consumer(["a", "b"]), make_consumer(["b", "c"])]):
        with pytest.raises(CrossauthError, match="OAuthResourceServer: "):
            OAuthResourceServer(consumers)


@pytest.mark.parametrize("implied", [{"write": "read"}, {"write": [1]}, {"a b": ["c"]}, {1: ["c"]}, [], {"é": ["a"]}])
def test_scopes_that_are_none_stop_the_start(implied: Any, make_consumer: MakeConsumer) -> None:
    with pytest.raises(CrossauthError, match="implied_scopes"):
        OAuthResourceServer([make_consumer()], {"implied_scopes": implied})


async def test_scopes_are_enough_or_all_of_them_are_named(issuer: FakeIssuer, make_consumer: MakeConsumer) -> None:
    server = OAuthResourceServer([make_consumer()], {"implied_scopes": {"write": ["read"]}})
    claims = await server.authorize(issuer.issue_token(scope="write"))
    assert server.scopes(claims) == ("write",)
    server.require_scopes(claims, ["read", "write"])
    with pytest.raises(InsufficientScope) as refused:
        server.require_scopes(claims, ["read", "admin"])
    assert refused.value.scopes == ("read", "admin")


def test_the_documented_names_are_where_they_are_documented() -> None:
    from crossauth_backend.oauth import resserver, tokenconsumer, wellknown

    assert tokenconsumer.OAuthTokenConsumer is OAuthTokenConsumer
    assert resserver.OAuthResourceServer is OAuthResourceServer
    for name in (
        "OpenIdConfiguration", "Jwks", "DEFAULT_OIDCCONFIG", "TokenBodyType", "AuthorizeQueryType", "TokenEndpointAuthMethod",
        "ResponseMode", "GrantType", "SubjectType", "ClaimType", "EncryptionKey",
    ):  # fmt: skip
        assert hasattr(wellknown, name)
