"""FastAPI with nothing on it: what everything else is a share of."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

app = FastAPI()


async def user_of(connection: HTTPConnection) -> dict[str, Any]:
    """What any dependency costs that reads the request."""
    return {"username": "alice", "path": connection.scope["path"]}


@app.get("/me")
async def me() -> dict[str, str]:
    return {"username": "alice"}


@app.get("/dependency")
async def dependency(user: Annotated[dict[str, Any], Depends(user_of)]) -> dict[str, str]:
    return {"username": user["username"]}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
