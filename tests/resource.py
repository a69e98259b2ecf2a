"""What the tests of the resource server share: an issuer, and an application that accepts its tokens over a real socket."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from fastapi import FastAPI, Request, WebSocket

from crossauth_backend import OAuthTokenConsumer
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import CurrentUser, FastApiOAuthResourceServer, OptionalUser
from tests.patience import PATIENCE
from tests.services.uvicorn import serve_beside

AUDIENCE = "https://api.example.com"


_consumers: list[OAuthTokenConsumer] = []


def consumer_of(issuer: FakeIssuer, audience: Any = AUDIENCE, **options: Any) -> OAuthTokenConsumer:
    consumer = OAuthTokenConsumer(audience, {"auth_server_base_url": issuer.url, "fetch_timeout": PATIENCE, **options})
    _consumers.append(consumer)
    return consumer


async def close_consumers() -> None:
    """Close the connections of consumers whose applications were asked without a server, and so never end."""
    while _consumers:
        await _consumers.pop().aclose()


def add_routes(app: FastAPI) -> None:
    """Routes that say who is asking."""

    @app.api_route("/orders", methods=["GET", "POST", "OPTIONS"])
    async def orders(request: Request) -> dict[str, Any]:
        state = request.state
        return {
            "user": state.user.username if state.user else None,
            "auth_type": state.auth_type,
            "scope": state.scope,
            "sub": state.access_token_payload.get("sub") if state.access_token_payload else None,
        }

    @app.get("/orders/{id}")
    async def order(id: str) -> str:
        return id

    @app.get("/ordersold")
    async def old() -> str:
        return "old"

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.username

    @app.post("/change")
    async def change(user: CurrentUser) -> str:
        return user.username

    @app.get("/maybe")
    async def maybe(request: Request, user: OptionalUser) -> dict[str, Any]:
        return {"user": user.username if user else None, "auth_error": request.state.auth_error}

    @app.websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.state.auth_type)
        await socket.close()


@asynccontextmanager
async def serving(app: FastAPI, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of `app` under uvicorn."""
    async with (
        serve_beside(app, **settings) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=20) as client,
    ):
        yield client


@asynccontextmanager
async def an_api(
    issuer: FakeIssuer,
    protected: Mapping[str, Any] | None = None,
    audience: Any = AUDIENCE,
    consumer: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application whose routes need tokens of `issuer`."""
    app = FastAPI()
    tokens = consumer_of(issuer, audience, **(consumer or {}))
    server = FastApiOAuthResourceServer(app, [tokens], {"protected_endpoints": protected or {}, **options})
    add_routes(app)

    @app.get("/authorized")
    async def authorized(request: Request) -> Any:
        found = await server.authorized(request)
        if found and found.get("user"):
            return {**found, "user": found["user"].username}
        return found

    async with serving(app) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Answer:
    """What an application sent back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def challenge(self) -> str:
        return ", ".join(value for name, value in self.headers if name == "www-authenticate")


async def ask(app: Any, path: str, *headers: tuple[str, bytes], method: str = "GET", root_path: str = "") -> Answer:
    """Ask an application past any server, which would refuse some requests itself."""
    sent: list[Any] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode("utf-8", "replace"),
        "query_string": b"", "root_path": root_path, "scheme": "http", "server": ("t", 80), "client": ("192.0.2.1", 1),
        "headers": [(b"host", b"t"), *((name.encode(), value) for name, value in headers)],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], [(n.decode(), v.decode("latin-1")) for n, v in sent[0]["headers"]], body)


def encoded(part: Any) -> str:
    """A part of a JWT: bytes as they are, anything else as JSON."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(issuer: FakeIssuer, header: Any, payload: Any) -> str:
    """A token with a good RS256 signature of the issuer, whatever is in it."""
    key = issuer.keys.signer()
    if isinstance(header, dict):
        header = {"alg": "RS256", "typ": "at+jwt", "kid": key.kid, **header}
    text = f"{encoded(header)}.{encoded(payload)}"
    private: Any = key.key.private_key
    return f"{text}.{encoded(private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def claims_of(issuer: FakeIssuer, **claims: Any) -> dict[str, Any]:
    """The claims of a good token; `None` leaves one out."""
    body = issuer.issue_token(AUDIENCE).split(".")[1]
    response: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return {name: value for name, value in {**response, **claims}.items() if value is not None}
