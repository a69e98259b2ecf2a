"""What the provider for tests knows of its clients and users."""

import base64

import pytest

from crossauth_backend.core.jose import read_unverified
from crossauth_backend.testing import FakeProvider, ProviderFault
from crossauth_backend.testing.fake_provider_base import CLIENT_ID, CLIENT_SECRET, PUBLIC_CLIENT_ID
from crossauth_backend.testing.wire import Received, Reply

BASIC = {"authorization": f"Basic {base64.b64encode(f'{CLIENT_ID}:{CLIENT_SECRET}'.encode()).decode()}"}
POST = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def asked(methods: list[str] | None, **request: dict[str, str]) -> str | Reply:
    provider = FakeProvider()
    provider.settings.token_auth_methods = methods
    return provider.client_of(Received(**request))  # type: ignore[arg-type]


def test_a_client_authenticates_in_one_way_that_the_provider_takes() -> None:
    assert asked(["client_secret_basic"], headers=BASIC) == CLIENT_ID
    assert asked(None, headers=BASIC) == CLIENT_ID
    assert asked(["client_secret_post"], fields=POST) == CLIENT_ID
    assert asked(["none"], fields={"client_id": PUBLIC_CLIENT_ID}) == PUBLIC_CLIENT_ID


@pytest.mark.parametrize(("methods", "request_"), [
    (["client_secret_post"], {"headers": BASIC}),
    (["client_secret_basic"], {"fields": POST}),
    (None, {"fields": POST}),
    (["client_secret_basic", "client_secret_post"], {"headers": BASIC, "fields": POST}),
    (["client_secret_post", "none"], {"fields": {"client_id": CLIENT_ID}}),
    (["client_secret_post"], {"fields": {**POST, "client_secret": "wrong"}}),
])  # fmt: skip
def test_another_way_is_refused(methods: list[str] | None, request_: dict[str, dict[str, str]]) -> None:
    refused = asked(methods, **request_)
    assert isinstance(refused, Reply)
    assert refused.status >= 400


def test_claims_follow_scopes() -> None:
    provider = FakeProvider()
    assert set(provider.claims_of(provider.grant(CLIENT_ID, "alice", "openid"))) == set()
    assert set(provider.claims_of(provider.grant(CLIENT_ID, "alice", "openid email"))) == {"email", "email_verified"}
    assert provider.claims_of(provider.grant(CLIENT_ID, "bob", "openid profile"))["name"] == "Bob"


@pytest.mark.parametrize(("fault", "missing"), [
    (ProviderFault.NO_ID_TOKEN, "id_token"), (ProviderFault.NO_ACCESS_TOKEN, "access_token"),
    (ProviderFault.NO_TOKEN_TYPE, "token_type"),
])  # fmt: skip
def test_something_can_be_missing_in_the_response(fault: ProviderFault, missing: str) -> None:
    provider = FakeProvider()
    grant = provider.grant(CLIENT_ID, "alice", "openid")
    assert set(provider.token_response(grant)) - set(provider.token_response(grant, fault)) == {missing}


def test_refresh_tokens_are_for_everybody_nobody_or_by_scope() -> None:
    provider = FakeProvider()
    online, offline = (provider.grant(CLIENT_ID, "alice", scope) for scope in ("openid", "openid offline_access"))
    assert "refresh_token" in provider.token_response(online)
    provider.settings.refresh_tokens = "offline_access"
    assert "refresh_token" not in provider.token_response(online)
    assert "refresh_token" in provider.token_response(offline)


@pytest.mark.parametrize(("algorithm", "other"), [("ES256", "ES384"), ("RS256", "ES256")])
def test_another_algorithm_is_published_but_not_named(algorithm: str, other: str) -> None:
    provider = FakeProvider(algorithms=(algorithm,))
    token = provider.id_token(provider.grant(CLIENT_ID, "alice", "openid"), ProviderFault.WRONG_ALGORITHM)
    assert read_unverified(token)[0]["alg"] == other
    assert [jwk["alg"] for jwk in provider.keys.jwks()["keys"]] == [algorithm, other]


def test_a_grant_is_revoked_whole() -> None:
    provider = FakeProvider()
    provider.settings.opaque_access_tokens = True
    grant = provider.grant(CLIENT_ID, "alice", "openid")
    provider.token_response(grant)
    assert [len(stored) for stored in (provider.access_tokens, provider.refresh_tokens, provider.tokens)] == [1, 1, 1]
    provider.revoke(grant)
    assert [len(stored) for stored in (provider.access_tokens, provider.refresh_tokens, provider.tokens)] == [0, 0, 0]
