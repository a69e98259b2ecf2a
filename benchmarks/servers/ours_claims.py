"""An API that knows its callers by what their tokens say, by RS256, and asks no storage. BENCH_PUBLIC_KEY and BENCH_PRIVATE_KEY
are files."""

import os
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI

from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy

PRIVATE_KEY, PUBLIC_KEY = (Path(os.environ[f"BENCH_{kind}_KEY"]).read_text() for kind in ("PRIVATE", "PUBLIC"))


def jwt_strategy() -> JWTStrategy[Any, Any]:
    return JWTStrategy(PRIVATE_KEY, lifetime_seconds=3600, algorithm="RS256", public_key=PUBLIC_KEY)


async def get_user_manager() -> Any:
    """Not asked."""


backend: Any = AuthenticationBackend("bench", BearerTransport("auth/login"), jwt_strategy)
users = FastAPIUsers[Any, Any](get_user_manager, [backend])
app = FastAPI()


@app.get("/me")
async def me(claims: dict[str, Any] = Depends(users.current_claims())) -> dict[str, str]:
    return {"username": claims["sub"]}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
