"""A provider of the cloud as a fetcher: it says what a test wants it to say, on the hand-written discovery documents."""

import json
from typing import Any
from urllib.parse import parse_qsl

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.jose import SigningKey, TokenType, generate_signing_key, sign
from tests.unit.oauth.client.test_provider_settings import DISCOVERY, SETTINGS

KEY = generate_signing_key("RS256")
OTHER_KEY = generate_signing_key("RS256")


class Cloud:
    """Answers for one provider, whatever a test wants it to say."""

    def __init__(self, name: str) -> None:
        self.name, self.document = name, DISCOVERY.get(name, {})
        self.claims: dict[str, Any] = {}
        self.key: SigningKey = KEY
        self.user: Any = None
        self.emails: Any = None
        self.asked: list[FetchRequest] = []
        self.nonce: str | None = None
        self.id_token = True

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        self.asked.append(request)
        return FetchResponse(
            status=200, headers={"content-type": "application/json"}, body=json.dumps(self._answer(request)).encode()
        )

    def _answer(self, request: FetchRequest) -> Any:
        url = request.url.partition("?")[0]
        if url == self.document.get("jwks_uri"):
            return {"keys": [KEY.public_jwk()]}
        if "/.well-known/" in url:
            return self.document
        if url.endswith("/emails"):
            return self.emails
        if request.method == "GET":
            return self.user
        tokens: dict[str, Any] = {"access_token": "at", "refresh_token": "rt", "token_type": "Bearer", "expires_in": 60}
        return {**tokens, "id_token": self._id_token()} if self.document and self.id_token else tokens

    def _id_token(self) -> str:
        now = int(utc_now().timestamp())
        response = {
            "iss": self.document["issuer"], "sub": "7", "aud": SETTINGS[self.name.partition("_")[0]]["client_id"], "iat": now,
            "exp": now + 60, "nonce": self.nonce, **self.claims,
        }  # fmt: skip
        return sign({name: value for name, value in response.items() if value is not None}, self.key, TokenType.JWT)

    @property
    def posted(self) -> dict[str, str]:
        body = next(request.body for request in self.asked if request.method == "POST")
        return dict(parse_qsl((body or b"").decode()))
