"""Asking an authorization server about tokens (RFC 7662)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from crossauth_backend import CrossauthError, OAuthTokenConsumer
from crossauth_backend.oauth.wire.errors import InvalidToken, TemporarilyUnavailable
from crossauth_backend.testing import FakeClock, FakeIssuer, Fault
from tests.patience import Impatient
from tests.unit.oauth.conftest import MakeConsumer

SECRET = "the secret of the resource server"
OPAQUE: dict[str, Any] = {
    "introspection": "opaque", "introspection_client_id": "rs", "introspection_client_secret": SECRET,
}  # fmt: skip


@pytest.fixture
def consumer(make_consumer: MakeConsumer) -> OAuthTokenConsumer:
    return make_consumer(**OPAQUE)


async def test_an_active_token_gives_what_is_said_of_it(issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    token = issuer.issue_opaque_token(scope="read", roles=["a"])
    claims = await consumer.token_authorized(token, "access")
    assert claims is not None
    assert (claims["sub"], claims["scope"]) == ("1", "read")
    assert "active" not in claims
    claims["roles"].append("king")
    assert (await consumer.authorize(token))["roles"] == ["a"]


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"], ["private_key_jwt"], "x"])
@pytest.mark.parametrize("secret", ["plain", 'a:b%c+d &="é'])
async def test_the_client_authenticates_as_the_metadata_says(
    methods: Any, secret: str, issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    issuer.clients, issuer.auth_methods = {"r:s é": secret}, methods
    consumer = make_consumer(**{**OPAQUE, "introspection_client_id": "r:s é", "introspection_client_secret": secret})
    assert await consumer.authorize(issuer.issue_opaque_token())


async def test_a_client_that_is_refused_is_our_mistake_and_nobody_s_token(
    issuer: FakeIssuer, make_consumer: MakeConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = make_consumer(**{**OPAQUE, "introspection_client_secret": "wrong secret"})
    token = issuer.issue_opaque_token()
    with pytest.raises(TemporarilyUnavailable):
        await consumer.authorize(token)
    with pytest.raises(CrossauthError):
        await consumer.token_authorized(token, "access")
    assert len(caplog.records) == 1
    assert "check the introspection client" in caplog.text
    assert token not in caplog.text
    assert "wrong secret" not in caplog.text


async def test_an_active_token_is_remembered_no_longer_than_told(
    issuer: FakeIssuer, consumer: OAuthTokenConsumer, clock: FakeClock
) -> None:
    token = issuer.issue_opaque_token()
    for _ in range(5):
        assert await consumer.authorize(token)
    assert issuer.requests["introspect"] == 1
    del issuer.tokens[token]
    clock.advance(seconds=9)
    assert await consumer.authorize(token)
    clock.advance(seconds=1)
    with pytest.raises(InvalidToken):
        await consumer.authorize(token)

    short = issuer.issue_opaque_token(exp=int(clock().timestamp()) + 3)
    assert await consumer.authorize(short)
    del issuer.tokens[short]
    clock.advance(seconds=3)
    with pytest.raises(InvalidToken):
        await consumer.authorize(short)


async def test_that_a_token_is_not_active_is_never_remembered(issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    token = issuer.issue_opaque_token()
    response = issuer.tokens.pop(token)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            await consumer.authorize(token)
    issuer.tokens[token] = response
    assert await consumer.authorize(token)
    assert issuer.requests["introspect"] == 3


async def test_nothing_is_remembered_where_that_is_switched_off(
    issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    consumer = make_consumer(**OPAQUE, introspection_cache_seconds=0)
    token = issuer.issue_opaque_token()
    for _ in range(3):
        await consumer.authorize(token)
    assert issuer.requests["introspect"] == 3


async def test_many_requests_with_one_token_ask_once(issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    await consumer.load_config()
    token, issuer.held = issuer.issue_opaque_token(roles=["a"]), asyncio.Event()
    waiting = [asyncio.create_task(consumer.authorize(token)) for _ in range(20)]
    await asyncio.sleep(0.05)
    issuer.held.set()
    found = await asyncio.gather(*waiting)
    assert issuer.requests["introspect"] == 1
    found[0]["roles"].append("king")
    assert all(claims["roles"] == ["a"] for claims in found[1:])


async def test_a_flood_of_tokens_is_refused_before_it_reaches_the_issuer(
    issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    consumer = make_consumer(**OPAQUE)
    await consumer.load_config()
    issuer.held = asyncio.Event()
    waiting = [asyncio.create_task(consumer.authorize(f"garbage-{n}")) for n in range(200)]
    await asyncio.sleep(0.05)
    issuer.held.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(e, TemporarilyUnavailable) for e in found) == 200 - 64
    assert issuer.requests["introspect"] == 64


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://other.example.com"}, {"iss": 1}, {"aud": "other"}, {"aud": None}, {"aud": {"api": 1}}, {"exp": 0},
        {"exp": "later"}, {"exp": 10**400}, {"nbf": 4_000_000_000}, {"sub": 1}, {"token_type": "refresh_token"},
        {"token_type": "DPoP"}, {"token_type": 1}, {"cnf": {"jkt": "x"}}, {"type": "refresh"}, {"token_use": "refresh_token"},
        {"type": "id"}, {"events": {}}, {"x": "\ud800"}, {"x": float("inf")},
    ],
)  # fmt: skip
async def test_an_active_token_that_is_not_for_us_is_refused(
    changed: dict[str, Any], issuer: FakeIssuer, consumer: OAuthTokenConsumer
) -> None:
    token = issuer.issue_opaque_token(**changed)
    for _ in range(2):
        with pytest.raises((InvalidToken, TemporarilyUnavailable)):
            await consumer.authorize(token)


async def test_an_answer_without_audience_is_accepted_where_that_is_said(
    issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    consumer = make_consumer(**OPAQUE, introspection_needs_audience=False)
    assert await consumer.authorize(issuer.issue_opaque_token(aud=None))
    with pytest.raises(InvalidToken):
        await consumer.authorize(issuer.issue_opaque_token(aud="other"))


@pytest.mark.parametrize("active", [False, 1, "true", None, {}, []])
async def test_only_true_is_active(active: Any, issuer: FakeIssuer, consumer: OAuthTokenConsumer) -> None:
    token = issuer.issue_opaque_token()
    issuer.tokens[token] = {**issuer.tokens[token], "active": active}
    with pytest.raises(InvalidToken):
        await consumer.authorize(token)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.NOT_FOUND, Fault.REDIRECT, Fault.UNAVAILABLE, Fault.HUGE, Fault.DEEP, Fault.NO_JSON, Fault.NO_OBJECT, Fault.HTML,
        Fault.COMPRESSED, Fault.DIES, Fault.HANGS, Fault.DRIPS, Fault.CHUNKS, Fault.GARBAGE,
    ],
)  # fmt: skip
async def test_an_issuer_that_misbehaves_makes_no_token_active(
    fault: Fault, issuer: FakeIssuer, impatient: Impatient, make_consumer: MakeConsumer
) -> None:
    consumer = make_consumer(**OPAQUE, fetcher=impatient)
    await consumer.load_config()
    token, issuer.fault = issuer.issue_opaque_token(), fault
    with pytest.raises(TemporarilyUnavailable):
        await consumer.authorize(token)
    issuer.fault = None
    assert await consumer.authorize(token)


async def test_a_jwt_is_asked_about_only_where_that_is_said(
    issuer: FakeIssuer, make_consumer: MakeConsumer, clock: FakeClock
) -> None:
    token = issuer.issue_token(lifetime=timedelta(hours=1))
    assert await make_consumer(**OPAQUE).authorize(token)
    assert issuer.requests["introspect"] == 0
    always = make_consumer(**{**OPAQUE, "introspection": "always"})
    with pytest.raises(InvalidToken):
        await always.authorize(token)
    issuer.tokens[token] = {"aud": "api"}
    assert (await always.authorize(token))["iss"] == issuer.url
    asked = issuer.requests["introspect"]
    with pytest.raises(InvalidToken):
        await always.authorize(issuer.unsigned_token())
    assert issuer.requests["introspect"] == asked, "a JWT that is no good is shown to nobody"


async def test_an_issuer_without_introspection_is_a_mistake_in_the_options(
    issuer: FakeIssuer, make_consumer: MakeConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(CrossauthError, match="set option 'introspection_endpoint'"):
        make_consumer(**OPAQUE, oidc_config={"issuer": issuer.url})
    consumer = make_consumer(**OPAQUE)
    # The metadata that it fetches say no more than these; nobody's token is to blame.
    consumer.oidc_config = {"issuer": issuer.url}
    for _ in range(2):
        with pytest.raises(TemporarilyUnavailable):
            await consumer.authorize(issuer.issue_opaque_token())
    assert caplog.text.count("set option 'introspection_endpoint'") == 1
    named = make_consumer(**OPAQUE, introspection_endpoint=f"{issuer.origin}/introspect")
    assert await named.authorize(issuer.issue_opaque_token())
    assert issuer.requests["metadata"] == 0
