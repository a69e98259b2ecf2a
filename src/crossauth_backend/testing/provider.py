"""An authorization server for tests, on a real socket of this machine: well-behaved, or misbehaving in one way at a time.

async with FakeIssuer() as issuer:
    consumer = OAuthTokenConsumer("api", {"auth_server_base_url": issuer.url})
    claims = await consumer.authorize(issuer.issue_token(audience="api"))
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote_plus

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.jose import SigningKey, SigningKeys, TokenType, generate_signing_key, sign
from crossauth_backend.core.secrets import equal, random_value, to_base64url
from crossauth_backend.testing.faults import Fault, respond

_MAX_REQUEST: Final = 64 * 1024


class FakeIssuer:
    """An authorization server with metadata, keys and introspection. Use it as an async context manager.

    Parameters:
        path: of its URL after host and port.
        algorithms: its keys, one for each; the first is the default.
        clock: what time it is.
    """

    def __init__(self, path: str = "", algorithms: tuple[str, ...] = ("ES256",), clock: Clock = utc_now) -> None:
        self._path, self._clock = path, clock
        self.keys = SigningKeys(tuple(generate_signing_key(algorithm) for algorithm in algorithms))
        self.fault: Fault | None = None
        self.requests: Counter[str] = Counter()
        """How often each document was asked for: `metadata`, `jwks`, `introspect`."""
        self.held: asyncio.Event | None = None
        """While it is there and not set, responses wait for it."""
        self.clients: dict[str, str] = {"rs": "the secret of the resource server"}
        self.tokens: dict[str, Mapping[str, Any]] = {}
        """What introspection says of tokens, without `active`."""
        self.auth_methods: list[str] | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[Any]] = set()
        self.origin = ""

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def stop(self) -> None:
        """Refuse connections from now on, and end those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def url(self) -> str:
        """The issuer, as in its tokens."""
        return self.origin + self._path

    def rotate(self) -> SigningKey:
        """Sign with a new key that nobody knows yet; the old one is published no longer."""
        key = generate_signing_key(self.keys.signer().algorithm)
        self.keys = SigningKeys((key,))
        return key

    def issue_token(
        self,
        audience: str | list[str] = "api",
        *,
        kind: TokenType = TokenType.ACCESS,
        key: SigningKey | None = None,
        lifetime: timedelta = timedelta(minutes=5),
        **claims: Any,
    ) -> str:
        """A signed token.

        Parameters:
            audience: `aud`.
            kind: `typ` of its header.
            key: what signs it, if not the current key.
            lifetime: until `exp`.
            claims: further ones, or other values; `None` leaves a claim out.
        """
        now = int(self._clock().timestamp())
        said = {
            "iss": self.url, "aud": audience, "sub": "1", "client_id": "client", "iat": now,
            "exp": now + int(lifetime.total_seconds()), "jti": random_value(16), **claims,
        }  # fmt: skip
        return sign({name: v for name, v in said.items() if v is not None}, key or self.keys.signer(), kind)

    def unsigned_token(self, **claims: Any) -> str:
        """A token with `alg: none` and no signature."""
        body = self.issue_token(**claims).split(".")[1]
        return f"{to_base64url(json.dumps({'alg': 'none', 'typ': 'at+jwt'}).encode())}.{body}."

    def issue_opaque_token(self, **claims: Any) -> str:
        """A token that only introspection says something of; `None` leaves a claim out."""
        token, now = random_value(32), int(self._clock().timestamp())
        said = {"iss": self.url, "aud": "api", "sub": "1", "exp": now + 300, "token_type": "Bearer", **claims}
        self.tokens[token] = {name: value for name, value in said.items() if value is not None}
        return token

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
            body = await reader.readexactly(min(int(headers.get("content-length", "0")), _MAX_REQUEST))
            if self.held is not None:
                await self.held.wait()
            path = lines[0].split(" ")[1]
            status, document = self._document(path, headers, body)
            await respond(writer, self.fault, path, status, document)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _document(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        path = path.removeprefix("/moved")
        if path == f"{self._path}/.well-known/openid-configuration":
            self.requests["metadata"] += 1
            return 200, self._metadata()
        if path == "/jwks":
            self.requests["jwks"] += 1
            return 200, self._jwks()
        if path == "/introspect":
            self.requests["introspect"] += 1
            return self._introspection(headers, body)
        self.requests[path] += 1
        return 404, {}

    def _metadata(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "issuer": self.url, "jwks_uri": f"{self.origin}/jwks", "introspection_endpoint": f"{self.origin}/introspect",
            "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [key.algorithm for key in self.keys.current],
        }  # fmt: skip
        if self.auth_methods is not None:
            document["introspection_endpoint_auth_methods_supported"] = self.auth_methods
        if self.fault is Fault.WRONG_ISSUER:
            document["issuer"] += "/"
        elif self.fault is Fault.INSECURE_KEYS:
            document["jwks_uri"] = "http://issuer.example.com/jwks"
        elif self.fault is Fault.NO_KEYS_URL:
            del document["jwks_uri"]
        return document

    def _jwks(self) -> dict[str, Any]:
        if self.fault is Fault.NO_KEYS:
            return {"keys": []}
        if self.fault is Fault.SECRET_KEYS:
            return {"keys": [{"kty": "oct", "k": to_base64url(b"x" * 32), "alg": "HS256", "kid": "x"}]}
        return dict(self.keys.jwks())

    def _introspection(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        fields = {name: values[0] for name, values in parse_qs(body.decode("ascii")).items()}
        client, secret = _credentials(headers) or (fields.get("client_id", ""), fields.get("client_secret", ""))
        if client not in self.clients or not equal(self.clients[client], secret):
            return 401, {"error": "invalid_client"}
        known = self.tokens.get(fields.get("token", ""))
        return 200, {"active": False} if known is None else {"active": True, **known}


def _credentials(headers: Mapping[str, str]) -> tuple[str, str] | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    client, _, secret = base64.b64decode(value).decode("ascii").partition(":")
    return unquote_plus(client), unquote_plus(secret)
