"""FastAPI with nothing on it: what everything else is a share of."""

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

app = FastAPI()


async def user_of(connection: HTTPConnection) -> dict[str, Any]:
    """What any dependency costs that reads the request."""
    return {"username": "alice", "path": connection.scope["path"]}


async def me() -> dict[str, str]:
    return {"username": "alice"}


async def dependency(user: Annotated[dict[str, Any], Depends(user_of)]) -> dict[str, str]:
    return {"username": user["username"]}


ROUTES: dict[str, Any] = {"/me": me, "/dependency": dependency}
for path in sorted(ROUTES, key=lambda path: path != os.environ.get("BENCH_ROUTE")):
    app.get(path)(ROUTES[path])


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
