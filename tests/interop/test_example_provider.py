"""The provider that is started beside the example of an OAuth client: each flow that its comment promises."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crossauth_backend import OAuthTokenConsumer
from crossauth_backend.oauth.client import OAuthClient
from tests.services.oidc import CLIENT_ID, CLIENT_SECRET, OidcProvider, example_provider
from tests.services.processes import free_port

APP = "http://localhost:8000"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with example_provider(PORT=str(free_port())) as provider:
        yield provider


@pytest.fixture
async def client(provider: OidcProvider) -> AsyncIterator[OAuthClient]:
    options = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": f"{APP}/authzcode"}
    client = OAuthClient(provider.url, options)
    yield client
    await client.aclose()


async def logged_in(client: OAuthClient, provider: OidcProvider, scope: str, **extra: str) -> Any:
    challenge, verifier = client.code_challenge_and_verifier()
    start = await client.start_authorization_code_flow("s", scope, challenge, True, nonce="n", extra=extra)
    response = parse_qs(urlsplit(provider.sign_in(start["url"], "alice")).query)
    return await client.redirect_endpoint(response["code"][0], "s", verifier, nonce="n", iss=response["iss"][0])


async def accepted(provider: OidcProvider, audience: str, token: str) -> dict[str, Any] | None:
    """What a resource server reads of a token."""
    consumer = OAuthTokenConsumer(audience, {"auth_server_base_url": provider.url})
    try:
        return await consumer.token_authorized(token, "access")
    finally:
        await consumer.aclose()


async def test_a_login_refreshes_and_ends(client: OAuthClient, provider: OidcProvider) -> None:
    tokens = await logged_in(client, provider, "openid email profile offline_access")
    assert (tokens["id_payload"]["email"], tokens["id_payload"]["name"]) == ("alice@example.com", "alice")
    assert (await client.user_info_endpoint(tokens["access_token"]))["sub"] == "alice"
    newer = await client.refresh_token_flow(tokens["refresh_token"], id_payload=tokens["id_payload"])
    assert newer["refresh_token"] != tokens["refresh_token"]
    with provider.browser("alice") as browser:
        url = await client.end_session_url(post_logout_redirect_uri=f"{APP}/", state="s") or ""
        assert browser.log_out(url) == f"{APP}/?state=s"


async def test_tokens_for_the_api_are_accepted_by_a_resource_server(
    client: OAuthClient, provider: OidcProvider
) -> None:
    tokens = await logged_in(client, provider, "openid orders:read")
    claims = await accepted(provider, APP, tokens["access_token"])
    assert claims is not None
    assert (claims["sub"], claims["username"], claims["scope"]) == ("alice", "alice", "orders:read")
    newer = await client.refresh_token_flow(tokens["refresh_token"])
    assert await accepted(provider, APP, newer["access_token"])
    named = await logged_in(client, provider, "openid orders:read", resource=f"{APP}/other")
    assert await accepted(provider, f"{APP}/other", named["access_token"])
    machine = await client.client_credentials_flow("orders:write")
    claims = await accepted(provider, APP, machine["access_token"])
    assert claims is not None
    assert (claims["sub"], claims["scope"]) == (CLIENT_ID, "orders:write")
    assert (await client.client_credentials_flow())["access_token"]


async def test_a_device_and_a_password(client: OAuthClient, provider: OidcProvider) -> None:
    codes = await client.start_device_code_flow(None, "openid email")
    provider.approve_device(codes["verification_uri_complete"], "alice")
    assert (await client.poll_device_code_flow(codes["device_code"]))["id_payload"]["email"] == "alice@example.com"
    tokens = await client.password_flow("alice", "any", "openid email")
    assert tokens["id_payload"]["email"] == "alice@example.com"
    assert (await client.refresh_token_flow(tokens["refresh_token"], id_payload=tokens["id_payload"]))["access_token"]
    assert (await client.user_info_endpoint(tokens["access_token"]))["sub"] == "alice"
    assert (await client.password_flow("alice", "", "openid"))["error"] == "invalid_grant"
