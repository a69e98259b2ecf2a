"""Keys of an issuer, over a real socket: how often they are fetched, and what is believed of what comes back."""

import asyncio
import json
from datetime import timedelta

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.jose import SigningKey, UnknownKeyError, generate_signing_key
from crossauth_backend.core.secrets import to_base64url
from crossauth_backend.oauth.resource.remote_keys import FetchLimits, RemoteKeys
from crossauth_backend.oauth.resource.verify_jwt import TokenPolicies, verify_jwt
from crossauth_backend.oauth.wire.errors import InvalidToken, TemporarilyUnavailable
from crossauth_backend.testing import FakeClock, FakeIssuer, Fault
from tests.patience import PATIENCE, Impatient
from tests.unit.oauth.conftest import MakeConsumer

LIMITS = FetchLimits(timeout=timedelta(seconds=PATIENCE))
DOCUMENT_FAULTS = [
    Fault.WRONG_ISSUER, Fault.INSECURE_KEYS, Fault.NO_KEYS_URL, Fault.NO_KEYS, Fault.SECRET_KEYS, Fault.NOT_FOUND, Fault.REDIRECT,
    Fault.UNAVAILABLE, Fault.HUGE, Fault.DEEP, Fault.NO_JSON, Fault.NO_OBJECT, Fault.HTML, Fault.COMPRESSED, Fault.DIES,
    Fault.HANGS, Fault.DRIPS, Fault.CHUNKS, Fault.GARBAGE,
]  # fmt: skip


@pytest.fixture
def remote(issuer: FakeIssuer, impatient: Impatient, clock: FakeClock) -> RemoteKeys:
    return RemoteKeys(issuer.url, impatient, clock, LIMITS)


def kids(issuer: FakeIssuer) -> list[str | None]:
    return [key.kid for key in issuer.keys.current]


async def found(remote: RemoteKeys) -> list[str | None]:
    return [key.kid for key in (await remote.keys()).keys]


def test_every_fault_is_tried() -> None:
    assert set(DOCUMENT_FAULTS) == set(Fault)


@pytest.mark.parametrize("fault", DOCUMENT_FAULTS)
async def test_an_issuer_that_misbehaves_gives_no_keys_and_takes_none_away(
    fault: Fault, issuer: FakeIssuer, remote: RemoteKeys, clock: FakeClock
) -> None:
    issuer.fault = fault
    with pytest.raises(CrossauthError) as refused:
        await remote.keys()
    assert refused.value.code is ErrorCode.Connection
    assert issuer.url not in str(refused.value)
    issuer.fault = None
    clock.advance(seconds=60)
    assert await found(remote) == kids(issuer)

    issuer.fault = fault
    clock.advance(days=2)
    before = await remote.newer_keys()
    assert [key.kid for key in before.keys] == kids(issuer)
    assert await found(remote) == kids(issuer)


async def test_many_at_once_make_one_fetch(issuer: FakeIssuer, remote: RemoteKeys) -> None:
    issuer.held = asyncio.Event()
    waiting = [asyncio.create_task(remote.keys()) for _ in range(20)]
    await asyncio.sleep(0)
    issuer.held.set()
    sets = await asyncio.gather(*waiting)
    assert all(keys is sets[0] for keys in sets)
    assert issuer.requests == {"metadata": 1, "jwks": 1}


async def test_a_request_that_is_cancelled_takes_the_fetch_from_nobody(issuer: FakeIssuer, remote: RemoteKeys) -> None:
    issuer.held = asyncio.Event()
    first, second = asyncio.create_task(remote.keys()), asyncio.create_task(remote.keys())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    issuer.held.set()
    assert [key.kid for key in (await second).keys] == kids(issuer)
    assert issuer.requests["jwks"] == 1


async def test_any_number_of_unknown_keys_makes_one_fetch_in_a_cool_down(
    issuer: FakeIssuer, remote: RemoteKeys, clock: FakeClock
) -> None:
    await remote.keys()
    for _ in range(3):
        clock.advance(seconds=30)
        before = issuer.requests["jwks"]
        for _ in range(3333):
            await remote.newer_keys()
        assert issuer.requests["jwks"] == before + 1
    assert issuer.requests["metadata"] == 1


