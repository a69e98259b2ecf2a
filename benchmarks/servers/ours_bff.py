"""Crossauth as a backend for frontend, with sessions in memory. BENCH_UPSTREAM and BENCH_PROVIDER are URLs, of the API and of the
OpenID provider."""

import os

from fastapi import FastAPI

from crossauth_backend import DEFAULT_LIMITS, InMemoryKeyStorage
from crossauth_fastapi import BffEndpoint, FastApiServer

app = FastAPI()
server = FastApiServer(
    {
        "session": {"key_storage": InMemoryKeyStorage()},
        "oauth_client": {"auth_server_base_url": os.environ["BENCH_PROVIDER"]},
    },
    {
        "app": app,
        "site_url": "http://localhost:8000",
        "secret": "a secret of the benchmark, long enough",
        "client_id": "client",
        "client_secret": "the secret of the client",
        "valid_flows": ["oidcAuthorizationCode", "refresh_token"],
        "token_response_type": "save_in_session_and_redirect",
        "authorized_url": "ping",
        "bff_base_url": os.environ["BENCH_UPSTREAM"],
        "bff_endpoints": [BffEndpoint(f"/{name}", ["GET"], False) for name in ("orders", "download", "events")],
        # They count as they always do, but are too wide to be reached.
        "attempt_limits": dict.fromkeys(DEFAULT_LIMITS, (10**6, 900)),
    },
)


@app.get("/orders")
async def orders() -> dict[str, str]:
    """The same route without the API: what a session with tokens costs by itself."""
    return {"username": "alice"}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
