"""The OAuth client with a certified provider: every flow that the provider has, step by step as applications take them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from crossauth_backend.core.jose import generate_signing_key
from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.oauth.wire.errors import InvalidRequest
from crossauth_backend.testing import FakeIssuer
from crossauth_backend.testing.wire import Received, Reply
from tests.patience import PATIENCE
from tests.services.oidc import (
    BASIC_ID,
    BASIC_SECRET,
    CLIENT_ID,
    CLIENT_SECRET,
    MACHINE_ID,
    MACHINE_SECRET,
    PLAIN_ID,
    PLAIN_SECRET,
    PUBLIC_ID,
    OidcProvider,
    oidc_provider,
    private_jwks,
)
from tests.services.processes import free_port

BACK = "http://127.0.0.1:1/authzcode"
OUT = "http://127.0.0.1:1/loggedout"
CLIENTS: dict[str, dict[str, str]] = {
    "Basic": {"client_id": BASIC_ID, "client_secret": BASIC_SECRET},
    "body": {
        "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token_endpoint_auth_method": "client_secret_post",
    },
    "public": {"client_id": PUBLIC_ID},
}  # fmt: skip
MACHINE = {"client_id": MACHINE_ID, "client_secret": MACHINE_SECRET}


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider(BACK, post_logout_redirect_uris=OUT) as provider:
        yield provider


@asynccontextmanager
async def a_client(provider: OidcProvider, **options: Any) -> AsyncIterator[OAuthClient]:
    client = OAuthClient(provider.url, {"redirect_uri": BACK, **(options or CLIENTS["Basic"])})
    try:
        yield client
    finally:
        await client.aclose()


async def begun(client: OAuthClient, scope: str = "openid email", **more: Any) -> tuple[str, str]:
    """Where the browser is sent, with PKCE, and the verifier."""
    challenge, verifier = client.code_challenge_and_verifier()
    start = await client.start_authorization_code_flow("s", scope, challenge, True, nonce="n", **more)
    return start["url"], verifier


async def finished(client: OAuthClient, back: str, verifier: str | None, nonce: str | None = "n") -> Any:
    assert back.startswith(BACK)
    response = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    assert response["state"] == "s"
    assert response["iss"] == client.issuer
    return await client.redirect_endpoint(
        response.get("code"), response["state"], verifier, nonce=nonce, iss=response["iss"]
    )


async def logged_in(client: OAuthClient, provider: OidcProvider, name: str = "alice", **more: Any) -> Any:
    url, verifier = await begun(client, **more)
    # While a browser is driven, the client notices which connections the provider has closed.
    return await finished(client, await asyncio.to_thread(provider.sign_in, url, name), verifier)


@pytest.mark.parametrize("options", CLIENTS.values(), ids=CLIENTS)
async def test_a_login_by_code_with_pkce(provider: OidcProvider, options: dict[str, str]) -> None:
    async with a_client(provider, **options) as client:
        tokens = await logged_in(client, provider)
        assert (tokens["id_payload"]["sub"], tokens["token_type"]) == ("alice", "Bearer")
        assert await client.user_info_endpoint(tokens["access_token"], sub="alice") == {
            "sub": "alice", "email": "alice@example.com", "email_verified": True,
        }  # fmt: skip
        other = await client.user_info_endpoint(tokens["access_token"], sub="bob")
        assert other["error"] == "access_denied"


async def test_a_login_with_the_claims_of_the_user_info_endpoint(provider: OidcProvider) -> None:
    async with a_client(provider, **CLIENTS["Basic"], oauth_use_user_info_endpoint=True) as client:
        payload = (await logged_in(client, provider, scope="openid email profile"))["id_payload"]
        assert (payload["email"], payload["name"]) == ("alice@example.com", "alice")


async def test_a_login_without_pkce_where_the_provider_does_not_require_it(provider: OidcProvider) -> None:
    async with a_client(provider, client_id=PLAIN_ID, client_secret=PLAIN_SECRET) as client:
        url = (await client.start_authorization_code_flow("s", "openid"))["url"]
        assert (await finished(client, provider.sign_in(url, "alice"), None, nonce=None))["access_token"]


async def test_a_code_with_another_verifier_or_a_second_time_is_refused(provider: OidcProvider) -> None:
    async with a_client(provider) as client:
        url, verifier = await begun(client)
        back = provider.sign_in(url, "alice")
        assert (await finished(client, back, "v" * 43))["error"] == "invalid_grant"
        back = provider.sign_in(url, "alice")
        assert (await finished(client, back, verifier))["access_token"]
        assert (await finished(client, back, verifier))["error"] == "invalid_grant"


async def test_an_answer_with_another_nonce_is_refused(provider: OidcProvider) -> None:
    async with a_client(provider) as client:
        url, verifier = await begun(client)
        answer = await finished(client, provider.sign_in(url, "alice"), verifier, nonce="of another login")
        assert (answer.get("access_token"), answer["error"]) == (None, "access_denied")


async def test_a_refusal_comes_back_as_its_error(provider: OidcProvider) -> None:
    """With `prompt=none` nobody is asked, and nobody is logged in."""
    async with a_client(provider) as client:
        url, _ = await begun(client, extra={"prompt": "none"})
        response = parse_qs(urlsplit(httpx2.get(url, trust_env=False).headers["location"]).query)
        answer = await client.redirect_endpoint(
            None, "s", None, response["error"][0], response["error_description"][0], iss=response["iss"][0]
        )
        assert answer["error"] == "login_required"


@pytest.mark.parametrize("options", CLIENTS.values(), ids=CLIENTS)
async def test_a_refresh_rotates_and_keeps_the_user(provider: OidcProvider, options: dict[str, str]) -> None:
    async with a_client(provider, **options) as client:
        first = await logged_in(client, provider)
        second = await client.refresh_token_flow(first["refresh_token"], id_payload=first["id_payload"])
        assert second["id_payload"]["sub"] == "alice"
        assert second["refresh_token"] != first["refresh_token"]
        assert (await client.user_info_endpoint(second["access_token"], sub="alice"))["sub"] == "alice"
        # Whoever uses a refresh token again may be a thief: both lose what they have.
        assert (await client.refresh_token_flow(first["refresh_token"]))["error"] == "invalid_grant"
        assert (await client.refresh_token_flow(second["refresh_token"]))["error"] == "invalid_grant"


async def test_a_client_gets_tokens_for_itself(provider: OidcProvider) -> None:
    async with a_client(provider, **MACHINE) as client:
        answer = await client.client_credentials_flow()
        assert (answer["token_type"], "refresh_token" in answer, "id_token" in answer) == ("Bearer", False, False)
    async with a_client(provider) as client:
        # RFC 6749 §5.2 would have `unauthorized_client`.
        assert (await client.client_credentials_flow())["error"] == "invalid_request"
    async with a_client(provider, **{**MACHINE, "client_secret": "wrong"}) as client:
        assert (await client.client_credentials_flow())["error"] == "invalid_client"


async def test_a_device_waits_for_its_user(provider: OidcProvider) -> None:
    async with a_client(provider, **CLIENTS["public"]) as client:
        codes = await client.start_device_code_flow(None, "openid email")
        assert (await client.poll_device_code_flow(codes["device_code"]))["error"] == "authorization_pending"
        provider.approve_device(codes["verification_uri_complete"], "alice")
        tokens = await client.poll_device_code_flow(codes["device_code"])
        assert tokens["id_payload"]["sub"] == "alice"
        assert (await client.refresh_token_flow(tokens["refresh_token"]))["access_token"]
        assert (await client.poll_device_code_flow(codes["device_code"]))["error"] == "invalid_grant"

        codes = await client.start_device_code_flow(None, "openid")
        provider.approve_device(codes["verification_uri"], "alice", codes["user_code"], agree=False)
        assert (await client.poll_device_code_flow(codes["device_code"]))["error"] == "access_denied"


async def test_a_revoked_token_is_refused(provider: OidcProvider) -> None:
    async with a_client(provider) as client:
        tokens = await logged_in(client, provider)
        assert await client.revoke(tokens["access_token"], "access_token")
        assert (await client.user_info_endpoint(tokens["access_token"]))["error"] == "invalid_token"
        assert await client.revoke(tokens["refresh_token"], "refresh_token")
        assert (await client.refresh_token_flow(tokens["refresh_token"]))["error"] == "invalid_grant"


async def test_a_logout_at_the_provider_comes_back_and_ends_the_tokens(provider: OidcProvider) -> None:
    async with a_client(provider) as client:
        with provider.browser("alice") as browser:
            url, verifier = await begun(client)
            tokens = await finished(client, browser.sign_in(url), verifier)
            url = await client.end_session_url(post_logout_redirect_uri=OUT, state="t") or ""
            assert tokens["id_token"] not in url
            assert browser.log_out(url) == f"{OUT}?state=t"
            silent, _ = await begun(client, extra={"prompt": "none"})
            assert "error=login_required" in browser.sign_in(silent)
        assert (await client.refresh_token_flow(tokens["refresh_token"]))["error"] == "invalid_grant"
        with provider.browser("alice") as browser:
            url, verifier = await begun(client)
            tokens = await finished(client, browser.sign_in(url), verifier)
            hinted = await client.end_session_url(id_token_hint=tokens["id_token"], post_logout_redirect_uri=OUT)
            assert browser.log_out(hinted or "") == OUT


class BackChannel(FakeIssuer):
    """What the provider sends its logout tokens to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    async def _answer(self, received: Received) -> Reply:
        self.told.append(received.fields["logout_token"])
        return Reply(200, {})