async def test_ten_thousand_tokens_with_unknown_kids_make_one_fetch(
    issuer: FakeIssuer, make_consumer: MakeConsumer, clock: FakeClock
) -> None:
    consumer = make_consumer()
    good = issuer.issue_token()
    assert await consumer.token_authorized(good, "access")
    clock.advance(seconds=31)
    stranger = generate_signing_key("ES256")
    foreign = issuer.issue_token(key=stranger)
    _, body, signature = foreign.split(".")
    for number in range(10_000):
        header = to_base64url(json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": f"kid {number}"}).encode())
        assert await consumer.token_authorized(f"{header}.{body}.{signature}", "access") is None
    assert issuer.requests["jwks"] == 2
    assert await consumer.token_authorized(good, "access")


async def test_a_new_key_is_fetched_when_a_token_names_it(
    issuer: FakeIssuer, make_consumer: MakeConsumer, clock: FakeClock
) -> None:
    consumer = make_consumer()
    old = issuer.issue_token(lifetime=timedelta(hours=1))
    assert await consumer.token_authorized(old, "access")
    issuer.rotate()
    new = issuer.issue_token()
    assert await consumer.token_authorized(new, "access") is None, "during the cool-down"
    clock.advance(seconds=31)
    assert await consumer.token_authorized(new, "access")
    assert await consumer.token_authorized(old, "access") is None, "its key was withdrawn"
    assert issuer.requests["jwks"] == 2


async def test_old_keys_are_fetched_anew_while_they_are_still_used(
    issuer: FakeIssuer, remote: RemoteKeys, clock: FakeClock
) -> None:
    await remote.keys()
    withdrawn = kids(issuer)
    issuer.rotate()
    clock.advance(minutes=11)
    assert await found(remote) == withdrawn
    async with asyncio.timeout(10):
        while await found(remote) == withdrawn:
            await asyncio.sleep(0.01)
    assert await found(remote) == kids(issuer)
    assert issuer.requests["jwks"] == 2


async def test_an_issuer_that_is_down_takes_nobody_down(
    issuer: FakeIssuer, make_consumer: MakeConsumer, clock: FakeClock
) -> None:
    consumer, cold = make_consumer(), make_consumer()
    token = issuer.issue_token(lifetime=timedelta(days=30))
    assert await consumer.token_authorized(token, "access")
    await issuer.stop()
    for _ in range(3):
        clock.advance(days=1)
        assert await consumer.token_authorized(token, "access")
        assert await consumer.token_authorized(issuer.issue_token(), "access")
        with pytest.raises(InvalidToken):
            await consumer.authorize(issuer.issue_token(key=generate_signing_key("ES256")))
    with pytest.raises(TemporarilyUnavailable):
        await cold.authorize(token)
    with pytest.raises(CrossauthError) as refused:
        await cold.token_authorized(token, "access")
    assert refused.value.http_status == 503


async def test_a_first_fetch_that_failed_is_tried_again_soon(
    issuer: FakeIssuer, remote: RemoteKeys, clock: FakeClock
) -> None:
    issuer.fault = Fault.UNAVAILABLE
    for _ in range(3):
        with pytest.raises(CrossauthError):
            await remote.keys()
    assert issuer.requests["metadata"] == 1
    issuer.fault = None
    clock.advance(seconds=3)
    assert await found(remote) == kids(issuer)


async def test_a_clock_that_is_set_back_does_not_stop_fetching(
    issuer: FakeIssuer, remote: RemoteKeys, clock: FakeClock
) -> None:
    await remote.keys()
    issuer.rotate()
    clock.advance(hours=-1)
    assert [key.kid for key in (await remote.newer_keys()).keys] == kids(issuer)


async def test_the_metadata_of_rfc_8414_is_found_where_openid_s_is_not(clock: FakeClock) -> None:
    class Pages:
        asked: list[str]

        def __init__(self) -> None:
            self.asked = []

        async def fetch(self, request: FetchRequest) -> FetchResponse:
            self.asked.append(request.url)
            if "openid" in request.url:
                return FetchResponse(status=404, headers={}, body=b"")
            jwk = generate_signing_key("ES256").public_jwk()
            document = {"issuer": "https://a.example/t", "jwks_uri": "https://a.example/keys", "keys": [jwk]}
            headers = {"content-type": "application/jwk-set+json; charset=utf-8"}
            return FetchResponse(status=200, headers=headers, body=json.dumps(document).encode())

    pages = Pages()
    assert await RemoteKeys("https://a.example/t", pages, clock, LIMITS).keys()
    assert pages.asked == [
        "https://a.example/t/.well-known/openid-configuration",
        "https://a.example/.well-known/oauth-authorization-server/t",
        "https://a.example/keys",
    ]


async def test_a_fetcher_of_the_application_is_held_to_the_limits(clock: FakeClock) -> None:
    class Broken:
        async def fetch(self, request: FetchRequest) -> FetchResponse:
            raise KeyError("secret")

    class Huge:
        async def fetch(self, request: FetchRequest) -> FetchResponse:
            return FetchResponse(status=200, headers={"content-type": "application/json"}, body=b" " * 300_000 + b"{}")

    for fetcher, reason in ((Broken(), "KeyError"), (Huge(), "more than 262144 bytes")):
        with pytest.raises(CrossauthError, match="can't be reached") as refused:
            await RemoteKeys("https://a.example", fetcher, clock, LIMITS).keys()
        assert refused.value.code is ErrorCode.Connection
        assert str(refused.value.detail) == f"a.example: {reason}"


async def test_a_token_without_a_kid_leads_to_a_fetch_as_well(
    issuer: FakeIssuer, remote: RemoteKeys, clock: FakeClock
) -> None:
    policies = TokenPolicies.of(issuer.url, ("api",), algorithms=("ES256",))
    keys = await remote.keys()
    nameless = SigningKey(issuer.rotate().key, "ES256", None)
    token = issuer.issue_token(key=nameless)
    with pytest.raises(UnknownKeyError):
        verify_jwt(token, "access", keys, policies, clock())
    clock.advance(seconds=31)
    assert verify_jwt(token, "access", await remote.newer_keys(), policies, clock())["sub"] == "1"
