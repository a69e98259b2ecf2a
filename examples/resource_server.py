r"""An API that accepts access tokens of an authorization server.

Run the server and the API, each in a shell of its own, and call the API with a token from a third:

    make provider
    .venv/bin/python examples/resource_server.py
    curl http://localhost:8000/orders -H "Authorization: Bearer $(curl -s http://localhost:9000/token \
      -u "client:a secret of the client's, long enough" -d grant_type=client_credentials -d scope=orders:read |
      sed 's/.*"access_token":"\([^"]*\).*/\1/')"
"""

import os
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

from crossauth_fastapi import FastApiServer

PORT = int(os.environ.get("PORT", "8000"))
ISSUER = os.environ.get("ISSUER", "http://localhost:9000")
RESOURCE = os.environ.get("RESOURCE", f"http://localhost:{PORT}")

app = FastAPI(title="Orders")
server = FastApiServer(
    {"oauth_resserver": {}},
    {
        "app": app,
        "auth_server_base_url": ISSUER,
        "audience": RESOURCE,
        "protected_endpoints": {
            "GET /orders": {"scope": ["orders:read"]},
            "POST /orders": {"scope": ["orders:write"]},
            "/me": {},
        },
        "resources": [{"resource": RESOURCE, "resource_name": "Orders"}],
        "implied_scopes": {"orders:write": ["orders:read"]},
    },
)
ORDERS = ["tea"]


@app.get("/orders")
async def orders() -> list[str]:
    """For tokens with the scope orders:read, or orders:write, which includes it."""
    return ORDERS


@app.post("/orders")
async def order(what: str) -> list[str]:
    """For tokens with the scope orders:write."""
    ORDERS.append(what)
    return ORDERS


@app.get("/me")
async def me(request: Request) -> dict[str, Any]:
    """For any token: who it is for."""
    user, claims = request.state.user, request.state.access_token_payload
    return {"user": user.username if user else None, "client": claims.get("client_id"), "scope": request.state.scope}


if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)
