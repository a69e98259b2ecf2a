"""The resource server of pycrossauth. BENCH_PUBLIC_KEY is a file."""

import os
from typing import Any

from fastapi import FastAPI, Request

from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer
from crossauth_fastapi import FastApiOAuthResourceServer

app = FastAPI()
consumer = OAuthTokenConsumer(
    "bench",
    {
        "auth_server_base_url": "https://issuer.example.com",
        "jwt_key_type": "RS256",
        "jwt_public_key_file": os.environ["BENCH_PUBLIC_KEY"],
    },
)
server = FastApiOAuthResourceServer(app, [consumer], {"protected_endpoints": {"/me": {}}})


@app.get("/me")
async def me(request: Request) -> dict[str, Any]:
    user = request.state.user
    return {"username": user["username"] if user else None}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
