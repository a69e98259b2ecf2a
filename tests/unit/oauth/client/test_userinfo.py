from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.jose import TokenType
from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.oauth.client.provider_settings import FLOW_OPTIONS, provider_options
from crossauth_backend.testing import Fault, ProviderFault
from tests.oauth_login import BACK, Login


async def test_the_claims_of_a_user(login: Login) -> None:
    token = (await login.walk())["access_token"]
    claims = await login.client.user_info_endpoint(token)
    assert claims["sub"] == "alice"
    assert await login.client.user_info_endpoint(token, sub="alice") == claims
    assert (await login.client.user_info_endpoint(token, sub="bob"))["error"] == "access_denied"
    assert (await login.client.user_info_endpoint("unknown"))["error"] == "invalid_token"
    login.provider.faults["userinfo"] = ProviderFault.NO_SUB
    assert (await login.client.user_info_endpoint(token))["error"] == "server_error"
    login.provider.settings.metadata = {"userinfo_endpoint": None}
    assert (await login.another().user_info_endpoint(token))["error"] == "server_error"


class Signed:
    """Answers at the user-info endpoint with a JWT, and passes the rest on."""

    def __init__(self, client: OAuthClient, token: str) -> None:
        self.fetcher, self.token = client._connection.fetcher, token

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        if request.url.endswith("/userinfo"):
            return FetchResponse(status=200, headers={"content-type": "application/jwt"}, body=self.token.encode())
        return await self.fetcher.fetch(request)


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({}, True), ({"error": "a claim of this name"}, True), ({"sub": "bob"}, False), ({"sub": None}, False),
        ({"iss": "https://elsewhere.example.com"}, False), ({"iss": None}, False), ({"aud": "other"}, False),
        ({"aud": None}, False),
    ],
    ids=str,
)  # fmt: skip
async def test_claims_that_are_signed(login: Login, changes: dict[str, Any], is_good: bool) -> None:
    response = {"iss": login.provider.url, "aud": "client", "sub": "alice", "email": "a@example.com", **changes}
    token = login.provider.sign(response, TokenType.JWT)
    client = login.another(fetcher=Signed(login.client, token))
    found = await client.user_info_endpoint("token", sub="alice")
    assert (found.get("email") == "a@example.com") is is_good
    forged = login.provider.sign(response, TokenType.JWT, ProviderFault.WRONG_SIGNATURE)
    client = login.another(fetcher=Signed(login.client, forged))
    assert (await client.user_info_endpoint("token", sub="alice"))["error"] == "server_error"


async def test_where_to_log_out(login: Login) -> None:
    url = await login.client.end_session_url(post_logout_redirect_uri="https://app.example.com/", state="s")
    assert url is not None
    assert url.startswith(f"{login.provider.url}/end_session?")
    assert parse_qs(urlsplit(url).query) == {
        "client_id": ["client"], "post_logout_redirect_uri": ["https://app.example.com/"], "state": ["s"],
    }  # fmt: skip
    hinted = await login.client.end_session_url(id_token_hint="x")
    assert hinted is not None
    assert "id_token_hint=x" in hinted
    login.provider.settings.metadata = {"end_session_endpoint": None}
    assert await login.another().end_session_url() is None


async def test_revoking(login: Login) -> None:
    answer = await login.walk()
    assert await login.client.revoke(answer["refresh_token"], "refresh_token")
    assert login.provider.received[-1].fields["token_type_hint"] == "refresh_token"
    assert (await login.client.refresh_token_flow(answer["refresh_token"]))["error"] == "invalid_grant"
    assert await login.client.revoke("unknown", "something else")
    assert "token_type_hint" not in login.provider.received[-1].fields
    login.provider.faults["revoke"] = Fault.UNAVAILABLE
    assert not await login.client.revoke("unknown")
    login.provider.settings.metadata = {"revocation_endpoint_auth_methods_supported": ["private_key_jwt"]}
    login.provider.faults.clear()
    assert not await login.another().revoke("unknown")
    login.provider.settings.metadata = {"revocation_endpoint": None}
    assert not await login.another().revoke("unknown")


class GitHub:
    """What GitHub answers, written down."""

    def __init__(self) -> None:
        self.answers = {
            "/login/oauth/access_token": b'{"access_token":"gho_x","token_type":"bearer","scope":"read:user,user:email"}',
            "/user": b'{"id":7,"login":"alice","name":"Alice","email":"written@example.com"}',
            "/user/emails": b'[{"email":"alice@example.com","primary":true,"verified":true}]',
        }

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        body = self.answers[urlsplit(request.url).path]
        return FetchResponse(status=200, headers={"content-type": "application/json; charset=utf-8"}, body=body)


async def test_a_provider_without_id_tokens_is_asked_who_the_user_is() -> None:
    options = provider_options("github", client_id="c", client_secret="s", redirect_uri=BACK)
    known: Any = {name: value for name, value in options.items() if name not in FLOW_OPTIONS}
    github = GitHub()
    client = OAuthClient(options={**known, "fetcher": github})
    answer = await client.redirect_endpoint("code", "state", "v" * 43)
    assert answer["id_payload"]["sub"] == "7"
    assert answer["id_payload"]["email"] == "alice@example.com"
    github.answers["/user"] = b"{}"
    assert (await client.redirect_endpoint("code", "state"))["error"] == "temporarily_unavailable"
    github.answers["/login/oauth/access_token"] = b'{"error":"bad_verification_code","error_description":"incorrect"}'
    assert (await client.redirect_endpoint("code", "state"))["error"] == "invalid_grant"
