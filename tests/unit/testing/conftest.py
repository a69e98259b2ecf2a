"""A provider on a real socket, and a client that does as it should, written down without ours."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import VerificationPolicy, verify
from crossauth_backend.core.secrets import digest, to_base64url
from crossauth_backend.testing import FakeProvider
from crossauth_backend.testing.fake_provider_base import CLIENT_ID, CLIENT_SECRET
from crossauth_backend.testing.wire import Received

BACK = "http://localhost:8000/authzcode"
VERIFIER = "v" * 43
CHALLENGE = to_base64url(digest(VERIFIER.encode()))


class Walk:
    def __init__(self, provider: FakeProvider, http: httpx2.AsyncClient) -> None:
        self.provider, self.http = provider, http

    @classmethod
    def offline(cls, provider: FakeProvider) -> "Walk":
        """Without a socket: only what needs none."""
        return cls(provider, None)  # type: ignore[arg-type]

    async def ask(self, path: str = "token", **fields: str) -> httpx2.Response:
        return await self.http.post(f"{self.provider.base}/{path}", data=fields, auth=(CLIENT_ID, CLIENT_SECRET))

    def url(self, **fields: str) -> str:
        asked = {
            "response_type": "code", "client_id": "client", "redirect_uri": BACK, "scope": "openid email", "state": "s",
            "nonce": "n", "code_challenge": CHALLENGE, "code_challenge_method": "S256", **fields,
        }  # fmt: skip
        return f"{self.provider.base}/authorize?{urlencode(asked)}"

    def back(self, **fields: str) -> dict[str, str]:
        sent = parse_qs(urlsplit(self.provider.sign_in(self.url(**fields))).query)
        return {name: values[0] for name, values in sent.items()}

    def device_codes(self) -> dict[str, Any]:
        auth = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return dict(self.provider.devices.authorization(Received(fields=auth), None).document)

    def poll(self, codes: dict[str, Any]) -> str:
        asked = Received(fields={"device_code": codes["device_code"]})
        return str(self.provider.devices.grant(self.provider, asked, CLIENT_ID, None).document["error"])

    async def tokens(self, code: str | None = None, **fields: str) -> httpx2.Response:
        code = code or self.back()["code"]
        exchange = {"grant_type": "authorization_code", "redirect_uri": BACK, "code_verifier": VERIFIER, **fields}
        return await self.ask(code=code, **exchange)

    async def refresh(self, token: str) -> httpx2.Response:
        return await self.ask(grant_type="refresh_token", refresh_token=token)


@pytest.fixture
async def walk() -> AsyncIterator[Walk]:
    async with FakeProvider() as provider, httpx2.AsyncClient(trust_env=False) as http:
        yield Walk(provider, http)


def read(provider: FakeProvider, id_token: str) -> dict[str, Any]:
    policy = VerificationPolicy(algorithms=("ES256",), issuers=(provider.url,), audiences=("client",), types=("jwt",))
    return verify(id_token, provider.keys.verification_keys(), policy, utc_now())
