"""FastAPI with a dependency that verifies an access token by joserfc, as one would write it by hand.

BENCH_PUBLIC_KEY is a file.
"""

import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

app = FastAPI()
KEY = RSAKey.import_key(Path(os.environ["BENCH_PUBLIC_KEY"]).read_text())
CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": "https://issuer.example.com"},
    aud={"essential": True, "value": "bench"},
    exp={"essential": True},
)


async def claims_of(token: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> dict[str, Any]:
    """The claims of a good token."""
    try:
        decoded = jwt.decode(token.credentials, KEY, algorithms=["RS256"])
        CLAIMS.validate(decoded.claims)
    except (JoseError, ValueError):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None
    return decoded.claims


@app.get("/me")
async def me(claims: Annotated[dict[str, Any], Depends(claims_of)]) -> dict[str, str]:
    return {"username": claims["sub"]}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
