"""An authorization server for tests, on a real socket of this machine: well-behaved, or misbehaving in one way at a time.

async with FakeIssuer() as issuer:
    consumer = OAuthTokenConsumer("api", {"auth_server_base_url": issuer.url})
    claims = await consumer.authorize(issuer.issue_token(audience="api"))
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from inspect import isawaitable
from types import TracebackType
from typing import Any, Self

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.jose import SigningKey, SigningKeys, TokenType, generate_signing_key, sign
from crossauth_backend.core.secrets import equal, random_value, to_base64url
from crossauth_backend.testing.fake_provider_faults import ProviderFault
from crossauth_backend.testing.faults import Fault, respond
from crossauth_backend.testing.wire import Received, Reply, receive

Handler = Callable[[Received], Reply | Awaitable[Reply]]
AnyFault = Fault | ProviderFault


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
        self.fault: AnyFault | None = None
        self.faults: dict[str, AnyFault] = {}
        """What is done wrong with one document only, by its name in `requests`, whatever `fault` says."""
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
        declared = {
            "iss": self.url, "aud": audience, "sub": "1", "client_id": "client", "iat": now,
            "exp": now + int(lifetime.total_seconds()), "jti": random_value(16), **claims,
        }  # fmt: skip
        return sign({name: v for name, v in declared.items() if v is not None}, key or self.keys.signer(), kind)

    def unsigned_token(self, **claims: Any) -> str:
        """A token with `alg: none` and no signature."""
        body = self.issue_token(**claims).split(".")[1]
        return f"{to_base64url(json.dumps({'alg': 'none', 'typ': 'at+jwt'}).encode())}.{body}."

    def issue_opaque_token(self, **claims: Any) -> str:
        """A token that only introspection says something of; `None` leaves a claim out."""
        token, now = random_value(32), int(self._clock().timestamp())
        declared = {"iss": self.url, "aud": "api", "sub": "1", "exp": now + 300, "token_type": "Bearer", **claims}
        self.tokens[token] = {name: value for name, value in declared.items() if value is not None}
        return token

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            received = await receive(reader)
            if self.held is not None:
                await self.held.wait()
            received = replace(received, endpoint=self._name(received.path))
            self.requests[received.endpoint] += 1
            reply = await self._answer(received)
            await respond(writer, self._fault_of(received), received.path, reply)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()

    def _name(self, path: str) -> str:
        """What `requests` calls the document at a path."""
        path = path.removeprefix("/moved")
        return next((name for name, (at, _) in self._routes().items() if at == path), path)

    def _routes(self) -> dict[str, tuple[str, Handler]]:
        """The path of each document, and what makes it."""
        return {
            "metadata": (f"{self._path.removesuffix('/')}/.well-known/openid-configuration", self._metadata_asked),
            "jwks": ("/jwks", lambda _: Reply(200, self._jwks())),
            "introspect": ("/introspect", self._introspection),
        }

    async def _answer(self, received: Received) -> Reply:
        _, handler = self._routes().get(received.endpoint, ("", _not_found))
        reply = handler(received)
        return await reply if isawaitable(reply) else reply

    def _fault_of(self, received: Received) -> AnyFault | None:
        return self.faults.get(received.endpoint, self.fault)

    def _metadata_asked(self, received: Received) -> Reply:
        document, fault = self._metadata(), self._fault_of(received)
        if fault is Fault.WRONG_ISSUER:
            document["issuer"] += "/"
        elif fault is Fault.INSECURE_KEYS:
            document["jwks_uri"] = "http://issuer.example.com/jwks"
        elif fault is Fault.NO_KEYS_URL:
            del document["jwks_uri"]
        return Reply(200, document)

    def _metadata(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "issuer": self.url, "jwks_uri": f"{self.origin}/jwks", "introspection_endpoint": f"{self.origin}/introspect",
            "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [key.algorithm for key in self.keys.current],
        }  # fmt: skip
        if self.auth_methods is not None:
            document["introspection_endpoint_auth_methods_supported"] = self.auth_methods
        return document

    def _jwks(self) -> dict[str, Any]:
        fault = self.faults.get("jwks", self.fault)
        if fault is Fault.NO_KEYS:
            return {"keys": []}
        if fault is Fault.SECRET_KEYS:
            return {"keys": [{"kty": "oct", "k": to_base64url(b"x" * 32), "alg": "HS256", "kid": "x"}]}
        return dict(self.keys.jwks())

    def _introspection(self, received: Received) -> Reply:
        fields = received.fields
        client, secret = received.basic or (fields.get("client_id", ""), fields.get("client_secret", ""))
        if client not in self.clients or not equal(self.clients[client], secret):
            return Reply(401, {"error": "invalid_client"})
        known = self.tokens.get(fields.get("token", ""))
        return Reply(200, {"active": False} if known is None else {"active": True, **known})


def _not_found(received: Received) -> Reply:
    return Reply(404, {})