async def test_a_logout_token_of_the_provider_is_accepted_by_the_client_it_is_for() -> None:
    async with BackChannel() as channel:
        with oidc_provider(BACK, post_logout_redirect_uris=OUT, backchannel_logout_uri=channel.origin) as provider:
            async with a_client(provider) as client, a_client(provider, **CLIENTS["public"]) as other:
                with provider.browser("alice") as browser:
                    url, verifier = await begun(client)
                    back = await asyncio.to_thread(browser.sign_in, url)
                    payload = (await finished(client, back, verifier))["id_payload"]
                    await asyncio.to_thread(browser.log_out, await client.end_session_url() or "")
                (token,) = channel.told
                response = await client.verify_logout_token(token)
                assert (response.iss, response.sub, response.sid) == (provider.url, "alice", payload["sid"])
                with pytest.raises(InvalidRequest):
                    await other.verify_logout_token(token)
                assert await client.validate_id_token(token) is None


async def test_keys_may_change_between_two_logins() -> None:
    old, new = generate_signing_key("RS256"), generate_signing_key("RS256")
    port = free_port()
    with oidc_provider(BACK, port=port, jwks=private_jwks(old)) as provider:
        client = OAuthClient(provider.url, {"redirect_uri": BACK, **CLIENTS["Basic"]})
        before = await logged_in(client, provider)
    try:
        with oidc_provider(BACK, port=port, jwks=private_jwks(new)) as provider:
            after = await logged_in(client, provider)
            assert after["id_payload"]["sub"] == "alice"
            assert await client.validate_id_token(after["id_token"])
            # The provider has withdrawn the key that signed this one.
            assert await client.validate_id_token(before["id_token"]) is None
    finally:
        await client.aclose()


async def test_a_provider_that_is_gone_is_an_error_and_its_return_is_noticed() -> None:
    port = free_port()
    with oidc_provider(BACK, port=port) as provider:
        client = OAuthClient(provider.url, {"redirect_uri": BACK, "fetch_timeout": PATIENCE, **CLIENTS["Basic"]})
        tokens = await logged_in(client, provider)
    try:
        answer = await client.refresh_token_flow(tokens["refresh_token"], id_payload=tokens["id_payload"])
        assert answer["error"] == "temporarily_unavailable"
        with oidc_provider(BACK, port=port) as provider:
            assert (await logged_in(client, provider))["id_payload"]["sub"] == "alice"
    finally:
        await client.aclose()
