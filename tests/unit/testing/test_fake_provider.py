"""The provider for tests: what it does right, which is what tests of clients stand on."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import VerificationPolicy, verify
from crossauth_backend.core.secrets import digest, to_base64url
from crossauth_backend.testing import FakeProvider, Fault, ProviderFault

BACK = "http://localhost:8000/authzcode"
VERIFIER = "v" * 43
CHALLENGE = to_base64url(digest(VERIFIER.encode()))


class Walk:
    """A client that does as it should, written down without ours."""

    def __init__(self, provider: FakeProvider, http: httpx2.AsyncClient) -> None:
        self.provider, self.http = provider, http

    async def ask(self, path: str = "token", **fields: str) -> httpx2.Response:
        auth = ("client", provider_secret(self.provider))
        return await self.http.post(f"{self.provider.base}/{path}", data=fields, auth=auth)

    def url(self, **fields: str) -> str:
        asked = {
            "response_type": "code", "client_id": "client", "redirect_uri": BACK, "scope": "openid email", "state": "s",
            "nonce": "n", "code_challenge": CHALLENGE, "code_challenge_method": "S256", **fields,
        }  # fmt: skip
        return f"{self.provider.base}/authorize?{urlencode(asked)}"

    def back(self, **fields: str) -> dict[str, str]:
        sent = parse_qs(urlsplit(self.provider.sign_in(self.url(**fields))).query)
        return {name: values[0] for name, values in sent.items()}

    async def tokens(self, code: str | None = None, **fields: str) -> httpx2.Response:
        code = code or self.back()["code"]
        exchange = {"grant_type": "authorization_code", "redirect_uri": BACK, "code_verifier": VERIFIER, **fields}
        return await self.ask(code=code, **exchange)

    async def refresh(self, token: str) -> httpx2.Response:
        return await self.ask(grant_type="refresh_token", refresh_token=token)


def provider_secret(provider: FakeProvider) -> str:
    return str(provider.client_options["client_secret"])


@pytest.fixture
async def walk() -> AsyncIterator[Walk]:
    async with FakeProvider() as provider, httpx2.AsyncClient(trust_env=False) as http:
        yield Walk(provider, http)


def read(provider: FakeProvider, id_token: str) -> dict[str, Any]:
    policy = VerificationPolicy(algorithms=("ES256",), issuers=(provider.url,), audiences=("client",), types=("jwt",))
    return verify(id_token, provider.keys.verification_keys(), policy, utc_now())


async def test_a_login_by_code(walk: Walk) -> None:
    metadata = (await walk.http.get(f"{walk.provider.url}/.well-known/openid-configuration")).json()
    answer = await walk.http.get(walk.url(), follow_redirects=False)
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (back["state"], back["iss"]) == (["s"], [walk.provider.url])
    tokens = (await walk.tokens(back["code"][0])).json()
    claims = read(walk.provider, tokens["id_token"])
    assert (claims["sub"], claims["nonce"], claims["email"]) == ("alice", "n", "alice@example.com")
    assert "name" not in claims
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    info = (await walk.http.get(metadata["userinfo_endpoint"], headers=headers)).json()
    assert info == {"sub": "alice", "email": "alice@example.com", "email_verified": True}
    assert walk.provider.requests == {"metadata": 1, "authorize": 1, "token": 1, "userinfo": 1}
    assert walk.provider.received[2].fields["grant_type"] == "authorization_code"


async def test_a_code_counts_once_and_ends_what_it_brought(walk: Walk) -> None:
    code = walk.back()["code"]
    tokens = (await walk.tokens(code)).json()
    assert (await walk.tokens(code)).json()["error"] == "invalid_grant"
    assert (await walk.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("wrong", [{"code_verifier": "w" * 43}, {"redirect_uri": "http://localhost:8000/other"}])
async def test_a_code_needs_its_verifier_and_its_redirect_uri(walk: Walk, wrong: dict[str, str]) -> None:
    assert (await walk.tokens(**wrong)).json()["error"] == "invalid_grant"


async def test_a_refresh_token_rotates_and_its_reuse_ends_the_grant(walk: Walk) -> None:
    first = (await walk.tokens()).json()
    second = (await walk.refresh(first["refresh_token"])).json()
    assert "nonce" not in read(walk.provider, second["id_token"])
    assert (await walk.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await walk.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    walk.provider.settings.rotate = False
    third = (await walk.tokens()).json()
    assert "refresh_token" not in (await walk.refresh(third["refresh_token"])).json()
    assert (await walk.refresh(third["refresh_token"])).is_success


async def test_a_client_gets_a_token_for_itself(walk: Walk) -> None:
    answer = (
        await walk.ask(grant_type="client_credentials", scope="orders", resource="https://api.example.com")
    ).json()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    public = await walk.http.post(
        f"{walk.provider.url}/token", data={"grant_type": "client_credentials", "client_id": "public"}
    )
    assert public.json()["error"] == "unauthorized_client"
    nobody = await walk.http.post(f"{walk.provider.url}/token", data={}, auth=("client", "wrong"))
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_client")


async def test_a_fault_is_of_one_endpoint_or_one_grant(walk: Walk) -> None:
    walk.provider.faults["refresh_token"] = Fault.UNAVAILABLE
    tokens = (await walk.tokens()).json()
    assert (await walk.refresh(tokens["refresh_token"])).status_code == 503
    walk.provider.faults = {"userinfo": ProviderFault.WRONG_SUB}
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await walk.http.get(f"{walk.provider.url}/userinfo", headers=headers)).json()["sub"] == "somebody else"
